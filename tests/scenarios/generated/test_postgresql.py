"""People are forgotten from generated PostgreSQL databases, and nobody else loses anything."""

from __future__ import annotations

import pytest

from tests.scenarios.generated.engines import Postgresql
from tests.scenarios.generated.properties import HOW_MANY, hold_everywhere


@pytest.mark.postgres
@pytest.mark.django_db
@pytest.mark.timeout(7_200)
@pytest.mark.parametrize("examples", HOW_MANY)
def test_the_person_goes_and_everybody_else_stays_as_they_are(
    postgresql: Postgresql, examples: int
) -> None:
    hold_everywhere(postgresql, examples)
