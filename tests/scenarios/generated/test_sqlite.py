"""People are forgotten from generated SQLite databases, and nobody else loses anything."""

from __future__ import annotations

import pytest

from tests.scenarios.generated.engines import Sqlite
from tests.scenarios.generated.properties import HOW_MANY, hold_everywhere


@pytest.mark.django_db
@pytest.mark.timeout(7_200)
@pytest.mark.parametrize("examples", HOW_MANY)
def test_the_person_goes_and_everybody_else_stays_as_they_are(
    sqlite: Sqlite, examples: int
) -> None:
    hold_everywhere(sqlite, examples)
