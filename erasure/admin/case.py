"""What the page of one case shows: its deadline, its plan by store, its progress, its history."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from itertools import groupby
from typing import Any

from django.db.models import Count, Q
from django.utils import timezone

from erasure.admin import explained, words
from erasure.advance import DUE
from erasure.domain import states
from erasure.domain.identity import HANDLED
from erasure.domain.plan import MODEL_ACTIONS
from erasure.models import ErasureRequest, Event, Lease, PlanStep, Run
from erasure.runs import reasoning, sightings, statement

REFRESH_SECONDS = 5
_QUIET = timedelta(minutes=2)
_SOON_DAYS = 7
_KEPT = frozenset({"retain", "restrict"})
_BY_HAND = frozenset({"notify", "manual"})
# Done to copies or by a person, not to rows.
# A draft from before is not what will be done: another is made, or could not be.
_REPLANNED = frozenset({"identity_required", "identified", "blocked", "reopened"})
_NOT_COUNTED = _BY_HAND | {"expire"}
_NOW: dict[str, str] = {
    "identified": "The plan is being made: every store is asked what it holds.",
    "approved": "The run is about to begin.",
    "verifying": "Everything is asked again and searched by value.",
    "acting": "Store after store is being cleaned.",
    "settling": "Looking for rows that were added meanwhile.",
    "models": "Models are being trained without the person.",
}


@dataclass(frozen=True, kw_only=True)
class Deadline:
    """When the answer is due, how far away that is in words, and whether it hurts; no date while
    the clock stands still."""

    at: datetime | None
    words: str
    tone: str


def deadline(case: ErasureRequest, now: datetime) -> Deadline:
    """The answer's due date as an officer needs it."""
    if case.state in states.SETTLED:
        return Deadline(at=case.due_at, words="answered", tone="quiet")
    if case.due_at is None:
        return Deadline(at=None, words="the clock waits for the person", tone="quiet")
    days = (timezone.localdate(case.due_at) - timezone.localdate(now)).days
    if case.due_at < now:
        late = f"{-days} days overdue" if days < -1 else "overdue"
        return Deadline(at=case.due_at, words=late, tone="late")
    tone = "soon" if days < _SOON_DAYS else "quiet"
    return Deadline(at=case.due_at, words=f"in {days} days" if days > 1 else "now", tone=tone)


@dataclass(frozen=True, kw_only=True)
class StepShown:
    """A step in words."""

    dataset: str
    deed: str
    rows: int | None
    residue: str
    until: Any
    reason: str
    note: str
    path: Sequence[str]
    how: explained.How | None = None
    versions: Sequence[Mapping[str, str]] = ()


@dataclass(frozen=True, kw_only=True)
class StoreShown:
    """The steps of one store; ``silent``: those for which no row was found."""

    name: str
    kind: str
    steps: Sequence[StepShown]
    silent: Sequence[StepShown] = field(default_factory=tuple)


def stores_of(steps: Sequence[PlanStep], told: frozenset[str]) -> list[StoreShown]:
    """A plan's steps by store, in the order they are taken. ``told``: datasets whose recipient
    was told by hand."""
    shown = []
    for name, group in groupby(steps, key=lambda step: step.store):
        of_store = list(group)
        shown.append(
            StoreShown(
                name=name,
                kind=words.kind(of_store[0].store_kind),
                steps=[_step(s, told) for s in of_store if _speaks(s)],
                silent=[_step(s, told) for s in of_store if not _speaks(s)],
            )
        )
    return shown


def _speaks(step: PlanStep) -> bool:
    """Whether the step concerns a row, a copy or a recipient, as far as is known."""
    return bool(step.counted or step.rows) or step.action in _NOT_COUNTED


def _step(step: PlanStep, told: frozenset[str]) -> StepShown:
    carried_out = step.rows is not None
    counted = step.rows if carried_out else step.counted
    return StepShown(
        dataset=step.dataset,
        deed=words.ON_HOLD if step.on_hold else words.deed(step.action, step.via),
        rows=None if step.action in _NOT_COUNTED else counted,
        residue=_left(step, told) if carried_out else "",
        until=step.until,
        reason=_reason(step),
        note="" if step.action in _BY_HAND else words.plainly(step.note),
        path=[words.hop(part) for part in step.path],
        how=explained.how(step),
        versions=step.explained.get("versions", ()),
    )


