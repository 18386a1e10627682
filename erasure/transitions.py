"""``move()``: the only writer of state. Compare-and-swap, event row and ledger leaf together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, TypeVar

from django.db import connection, models

from erasure.domain.errors import UsageError, WrongState
from erasure.domain.saying import is_kept
from erasure.domain.states import Table
from erasure.evidence import ledger
from erasure.models import Event
from lineage.prepared import update

# Kinds whose every move is a leaf of the ledger; a batch's leaf is its receipt.
_IN_LEDGER = frozenset(
    {
        "ErasureRequest",
        "Run",
        "StoreRun",
        "ModelJob",
        "Plan",
        "Letter",
        "Export",
        "Call",
        "Complaint",
        "Expiry",
    }
)


Subject = TypeVar("Subject", bound=models.Model)


def move(
    subject: Subject, to: str, *, by: str, because: str = "", also: Mapping[str, Any] | None = None
) -> Subject:
    """Move ``subject`` from the state it was read in to ``to``, or raise WrongState, or UsageError
    for a reason that cannot be kept.

    ``also``: other columns written in the same statement. The caller's object is updated. Two
    callers cannot both make one move: the second finds the state gone.
    """
    move_all([subject], to, by=by, because=because, also=also)
    return subject


def move_all(
    subjects: Sequence[Subject],
    to: str,
    *,
    by: str,
    because: str = "",
    also: Mapping[str, Any] | None = None,
) -> None:
    """Move subjects of one kind that were read in one state, all or none; as :func:`move`."""
    if not subjects:
        return
    if not is_kept(because):
        raise UsageError("because: has a character that cannot be kept; write it again without")
    model, kind = type(subjects[0]), type(subjects[0]).__name__
    (old, *others) = {getattr(s, "state") for s in subjects}  # noqa: B009 - no common base
    table: Table = model.machine  # type: ignore[attr-defined]
    names = f"{kind} {subjects[0].pk}" if len(subjects) == 1 else f"{len(subjects)} of {kind}"
    if others or to not in table.get(old, frozenset()):
        raise WrongState(f"{names}: cannot go from {old} to {to}")
    values = {"state": to, **(also or {})}
    keys = [s.pk for s in subjects]
    with _whole(len(keys)):
        moved = update(model, {"pk": keys, "state": old}, values)
        if moved != len(keys):
            raise WrongState(f"{names}: is no longer {old}; somebody else moved it")
        if kind in _IN_LEDGER:
            _record(kind, keys, old, to, by, because)
    for subject in subjects:
        for name, value in values.items():
            setattr(subject, name, value)


def _whole(moving: int) -> AbstractContextManager[None]:
    """A part of the transaction that it stands in, if any; that ends too where only some of many
    could be moved. One alone is moved or not."""
    alone = moving == 1 and connection.in_atomic_block
    return nullcontext() if alone else ledger.together()


def _record(kind: str, keys: Sequence[Any], old: str, to: str, by: str, because: str) -> None:
    ledger.note(
        [
            Event(
                subject_kind=kind,
                subject_id=str(key),
                from_state=old,
                to_state=to,
                by=by,
                because=because,
            )
            for key in keys
        ]
    )
    case = "request" if kind == "ErasureRequest" else "id"
    ledger.record_many(
        ("move", {"kind": kind, case: str(key), "from": old, "to": to, "by": by}) for key in keys
    )
