"""The certificate is sealed in the ledger, the person can be recognised again, keys fall due."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date
from typing import Any

from django.db.models import Q
from django.utils import timezone

from erasure import vault
from erasure.domain.outcome import Done, outcome_of, verified_residue, weaker
from erasure.domain.states import SETTLED, WAITING
from erasure.domain.values import NORMALISER_VERSION
from erasure.evidence import certificate, ledger
from erasure.models import (
    DataKey,
    ErasureRequest,
    Notice,
    PlanStep,
    Run,
    ScanResult,
    SealedNeedles,
    SuppressionEntry,
)
from erasure.runs import (
    addendum,
    case,
    journal,
    notices,
    rescanning,
    sightings,
    statement,
    webhooks,
    windows,
)
from erasure.runs.earlier import left_by_earlier
from erasure.runs.facts import RunFacts, facts_of
from erasure.runs.lease import Fence
from erasure.transitions import move
from lineage import selectors
from lineage.prepared import Prepared, Slot

_BY = "run"
_TELLING = Prepared(
    lambda: SealedNeedles.objects.filter(
        run=Slot("run"), request=Slot("request"), count__gt=0
    ).values_list("pk")
)
_AT_ONCE = 500  # cases whose keys are destroyed together
# A person's receipts: the ordinal of a step → what its batches came to
Lines = dict[int, dict[str, Any]]


def attest_run(run: Run, fence: Fence) -> None:
    """Close every verified case of a run with what was really found.

    Residue blocks a case: then nothing is certified and no key is destroyed.
    """
    members, now = case.members(run), timezone.now()
    opened = windows.close_over(run, now)  # first the key, then the certificate that says so
    lines, facts = _lines(run), facts_of(run)
    kinds = frozenset(selectors.identity_kinds())
    for request in members:
        if request.state == "verifying":
            with ledger.together():
                fence.check()
                seen = sightings.seen_of(request)
                steps = _fill_steps(request, facts, seen, lines.get(str(request.id), {}))
                _judge(request, facts, steps, seen, kinds, undoable=str(request.id) in opened)
            if request.state in SETTLED:
                destroy_keys(request)


def conclude(request: ErasureRequest) -> None:
    """The window has closed and nobody has undone the case: it comes to its outcome."""
    assert request.run is not None  # noqa: S101 - a verified case was carried out by a run
    facts = facts_of(request.run)
    steps, seen = statement.steps_of(request), sightings.seen_of(request)
    later = rescanning.scheduled(request, facts.entries)
    outcome, why = _outcome(request, request.run, steps, seen, later)
    with ledger.together():
        _close(request, facts, steps, seen, outcome, why)
    destroy_keys(request)


def conclude_rescan(request: ErasureRequest, fence: Fence) -> None:
    """The person was looked for everywhere: the case comes to its outcome, and what the pass has
    seen is added to its certificate. What it has seen of the person blocks the case."""
    assert request.run is not None  # noqa: S101 - an erased case was carried out by a run
    run, steps = request.run, statement.steps_of(request)
    scans = {scan.store: scan for scan in run.scans.all()}
    found = sightings.seen_of(request)
    seen = _seen_again(found)
    later = rescanning.scheduled(request)
    rescanned = [s for s in steps if s.store in later]
    for step in rescanned:
        step.residue = verified_residue(
            step.residue, scanned=step.store in scans, seen_again=step.store in seen
        )
    outcome, why = _outcome(request, run, steps, found)
    with ledger.together():
        fence.check()
        PlanStep.write_results(steps)
        if outcome == "blocked":
            why = _with_places(found, why)
        also = {"blocked_because": why} if outcome == "blocked" else {}
        move(request, outcome, by=_BY, because=f"the deep re-scan was made: {why}", also=also)
        done = [
            addendum.Done(
                step=step,
                action="rescan",
                rows=0,
                residue=step.residue,
                note="something was seen again" if step.store in seen else "",
                verification="asked again by key; re-scanned by value",
            )
            for step in rescanned
        ]
        certificate.seal(addendum.body_of(request, steps, done, outcome))
    if outcome != "blocked":
        destroy_keys(request)


def _judge(
    request: ErasureRequest,
    facts: RunFacts,
    steps: Sequence[PlanStep],
    seen: Sequence[ScanResult],
    kinds: Collection[str],
    *,
    undoable: bool,
) -> None:
    run = facts.run
    later = rescanning.scheduled(request, facts.entries)
    outcome, why = _outcome(request, run, steps, seen, later)
    if outcome == "blocked":
        because = _with_places(seen, why)
        move(request, "blocked", by=_BY, because=because, also={"blocked_because": because})
        return
    _suppress(request, run, kinds)
    plan = steps[0].plan
    if plan.state == "approved":
        move(plan, "carried_out", by=_BY)
    if undoable:
        move(request, "awaiting_window", by=_BY, because=f"{why}; it can still be undone")
    else:
        _close(request, facts, steps, seen, outcome, why)


def _close(
    request: ErasureRequest,
    facts: RunFacts,
    steps: Sequence[PlanStep],
    seen: Sequence[ScanResult],
    outcome: str,
    why: str,
) -> None:
    _give_notice(request, facts.run, steps)
    move(request, outcome, by=_BY, because=why, also={"closed_at": timezone.now()})
    certificate.seal(statement.body_of(request, facts, outcome, steps, seen))


def destroy_keys(request: ErasureRequest) -> None:
    """After a case has ended: the identifiers key always, the row keys unless something waits. Who
    has still to be looked for is looked for by both."""
    if request.state == "awaiting_rescan":
        return
    steps = statement.steps_of(request) if request.state in WAITING else []
    kept = [s for s in steps if s.rows and s.residue == "retained_until"]
    if any(s.spec.get("held") for s in kept):
        return  # what stands still is carried out later as it would have been now
    # What an earlier case has left waits for that case's keys.
    waiting = request.state == "awaiting_copies" or bool(kept)
    case.destroy_keys(request, ["identifiers"] if waiting else ["identifiers", "deferred"])


def destroy_left_keys() -> int:
    """Keys that a crash, or whoever ended a case, has left; returns how many cases had some."""
    ended = ErasureRequest.objects.filter(state__in=SETTLED)
    left = DataKey.objects.filter(destroyed_at=None).filter(
        Q(purpose="identifiers", owner__in=ended.exclude(state="awaiting_rescan").values("id"))
        | Q(purpose="deferred", owner__in=ended.exclude(state__in=WAITING).values("id"))
    )
    owners = set(left.values_list("owner", flat=True))
    waiting = ErasureRequest.objects.filter(id__in=owners, state__in=WAITING)
    for request in waiting:
        destroy_keys(request)
    rest = sorted(owners - {request.pk for request in waiting})
    for at in range(0, len(rest), _AT_ONCE):
        case.destroy_keys_of(rest[at : at + _AT_ONCE], ("identifiers", "deferred"))
    return len(owners)


def _fill_steps(
    request: ErasureRequest,
    facts: RunFacts,
    found: Iterable[ScanResult],
    lines: Lines,
) -> list[PlanStep]:
    """Rows and residue per step, from the receipts of this person."""
    seen, steps = _seen_again(found), statement.steps_of(request)
    scanned = facts.scans.keys() - set(rescanning.scheduled(request, facts.entries))
    for step in steps:
        line = lines.get(step.ordinal)
        step.rows = line["rows"] if line else 0
        step.residue = line["residue"] if line else "clean"
        step.until = date.fromisoformat(line["until"]) if line and line["until"] else None
        step.note = _note(line) if line else ""
        step.along = line["along"] if line else {}
        store = facts.stores.get(step.store)
        if step.residue == "logically_deleted" and store and store.residue:
            step.residue, step.until = store.residue, store.until
            step.note = "; ".join(filter(None, (step.note, store.note)))
        if step.rows and step.spec.get("kept"):
            step.residue = "retained_until"
            kept = f"kept: {', '.join(step.spec['kept'])}; the rest of the row was anonymised"
            step.note = "; ".join(filter(None, (step.note, kept)))
        step.residue = verified_residue(
            step.residue, scanned=step.store in scanned, seen_again=step.store in seen
        )
    PlanStep.write_results(steps)
    return steps


def _seen_again(seen: Iterable[ScanResult]) -> set[str]:
    """Stores in which the re-scan saw something of the person."""
    return {s.store for s in seen if s.verdict == "residue"}


def _with_places(seen: Iterable[ScanResult], why: str) -> str:
    where = sightings.residue_places(seen)
    return f"{why}: {where}" if where else why


def _note(line: Mapping[str, Any]) -> str:
    words = [line["note"]] if line["note"] else []
    if line["kept"]:
        words.append(f"{line['kept']} stay: somebody else refers to them")
    if line["reused"]:
        words.append(f"{line['reused']} left alone: no longer the row that was found")
    for code, rows in sorted(line["along"].items()):
        words.append(f"{rows} that no step names went along ({code})")
    return "; ".join(words)


def _lines(run: Run) -> dict[str, Lines]:
    """Everybody's receipts, added up per step over all batches."""
    people: dict[str, Lines] = {}
    for receipts in run.batches.values_list("receipts", flat=True).iterator():
        for person, lines in receipts.items():
            own = people.setdefault(person, {})
            for ordinal, line in lines.items():
                own[int(ordinal)] = _added(own.get(int(ordinal)), line)
    return people


