"""The control database after a test that commits: as it was migrated, and quickly.

Django deletes everything and has every app make its content types, permissions and roles anew,
which takes longer than most of the tests. Here these stay, unless a test changed them.
"""

from __future__ import annotations

from typing import Any

from django.core.management import call_command
from django.core.management.color import no_style
from django.db import connection

MADE_BY_MIGRATING = (
    "django_content_type",
    "auth_permission",
    "auth_group",
    "auth_group_permissions",
)


class Emptying:
    """Made of a migrated database; takes the place of ``TransactionTestCase._fixture_teardown``."""

    def __init__(self) -> None:
        names = connection.introspection.django_table_names(only_existing=True, include_views=False)
        self._written = sorted(set(names) - set(MADE_BY_MIGRATING))
        self._standing = _standing()

    def __call__(self) -> None:
        """Leave what migrating made, and nothing else."""
        sql = connection.ops.sql_flush(no_style(), self._written)
        connection.ops.execute_sql_flush(sql)
        if _standing() != self._standing:
            call_command("flush", verbosity=0, interactive=False, reset_sequences=False)
            self._standing = _standing()


def _standing() -> list[list[tuple[Any, ...]]]:
    found = []
    with connection.cursor() as cursor:
        for table in MADE_BY_MIGRATING:
            cursor.execute(f"SELECT * FROM {table} ORDER BY id")
            found.append(cursor.fetchall())
    return found
