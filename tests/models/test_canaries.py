"""Synthetic people go through the whole pipeline; what still knows them is an alarm."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from erasure import canaries
from erasure.canaries import DOMAIN, Canary
from erasure.domain.errors import UsageError
from erasure.domain.roles import SYSTEM
from erasure.flow import training
from erasure.models import CanaryRound, ErasureRequest, LedgerLeaf, ModelJob, PlanStep
from erasure.tasks import canaries_of_the_hour
from erasure.unlearning import audit
from tests.models.cast import PEOPLE, World, visits

WORLD: list[World] = []
COPIES: list[str] = []


def plant(people: Sequence[Canary]) -> list[str]:
    """The shop's own: customers with visits, the model trained on them, and a copy that nobody
    has told the catalogue of."""
    (world,) = WORLD
    with closing(sqlite3.connect(world.shop)) as db:
        for number, person in enumerate(people, start=PEOPLE + 1):
            db.execute("INSERT INTO customer VALUES (?, ?)", (number, person.email))
            db.execute("INSERT INTO visit (customer_id, a, b, c) VALUES (?, 1, 2, 3)", (number,))
            for table in COPIES:
                db.execute(f"CREATE TABLE IF NOT EXISTS {table} (mail TEXT)")
                db.execute(f"INSERT INTO {table} VALUES (?)", (person.email,))
        db.commit()
    world.train("plain")
    return ["shop.customer", "shop.visit", "models.forecast", *(f"shop.{t}" for t in COPIES)]


def broken(people: Sequence[Canary]) -> list[str]:
    raise ValueError(people[0].email)


@pytest.fixture
def planted(
    world: World, settings: Any, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Any:
    world.train("plain")
    world.describe()
    settings.LETHE_CANARY_PLANT = f"{__name__}:plant"
    settings.LETHE_CANARY_PEOPLE = 2
    WORLD[:], COPIES[:] = [world], []
    if getattr(request, "param", "passed"):  # the shop is too small for an attack to say anything
        monkeypatch.setattr(audit.Membership, "verdict", "passed")
    yield world
    WORLD.clear()


def test_a_clean_round_is_on_record_and_leaves_nobody(planted: World) -> None:
    before = visits(planted.shop)
    canaries_of_the_hour()
    current = CanaryRound.objects.get()
    assert (current.state, current.findings, current.people, current.count) == ("clean", [], [], 2)
    assert ErasureRequest.objects.filter(state="completed").count() == 2
    assert visits(planted.shop) == before
    assert LedgerLeaf.objects.filter(kind="canaries").count() == 1
    canaries_of_the_hour()
    assert CanaryRound.objects.count() == 1
    CanaryRound.objects.update(planted_at=timezone.now() - timedelta(days=31))
    assert canaries.go_on() is not None
    assert CanaryRound.objects.filter(state="clean").count() == 2


def test_a_copy_that_lineage_has_missed_is_an_alarm(
    planted: World, settings: Any, mailoutbox: list[Any]
) -> None:
    settings.LETHE_DIGEST_TO = ["officers@example.com"]
    COPIES.append("newsletter")
    with pytest.raises(CommandError) as error:
        call_command("canaries", "--now")
    assert error.value.returncode == 1
    current = CanaryRound.objects.get()
    assert current.state == "alarm"
    assert "shop.newsletter: they were put there, and lineage does not lead to them" in (
        current.findings
    )
    assert any("still holds one of them" in words for words in current.findings)
    assert DOMAIN not in "".join(current.findings)
    assert "lineage does not lead" in mailoutbox[-1].body


def test_a_model_that_can_still_tell_them_apart_is_an_alarm(planted: World) -> None:
    current = canaries.plant()
    assert canaries._asked(current)
    job = ModelJob.objects.order_by("opened_at").last()
    assert job is not None
    report = {**job.report, "checks": {"membership_inference": {"verdict": "failed"}}}
    ModelJob.objects.filter(pk=job.pk).update(report=report)
    ended = canaries.look(current)
    assert ended.findings == ["models.forecast: still tells them from people it has never seen"]


def test_a_model_is_attacked_for_all_of_a_round_at_once(planted: World) -> None:
    """On one person alone no attack can be sure."""
    assert canaries._asked(canaries.plant())
    job = ModelJob.objects.get()
    assert job.people == 2
    assert job.report["checks"]["membership_inference"]["forgotten"].endswith("of 2")


@pytest.mark.parametrize("planted", [""], indirect=True)
def test_where_no_attack_says_anything_the_round_is_not_called_clean(
    planted: World, mailoutbox: list[Any], settings: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    settings.LETHE_DIGEST_TO = ["officers@example.com"]
    call_command("canaries", "--now")
    current = CanaryRound.objects.get()
    told = "models.forecast: whether it still tells them apart is not known: without power"
    assert (current.state, current.findings) == ("unmeasured", [told])
    assert not mailoutbox
    output = capsys.readouterr()
    assert "unmeasured" in output.out
    assert told in output.err
    (leaf,) = LedgerLeaf.objects.filter(kind="canaries")
    assert json.loads(leaf.payload)["state"] == "unmeasured"


def test_a_round_that_waits_for_a_models_day_goes_on_later(planted: World) -> None:
    planted.describe(batch={"every": "4w"})
    current = canaries.plant()
    assert not canaries._asked(current)
    assert canaries.go_on() is not None
    current.refresh_from_db()
    assert current.state == "asked"
    planted.describe()
    for job in ModelJob.objects.filter(state="queued"):
        training.train(training.begin_now(job, by=SYSTEM).id)
    canaries.go_on()
    current.refresh_from_db()
    assert (current.state, current.findings) == ("clean", [])


@pytest.mark.parametrize(("days", "state"), [(1, "clean"), (0, "clean"), (-1, "alarm")])
def test_a_copy_that_waits_for_its_announced_day_is_no_alarm(
    planted: World, days: int, state: str
) -> None:
    COPIES.append("nightly")  # a copy that nobody can reach, in a set that expires
    current = canaries.plant()
    current.places = [p for p in current.places if p != "shop.nightly"]
    current.save()
    canaries._asked(current)
    until = timezone.localdate() + timedelta(days=days)
    ErasureRequest.objects.filter(pk__in=current.requests).update(state="awaiting_copies")
    PlanStep.objects.filter(store="shop_db").update(residue="expires_on", until=until)
    ended = canaries.look(current)
    assert ended.state == state, ended.findings
    (leaf,) = LedgerLeaf.objects.filter(kind="canaries")
    assert json.loads(leaf.payload)["copies_until"] == (
        {"shop_db": until.isoformat()} if state == "clean" else {}
    )


def test_what_fails_while_planting_is_an_alarm_without_values(
    planted: World, settings: Any
) -> None:
    settings.LETHE_CANARY_PLANT = f"{__name__}:broken"
    canaries_of_the_hour()
    current = CanaryRound.objects.get()
    assert current.state == "alarm"
    assert "planting failed (ValueError); correct LETHE_CANARY_PLANT" in current.findings
    assert DOMAIN not in "".join(current.findings)


@pytest.mark.parametrize("name", ["nowhere", "tests.models.cast:nothing", "no_such_module:plant"])
def test_a_function_that_is_not_there_begins_no_round(
    planted: World, settings: Any, name: str
) -> None:
    settings.LETHE_CANARY_PLANT = name
    with pytest.raises(UsageError, match="must name a function"):
        canaries.plant()
    assert not CanaryRound.objects.exists()
