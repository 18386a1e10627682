"""What every test can use. The home directory and settings are made in ``tests.environment``."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.test import TransactionTestCase, override_settings
from pytest_django import DjangoDbBlocker

from tests.emptying import Emptying


@pytest.fixture(scope="session", autouse=True)
def quick_passwords() -> Iterator[None]:
    """Django's own hash takes half a second on purpose, and each user of the desk has one."""
    with override_settings(PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"]):
        yield


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """The migrated database, emptied faster than by Django."""
    with django_db_blocker.unblock():
        emptying = Emptying()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TransactionTestCase, "_fixture_teardown", lambda _: emptying())
        yield
