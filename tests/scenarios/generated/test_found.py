"""What generated worlds have found, each by its smallest example, on every engine."""

from __future__ import annotations

import pytest

from tests.scenarios.generated.engines import Engine
from tests.scenarios.generated.forgetting import CARRIED_OUT, hold
from tests.scenarios.generated.small import (
    ANN,
    BEN,
    EMAIL_KEY,
    KEY,
    link,
    small,
    table,
)
from tests.scenarios.generated.world import Column

pytestmark = pytest.mark.django_db


@pytest.fixture(params=["sqlite", "postgresql", "mariadb"])
def engine(request: pytest.FixtureRequest) -> Engine:
    """Every engine in turn."""
    found: Engine = request.getfixturevalue(request.param)
    return found


@pytest.mark.parametrize("on_delete", [None, "NO ACTION"])
def test_a_rewritten_key_is_followed_wherever_it_was_declared(
    engine: Engine, on_delete: str | None
) -> None:
    """Also where no foreign key says so."""
    customer = table("customer", EMAIL_KEY, action="anonymize")
    needed = Column(name="buyer", nullable=False)
    invoice = table("invoice", KEY, needed, action="retain")
    links = [link("invoice.buyer", "customer.email", on_delete=on_delete)]
    assert hold(
        engine,
        small(
            [customer, invoice], links, ANN, customer=[(ANN,), (BEN,)], invoice=[(1, ANN), (2, BEN)]
        ),
    ) == [CARRIED_OUT]
