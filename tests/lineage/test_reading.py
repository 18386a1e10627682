"""The catalogue is read once per revision, and never an hour old."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

import pytest
from django.db import transaction

from lineage import decisions, hearing, overlay, parts, reading, selectors
from lineage.errors import CatalogueError
from lineage.event_models import HeardDataset, Revision
from lineage.snapshot import Snapshot
from tests.lineage.cast import person, table
from tests.lineage.events import dataset
from tests.lineage.heard_cast import CUSTOMER, events, flow, shop
from tests.lineage.test_selectors import write

__all__ = ["shop"]
pytestmark = pytest.mark.django_db


def test_what_was_read_is_shared_until_somebody_writes() -> None:
    write([person("k.a")])
    before = selectors.snapshot()
    assert selectors.snapshot() is before
    write([person("k.a")])  # says the same again
    assert selectors.snapshot() is before
    write([table("k.b")])
    assert list(selectors.snapshot().datasets) == ["k.a", "k.b"]
    assert list(before.datasets) == ["k.a"]


def test_nobody_can_change_what_everybody_shares() -> None:
    write([person("k.a")])
    with pytest.raises(TypeError):
        selectors.datasets()["k.b"] = table("k.b")  # type: ignore[index]


def test_what_was_read_inside_a_transaction_goes_with_it() -> None:
    write([person("k.a")])
    with transaction.atomic():
        write([table("k.b")])
        assert list(selectors.datasets()) == ["k.a", "k.b"]
        transaction.set_rollback(True)
    assert list(selectors.datasets()) == ["k.a"]
    write([table("k.c")])
    assert list(selectors.datasets()) == ["k.a", "k.c"]


@pytest.mark.parametrize("small", [0, parts.SMALL], ids=["in parts", "whole"])
def test_what_is_looked_up_once_is_not_taken_for_what_came_later(
    monkeypatch: pytest.MonkeyPatch, small: int
) -> None:
    monkeypatch.setattr(parts, "SMALL", small)
    write([person("k.a")])
    selectors.snapshot()
    with selectors.steady():
        selectors.stores()  # from here on it is as it was
        write([person("k.b")])
        selectors.part(["email"])
    assert sorted(selectors.part(["email"]).catalogue.datasets) == ["k.a", "k.b"]


def learn() -> None:
    events(flow(dataset("stats"), CUSTOMER, ("who", "id", "IDENTITY")))


def decide() -> None:
    decisions.decide("db:mart", choice="drop", because="unused", by="dpo", on=date(2026, 11, 22))


@pytest.mark.usefixtures("shop")
@pytest.mark.parametrize("deed", [learn, decide, hearing.forget])
def test_whatever_events_and_decisions_change_is_read_again(deed: Callable[[], object]) -> None:
    events(flow(dataset("mart"), CUSTOMER, ("who", "id", "IDENTITY")))
    before, written = selectors.snapshot(), selectors.datasets()
    deed()
    after = selectors.snapshot()
    assert (after.datasets, after.references) != (before.datasets, before.references)
    # The catalogue itself did not change, and is not read again.
    assert selectors.datasets() is written


@pytest.mark.usefixtures("shop")
def test_what_is_written_while_it_is_read_is_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    overlaid = overlay.overlaid
    late = [lambda: write([table("k.late")])]

    def slow(catalogue: Snapshot) -> Snapshot:
        found = overlaid(catalogue)
        if late:
            late.pop()()
        return found

    monkeypatch.setattr(overlay, "overlaid", slow)
    assert "k.late" in selectors.snapshot().datasets


@pytest.mark.usefixtures("shop")
def test_a_catalogue_that_never_rests_is_still_read(monkeypatch: pytest.MonkeyPatch) -> None:
    overlaid = overlay.overlaid

    def slow(catalogue: Snapshot) -> Snapshot:
        learn()
        return overlaid(catalogue)

    monkeypatch.setattr(overlay, "overlaid", slow)
    first = selectors.snapshot()
    assert "db:stats" in first.datasets
    assert selectors.snapshot() is not first  # nobody relies on what may be of two moments


@pytest.mark.usefixtures("shop")
def test_rows_that_contradict_each_other_are_never_handed_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def torn(catalogue: Snapshot) -> Snapshot:
        raise KeyError(1)

    monkeypatch.setattr(overlay, "overlaid", torn)
    with pytest.raises(CatalogueError, match="changed all the time"):
        selectors.snapshot()


def test_a_database_that_was_emptied_is_not_answered_for_from_memory() -> None:
    write([person("k.a")])
    assert list(selectors.datasets()) == ["k.a"]
    Revision.objects.all().delete()
    assert selectors.snapshot() is not selectors.snapshot()
    write([table("k.b")])
    assert list(selectors.datasets()) == ["k.a", "k.b"]
    assert reading.whole() is reading.whole()
    assert not HeardDataset.objects.exists()
