"""The owner's answer to a proposed version, at the console."""

from __future__ import annotations

import pytest
from django.core.management import CommandError, call_command

from erasure.models import LedgerLeaf, ModelJob
from tests.flow.deeds import work_off
from tests.models.cast import World
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
