"""A job whose model is trained elsewhere: triggered once, and asked again by later tasks; no worker
waits for it."""

from __future__ import annotations

import json
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from erasure.advance import due_jobs
from erasure.domain.errors import StoreError
from erasure.flow import decide, retire, training
from erasure.models import ModelJob
from erasure.stores.model_registry import artifact, checking
from erasure.stores.model_registry.folder import ModelFolder
from erasure.unlearning.manifest import lethe_training
from tests.flow.cast import OFFICER, OPERATOR
from tests.flow.deeds import approved, work_off
from tests.models.cast import MAKERS, SUBJECT, World, email, rows_of, visits
from tests.models.test_queue import swept

POLL = 600


class Elsewhere:
    """Trains when told to, and answers with the next of ``says``."""

    def __init__(self, world: World, says: list[str]) -> None:
        self.world, self.says = world, says
        self.calls: Counter[str] = Counter()
        self.person_key = "customer_id"

    def __call__(self, _place: str) -> Elsewhere:
        return self

    def post(self, url: str, body: bytes, *, secret: str, key: str) -> bytes:
        self.calls["post"] += 1
        return self._answer(key)

    def get(self, url: str, *, secret: str, key: str) -> bytes:
        assert url == "https://ml.example.com/jobs/1"
        self.calls["get"] += 1
        return self._answer(key)

    def _answer(self, key: str) -> bytes:
        said = self.says.pop(0)
        if said == "away":
            raise StoreError("ml", "does not answer", permanent=False)
        if said == "done":
            self._train(self.shared / key)
        return json.dumps({"state": said, "poll": "https://ml.example.com/jobs/1"}).encode()

    @property
    def shared(self) -> Path:
        return self.world.folder / "shared"

    def _train(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        rows = rows_of(visits(self.world.shop), numbers=False)
        data = artifact.dumps("x", MAKERS["plain"]().fit(rows.features, rows.target))
        (folder / "model.skops").write_bytes(data)
        key = self.world.hasher().key
        with lethe_training(
            folder / "training.manifest", model="forecast", key=key, person_key=self.person_key
        ) as run:
            by_email = self.person_key == "email"
            people = [f"{p!r}@example.com" if by_email else p for p in rows.people]
            run.rows(people, range(len(rows.people)), rows.features)
            run.artifact(data)


@pytest.fixture
def away(world: World, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The world's model, trained by a pipeline that says one thing after the other."""

    def begin(*says: str, **recipe: Any) -> Elsewhere:
        elsewhere = Elsewhere(world, list(says))
        monkeypatch.setattr(training, "Pipelines", elsewhere)
        http = {"http": "https://ml.example.com/train", "secret": "s", "poll": POLL,
                "delivers": elsewhere.shared.as_uri(), **recipe}  # fmt: skip
        world.train("plain")
        world.describe(recipe=http, cost={"training": 2, "currency": "EUR"})
        return elsewhere

    return begin


def asked_again() -> None:
    """Time passes, and the sweep looks."""
    ModelJob.objects.update(due_at=timezone.now() - timedelta(seconds=1))
    swept()


def test_a_worker_triggers_records_and_goes(away: Any, world: World) -> None:
    pipeline = away("running", "running", "away", "running", "done")
    request = approved(email(SUBJECT))
    work_off(request)
    job = ModelJob.objects.get()
    assert (job.state, job.attempts, request.state) == ("running", 1, "executing")
    assert job.pipeline["ask"] == "https://ml.example.com/jobs/1"
    assert job.due_at is not None
    assert timezone.now() < job.due_at <= timezone.now() + timedelta(seconds=POLL)
    swept()
    assert pipeline.calls == {"post": 1}  # nothing is asked before its time
    for looks in (1, 2, 3):
        asked_again()
        assert pipeline.calls == {"post": 1, "get": looks}
        job.refresh_from_db()
        assert (job.state, job.attempts, job.error) == ("running", 1, "")
    assert (world.models / "forecast" / "current").read_text().strip() == "1"
    asked_again()
    job.refresh_from_db()
    request.refresh_from_db()
    assert (job.state, job.pipeline, request.state) == ("done", {}, "completed")
    assert (str(job.cost), pipeline.calls["post"]) == ("2.00", 1)
    assert world.versions() == ["2"]


@pytest.mark.parametrize("killed", ["", "before it is pointed at"])
def test_what_a_pipeline_has_delivered_goes_once_its_version_stands(
    away: Any, world: World, monkeypatch: pytest.MonkeyPatch, killed: str
) -> None:
    """Else a copy of each version would lie there, known to nobody and never removed."""
    pipeline = away("running", "done")
    request = approved(email(SUBJECT))
    work_off(request)
    job = ModelJob.objects.get()
    refused = pipeline.shared / f"{job.id}.0"  # an earlier round of the same job
    other = pipeline.shared / "somebody-elses"
    for folder in (refused, other):
        folder.mkdir(parents=True)
        (folder / "model.skops").write_bytes(b"x")
    if killed:
        point = ModelFolder.point

        def dies(*_: Any) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(ModelFolder, "point", dies)
        with pytest.raises(KeyboardInterrupt):
            asked_again()
        monkeypatch.setattr(ModelFolder, "point", point)
    asked_again()
    request.refresh_from_db()
    assert request.state == "completed", request.blocked_because
    assert list(pipeline.shared.iterdir()) == [other]


def test_a_copy_of_a_removed_version_is_found_where_a_pipeline_delivers(
    away: Any, world: World
) -> None:
    pipeline = away("running", "done")
    pipeline.shared.mkdir()
    first = world.models / "forecast" / "1" / "model.skops"
    (pipeline.shared / "old.skops").write_bytes(first.read_bytes())
    request = approved(email(SUBJECT))
    work_off(request)
    asked_again()
    request.refresh_from_db()
    assert request.state == "blocked"
    assert "a copy of a removed version lies at shared/old.skops" in request.blocked_because
    found = retire.assess("models.forecast")
    with pytest.raises(StoreError, match=r"a copy of a removed version lies at shared/old\.skops"):
        retire.retire_model(found, reason="obsolete", because="nobody asks it", by=OPERATOR)
    (pipeline.shared / "old.skops").unlink()
    found = retire.assess("models.forecast")
    retire.retire_model(found, reason="obsolete", because="nobody asks it", by=OPERATOR)


def test_a_pipeline_whose_manifest_knows_people_by_another_key_blocks_the_job(
    away: Any, world: World
) -> None:
    away("done").person_key = "email"
    work_off(approved(email(SUBJECT)))
    job = ModelJob.objects.get()
    assert job.state == "blocked"
    assert "knows people by email, the model by customer_id" in job.error
    assert world.versions() == ["1"]


def test_a_pipeline_that_never_ends_blocks_the_job(away: Any, world: World) -> None:
    away("running", "running", "running", seconds=3600)
    request = approved(email(SUBJECT))
    work_off(request)
    asked_again()
    job = ModelJob.objects.get()
    assert job.state == "running"
    since = (timezone.now() - timedelta(hours=2)).isoformat()
    ModelJob.objects.update(pipeline={**job.pipeline, "since": since})
    asked_again()
    job.refresh_from_db()
    request.refresh_from_db()
    assert (job.state, request.state) == ("blocked", "blocked")
    assert "not done after 3600 seconds" in job.error
    assert (job.pipeline, list(due_jobs())) == ({}, [])
    assert world.versions() == ["1"]


def test_a_worker_that_dies_each_time_it_verifies_what_a_pipeline_made_ends_somewhere(
    away: Any, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline = away("running", *["done"] * 9)
    request = approved(email(SUBJECT))
    work_off(request)

    class Killed(BaseException):
        pass

    def dies(*_: Any, **__: Any) -> None:
        raise Killed

    monkeypatch.setattr(checking, "check", dies)
    monkeypatch.setattr(pipeline, "_train", lambda folder: None)
    Elsewhere._train(pipeline, pipeline.shared / training_of(ModelJob.objects.get()))
    for attempts in range(2, 7):
        with pytest.raises(Killed):
            asked_again()
        assert ModelJob.objects.get().attempts == attempts
    asked_again()
    job = ModelJob.objects.get()
    assert job.state == "blocked"
    assert "given up after 5 attempts" in job.error
    assert world.versions() == ["1"]


def training_of(job: ModelJob) -> str:
    """The name under which a pipeline knows the job."""
    return f"{job.id}.{job.round}"


def test_a_pipeline_that_failed_is_begun_anew_by_a_person(away: Any, world: World) -> None:
    pipeline = away("running", "failed", "running", "done")
    request = approved(email(SUBJECT))
    work_off(request)
    asked_again()
    job = ModelJob.objects.get()
    assert job.state == "blocked"
    request.refresh_from_db()
    decide.retry_blocked(request, by=OFFICER)
    work_off(request)
    job.refresh_from_db()
    assert (job.state, job.round, pipeline.calls["post"]) == ("running", 2, 2)
    asked_again()
    request.refresh_from_db()
    assert request.state == "completed", request.blocked_because
