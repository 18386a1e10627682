"""Exports of a case: whether its erasure waits for one, and that nothing of one is left."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.db.models.functions import Coalesce

from erasure import vault
from erasure.domain.errors import WrongState
from erasure.domain.identity import UNPROVED
from erasure.evidence import ledger
from erasure.models import ErasureRequest, Export, Run
from erasure.runs import archive
from erasure.transitions import move
from lineage.prepared import Prepared, Slot

# As long as the case is in one of these, the data are there to be gathered and given.
BEFORE = frozenset(
    {
        "received",
        "confirmed",
        "identity_required",
        "identified",
        "planned",
        "gathering",
        "approved",
        "reopened",
    }
)
# The erasure waits for these.
AWAITED = ("ordered", "blocked", "ready")
_AWAITED = Prepared(
    lambda: Export.objects.filter(request=Slot("request"), state__in=AWAITED).values_list("state")
)
_ORDERED = Prepared(
    lambda: Export.objects.filter(request__in=Slot("requests"), state__in=AWAITED).values_list("pk")
)
_LEFT = Prepared(
    lambda: (
        Export.objects.filter(request__run=Slot("run"))
        .exclude(state="destroyed")
        .values_list("pk")[:1]
    )
)
PLANNED = ("planned", "gathering", "approved")


def waits(request: ErasureRequest) -> str:
    """Why an approved case does not start, in words; empty when it may."""
    state = _AWAITED.first(request=request.pk)
    if state is None:
        return ""
    if state == ("ready",):
        return "the export has not been handed over yet"
    return "the export is not ready yet"


def awaited(requests: Sequence[ErasureRequest]) -> bool:
    """Whether the erasure of any of these waits for a copy."""
    return bool(_ORDERED.all(requests=[request.pk for request in requests]))


def unordered() -> QuerySet[ErasureRequest]:
    """Cases that ask for a copy alone, for which none was ordered since they were opened."""
    since = Coalesce(OuterRef("reopened_at"), OuterRef("opened_at"))
    made = Export.objects.filter(request=OuterRef("pk"), ordered_at__gte=since)
    return ErasureRequest.objects.filter(state="gathering").exclude(Exists(made))


def over(now: datetime) -> Iterator[Export]:
    """Exports whose window has passed, or whose case has gone on without them."""
    late = Q(expires_at__lte=now)
    beyond = ~Q(request__state__in=BEFORE) & ~Q(request__state="blocked", request__run=None)
    kept = Export.objects.exclude(state="destroyed").filter(late | beyond)
    yield from kept.select_related("request")


def left_of(run: Run) -> bool:
    """Whether there is an archive of somebody in the run."""
    return bool(_LEFT.all(run=run.pk))


def destroy(export: Export, *, by: str, because: str, now: datetime) -> None:
    """The key first, then the files, then the record that they are gone: killed in between, it is
    done again."""
    vault.destroy_key(export.id, "export")
    archive.remove(export.id)
    with transaction.atomic():
        gone = {"destroyed_at": now, "sealed_passphrase": None, "file": ""}
        move(export, "destroyed", by=by, because=because, also=gone)
        told = {"request": str(export.request_id), "export": str(export.id), "by": by}
        ledger.record("export_destroyed", told)


def begin_anew(request: ErasureRequest, *, by: str, now: datetime) -> None:
    """Whoever asks has been identified, perhaps as somebody else than before: what was gathered
    until then goes, and is gathered again where the person is still to have it."""
    for export in request.exports.filter(state__in=("blocked", "ready")):
        destroy(export, by=by, because="identity was checked again", now=now)
        request.exports.create(ordered_by=export.ordered_by, ordered_at=now)


def refuse_doubted(export: Export) -> None:
    """Nobody is given what may be another person's. Raises WrongState."""
    state = ErasureRequest.objects.values_list("state", flat=True).get(pk=export.request_id)
    if state in UNPROVED:
        raise WrongState(
            f"export {export.id}: nobody knows yet who asks; record identity, and it is made again"
        )


def clear_left() -> None:
    """Files that no export knows, as a crash or a deleted case leaves them."""
    there = archive.files()  # first: what is ordered after this is not among them
    if there:
        known = Export.objects.filter(pk__in=there).exclude(state="destroyed")
        for export_id in there - set(known.values_list("id", flat=True)):
            archive.remove(export_id)


def due() -> list[UUID]:
    """Exports that were ordered and can be gathered: the plan says where."""
    found = Export.objects.filter(state="ordered", request__state__in=PLANNED)
    return list(found.order_by("ordered_at").values_list("id", flat=True))
