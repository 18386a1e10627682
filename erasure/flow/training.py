"""A model job: decide for every version, forget everybody who waits at once, keep the evidence.

Safe to be killed at any point and run again: the store goes on where it stopped, and serves the
old version until the new one was verified.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone

from erasure.connect import open_store
from erasure.domain.errors import (
    AtWork,
    KeyDestroyed,
    LetheError,
    StoreError,
    UsageError,
    WrongState,
)
from erasure.domain.models import (
    Decision,
    ModelPolicy,
    VersionFacts,
    kept_until,
    policy_of,
)
from erasure.domain.roles import deed
from erasure.domain.saying import said
from erasure.evidence import ledger
from erasure.models import ModelJob
from erasure.runs import deciding, filtering, modelling, owners, promoting, quarantining
from erasure.runs.deciding import decided
from erasure.runs.lease import Fence, job_is_held, job_lease
from erasure.runs.modelling import inferred_from
from erasure.runs.pipelines import Pipelines
from erasure.stores.trained import Order, TrainsModels
from erasure.transitions import move
from lineage.graph import Dataset

_BY = "trainer"
_PASSING = ("proposed", "accepted", "kept", "loads", "quarantined")
_NO_FILTER = {"filtered_until": None}


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
        except AtWork as error:
            return _ask_later(job, error)
        except StoreError as error:
            if not error.permanent:
                ModelJob.objects.filter(pk=job.pk).update(error=str(error))
                raise
            return stop(job, str(error))
        except (KeyDestroyed, UsageError) as error:
            return stop(job, str(error))


def _is_ready(job: ModelJob, now: datetime) -> bool:
    """One that waits for its owner, for the end of a window, or for a pipeline, is carried on after
    that only."""
    if job.state == "running" and job.pipeline:
        return modelling.is_due(job, now)
    if job.state == "proposed":
        return bool(job.accepted_by)
    return job.state != "window" or job.window_until is None or job.window_until <= now


def _begin(job: ModelJob) -> None:
    """Count the attempt before anything is done: whoever is killed each time ends somewhere. To ask
    a pipeline that is still at work is none (:func:`_ask_later`), to verify what it made is one."""
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


def _ask_later(job: ModelJob, work: AtWork) -> ModelJob:
    """The pipeline trains without a worker that waits for it: the sweep asks again."""
    again: dict[str, object] = {
        "pipeline": {"since": work.since, "ask": work.ask},
        "due_at": timezone.now() + timedelta(seconds=work.seconds),
        "due_why": "its pipeline is at work",
        "error": "",
    }
    if job.pipeline:  # it was only asked
        again["attempts"] = job.attempts - 1
    ModelJob.objects.filter(pk=job.pk, state="running").update(**again)
    job.refresh_from_db()
    return job


def _carry_out(job: ModelJob, fence: Fence) -> ModelJob:
    people, models = modelling.people_of(job)
    if not models:
        return _done(job, {"closed": "nobody waits any more"}, fence)
    planned = next(iter(models.values())).dataset
    dataset = modelling.dataset_of(job, planned)
    policy = policy_of(dataset.model)
    if job.attempts - bool(job.pipeline) > policy.attempts:  # to have begun it was none that failed
        why = job.error or "its trainer was killed each time"
        return stop(job, f"{job.dataset}: given up after {policy.attempts} attempts: {why}")
    with open_store(job.store) as store:
        if not isinstance(store, TrainsModels):
            return _done(job, {"closed": "the store trains no models"}, fence)
        facts = inferred_from(job.dataset, store.facts(dataset, people))
        decisions = decided(job, facts, policy, timezone.now())
        _record(job, decisions, fence)
        price = deciding.price(job, decisions, policy, timezone.now())
        if not _is_paid(job, facts):
            if price.refused:
                owners.tell(dataset, "is not trained", f"{job.dataset}: {price.refused}")
                return stop(job, f"{job.dataset}: {price.refused}; {_DEAR}")
            _charge(job, price, policy, fence)
        report = store.carry_out(_order(job, dataset, people, policy, decisions, price))
        _serve_again(store, dataset, decisions)
        report = _since(job, report)
        if not report.get("proposed"):
            report |= promoting.promoted(job, dataset, store, report)
    report |= quarantining.derived(job, decisions)
    if any(d.action == "filter" for d in decisions):
        return _filtered(job, dataset, report, decisions, people, fence)
    return _settle(job, dataset, report, facts, fence)


def _serve_again(store: TrainsModels, dataset: Dataset, decisions: Sequence[Decision]) -> None:
    """What was taken out of service by the table, and is to stand behind a filter instead."""
    behind = {d.version for d in decisions if d.action == "filter"}
    for record in store.records(dataset) if behind else ():
        if record["version"] in behind and record["out_of_service"]:
            store.release(dataset, str(record["version"]))


_DEAR = "raise model.cost.most, or decide for the version yourself"


def _since(job: ModelJob, report: dict[str, Any]) -> dict[str, Any]:
    """What a job did when its window closes, added to what it did when it opened."""
    if job.window_until is None:
        return report
    told = {k: v for k, v in job.report.items() if k not in _PASSING}
    for name, found in report.items():
        had = told.get(name)
        if isinstance(found, list) and isinstance(had, list):
            told[name] = had + [one for one in found if one not in had]
        elif isinstance(found, dict) and isinstance(had, dict):
            told[name] = {**had, **found}
        else:
            told[name] = found
    return told


def _is_paid(job: ModelJob, facts: Sequence[VersionFacts]) -> bool:
    """Whether what is done now was begun before: a version that waited and is there, a pipeline at
    work, or one that is triggered again under the same name."""
    waited = _accepted(job) in {f.version for f in facts}
    again = waited or job.window_until is not None
    return again or bool(job.pipeline)


def _charge(job: ModelJob, price: deciding.Price, policy: ModelPolicy, fence: Fence) -> None:
    """Before it is spent; each attempt costs what it costs."""
    if policy.cost is None:
        return
    with transaction.atomic():
        fence.check()
        job.cost, job.cost_forecast = job.cost + price.least, price.told
        job.save(update_fields=["cost", "cost_forecast"])


def _filtered(
    job: ModelJob,
    dataset: Dataset,
    report: Mapping[str, object],
    decisions: Sequence[Decision],
    people: frozenset[str],
    fence: Fence,
) -> ModelJob:
    """Nobody was forgotten: answers about them are held back until a day, and the job waits. What
    is on record is called suppression."""
    last = min(d.until for d in decisions if d.action == "filter" and d.until)
    policy = policy_of(dataset.model)
    until = filtering.ends(last, job.deadline, policy.margin, timezone.now())
    told = {
        "job": str(job.id),
        "model": job.dataset,
        "versions": [d.version for d in decisions if d.action == "filter"],
        "people": len(people),
        "until": until.isoformat(timespec="seconds"),
    }
    with transaction.atomic():
        fence.check()
        also = {
            "report": {**report, "suppression": {**told, "erased": "nobody"}},
            "error": "", "attempts": 0, "asked_by": "", "filtered_until": until,
            "accepted_by": "", "window_until": None,
            "due_at": until, "due_why": "the output filter ends",
        }  # fmt: skip
        ledger.record("model_suppression", told)
        job = move(job, "queued", by=_BY, because="answers are held back until then", also=also)
    words = f"{job.dataset}: until {until:%Y-%m-%d %H:%M}; serve it by model_filter's file only"
    owners.tell(dataset, "stands behind an output filter", words)
    return job


def _order(
    job: ModelJob,
    dataset: Dataset,
    people: frozenset[str],
    policy: ModelPolicy,
    decisions: Sequence[Decision],
    price: deciding.Price,
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
        propose=(policy.propose or bool(job.accepted_by)) and not over,
        accepted=_accepted(job),
        keep_until=None if over else kept_until(timezone.now(), job.deadline, policy),
        begun=job.pipeline,
        in_place_only=price.in_place_only,
    )


def _accepted(job: ModelJob) -> str:
    """The version that its owner has accepted, empty before that."""
    return str(job.report.get("accepted", "")) if job.accepted_by else ""


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
    if job.window_until is None:  # served from now on; once the window is over it is too late
        _tell_doubts(job, dataset, report)
    if kept := report.get("kept"):
        assert isinstance(kept, dict)  # noqa: S101 - version → until when
        return _wait(job, report, fence, "window", until=min(kept.values()))
    if not any(f.known for f in facts):
        report = {**report, "closed": "no version knows them: a newer one took their place"}
    return _done(job, report, fence)


def _tell_doubts(job: ModelJob, dataset: Dataset, report: Mapping[str, object]) -> None:
    if fell := report.get("fell_back"):
        owners.tell(dataset, "was trained again", f"{job.dataset}: {fell}")
    if doubts := report.get("doubts"):
        owners.tell(dataset, "was trained again and answers otherwise", f"{job.dataset}: {doubts}")


def _wait(
    job: ModelJob, report: Mapping[str, object], fence: Fence, state: str, until: str = ""
) -> ModelJob:
    """For the owner, or for the end of the rollback window."""
    with transaction.atomic():
        fence.check()
        also: dict[str, object] = {
            "report": dict(report), "error": "", "attempts": 0, "pipeline": {}, **_NO_FILTER
        }  # fmt: skip
        if state == "proposed":
            also["accepted_by"] = ""
        if until:
            also["window_until"] = datetime.fromisoformat(until)
        return move(job, state, by=_BY, also=also)


def _reason(job: ModelJob, versions: object) -> str:
    named = [d for d in job.decisions if d["version"] in (versions or ())]  # type: ignore[operator]
    return named[-1]["reason"] if named else ""


def _done(job: ModelJob, report: Mapping[str, object], fence: Fence) -> ModelJob:
    with transaction.atomic():
        fence.check()
        also = {
            "report": dict(report), "finished_at": timezone.now(), "error": "", "pipeline": {},
            **_NO_FILTER,
        }  # fmt: skip
        return move(job, "done", by=_BY, also=also)


def stop(job: ModelJob, why: str, *, to: str = "blocked") -> ModelJob:
    """A person has to look at it; who waits is told through their runs."""
    job.refresh_from_db()
    if job.state == "queued":
        return job
    return move(job, to, by=_BY, because=why, also={"error": why, "pipeline": {}})


def due_jobs(now: datetime) -> Iterator[UUID]:
    """Jobs that may begin, or whose trainer died; the earliest deadline first."""
    ready = Q(state="queued") & (Q(due_at=None) | Q(due_at__lte=now))
    ready |= Q(state="running", pipeline={}) | Q(state="running", due_at__lte=now)
    ready |= Q(state="window", window_until__lte=now)
    ready |= Q(state="proposed") & ~Q(accepted_by="")
    for job in ModelJob.objects.filter(ready).order_by("deadline", "due_at"):
        if job.state != "running" or not job_is_held(job.id):
            yield job.id


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
    because = said(because, f"{job.dataset}: say why the job is cancelled")
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
