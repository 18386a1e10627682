"""Who waits for a model waits together; a job begins in time, once, and survives its trainer."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import settings
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from erasure.advance import due_jobs, perform
from erasure.domain.errors import Denied, Fenced, UsageError, WrongState
from erasure.flow import decide, training
from erasure.flow.signal import signal as told
from erasure.models import ErasureRequest, ModelJob
from erasure.runs import modelling
from erasure.runs.lease import job_lease
from erasure.tasks import TRAINING, train_model
from tests.flow.cast import INTRUDER, OFFICER
from tests.flow.deeds import approved, work_off
from tests.models.cast import NEIGHBOUR, OTHER, SUBJECT, World, email
from tests.models.test_end_to_end import same_as_independent

BATCHED = {"every": "4w", "people": 3}


@pytest.fixture
def batched(world: World) -> World:
    world.train("bayes")
    world.describe(batch=BATCHED)
    return world


def waiting(person: int) -> ErasureRequest:
    """A case carried until it waits, in a run of its own."""
    request = approved(email(person))
    work_off(request)
    return request


def swept() -> None:
    """What the sweep finds due is carried out, and what follows from it."""
    waiting = list(due_jobs())
    for _ in range(50):
        if not waiting:
            return
        waiting += perform(waiting.pop(0))


def test_people_of_several_runs_wait_for_one_job_and_are_trained_out_at_once(
    batched: World,
) -> None:
    first, second = waiting(SUBJECT), waiting(NEIGHBOUR)
    job = ModelJob.objects.get()
    assert (job.state, job.people, job.runs.count()) == ("queued", 2, 2)
    assert job.due_why == "before the deadline"
    assert job.due_at is not None
    assert first.due_at is not None
    assert job.due_at.date() == (first.due_at - timedelta(days=3)).date()
    assert (first.state, batched.versions()) == ("executing", ["1"])
    third = waiting(OTHER)
    swept()
    for request in (first, second, third):
        request.refresh_from_db()
        assert request.state == "completed", request.blocked_because
    job = ModelJob.objects.get()
    assert (job.state, job.people, job.attempts) == ("done", 3, 1)
    assert batched.versions() == ["2"]
    same_as_independent(batched, "bayes", SUBJECT, NEIGHBOUR, OTHER)


def test_the_deadline_begins_a_job_that_no_timetable_does(batched: World) -> None:
    request = waiting(SUBJECT)
    swept()
    request.refresh_from_db()
    assert request.state == "executing"
    ModelJob.objects.update(due_at=timezone.now() - timedelta(seconds=1))
    swept()
    request.refresh_from_db()
    assert request.state == "completed", request.blocked_because


def test_an_ordinary_new_version_without_them_closes_the_job(batched: World) -> None:
    request = waiting(SUBJECT)
    batched.train("bayes")
    swept()
    request.refresh_from_db()
    assert request.state == "completed", request.blocked_because
    job = ModelJob.objects.get()
    assert job.due_why == "a newer version took their place"
    assert batched.versions() == ["2"]


WATCHED = {"every": "4w", "drift": 0.2, "new_data": 0.1}


@pytest.mark.parametrize(("what", "figure"), [("drift", 0.25), ("new_data", 0.5)])
def test_drift_or_new_data_take_the_waiting_people_along(
    world: World, what: str, figure: float
) -> None:
    world.train("bayes")
    world.describe(batch=WATCHED)
    request = waiting(SUBJECT)
    assert told("models.forecast", what=what, figure=0.05, by=OFFICER) is None
    swept()
    request.refresh_from_db()
    assert request.state == "executing"
    job = told("models.forecast", what=what, figure=figure, by=OFFICER)
    assert job is not None
    assert f"{figure:g}, and" in job.due_why
    second = waiting(NEIGHBOUR)  # comes in between, and is taken along
    swept()
    for one in (request, second):
        one.refresh_from_db()
        assert one.state == "completed", one.blocked_because
    same_as_independent(world, "bayes", SUBJECT, NEIGHBOUR)
    assert told("models.forecast", what=what, figure=figure, by=OFFICER) is None


def test_whoever_may_not_train_tells_no_drift(world: World) -> None:
    world.train("bayes")
    world.describe(batch=WATCHED)
    waiting(SUBJECT)
    before = ModelJob.objects.values().get()
    with pytest.raises(Denied):
        told("models.forecast", what="drift", figure=1.0, by=INTRUDER)
    for what, figure in (("weather", 1.0), ("drift", float("nan")), ("drift", -1.0)):
        with pytest.raises(UsageError):
            told("models.forecast", what=what, figure=figure, by=OFFICER)
    assert ModelJob.objects.values().get() == before


def test_an_officer_may_begin_at_once_or_cancel_with_a_reason(batched: World) -> None:
    request = waiting(SUBJECT)
    job = ModelJob.objects.get()
    with pytest.raises(UsageError, match="say why"):
        training.cancel(job, by=OFFICER, because=" ")
    training.cancel(job, by=OFFICER, because="the model is being replaced")
    work_off(request)
    assert request.state == "blocked"
    assert "the model is being replaced" in request.blocked_because
    assert batched.versions() == ["1"]
    decide.retry_blocked(request, by=OFFICER)
    work_off(request)
    assert request.state == "completed", request.blocked_because
    with pytest.raises(WrongState):
        training.begin_now(job, by=OFFICER)


def test_the_database_knows_one_active_job_per_model(world: World) -> None:
    for state in ("queued", "running"):
        ModelJob.objects.create(store="models", dataset="models.forecast", state=state)
        with pytest.raises(IntegrityError), transaction.atomic():
            ModelJob.objects.create(store="models", dataset="models.forecast", state=state)
    ModelJob.objects.create(store="models", dataset="models.other", state="running")


def test_whoever_comes_while_a_job_is_at_work_waits_for_the_next_one(batched: World) -> None:
    first = waiting(SUBJECT)
    ModelJob.objects.update(state="running")
    second = waiting(NEIGHBOUR)
    assert sorted(ModelJob.objects.values_list("state", flat=True)) == ["queued", "running"]
    later = training.begin_now(ModelJob.objects.get(state="queued"), by=OFFICER)
    with pytest.raises(WrongState, match="another job is at work"):
        training.train(later.id)
    swept()
    swept()
    for request in (first, second):
        request.refresh_from_db()
        assert request.state == "completed", request.blocked_because
    assert set(ModelJob.objects.values_list("state", flat=True)) == {"done"}


def test_a_stopped_job_joins_the_one_that_waits_by_now(batched: World) -> None:
    first = waiting(SUBJECT)
    training.cancel(ModelJob.objects.get(), by=OFFICER, because="not today")
    work_off(first)
    second = waiting(NEIGHBOUR)
    decide.retry_blocked(first, by=OFFICER)
    work_off(first, second)
    (job,) = ModelJob.objects.exclude(waits=None).distinct()
    assert (job.state, job.people) == ("done", 2)
    for request in (first, second):
        request.refresh_from_db()
        assert request.state == "completed", request.blocked_because


def test_a_job_that_somebody_alive_holds_is_left_to_them(batched: World) -> None:
    waiting(SUBJECT)
    job = training.begin_now(ModelJob.objects.get(), by=OFFICER)
    with job_lease(job.id), pytest.raises(Fenced):
        training.train(job.id)
    assert ModelJob.objects.get().attempts == 0


def test_a_trainer_that_dies_each_time_ends_where_a_person_sees_it(world: World) -> None:
    world.train("plain")
    world.describe(batch=BATCHED, attempts=2)
    request = waiting(SUBJECT)
    ModelJob.objects.update(state="running", attempts=2)
    swept()
    request.refresh_from_db()
    assert request.state == "blocked"
    assert "given up after 2 attempts" in request.blocked_because
    assert world.versions() == ["1"]


def test_trainings_have_a_queue_of_their_own_and_messages_hold_ids_only(
    batched: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    from erasure import tasks
    from erasure.advance import Job

    waiting(SUBJECT)
    job = ModelJob.objects.get()
    sent: list[tuple[object, ...]] = []

    def note(self: object, *args: object) -> None:
        sent.append((self.args, self.options["queue"]))  # type: ignore[attr-defined]

    monkeypatch.setattr("celery.canvas.Signature.delay", note)
    tasks.enqueue(Job("train", job.id))
    assert sent == [((str(job.id),), TRAINING)]
    assert TRAINING in settings.CELERY_TASK_QUEUES
    assert train_model.name == "erasure.tasks.train_model"


KILLED = """
import django; django.setup()
from uuid import UUID
from erasure.flow import training
training.train(UUID("{job}"))
"""


@pytest.mark.skipif(connection.vendor != "sqlite", reason="shares its database file with a child")
def test_a_killed_trainer_leaves_the_old_model_and_the_job_goes_on(world: World) -> None:
    gate = world.folder / "gate"
    world.train("plain")
    world.describe(batch=BATCHED)
    request = waiting(SUBJECT)
    job = training.begin_now(ModelJob.objects.get(), by=OFFICER)
    before = (world.models / "forecast" / "current").read_text()
    child = _training_elsewhere(world, gate, job)
    deadline = time.monotonic() + 60
    while not gate.exists():
        assert child.poll() is None, "the trainer has ended"
        assert time.monotonic() < deadline
        time.sleep(0.05)
    child.send_signal(signal.SIGKILL)
    child.wait()
    job.refresh_from_db()
    assert (job.state, job.attempts) == ("running", 1)
    assert (world.models / "forecast" / "current").read_text() == before
    assert world.store().load("forecast") is not None
    swept()
    request.refresh_from_db()
    assert request.state == "completed", request.blocked_because
    job.refresh_from_db()
    assert (job.state, job.attempts) == ("done", 2)
    same_as_independent(world, "plain", SUBJECT)


def _training_elsewhere(world: World, gate: Path, job: ModelJob) -> subprocess.Popen[bytes]:
    """Another process that waits inside the recipe until it is killed."""
    name = str(connection.settings_dict["NAME"])
    if name.startswith("file:"):
        pytest.skip("the tests' database is in memory")
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "DATABASE_URL": f"sqlite:///{name}",
        "FORECAST_WAITS": str(gate),
    }
    return subprocess.Popen(
        [sys.executable, "-c", KILLED.format(job=job.id)],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def test_who_waits_is_counted_anew_when_a_stopped_job_is_put_back(batched: World) -> None:
    waiting(SUBJECT)
    job = training.cancel(ModelJob.objects.get(), by=OFFICER, because="not today")
    again = modelling.requeue(job, by=OFFICER, because="today")
    assert (again.id, again.state, again.asked_by) == (job.id, "queued", OFFICER)
