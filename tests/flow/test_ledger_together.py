"""Entries of one transaction: written together at its end, or not at all."""

from __future__ import annotations

from contextlib import suppress

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from erasure.domain.errors import EvidenceError, WrongState
from erasure.evidence import ledger
from erasure.evidence.audit import audit_ledger
from erasure.evidence.signing import pinned_keys
from erasure.models import Event, LedgerLeaf, Run
from erasure.transitions import move, move_all
from tests.flow.evidence_cast import undone

pytestmark = pytest.mark.django_db(transaction=True)


def kinds() -> list[str]:
    """What stands in the ledger, in order; it has to hold."""
    assert list(audit_ledger(pinned_keys())) == []
    return list(LedgerLeaf.objects.order_by("index").values_list("kind", flat=True))


def test_entries_of_a_transaction_are_written_at_its_end_in_their_order_and_signed_once() -> None:
    ledger.append("first", {})
    with (
        CaptureQueriesContext(
            connection,
        ) as asked,
        ledger.together(),
    ):
        ledger.record("a", {"n": 1})
        with ledger.together():
            ledger.record_many([("b", {}), ("c", {})])
        ledger.record("d", {"text": "ü"})
        assert LedgerLeaf.objects.count() == 1
    written = [q["sql"] for q in asked if "ledger" in q["sql"] and "SELECT COUNT" not in q["sql"]]
    assert len(written) == 2  # the tip is moved on from where it was left, the leaves are inserted
    assert kinds() == ["first", "a", "b", "c", "d"]


def test_a_transaction_that_fails_leaves_no_entry() -> None:
    with suppress(RuntimeError), ledger.together():
        ledger.record("a", {})
        raise RuntimeError
    ledger.record("b", {})
    assert kinds() == ["b"]


def test_a_savepoint_that_is_rolled_back_takes_its_entries_along_and_no_others() -> None:
    with ledger.together():
        ledger.record("before", {})
        with undone():
            ledger.record("lost", {})
            with ledger.together():
                ledger.record("lost", {})
        with transaction.atomic():
            ledger.record("kept", {})
        ledger.record("after", {})
    assert sorted(kinds()) == ["after", "before", "kept"]


def test_a_tip_that_was_rolled_back_is_not_gone_on_from_even_when_another_is_as_large(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ledger.append("first", {})
    with undone():
        ledger.append("lost", {})
        left = ledger._seen
    ledger.append("second", {})  # somebody else's, for whoever still holds the one that was lost
    monkeypatch.setattr(ledger, "_seen", left)
    ledger.append("third", {})
    assert kinds() == ["first", "second", "third"]


def test_a_payload_that_cannot_be_written_is_refused_where_it_is_recorded() -> None:
    with ledger.together():
        ledger.record("a", {})
        with pytest.raises(EvidenceError, match="holds a float"):
            ledger.record("b", {"x": 1.5})
    assert kinds() == ["a"]


def test_an_entry_is_what_it_was_when_it_was_recorded() -> None:
    payload = {"n": 1}
    with ledger.together():
        ledger.record("a", payload)
        payload["n"] = 2
    assert LedgerLeaf.objects.get().payload == '{"n":1}'
    assert kinds() == ["a"]


def test_whoever_is_too_late_moves_nothing_and_the_rest_of_the_transaction_stands() -> None:
    run = Run.objects.create(sealed_seed=b"")
    late = Run.objects.get(pk=run.pk)
    with ledger.together():
        move(run, "acting", by="test")
        with pytest.raises(WrongState, match="somebody else"):
            move(late, "acting", by="test")
    assert Event.objects.count() == 1
    assert kinds() == ["move"]


def test_of_several_none_is_moved_when_one_was_moved_meanwhile() -> None:
    runs = [Run.objects.create(sealed_seed=b"") for _ in range(3)]
    move(Run.objects.get(pk=runs[1].pk), "acting", by="another")
    with pytest.raises(WrongState, match="somebody else"), ledger.together():
        move_all(runs, "acting", by="test")
    assert sorted(Run.objects.values_list("state", flat=True)) == ["acting", "opened", "opened"]
    assert kinds() == ["move"]
