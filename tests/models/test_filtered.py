"""A model that cannot be trained again in time stands behind an output filter by decision: nobody
is forgotten by it, nobody is told so, and it ends."""

from __future__ import annotations

import json
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.mail import EmailMessage
from django.core.management import CommandError, call_command
from django.utils import timezone

from erasure.domain.errors import UsageError
from erasure.flow import decide, overrule
from erasure.models import ErasureRequest, LedgerLeaf, ModelJob
from erasure.unlearning.output_filter import OutputFilter
from tests.flow.cast import OFFICER
from tests.flow.deeds import approved, work_off
from tests.models.cast import NEIGHBOUR, OTHER, SUBJECT, World, email
from tests.models.test_queue import swept

MODEL = "models.forecast"
DAYS = 10


@pytest.fixture
def without_recipe(world: World) -> World:
    """A model that cannot be trained again; its job waits for its timetable."""
    world.train("plain")
    world.describe(recipe=None, batch={"every": "2w"}, tell=["owner@example.com"])
    return world


def filtered(person: int, until: date | None = None) -> tuple[ErasureRequest, ModelJob]:
    request = approved(email(person))
    work_off(request)
    job = ModelJob.objects.exclude(state="done").get()
    day = until or timezone.localdate() + timedelta(days=DAYS)
    overrule.overrule(job, version="*", action="filter", by=OFFICER, because="no recipe", until=day)
    ModelJob.objects.filter(pk=job.pk).update(due_at=timezone.now())
    swept()
    request.refresh_from_db()
    job.refresh_from_db()
    return request, job


def exported(world: World) -> OutputFilter:
    file, key = world.folder / "forecast.filter", world.folder / "key"
    call_command("model_filter", MODEL, to=file, key=key)
    assert (file.stat().st_mode & 0o777, key.stat().st_mode & 0o777) == (0o600, 0o600)
    return OutputFilter.read(file, bytes.fromhex(key.read_text()))


def test_answers_are_held_back_and_the_job_still_waits(
    without_recipe: World, mailoutbox: list[EmailMessage]
) -> None:
    request, job = filtered(SUBJECT)
    assert (request.state, job.state) == ("executing", "queued")
    assert job.filtered_until is not None
    assert job.filtered_until.date() == timezone.localdate() + timedelta(days=DAYS)
    assert (job.due_at, job.due_why) == (job.filtered_until, "the output filter ends")
    assert job.report["suppression"]["erased"] == "nobody"
    assert without_recipe.store().load("forecast") is not None
    answers = exported(without_recipe)
    assert answers.until == job.filtered_until
    assert answers.knows(SUBJECT)
    assert not answers.knows(NEIGHBOUR)
    assert answers.names(f"Their address is {email(SUBJECT).upper()}.")
    assert not answers.names(f"Their address is {email(NEIGHBOUR)}.")
    assert "stands behind an output filter" in str(mailoutbox[-1].subject)


def test_it_is_on_record_as_suppression_and_as_no_erasure(without_recipe: World) -> None:
    _request, job = filtered(SUBJECT)
    (leaf,) = LedgerLeaf.objects.filter(kind="model_suppression")
    told = json.dumps(leaf.payload) + json.dumps(job.report)
    assert '"people": 1' in told
    assert "unlearn" not in told
    assert without_recipe.hasher()(SUBJECT) not in told
    assert email(SUBJECT) not in told


def test_the_file_names_nobody(without_recipe: World) -> None:
    filtered(SUBJECT)
    exported(without_recipe)
    assert (
        email(SUBJECT).split("@")[0] not in (without_recipe.folder / "forecast.filter").read_text()
    )


def test_whoever_comes_later_stands_behind_it_as_well(without_recipe: World) -> None:
    _first, job = filtered(SUBJECT)
    later = approved(email(OTHER))
    work_off(later)
    assert later.state == "executing"
    before, ends = job.due_at, job.filtered_until
    job.refresh_from_db()
    assert (job.people, job.due_at, job.filtered_until) == (2, before, ends)
    answers = exported(without_recipe)
    assert [answers.knows(p) for p in (SUBJECT, OTHER, NEIGHBOUR)] == [True, True, False]


def test_when_it_ends_the_table_decides_again(without_recipe: World) -> None:
    request, job = filtered(SUBJECT)
    over = timezone.now() - timedelta(seconds=1)
    ModelJob.objects.filter(pk=job.pk).update(filtered_until=over, due_at=over)
    swept()
    request.refresh_from_db()
    job.refresh_from_db()
    assert (job.state, request.state) == ("quarantined", "blocked")
    with pytest.raises(CommandError, match="no filter was decided"):
        call_command("model_filter", MODEL, to=Path(without_recipe.folder / "again"))
    assert not (without_recipe.folder / "again").exists()


def test_with_a_recipe_by_then_they_are_forgotten_and_the_filter_is_over(
    without_recipe: World,
) -> None:
    request, job = filtered(SUBJECT)
    without_recipe.describe(batch={"every": "2w"})
    over = timezone.now() - timedelta(seconds=1)
    ModelJob.objects.filter(pk=job.pk).update(filtered_until=over, due_at=over)
    swept()
    request.refresh_from_db()
    job.refresh_from_db()
    assert (job.state, job.filtered_until, request.state) == ("done", None, "completed")
    assert "suppression" not in job.report


def test_what_was_taken_out_of_service_is_served_again_behind_it(world: World) -> None:
    world.train("plain")
    world.describe(recipe=None)
    request = approved(email(SUBJECT))
    work_off(request)
    job = ModelJob.objects.get()
    assert job.state == "quarantined"
    day = timezone.localdate() + timedelta(days=DAYS)
    overrule.overrule(job, version="*", action="filter", by=OFFICER, because="x", until=day)
    decide.retry_blocked(request, by=OFFICER)
    work_off(request)
    job.refresh_from_db()
    assert (job.state, request.state) == ("queued", "executing")
    assert world.store().load("forecast") is not None
    assert exported(world).knows(SUBJECT)


@pytest.mark.parametrize("days", [None, 0, -1, 91])
def test_a_filter_without_a_near_end_is_refused(without_recipe: World, days: int | None) -> None:
    work_off(approved(email(SUBJECT)))
    job = ModelJob.objects.get()
    until = None if days is None else timezone.localdate() + timedelta(days=days)
    given: dict[str, Any] = {"version": "*", "action": "filter", "because": "x", "until": until}
    with pytest.raises(UsageError, match="nobody is forgotten by a filter"):
        overrule.overrule(job, by=OFFICER, **given)
    job.refresh_from_db()
    assert job.overruled == {}


def test_it_ends_before_the_first_deadline_does(without_recipe: World) -> None:
    request, job = filtered(SUBJECT, until=timezone.localdate() + timedelta(days=80))
    assert request.due_at is not None
    assert job.filtered_until == request.due_at - timedelta(days=3)
