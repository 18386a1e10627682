"""A model job: decide for every version, forget everybody who waits at once, keep the evidence.

Safe to be killed at any point and run again: the store goes on where it stopped, and serves the
old version until the new one was verified.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone

from erasure.connect import open_store
from erasure.domain.errors import KeyDestroyed, LetheError, StoreError, UsageError, WrongState
from erasure.domain.models import (
    OVERRULING,
    Circumstances,
    Decision,
    ModelPolicy,
    VersionFacts,
    decide,
    kept_until,
    overruled,
    policy_of,
)
from erasure.domain.roles import deed
from erasure.evidence import ledger
from erasure.models import ModelJob
from erasure.runs import modelling, owners, promoting, quarantining
from erasure.runs.lease import Fence, job_is_held, job_lease
from erasure.runs.modelling import inferred_from
from erasure.runs.pipelines import Pipelines
from erasure.stores.trained import Order, TrainsModels
from erasure.transitions import move
from lineage.graph import Dataset

_BY = "trainer"


def train(job_id: UUID) -> ModelJob:
    """Carry a due job out. A fault that will not pass stops it where a person sees it; a passing
    one is raised as StoreError with ``permanent`` False, and the job goes on later.

    Raises Fenced while somebody else is at it, and WrongState when another job is at work on the
    same model.
    """
    with job_lease(job_id) as fence:
        job = ModelJob.objects.get(pk=job_id)
        if job.state == "queued" and not modelling.is_due(job, timezone.now()):
            return job
        if job.state not in modelling.OPEN or not _is_ready(job, timezone.now()):
            return job
        _begin(job)
        try:
            return _carry_out(job, fence)
        except StoreError as error:
            if not error.permanent:
                ModelJob.objects.filter(pk=job.pk).update(error=str(error))
                raise
            return stop(job, str(error))
        except (KeyDestroyed, UsageError) as error:
            return stop(job, str(error))


def _is_ready(job: ModelJob, now: datetime) -> bool:
    """One that waits for its owner, or for the end of a window, is carried on after that only."""
    if job.state == "proposed":
        return bool(job.accepted_by)
    return job.state != "window" or job.window_until is None or job.window_until <= now


def _begin(job: ModelJob) -> None:
    """Count the attempt before anything is done: whoever is killed each time ends somewhere."""
    attempt = {"attempts": job.attempts + 1}
    if job.state == "running":
        ModelJob.objects.filter(pk=job.pk).update(**attempt)
        job.attempts += 1
        return
    try:
        move(job, "running", by=_BY, because=job.due_why,
             also={**attempt, "started_at": timezone.now()})  # fmt: skip
    except IntegrityError:
        raise WrongState(f"{job.dataset}: another job is at work on this model") from None


def _carry_out(job: ModelJob, fence: Fence) -> ModelJob:
    people, models = modelling.people_of(job)
    if not models:
        return _done(job, {"closed": "nobody waits any more"}, fence)
    planned = next(iter(models.values())).dataset
    dataset = modelling.dataset_of(job, planned)
    policy = policy_of(dataset.model)
    if job.attempts > policy.attempts:
        why = job.error or "its trainer was killed each time"
        return stop(job, f"{job.dataset}: given up after {policy.attempts} attempts: {why}")
    with open_store(job.store) as store:
        if not isinstance(store, TrainsModels):
            return _done(job, {"closed": "the store trains no models"}, fence)
        facts = inferred_from(job.dataset, store.facts(dataset, people))
        decisions = decided(job, facts, policy, timezone.now())
        _record(job, decisions, fence)
        report = store.carry_out(_order(job, dataset, people, policy, decisions))
        if not report.get("proposed"):
            report |= promoting.promoted(job, dataset, store, report)
    report |= quarantining.derived(job, decisions)
    return _settle(job, dataset, report, facts, fence)


def _order(
    job: ModelJob,
    dataset: Dataset,
    people: frozenset[str],
    policy: ModelPolicy,
    decisions: Sequence[Decision],
) -> Order:
    over = job.window_until is not None
    return Order(
        dataset=dataset,
        people=people,
        actions={d.version: d.action for d in decisions},
        policy=policy,
        reasons={d.version: d.reason for d in decisions},
        job=f"{job.id}.{job.round}",
        call=Pipelines(job.dataset),
        propose=policy.propose and not job.accepted_by and not over,
        keep_until=None if over else kept_until(timezone.now(), job.deadline, policy),
    )


def decided(
    job: ModelJob, facts: Sequence[VersionFacts], policy: ModelPolicy, now: datetime
) -> list[Decision]:
    """What happens to each version, by the table or by the officer who overruled it."""
    case = Circumstances(now=now, deadline=job.deadline, unlawful=quarantining.is_unlawful(job))
    found = []
    for one in facts:
        decision = decide(one, policy, case)
        said = job.overruled.get(one.version) or job.overruled.get("*")
        # nobody can decide that somebody be forgotten in a version that does not know them
        if said and decision.action != "none":
            decision = overruled(decision, said["action"], by=said["by"], because=said["because"])
        found.append(decision)
    return found


def _record(job: ModelJob, decisions: Sequence[Decision], fence: Fence) -> None:
    plain = [d.plain() for d in decisions]
    with transaction.atomic():
        fence.check()
        if plain == job.decisions:
            return
        ModelJob.objects.filter(pk=job.pk).update(decisions=plain)
        job.decisions = plain
        told = [{"version": d.version, "action": d.action, "by": d.by} for d in decisions]
        ledger.record("model_decision", {"job": str(job.id), "model": job.dataset, "told": told})


def _settle(
    job: ModelJob,
    dataset: Dataset,
    report: Mapping[str, object],
    facts: Sequence[VersionFacts],
    fence: Fence,
) -> ModelJob:
    out = report.get("quarantined")
    if out:
        why = f"{job.dataset}: out of service, {_reason(job, out)}{quarantining.still(report)}"
        ModelJob.objects.filter(pk=job.pk).update(report=dict(report))
        owners.tell(dataset, "is out of service", why)
        return stop(job, why, to="quarantined")
    if waits := report.get("proposed"):
        owners.tell(dataset, "has a version that waits for you", f"{job.dataset}: version {waits}")
        return _wait(job, report, fence, "proposed")
    if kept := report.get("kept"):
        assert isinstance(kept, dict)  # noqa: S101 - version → until when
        return _wait(job, report, fence, "window", until=min(kept.values()))
    if fell := report.get("fell_back"):
        owners.tell(dataset, "was trained again", f"{job.dataset}: {fell}")
    if doubts := report.get("doubts"):
        owners.tell(dataset, "was trained again and answers otherwise", f"{job.dataset}: {doubts}")
    if not any(f.known for f in facts):
        report = {**report, "closed": "no version knows them: a newer one took their place"}
    return _done(job, report, fence)


def _wait(
    job: ModelJob, report: Mapping[str, object], fence: Fence, state: str, until: str = ""
) -> ModelJob:
    """For the owner, or for the end of the rollback window."""
    with transaction.atomic():
        fence.check()
        also: dict[str, object] = {"report": dict(report), "error": "", "attempts": 0}
        if until:
            also["window_until"] = datetime.fromisoformat(until)
        return move(job, state, by=_BY, also=also)


def _reason(job: ModelJob, versions: object) -> str:
    named = [d for d in job.decisions if d["version"] in (versions or ())]  # type: ignore[operator]
    return named[-1]["reason"] if named else ""


def _done(job: ModelJob, report: Mapping[str, object], fence: Fence) -> ModelJob:
    with transaction.atomic():
        fence.check()
        also = {"report": dict(report), "finished_at": timezone.now(), "error": ""}
        return move(job, "done", by=_BY, also=also)


def stop(job: ModelJob, why: str, *, to: str = "blocked") -> ModelJob:
    """A person has to look at it; who waits is told through their runs."""
    job.refresh_from_db()
    if job.state == "queued":
        return job
    return move(job, to, by=_BY, because=why, also={"error": why})


def due_jobs(now: datetime) -> Iterator[UUID]:
    """Jobs that may begin, or whose trainer died; the earliest deadline first."""
    ready = Q(state="queued") & (Q(due_at=None) | Q(due_at__lte=now))
    ready |= Q(state="running") | Q(state="window", window_until__lte=now)
    ready |= Q(state="proposed") & ~Q(accepted_by="")
    for job in ModelJob.objects.filter(ready).order_by("deadline", "due_at"):
        if job.state != "running" or not job_is_held(job.id):
            yield job.id


@deed("overrule")
def overrule(job: ModelJob, *, version: str, action: str, by: str, because: str) -> ModelJob:
    """An officer decides for a version (``*``: for all that know somebody), with a reason.

    Raises UsageError for another action or without a reason, WrongState once the job is at work
    or over.
    """
    if action not in OVERRULING:
        raise UsageError(f"{job.dataset}: the action must be one of {', '.join(OVERRULING)}")
    if not because.strip():
        raise UsageError(f"{job.dataset}: say why the decision is overruled")
    with transaction.atomic():
        fresh = ModelJob.objects.select_for_update().get(pk=job.pk)
        if fresh.state in ("running", "done"):
            raise WrongState(f"{job.dataset}: is {fresh.state}; it is too late to overrule")
        fresh.overruled = {
            **fresh.overruled, version: {"action": action, "by": by, "because": because.strip()}
        }  # fmt: skip
        fresh.save(update_fields=["overruled"])
        ledger.record(
            "model_overruled",
            {"job": str(job.id), "model": job.dataset, "version": version, "action": action,
             "by": by},
        )  # fmt: skip
    job.refresh_from_db()
    return job


@deed("train")
def begin_now(job: ModelJob, *, by: str) -> ModelJob:
    """Somebody wants it now, whatever the timetable. Raises WrongState unless it is queued."""
    asked = {"asked_by": by, "due_at": timezone.now(), "due_why": "asked for"}
    if not ModelJob.objects.filter(pk=job.pk, state="queued").update(**asked):
        raise WrongState(f"{job.dataset}: does not wait any more")
    job.refresh_from_db()
    return job


@deed("train")
def cancel(job: ModelJob, *, by: str, because: str) -> ModelJob:
    """The job is not carried out; whoever waits for it is blocked, with this reason. Raises
    UsageError without a reason, WrongState once it is at work or over."""
    if not because.strip():
        raise UsageError(f"{job.dataset}: say why the job is cancelled")
    return move(job, "cancelled", by=by, because=because, also={"error": f"cancelled: {because}"})


def members_of(job: ModelJob) -> list[UUID]:
    """One request of each run that waits, to go on with."""
    found = []
    for run in job.runs.filter(state="models"):
        member = run.requests.filter(state="executing").values_list("id", flat=True).first()
        if member:
            found.append(member)
    return found


def give_up(job_id: UUID, why: str) -> None:
    """A passing fault did not pass."""
    with suppress(LetheError):
        stop(ModelJob.objects.get(pk=job_id), why)
