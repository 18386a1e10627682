"""The table of states is the only way: every pair of states is tried through ``move``."""

from __future__ import annotations

from typing import Any

import pytest
from django.apps import apps
from django.db import models
from django.utils import timezone

from erasure.domain import states
from erasure.domain.errors import WrongState
from erasure.models import (
    Batch,
    Call,
    Complaint,
    ErasureRequest,
    Event,
    Expiry,
    Export,
    LedgerLeaf,
    Letter,
    ModelJob,
    Notice,
    Plan,
    Run,
    StoreRun,
)
from erasure.transitions import move

pytestmark = pytest.mark.django_db

# Nothing comes after these: the person asks anew, the next plan or run is another one.
ENDS = {
    ErasureRequest: {"duplicate", "forwarded"},
    Plan: {"stale", "carried_out"},
    Run: {"abandoned", "finished"},
    StoreRun: set(),
    Batch: {"done"},
    ModelJob: {"done"},
    Letter: {"sent", "by_hand"},
    Complaint: {"answered", "withdrawn"},
    Expiry: {"completed", "stale", "declined"},
    Export: {"destroyed"},
    Call: {"sent", "blocked"},
}
FIRST = {
    ErasureRequest: "received",
    Plan: "draft",
    Run: "opened",
    StoreRun: "pending",
    Batch: "found",
    ModelJob: "queued",
    Expiry: "planned",
    Letter: "drafted",
    Complaint: "received",
    Export: "ordered",
    Call: "queued",
}


def made(model: type[models.Model]) -> Any:
    """One of that kind, with what it hangs on."""
    now = timezone.now()
    case = ErasureRequest.objects.create(subject="0" * 64, received_at=now)
    if model is ErasureRequest:
        return case
    if model is Plan:
        return Plan.objects.create(request=case, digest="d", shape="s", roots="r")
    if model is Letter:
        return Letter.objects.create(
            request=case, code="refusal", version=1, language="en", made_at=now, made_by="x",
            sealed=b"", sealed_to=b"",
        )  # fmt: skip
    if model is Complaint:
        return Complaint.objects.create(
            request=case, law="uk", received_at=now, opened_at=now, verdict="upheld"
        )
    if model in (Call, Export):
        return sent_out(model, case)
    if model is ModelJob:
        return ModelJob.objects.create(store="s", dataset="d")
    run = Run.objects.create(sealed_seed=b"")
    if model is Run:
        return run
    own: dict[Any, dict[str, Any]] = {
        StoreRun: {"store": "s", "kind": "memory"},
        Batch: {"store": "s", "ordinal": 0, "sealed": b""},
        Expiry: {"dataset": "d", "rows": 0, "sealed_keys": b""},
    }
    return model._default_manager.create(run=run, **own[model])


def sent_out(model: Any, case: ErasureRequest) -> Any:
    """What leaves the house."""
    now = timezone.now()
    if model is Export:
        return Export.objects.create(request=case, ordered_by="x", ordered_at=now)
    told = Notice.objects.create(request=case, dataset="courier.addresses")
    return Call.objects.create(notice=told, kind="erasure", sha256="", made_at=now, due_at=now)


def in_state(subject: Any, state: str) -> Any:
    """The same, put past ``move`` into a state."""
    type(subject)._default_manager.filter(pk=subject.pk).update(state=state)
    subject.refresh_from_db()
    return subject


def test_every_table_of_states_is_tried_here() -> None:
    having = {model for model in apps.get_models() if hasattr(model, "machine")}
    assert having == ENDS.keys() == FIRST.keys()
    tables = [t for n, t in vars(states).items() if n.isupper() and isinstance(t, dict)]
    assert all(any(m.machine is table for m in having) for table in tables)
    assert len(tables) == len(having)


@pytest.mark.parametrize("model", ENDS, ids=lambda model: model.__name__)
def test_of_all_pairs_of_states_only_the_declared_moves_are_possible(
    model: type[models.Model],
) -> None:
    subject, table = made(model), model.machine  # type: ignore[attr-defined]
    for old in table:
        for new in (*table, "done", "nonsense", ""):
            in_state(subject, old)
            before = (Event.objects.count(), LedgerLeaf.objects.count())
            if new in table[old]:
                move(subject, new, by="x")
            else:
                with pytest.raises(WrongState, match="cannot go from"):
                    move(subject, new, by="x")
                assert (Event.objects.count(), LedgerLeaf.objects.count()) == before
            subject.refresh_from_db()
            assert subject.state == (new if new in table[old] else old)


@pytest.mark.parametrize("model", ENDS, ids=lambda model: model.__name__)
def test_every_state_can_be_reached_and_all_but_the_ends_can_be_left(
    model: type[models.Model],
) -> None:
    subject, table = made(model), model.machine  # type: ignore[attr-defined]
    assert subject.state == FIRST[model]
    reached, waiting = {subject.state}, [subject.state]
    while waiting:
        old = waiting.pop()
        for new in table[old] - reached:
            move(in_state(subject, old), new, by="x")
            reached.add(new)
            waiting.append(new)
    assert reached == table.keys()
    assert {state for state in table if not table[state]} == ENDS[model]


def test_a_move_from_a_state_that_is_gone_is_refused() -> None:
    case = made(ErasureRequest)
    other = ErasureRequest.objects.get(pk=case.pk)
    move(case, "withdrawn", by="x")
    with pytest.raises(WrongState, match="somebody else moved it"):
        move(other, "refused", by="x")
    other.refresh_from_db()
    assert other.state == "withdrawn"


def test_every_settled_state_is_a_state_and_nothing_unsettled_ends() -> None:
    assert states.REQUEST.keys() >= states.SETTLED | states.WAITING | states.CLOSED
    assert {s for s, targets in states.REQUEST.items() if not targets} <= states.SETTLED
