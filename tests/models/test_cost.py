"""What forgetting costs is told before, and stops where the policy says so."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.core.mail import EmailMessage
from django.utils import timezone

from erasure.flow import decide, overrule
from erasure.models import ModelJob
from tests.flow.cast import OFFICER
from tests.flow.deeds import approved, work_off
from tests.models.cast import NEIGHBOUR, SUBJECT, World, email
from tests.models.test_end_to_end import forget
from tests.models.test_queue import BATCHED
from tests.web.conftest import Person, person

COST = {"training": 12.5, "currency": "EUR"}


@pytest.fixture
def officer(transactional_db: None) -> Person:
    return person("olga", "officer")


def described(world: World, kind: str, **more: Any) -> None:
    world.train(kind)
    world.describe(**{"tell": ["owner@example.com"], "cost": COST, **more})


def test_the_plan_tells_what_it_will_cost(world: World, officer: Person) -> None:
    described(world, "plain")
    request = approved(email(SUBJECT))
    text = officer.get(f"/admin/erasure/erasurerequest/{request.pk}/change/").content.decode()
    assert "Expected cost, shared by whoever waits: 25.00 EUR" in text


def test_a_job_that_waits_tells_what_it_would_cost_and_what_is_spent(
    world: World, officer: Person
) -> None:
    described(world, "bayes", cost={**COST, "most": 60}, batch=BATCHED)
    work_off(approved(email(SUBJECT)))
    job = ModelJob.objects.get()
    assert job.cost_forecast == "0.00 to 25.00 EUR; 0.00 of 60.00 in 30 days are spent"
    for page in (f"/admin/erasure/modeljob/{job.pk}/change/",
                 "/admin/erasure/modeljob/inventory/"):  # fmt: skip
        assert "0.00 to 25.00 EUR" in officer.get(page).content.decode()


def test_what_a_job_has_cost_is_kept(world: World) -> None:
    described(world, "plain", audit={"references": 4})
    assert forget(SUBJECT).state == "completed"
    job = ModelJob.objects.get()
    assert job.cost == Decimal("75.00")


def test_past_its_cap_it_stops_is_told_and_the_old_version_is_served(
    world: World, mailoutbox: list[EmailMessage]
) -> None:
    described(world, "plain", cost={**COST, "most": 30})
    assert forget(SUBJECT).state == "completed"
    request = forget(NEIGHBOUR)
    job = ModelJob.objects.exclude(state="done").get()
    words = "would cost 25.00 EUR, and 25.00 of the 30.00 EUR that its policy allows in 30 days"
    assert (job.state, request.state) == ("blocked", "blocked")
    assert words in job.error
    assert words in request.blocked_because
    assert words in str(mailoutbox[-1].body)
    assert world.versions() == ["2"]
    assert job.cost == 0
    overrule.overrule(job, version="*", action="retrain", by=OFFICER, because="the law demands it")
    decide.retry_blocked(request, by=OFFICER)
    work_off(request)
    job.refresh_from_db()
    assert (request.state, job.state, job.cost) == ("completed", "done", Decimal("25.00"))


def test_spending_counts_for_as_long_as_the_policy_says(world: World) -> None:
    described(world, "plain", cost={**COST, "most": 30, "days": 7})
    assert forget(SUBJECT).state == "completed"
    ModelJob.objects.update(started_at=timezone.now() - timedelta(days=8))
    assert forget(NEIGHBOUR).state == "completed"


def test_a_removal_in_place_does_not_give_way_to_a_training_that_costs_too_much(
    world: World,
) -> None:
    described(world, "wrong_sign", guarantee="empirical", cost={**COST, "most": 20})
    request = forget(SUBJECT)
    assert request.state == "blocked"
    assert "cannot be taken out in place" in request.blocked_because
    assert "would cost 25.00 EUR" in request.blocked_because
    assert world.versions() == ["1"]
    assert world.store().load("forecast") is not None
