"""The owner's answer to a proposed version, at the console."""

from __future__ import annotations

import pytest
from django.core.management import CommandError, call_command

from erasure.models import LedgerLeaf, ModelJob
from tests.flow.deeds import work_off
from tests.models.cast import NEIGHBOUR, World
from tests.models.test_promotion import erased, served
from tests.models.test_queue import swept

MODEL = "models.forecast"


@pytest.fixture
def proposing(world: World) -> World:
    world.train("plain")
    world.describe(promote="propose", rollback="7d")
    return world


def refused(*words: str) -> tuple[int, str]:
    with pytest.raises(CommandError) as error:
        call_command("answer_model", *words)
    return error.value.returncode, str(error.value)


def test_an_accepted_version_is_served_and_may_be_declined_while_its_window_is_open(
    proposing: World, capsys: pytest.CaptureFixture[str]
) -> None:
    request = erased()
    call_command("answer_model", MODEL, "accept")
    assert "recorded" in capsys.readouterr().out
    swept()
    job = ModelJob.objects.get()
    assert (job.state, served(proposing)) == ("window", "2")
    assert job.accepted_by == job.report["provenance"]["value"]["promoted_by"] != ""
    call_command("answer_model", MODEL, "decline", "--because", "complaints")
    work_off(request)
    assert (served(proposing), proposing.versions()) == ("1", ["1"])
    assert (request.state, "complaints" in request.blocked_because) == ("blocked", True)


def test_an_answer_that_nobody_waits_for_or_without_a_reason_changes_nothing(
    proposing: World,
) -> None:
    assert refused(MODEL, "accept") == (2, f"{MODEL}: no version waits for an answer")
    erased()
    before = (ModelJob.objects.get().state, LedgerLeaf.objects.count(), proposing.versions())
    code, words = refused(MODEL, "decline")
    assert (code, "say why" in words) == (2, True)
    assert refused("models.other", "accept")[0] == 2
    after = (ModelJob.objects.get().state, LedgerLeaf.objects.count(), proposing.versions())
    assert (before, served(proposing)) == (after, "1")


@pytest.fixture
def both(proposing: World) -> tuple[ModelJob, ModelJob]:
    """Version 2 is served, the window of its job is open; another job proposes version 3."""
    erased()
    call_command("answer_model", MODEL, "accept")
    swept()
    erased(NEIGHBOUR)
    window, proposed = ModelJob.objects.order_by("opened_at")
    assert (window.state, proposed.state, proposed.report["new"]) == ("window", "proposed", "3")
    return window, proposed


def states(*jobs: ModelJob) -> list[str]:
    return [ModelJob.objects.get(pk=job.pk).state for job in jobs]


def test_the_job_that_waits_for_an_answer_is_accepted_and_not_one_in_its_window(
    both: tuple[ModelJob, ModelJob],
) -> None:
    call_command("answer_model", MODEL, "accept")
    window, proposed = (ModelJob.objects.get(pk=job.pk) for job in both)
    assert window.report == both[0].report
    assert proposed.accepted_by != ""
    assert refused(MODEL, "accept") == (2, f"{MODEL}: no version waits for an answer")


def test_what_waits_is_declined_before_what_is_served(
    both: tuple[ModelJob, ModelJob], proposing: World
) -> None:
    call_command("answer_model", MODEL, "decline", "--because", "odd answers")
    assert (states(*both), served(proposing)) == (["window", "blocked"], "2")


def test_a_version_that_is_named_is_the_one_that_is_declined(
    both: tuple[ModelJob, ModelJob], proposing: World
) -> None:
    words = ("decline", "--because", "complaints", "--only")
    told = f"{MODEL}: version 9 does not wait for an answer"
    assert refused(MODEL, *words, "9") == (2, told)
    call_command("answer_model", MODEL, *words, "2")
    assert (states(*both), served(proposing)) == (["blocked", "proposed"], "1")


def test_where_several_versions_wait_one_has_to_be_named(proposing: World) -> None:
    erased()
    erased(NEIGHBOUR)
    for answer in ("accept", "decline"):
        code, words = refused(MODEL, answer, "--because", "odd answers")
        assert (code, "versions 2, 3 wait for an answer; name one by --only" in words) == (
            2, True,
        )  # fmt: skip
    call_command("answer_model", MODEL, "accept", "--only", "3")
    accepted = ModelJob.objects.exclude(accepted_by="").get()
    assert accepted.report["new"] == "3"
