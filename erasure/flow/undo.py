"""An erasure is undone: by an officer, with a reason, while its window is open."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from django.utils import timezone

from erasure.domain.errors import UsageError, WrongState
from erasure.domain.roles import Actor, deed
from erasure.domain.saying import said
from erasure.evidence import ledger
from erasure.models import Capture, ErasureRequest, SuppressionEntry, UndoWindow
from erasure.runs import case, journal, windows
from erasure.runs.searching import Stores
from erasure.runs.undoing import BACK, Report, Undoing
from erasure.transitions import move

_BY = "run"
UNDOABLE = frozenset({"awaiting_window", "blocked"})


@deed("undo")
def waive_window(request: ErasureRequest, *, by: Actor) -> ErasureRequest:
    """Carry this request out for good, whatever the installation's window: it is planned again
    without one. Raises WrongState once its plan is approved."""
    if request.state not in ("identified", "planned"):
        raise WrongState(f"request {request.id}: its plan is not waiting for approval any more")
    with ledger.together():
        ErasureRequest.objects.filter(pk=request.pk).update(undoable=False)
        request.undoable = False
        if request.state == "planned":
            move(request, "identified", by=by, because="to be carried out without an undo window")
    return request


@deed("undo")
def begin_undo(
    request: ErasureRequest,
    *,
    by: Actor,
    because: str,
    together: bool = False,
    now: datetime | None = None,
) -> list[ErasureRequest]:
    """Decide that a case is undone; returns everybody who is. Nothing is put back yet.

    ``together``: with everybody whose rows it shares. Raises UsageError and WrongState; then
    nothing has happened.
    """
    because = said(because, f"request {request.id}: an undo needs a reason")
    with ledger.together():
        requests = _together(request) if together else [request]
        held = {
            window.request_id: window
            for window in UndoWindow.objects.select_for_update().filter(request__in=requests)
        }
        for member in requests:
            _refuse(member, held.get(member.id), because, now or timezone.now())
        _refuse_shared(requests)
        for member in requests:
            window = UndoWindow.objects.filter(request=member)
            window.update(back_to=member.state, error="", report={})
            move(member, "undoing", by=by, because=because)
    return requests


def _refuse(
    request: ErasureRequest, window: UndoWindow | None, because: str, now: datetime
) -> None:
    if window is None:
        raise UsageError(f"request {request.id}: was carried out without an undo window")
    if window.closed_at is not None or window.closes_at <= now:
        until = f"{window.closes_at:%Y-%m-%d %H:%M} UTC"
        raise UsageError(f"request {request.id}: could be undone until {until}; that has passed")
    if request.state not in UNDOABLE:
        raise WrongState(
            f"request {request.id}: cannot be undone while it is {request.state}; look again later"
        )
    if case.repeats_identifier(request, because):
        raise UsageError(
            f"request {request.id}: the reason repeats what the person is known by; leave that out"
        )


def shared_with(request: ErasureRequest) -> set[str]:
    """Other requests of the same run that share captured rows with this one."""
    listed = request.captures.filter(complete=True).values_list("shared_with", flat=True)
    return {other for others in listed for other in others}


def _together(request: ErasureRequest) -> list[ErasureRequest]:
    found, frontier = {str(request.id)}, {str(request.id)}
    while frontier:
        captures = Capture.objects.filter(request__in=map(UUID, frontier), complete=True)
        listed = captures.values_list("shared_with", flat=True)
        frontier = {other for others in listed for other in others} - found
        found |= frontier
    others = ErasureRequest.objects.filter(id__in=found - {str(request.id)}).order_by("id")
    return [request, *others]


def _refuse_shared(requests: Sequence[ErasureRequest]) -> None:
    """A row that two people share can be put back for both or for none."""
    together = {str(request.id) for request in requests}
    for request in requests:
        others = sorted(shared_with(request) - together)
        if others:
            raise UsageError(
                f"request {request.id}: shares rows with {', '.join(others)}, erased in the same "
                "run; undo them together, or not at all"
            )


def carry_out(request: ErasureRequest) -> None:
    """Go on with an undo that was decided, from wherever it stopped: put the rows back, look
    again, and end the case. Raises StoreError and Fenced; then it is gone on with later."""
    with Stores() as stores:
        undoing = Undoing(request, stores)
        undoing.put_back()
        report = undoing.look_again()
    _end(request, report)


def note_trouble(request: ErasureRequest, why: str) -> None:
    """Why the undo does not go on, where a person sees it; the sweep tries again by itself."""
    UndoWindow.objects.filter(request=request).update(error=why)


def _end(request: ErasureRequest, report: Report) -> None:
    back = sum(counts.get(BACK, 0) for counts in report.values())
    window = UndoWindow.objects.get(request=request)
    if report and not back:
        _give_back(request, window, report)
        return
    with ledger.together():
        UndoWindow.objects.filter(pk=window.pk).update(report=report, error="")
        SuppressionEntry.objects.filter(request_id=request.id).delete()
        ledger.record("undone", {"request": str(request.id), "rows": _listed(report)})
        closing = {"closed_at": timezone.now(), "blocked_because": ""}
        move(request, "undone", by=_BY, because=_told(report), also=closing)
    finish(request)


def finish(request: ErasureRequest) -> None:
    """What is left to do once a case was undone; repeatable."""
    case.forget_identifiers(request)
    _abandon_run(request)
    windows.close(request)


def _give_back(request: ErasureRequest, window: UndoWindow, report: Report) -> None:
    """Nothing could be put back: the erasure stands, and goes its way."""
    with ledger.together():
        UndoWindow.objects.filter(pk=window.pk).update(report=report, error="")
        request.captures.update(put_back_at=None)
        move(request, window.back_to, by=_BY, because="nothing could be put back")


def _abandon_run(request: ErasureRequest) -> None:
    """A blocked run whose people have all left has nothing to go on for."""
    run = request.run
    if run is not None and run.state == "blocked" and not case.members(run):
        journal.forget_run(run)
        move(run, "abandoned", by=_BY, because="everybody in it was undone")


def _listed(report: Report) -> list[dict[str, object]]:
    return [
        {"dataset": table, "became": word, "rows": count}
        for table, counts in report.items()
        for word, count in counts.items()
    ]


def _told(report: Mapping[str, Mapping[str, int]]) -> str:
    totals: dict[str, int] = {}
    for counts in report.values():
        for word, count in counts.items():
            totals[word] = totals.get(word, 0) + count
    return "; ".join(f"{count} rows {word}" for word, count in sorted(totals.items()))