def _left(step: PlanStep, told: frozenset[str]) -> str:
    if step.action in _BY_HAND:
        return "Told" if step.dataset in told else "Not told yet"
    return words.residue(step.residue)


def _reason(step: PlanStep) -> str:
    if step.action == "expire":
        return "a copy that holds the person until it expires; a restore erases them again"
    return words.plainly(step.reason)


def summary(steps: Sequence[PlanStep]) -> list[str]:
    """A plan in a few words each, for whoever has to approve it."""
    counted = {
        "deleted or changed": sum(
            s.counted for s in steps if s.action not in _KEPT | MODEL_ACTIONS
        ),
        "left until a hold is released": sum(s.counted for s in steps if s.on_hold),
        "kept because the law asks for it": sum(
            s.counted for s in steps if s.action in _KEPT and not s.on_hold
        ),
    }
    said = [f"{_plural(n, 'row')} {what}" for what, n in counted.items() if n]
    models = sum(s.action in MODEL_ACTIONS and bool(s.counted) for s in steps)
    told = sum(s.action in _BY_HAND for s in steps)
    expiring = sum(s.action == "expire" for s in steps)
    said += [f"{_plural(models, 'model')} trained without the person"] if models else []
    said += [f"{_plural(told, 'recipient')} to tell by hand"] if told else []
    said += [f"{_plural(expiring, 'set')} of backups that expire by date"] if expiring else []
    return said


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


@dataclass(frozen=True, kw_only=True)
class StoreProgress:
    """How far one store of a run has come."""

    name: str
    kind: str
    words: str
    tone: str
    error: str = ""


@dataclass(frozen=True, kw_only=True)
class Progress:
    """What goes on now. ``quiet_since``: nobody has given a sign of life since then."""

    words: str
    stores: Sequence[StoreProgress] = field(default_factory=tuple)
    done: int = 0
    quiet_since: datetime | None = None


def progress(case: ErasureRequest, now: datetime) -> Progress | None:
    """How far a case that goes on by itself, or is blocked in a run, has come; else None."""
    run = case.run
    if waits_for_hand(case):
        return None
    if case.state not in DUE and not (case.state == "blocked" and run):
        return None
    quiet = _quiet_since(case, run, now) if case.state in DUE else None
    if run is None:
        return Progress(words=_NOW[case.state], quiet_since=quiet)
    stores = _stores_of_run(case, run)
    return Progress(
        words=_NOW.get(case.state) or _NOW.get(run.state, ""),
        stores=stores,
        done=sum(s.tone == "done" for s in stores),
        quiet_since=quiet,
    )


def waits_for_hand(case: ErasureRequest) -> bool:
    """Whether it asks for what nothing here carries out, so that somebody has to answer it."""
    return case.state == "identified" and case.right not in HANDLED


def _stores_of_run(case: ErasureRequest, run: Run) -> list[StoreProgress]:
    batches = {
        row["store"]: (row["finished"], row["every"])
        for row in run.batches.order_by()
        .values("store")
        .annotate(every=Count("id"), finished=Count("id", filter=Q(state="done")))
    }
    scanned = set(run.scans.values_list("store", flat=True))
    shown = []
    for part in run.stores.order_by("store"):
        said, tone = _store_words(part.state, batches.get(part.store), part.store in scanned)
        if case.state == "verifying" and tone == "done" and part.store not in scanned:
            tone = "running"
        shown.append(
            StoreProgress(
                name=part.store, kind=words.kind(part.kind), words=said, tone=tone, error=part.error
            )
        )
    return shown


def _store_words(state: str, batches: tuple[int, int] | None, scanned: bool) -> tuple[str, str]:
    if scanned:
        return "done, and searched again", "done"
    if state == "done":
        return "done", "done"
    if state == "blocked":
        return "blocked", "stop"
    finished, every = batches or (0, 0)
    return (f"{finished} of {every} parts", "running") if every > 1 else ("waiting", "ended")


