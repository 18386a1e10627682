"""Data past their date go, although nobody has asked: planned by the sweep, approved by an officer
or beforehand, carried out and asked again. No person stands behind these plans."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import Any, NamedTuple
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import Q, Sum
from django.utils import timezone

from erasure import vault
from erasure.domain.errors import StalePlan, UsageError
from erasure.domain.roles import SYSTEM, Actor, deed
from erasure.evidence import certificate, ledger
from erasure.models import DataKey, Expiry, RetentionLook, Run, StandingApproval
from erasure.runs import expiries, expiry_statement, explaining, journal, opening, over
from erasure.runs.journal import RunStep
from erasure.runs.lease import lease
from erasure.runs.over_records import survey_in
from erasure.runs.searching import Stores
from erasure.runs.segments import Entry
from erasure.transitions import move
from lineage import selectors
from lineage.graph import Dataset

OPEN = ("planned", "approved", "executing", "blocked")
CLOSED = ("completed", "stale", "declined")
AT_ONCE = journal.SLICE
# The rows of a plan are those approved; of what goes along with them a few more may be there.
_GROWTH, _SLACK = 2, 100
_BY = SYSTEM


class Made(NamedTuple):
    """A plan; what is written down of the rows that it is about, none where nothing may go; how
    many more are past their date."""

    plan: Expiry
    roots: list[Entry]
    more: int


def with_retention() -> dict[str, Dataset]:
    """The datasets of the catalogue that are looked at, by address."""
    return {
        address: dataset
        for address, dataset in selectors.datasets().items()
        if dataset.retention and dataset.has_personal_fields and dataset.action != "ignore"
    }


def looks_due(today: date) -> list[UUID]:
    """The datasets with a retention that were not looked at today, or are to be once more."""
    wanted = with_retention().keys()
    known = dict(RetentionLook.objects.values_list("dataset", "on"))
    fresh = [RetentionLook(dataset=address) for address in sorted(wanted - known.keys())]
    RetentionLook.objects.bulk_create(fresh, ignore_conflicts=True)
    due = [address for address in wanted if (known.get(address) or date.min) < today]
    looks = RetentionLook.objects.filter(dataset__in=wanted)
    looks = looks.filter(Q(dataset__in=due) | Q(again=True))
    return list(looks.values_list("id", flat=True))


@deed("plan")
def plan_expired(address: str, *, by: Actor) -> Expiry | None:
    """Plan what is over in one dataset; None where nothing is, or nothing may go. A plan that was
    not approved yet is made anew where the rows are others; any other that is open stays.

    Raises UsageError, StoreError or StalePlan where it cannot be told: nothing is planned then.
    """
    today = timezone.localdate()
    dataset = selectors.dataset(address)
    if not dataset.retention:
        raise UsageError(f"{address}: has no retention in the catalogue")
    look, _ = RetentionLook.objects.get_or_create(dataset=address)
    open_now = Expiry.objects.filter(dataset=address, state__in=OPEN).exclude(state="planned")
    declined = Expiry.objects.filter(dataset=address, state="declined", not_before__gt=today)
    made, under_way = None, open_now.exists()
    if not under_way and not declined.exists():
        made = _look(dataset, today, by)
    with transaction.atomic():
        RetentionLook.objects.select_for_update().get(pk=look.pk)
        plan = _put(address, made)
        told = {"left": made.plan.left, "more": made.more} if made else {}
        once = {} if under_way else {"again": False}
        RetentionLook.objects.filter(pk=look.pk).update(on=today, error="", **told, **once)
    if plan is not None and plan.state == "planned":
        _approve_standing(plan)
    return plan


def look(look_id: UUID) -> None:
    """What the sweep does with a dataset that is due; raises as :func:`plan_expired`."""
    plan_expired(RetentionLook.objects.get(pk=look_id).dataset, by=_BY)


def note_trouble(look_id: UUID, why: str) -> None:
    """Why a dataset could not be looked at today, where a person sees it."""
    today = timezone.localdate()
    RetentionLook.objects.filter(pk=look_id).update(on=today, again=False, error=why)


def _look(dataset: Dataset, today: date, by: str) -> Made:
    expiry = Expiry(dataset=dataset.address, store=dataset.store, made_by=by)
    catalogue = selectors.snapshot()
    with Stores() as stores:
        survey = survey_in(dataset, catalogue, stores, today)
        survey.look(AT_ONCE)
        entries = _entries(survey, expiry.id)
        expiry.left = survey.left_over()
        more = survey.more_than(entries)
        if not entries:
            return Made(expiry, [], more)
        steps, findings, explained = _explained(survey.steps, entries, stores)
        expiry.fingerprints = _fingerprints(steps, stores)
    rule = dataset.retention
    expiry.rule = f"{rule.get('period', '')} after {rule.get('starts', '')}"
    expiry.basis, expiry.since = str(rule.get("basis", "")), survey.since
    roots = [e for e in entries if e.ordinal == survey.root.ordinal]
    expiry.rows = sum(e.key.count for e in roots)
    expiry.steps = _told(steps, entries, explained)
    expiry.findings = findings
    expiry.limits = over.limits(survey.addresses, catalogue)
    expiry.shape = _shape(expiry)
    keyed = sorted("|".join(_known_by(e)) for e in roots)
    ceilings = [step["ceiling"] for step in expiry.steps]
    expiry.digest = _digest([expiry.shape, ceilings, vault.keyed_hash("\n".join(keyed))])
    return Made(expiry, roots, more)


def _known_by(entry: Entry) -> tuple[str, ...]:
    """What is approved of a row: itself; of records in a file, how many there are as well."""
    return (*entry.text, str(entry.key.count)) if entry.key.version else entry.text


def _entries(survey: over.Survey, expiry_id: UUID) -> list[Entry]:
    """As much as goes in one transaction of each store."""
    most, stores = AT_ONCE, {s.ordinal: s.store for s in survey.steps}
    while True:
        entries = survey.entries(str(expiry_id), most)
        largest = max(Counter(stores[e.ordinal] for e in entries).values(), default=0)
        if largest <= journal.SLICE or most == 1:
            return entries
        most = max(1, most // 2)


def _explained(
    steps: Sequence[RunStep], entries: Sequence[Entry], stores: Stores
) -> tuple[list[RunStep], list[dict[str, Any]], list[dict[str, Any]]]:
    """The steps with what they let happen, what has to be accepted, and how each is done."""
    told = explaining.explain_steps(steps, (), {}, stores)
    steps = [
        replace(s, step=replace(s.step, along=explaining.codes_along(told[s.ordinal], steps)))
        if s.ordinal in told
        else s
        for s in steps
    ]
    explaining.refuse_values(steps, entries, {}, stores)
    rows = explaining.rows_along(steps, entries, told, stores)
    shown = [explaining.shown(s.ordinal, told, {}, {}, steps) for s in steps]
    return list(steps), explaining.findings_of(told, steps, rows), shown


def _fingerprints(steps: Sequence[RunStep], stores: Stores) -> dict[str, str]:
    names = {s.store for s in steps}
    return opening.relied_on(steps, {name: stores.get(name).inspect() for name in names})


def _told(
    steps: Sequence[RunStep], entries: Sequence[Entry], explained: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    counts: Counter[int] = Counter()
    for entry in entries:
        counts[entry.ordinal] += entry.key.count
    return [
        {
            "ordinal": s.ordinal,
            "store": s.store,
            "kind": s.kind,
            "dataset": s.step.dataset.address,
            "action": s.step.action,
            "spec": s.step.to_json(),
            "counted": counts[s.ordinal],
            "ceiling": counts[s.ordinal] * _GROWTH + _SLACK,
            "explained": how,
        }
        for s, how in zip(steps, explained, strict=True)
    ]


def _shape(expiry: Expiry) -> str:
    effects = sorted([found["code"], found["mark"]] for found in expiry.findings)
    specs = [step["spec"] for step in expiry.steps]
    return _digest([expiry.rule, specs, effects, expiry.fingerprints])


def _digest(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _put(address: str, made: Made | None) -> Expiry | None:
    """Store the plan, unless the one that waits is the same, or another is under way."""
    made = made if made and made.roots else None
    standing = Expiry.objects.filter(dataset=address, state__in=OPEN).first()
    if standing is not None and (
        standing.state != "planned" or (made is not None and made.plan.digest == standing.digest)
    ):
        return standing
    if standing is not None:
        move(standing, "stale", by=_BY, because="made anew", also={"closed_at": timezone.now()})
        vault.destroy_key(standing.id, "deferred")
    if made is None:
        return None
    plan = made.plan
    plan.sealed_keys = expiries.seal_keys(plan.id, made.roots)
    plan.save(force_insert=True)
    told = {"expiry": str(plan.id), "dataset": address, "digest": plan.digest}
    ledger.record("expiry_planned", {**told, "rows": plan.rows, "by": plan.made_by})
    return plan


def _approve_standing(expiry: Expiry) -> None:
    """What was approved beforehand goes on by itself, under the name of who approved it."""
    found = StandingApproval.objects.filter(
        dataset=expiry.dataset, shape=expiry.shape, revoked_at=None
    ).first()
    now = timezone.now()
    if found is None or _gone_today(expiry.dataset) + expiry.rows > found.most_rows:
        return
    codes = sorted({finding["code"] for finding in expiry.findings})
    also = {
        "approved_by": found.approved_by,
        "approved_at": now,
        "standing": found,
        "accepted": [{"code": c, "by": found.approved_by, "at": now.isoformat()} for c in codes],
    }
    because = f"standing approval of {found.approved_at:%Y-%m-%d}"
    move(expiry, "approved", by=_BY, because=because, also=also)


def _gone_today(address: str) -> int:
    """The rows of plans for a dataset that were carried out since the day began."""
    began = timezone.localtime().replace(hour=0, minute=0, second=0, microsecond=0)
    done = Expiry.objects.filter(dataset=address, state="completed", closed_at__gte=began)
    return done.aggregate(Sum("rows"))["rows__sum"] or 0


def due() -> list[UUID]:
    """Plans that go on by themselves."""
    waiting = Expiry.objects.filter(state__in=("approved", "executing")).order_by("made_at")
    return list(waiting.values_list("id", flat=True))


def carry_out(expiry_id: UUID) -> None:
    """Go on with an approved plan where it stopped. Raises StoreError, Fenced and WrongState."""
    expiry = Expiry.objects.select_related("run").get(pk=expiry_id)
    if expiry.state == "approved":
        try:
            _start(expiry)
        except StalePlan as error:
            closed = {"closed_at": timezone.now()}
            move(expiry, "stale", by=_BY, because=str(error), also=closed)
            vault.destroy_key(expiry.id, "deferred")
    if expiry.state != "executing" or expiry.run is None:
        return
    stores = sorted(expiry.run.stores.all(), key=lambda s: (s.store == expiry.store, s.store))
    for part in stores:  # what refers to a row goes before it
        if part.state == "pending":
            expiries.act_on(expiry, expiry.run, part)
    _finish(expiry, expiry.run)


def _start(expiry: Expiry) -> None:
    """Find again what was approved; what is no longer over is left out. Raises StalePlan."""
    with Stores() as stores:
        survey = expiries.survey_of(expiry, stores)
        entries = survey.entries(str(expiry.id), AT_ONCE)
        steps, findings, _ = _explained(survey.steps, entries, stores)
        now = Expiry(
            rule=expiry.rule, steps=_told(steps, entries, [{}] * len(steps)), findings=findings
        )
        now.fingerprints = _fingerprints(steps, stores)
    if _shape(now) != expiry.shape:
        raise StalePlan("the catalogue, the schema or a side effect is not what was approved")
    ceilings = {step["ordinal"]: step["ceiling"] for step in expiry.steps}
    for step in now.steps:
        if step["counted"] > ceilings[step["ordinal"]]:
            raise StalePlan(f"{step['dataset']} holds many more rows than were approved")
    expiries.open_run(expiry, steps, entries)


def _finish(expiry: Expiry, run: Run) -> None:
    with lease(run.id) as fence:
        expiry.refresh_from_db()
        if expiry.state != "executing" or run.stores.exclude(state="done").exists():
            return
        counts = expiries.outcome_of(expiry, run)
        results = expiry_statement.results(expiry, run, counts)
        with transaction.atomic():
            closed = {"closed_at": timezone.now(), "steps": results, "blocked_because": ""}
            expiries.close_run(run, fence)
            move(expiry, "completed", by=_BY, also=closed)
            certificate.seal(expiry_statement.body_of(expiry))
            vault.destroy_key(expiry.id, "deferred")
            if _gone_today(expiry.dataset) < settings.LETHE_RETENTION_ROWS:
                left = RetentionLook.objects.filter(dataset=expiry.dataset, more__gt=0)
                left.update(again=True)


def block(expiry_id: UUID, why: str) -> None:
    """It cannot go on: a person sees why, and tries again or declines it."""
    expiry = Expiry.objects.get(pk=expiry_id)
    if expiry.state in ("approved", "executing"):
        move(expiry, "blocked", by=_BY, because=why, also={"blocked_because": why})


def clear() -> None:
    """Destroy keys that a crash has left of plans that are closed, or were never stored."""
    closed = Expiry.objects.filter(state__in=CLOSED).values("id")
    left = DataKey.objects.filter(owner__in=closed, purpose="deferred", destroyed_at=None)
    vault.destroy_keys(set(left.values_list("owner", flat=True)), "deferred")
