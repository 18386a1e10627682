"""``move()``: the only writer of state. Compare-and-swap, event row and ledger leaf together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, TypeVar

from django.db import models, transaction

from erasure.domain.errors import WrongState
from erasure.domain.states import Table
from erasure.evidence import ledger
from erasure.models import Event

# Kinds whose every move is a leaf of the ledger; a batch's leaf is its receipt.
_IN_LEDGER = frozenset({"ErasureRequest", "Run", "StoreRun", "ModelJob", "Plan"})


class HasState(Protocol):
    """A model with a ``state`` and the table of its moves."""

    machine: Table
    state: Any
    pk: Any


Subject = TypeVar("Subject", bound=models.Model)


def move(
    subject: Subject, to: str, *, by: str, because: str = "", also: Mapping[str, Any] | None = None
) -> Subject:
    """Move ``subject`` from the state it was read in to ``to``, or raise WrongState.

    ``also``: other columns written in the same statement. The caller's object is updated. Two
    callers cannot both make one move: the second finds the state gone.
    """
    old = getattr(subject, "state")  # noqa: B009 - django's Model declares no state
    table: Table = type(subject).machine  # type: ignore[attr-defined]
    kind = type(subject).__name__
    if to not in table.get(old, frozenset()):
        raise WrongState(f"{kind} {subject.pk}: cannot go from {old} to {to}")
    values = {"state": to, **(also or {})}
    with transaction.atomic():
        manager = type(subject)._default_manager
        if not manager.filter(pk=subject.pk, state=old).update(**values):
            raise WrongState(f"{kind} {subject.pk}: is no longer {old}; somebody else moved it")
        if kind in _IN_LEDGER:
            Event.objects.create(
                subject_kind=kind,
                subject_id=str(subject.pk),
                from_state=old,
                to_state=to,
                by=by,
                because=because,
            )
            ledger.append(
                "move",
                {"kind": kind, "id": str(subject.pk), "from": old, "to": to, "by": by},
            )
    for name, value in values.items():
        setattr(subject, name, value)
    return subject