def _quiet_since(case: ErasureRequest, run: Run | None, now: datetime) -> datetime | None:
    """When the last sign of life was, if nobody holds the run and nothing moved for a while."""
    subjects = [str(case.pk), *([str(run.pk)] if run else [])]
    last = Event.objects.filter(subject_id__in=subjects).order_by("-id").first()
    held = run is not None and Lease.objects.filter(run=run, until__gt=now).exists()
    since = last.at if last else case.received_at
    return since if not held and now - since > _QUIET else None


def history(case: ErasureRequest) -> list[dict[str, Any]]:
    """What happened, oldest first: moves of state, and who told a recipient. A reason that somebody
    typed (``typed``) is a look of its own."""
    moves = Event.objects.filter(subject_kind="ErasureRequest", subject_id=str(case.pk))
    typed = set(reasoning.typed_of([case.pk]).values_list("pk", flat=True))
    lines: list[dict[str, Any]] = [
        {"at": case.received_at, "what": "Received", "by": case.opened_by, "because": ""}
    ]
    lines += [
        {
            "at": move.at,
            "what": words.happened(move.from_state, move.to_state),
            "by": words.who(move.by),
            "because": "" if move.pk in typed else words.plainly(move.because),
            "typed": move.pk in typed,
        }
        for move in moves
    ]
    lines += [
        {"at": n.told_at, "what": f"{n.dataset} was told", "by": n.told_by, "because": ""}
        for n in case.notices.exclude(told_at=None)
    ]
    return sorted(lines, key=lambda line: line["at"])


def shown(case: ErasureRequest) -> dict[str, Any]:
    """Everything the page needs to know of a case, but who looks at it."""
    now = timezone.now()
    steps = statement.steps_of(case)
    told = frozenset(case.notices.exclude(told_at=None).values_list("dataset", flat=True))
    plan = case.plans.exclude(state="stale").first()
    findings = explained.findings(plan, steps) if plan else []
    carried_out = any(step.rows is not None for step in steps)
    ahead = not carried_out and case.closed_at is None
    return {
        "case": case,
        "badge": words.badge(case.state, case.right),
        "blocked_because": words.plainly(case.blocked_because),
        "right": words.right(case.right),
        "waits_for_hand": waits_for_hand(case),
        "law": words.law(case.law),
        "channel": words.channel(case.channel),
        "deadline": deadline(case, now),
        "plan": plan,
        "findings": findings,
        "asked": [finding for finding in findings if finding.asked],
        "warnings": explained.warnings(plan) if plan and ahead else (),
        "staying": explained.staying(steps) if ahead else (),
        "stores": stores_of(steps, told),
        "carried_out": carried_out,
        "overtaken": ahead and case.state in _REPLANNED and case.run_id is None,
        "progress": progress(case, now),
        "refresh": REFRESH_SECONDS if case.state in DUE and not waits_for_hand(case) else None,
        "notices": case.notices.order_by("dataset").prefetch_related("calls"),
        "summary": summary(steps),
        "outcome": outcome(case, steps),
        "history": history(case),
        "certificate": statement.certificates_of(case).first(),
    }


def outcome(case: ErasureRequest, steps: Sequence[PlanStep]) -> dict[str, Any] | None:
    """What became of it, once everything was carried out and looked at again."""
    if not any(step.rows is not None for step in steps):
        return None
    return {
        "residual": [_dated(r, "until") for r in statement.residual_of(case) if r["rows"]],
        "shared": sightings.shared_of(sightings.seen_of(case)),
        "backups": [_dated(b, "last_copy_until") for b in statement.backups_of(case)],
        "models": statement.models_of(case),
    }


def _dated(entry: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The entry, with its day as days stand at the desk."""
    on = entry[name]
    told = {"reason": words.plainly(entry["reason"])} if "reason" in entry else {}
    return {**entry, **told, name: words.day(date.fromisoformat(on)) if on else ""}