def _added(total: dict[str, Any] | None, line: Mapping[str, Any]) -> dict[str, Any]:
    kept, reused = len(line["kept_at"]), len(line["reused_at"])
    along = Counter(line.get("along", {}))
    if total is None:
        return {**line, "kept": kept, "reused": reused, "along": along}
    notes = dict.fromkeys(filter(None, (total["note"], line["note"])))
    return {
        "rows": total["rows"] + line["rows"],
        "kept": total["kept"] + kept,
        "reused": total["reused"] + reused,
        "residue": weaker(total["residue"], line["residue"]),
        "until": max(filter(None, (total["until"], line["until"])), default=None),
        "note": "; ".join(notes),
        "along": total["along"] + along,
    }


def _outcome(
    request: ErasureRequest,
    run: Run,
    steps: Iterable[PlanStep],
    seen: Iterable[ScanResult],
    later: Sequence[str] = (),
) -> tuple[str, str]:
    """``later``: stores in which the person is still to be looked for."""
    done = [
        Done(action=s.action, rows=s.rows or 0, residue=s.residue, until=s.until) for s in steps
    ]
    told = _TELLING.all(run=run.pk, request=request.pk)
    return outcome_of(
        done,
        {s.verdict for s in seen},
        verifiable=bool(told),
        rescan_due=bool(later),
        left_before=bool(left_by_earlier(request)),
    )


