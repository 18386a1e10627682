"""What every test can use. The home directory and settings are made in ``tests.environment``."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest
from django.db import connection
from django.test import TransactionTestCase, override_settings
from pytest_django import DjangoDbBlocker

from tests import migrated
from tests.emptying import Emptying


@pytest.fixture(scope="session", autouse=True)
def quick_passwords() -> Iterator[None]:
    """Django's own hash takes half a second on purpose, and each user of the desk has one."""
    with override_settings(PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"]):
        yield


@pytest.fixture(scope="session")
def django_db_keepdb(
    django_db_modify_db_settings: None, tmp_path_factory: pytest.TempPathFactory
) -> bool:
    """A database in a file is there before Django makes it."""
    if connection.vendor != "sqlite":
        return False
    made = migrated.home(tmp_path_factory) / "control.sqlite3"
    shutil.copy(made, connection.settings_dict["TEST"]["NAME"])
    return True


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """The migrated database, emptied faster than by Django."""
    with django_db_blocker.unblock():
        emptying = Emptying()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TransactionTestCase, "_fixture_teardown", lambda _: emptying())
        yield
    with django_db_blocker.unblock():
        connection.close()