def _known(request: ErasureRequest, run: Run, kinds: Collection[str]) -> set[tuple[str, str]]:
    """Every identity of those kinds that was the person's, given or found."""
    (given,) = case.given_by([request]).values()
    person = str(request.id)
    found = journal.open_needles(run, [person]).get(person, ())
    return {*given, *((n.category, n.text) for n in found if n.category in kinds)}


def _suppress(request: ErasureRequest, run: Run, kinds: Collection[str]) -> None:
    """Keyed hashes of every identity that was the person's."""
    known = {(k, vault.pseudonym(k, value)) for k, value in _known(request, run, kinds)}
    SuppressionEntry.objects.bulk_create(
        (
            SuppressionEntry(
                request_id=request.id,
                kind=kind,
                keyed_hash=keyed,
                hash_key_id=vault.hash_key_id(),
                normaliser=NORMALISER_VERSION,
                erased_at=run.started_at,
            )
            for kind, keyed in sorted(known)
        ),
        # A case that was reopened is in every copy until it was carried out again.
        update_conflicts=True,
        unique_fields=["request_id", "kind", "keyed_hash"],
        update_fields=["hash_key_id", "normaliser", "erased_at"],
    )


def _give_notice(request: ErasureRequest, run: Run, steps: Iterable[PlanStep]) -> None:
    """Whom to tell; those who have a webhook are told by it, so that a message is made now, while
    it is known who the person was. Who was told before, when the case was carried out for the
    first time, is told again where more was found that went to them."""
    told = []
    for step in steps:
        if step.action in ("notify", "manual"):
            notice, new = Notice.objects.get_or_create(
                request=request, dataset=step.dataset, defaults={"store": step.store}
            )
            if not new and step.rows:
                notices.tell_again(notice)
            told.append(notice)
    if told:
        kinds = frozenset(selectors.identity_kinds())
        webhooks.prepare(told, _known(request, run, kinds))
