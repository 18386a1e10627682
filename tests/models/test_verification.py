"""Nothing is served that was not verified; what fails falls back to a training, and is told."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from django.core.mail import EmailMessage
from django.utils import timezone

from erasure.domain.models import ModelPolicy
from erasure.domain.roles import SYSTEM, Actor
from erasure.flow import training
from erasure.flow.overrule import overrule
from erasure.models import ModelJob
from erasure.stores.model_registry import replacing
from erasure.unlearning import audit, lira
from tests.flow.deeds import approved, work_off
from tests.models.cast import NEIGHBOUR, OTHER, SUBJECT, World, email
from tests.models.test_end_to_end import _dataset, audit_of, forget, same_as_independent

OWNER = "owner@example.com"
OWNER_OF_MODELS = Actor("olga", roles=["model_owner"])


def test_an_empirical_method_is_used_where_the_policy_accepts_it_and_is_time_boxed(
    world: World,
) -> None:
    world.train("influence")
    world.describe(guarantee="empirical", batch={"every": "4w", "people": 1})
    request = forget(SUBJECT)
    assert request.state == "completed", request.blocked_because
    told = audit_of(request)
    assert (told["action"], told["guarantee"]) == ("approximate", "empirical")
    assert "fell_back" not in told
    (decision,) = told["decisions"]
    assert decision["until"] == (timezone.now() + timedelta(days=28)).date().isoformat()
    made = world.store()._model(_dataset(world)).manifest("2")
    assert not replacing.is_over(made, ModelPolicy(every=timedelta(days=28)))
    assert replacing.is_over(made, ModelPolicy(every=timedelta(microseconds=1)))


def aged(world: World, version: str, days: int) -> str:
    """The version as it would be had its first approximate step been so many days ago; when."""
    path = world.models / "forecast" / version / "manifest.json"
    plain = json.loads(path.read_text())
    since = (timezone.now() - timedelta(days=days)).isoformat(timespec="seconds")
    plain["replaces"]["empirical_since"] = since
    path.write_text(json.dumps(plain))
    return since


def test_an_approximate_step_does_not_renew_the_time_of_those_before_it(world: World) -> None:
    """Its end is told by the first of them; past that the next who comes has it trained again."""
    world.train("influence")
    world.describe(guarantee="empirical", batch={"every": "4w", "people": 1})
    assert audit_of(forget(SUBJECT))["action"] == "approximate"
    since = aged(world, "2", days=20)
    told = audit_of(forget(NEIGHBOUR))
    assert told["action"] == "approximate"
    (decision,) = told["decisions"]
    assert decision["until"] == (timezone.now() + timedelta(days=8)).date().isoformat()
    made = world.store()._model(_dataset(world)).manifest("3")
    assert made.replaces is not None
    assert made.replaces.empirical_since == since
    aged(world, "3", days=29)
    assert world.store().alarms(_dataset(world)) == [
        "version 3: forgot approximately, and its time is over"
    ]
    told = audit_of(forget(OTHER))
    assert (told["action"], told["guarantee"]) == ("retrain", "bit-exact")
    assert "empirical_since" not in told
    assert world.store().alarms(_dataset(world)) == []


def test_a_training_that_a_spent_budget_forces_draws_noise_of_its_own(world: World) -> None:
    world.train("removal")
    world.describe(guarantee="(ε,δ)")
    old: Any = world.store().load("forecast")
    told = audit_of(forget(SUBJECT))
    assert "ε spent by all removals" in told["fell_back"]
    new: Any = world.store().load("forecast")
    assert (told["guarantee"], old.training, new.training) == ("bit-exact", "1", "2")
    key = world.hasher().key
    features, second = np.zeros((2, 2)), np.array([True, False])
    drawn = [model._loss(features, second, key).tilt for model in (old, new)]
    assert np.abs(drawn[0] - drawn[1]).min() > 0


def test_without_that_consent_the_same_model_is_trained_again(world: World) -> None:
    world.train("influence")
    world.describe()
    told = audit_of(forget(SUBJECT))
    assert (told["action"], told["guarantee"]) == ("retrain", "bit-exact")


def test_the_recipe_with_the_wrong_sign_is_refused_and_the_owner_is_told(
    world: World, mailoutbox: list[EmailMessage]
) -> None:
    world.train("wrong_sign")
    world.describe(guarantee="empirical", tell=[OWNER])
    request = forget(SUBJECT, NEIGHBOUR)
    assert request.state == "completed", request.blocked_because
    told = audit_of(request)
    assert "leads away" in told["fell_back"]
    assert (told["method"], told["guarantee"]) == ("batched exact retrain", "bit-exact")
    (mail,) = mailoutbox
    assert mail.to == [OWNER]
    assert "leads away" in str(mail.body)


@pytest.mark.parametrize("way", ["approximate", "unlearn", "retrain_shards"])
def test_a_way_to_forget_that_the_model_does_not_have_gives_way_to_a_training(
    world: World, way: str
) -> None:
    world.train("plain")
    world.describe(batch={"every": "4w", "people": 9})
    request = approved(email(SUBJECT))
    work_off(request)
    job = ModelJob.objects.get()
    overrule(job, version="1", action=way, by=OWNER_OF_MODELS, because="it is quicker")
    training.train(training.begin_now(job, by=SYSTEM).id)
    job.refresh_from_db()
    assert (job.state, job.attempts) == ("done", 1), job.error
    assert "no way of its own to forget" in job.report["fell_back"]
    assert job.report["method"] == "batched exact retrain"


def test_a_model_that_the_attack_recognises_them_in_is_not_promoted(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The attack itself is tested in tests/unlearning; here, that its word counts."""
    world.train("bayes")
    world.describe()
    sure = audit.rate(90, 100)
    failed = audit.Membership(power=sure, others=audit.rate(5, 100), forgotten=sure, chance=0.0)
    monkeypatch.setattr(audit, "membership", lambda *_, **__: failed)
    told = audit_of(forget(SUBJECT))
    assert "still recognises" in told["fell_back"]
    assert told["method"] == "batched exact retrain"
    assert "still recognises" in told["doubts"]


def test_the_likelihood_ratio_is_measured_where_the_policy_asks_for_it(world: World) -> None:
    world.train("sharded")
    world.describe(audit={"references": 4})
    told = audit_of(forget(SUBJECT, NEIGHBOUR))["checks"]
    found = told["likelihood_ratio"]
    assert found["references"] == "4"
    assert found["verdict"] in ("passed", "without power", "too few people", "failed")
    for rate in ("power", "never_members", "forgotten"):
        assert re.match(r"0\.\d{4} \[0\.\d+, [01]\.\d+\] of \d+", found[rate]), found[rate]
    assert set(told["membership_inference"]) <= set(found)


def test_the_likelihood_ratio_counts_as_the_other_attack_does(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.train("bayes")
    world.describe(audit={"references": 4})
    sure = audit.rate(90, 100)
    failed = audit.Membership(power=sure, others=audit.rate(5, 100), forgotten=sure, chance=0.0)
    monkeypatch.setattr(lira, "likelihood_ratio", lambda *_, **__: failed)
    told = audit_of(forget(SUBJECT))
    assert "likelihood ratio still recognises the people" in told["fell_back"]


def test_without_enough_people_the_likelihood_ratio_says_why(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuses(*_: object, **__: object) -> None:
        raise ValueError("somebody stands in two of the samples")

    world.train("bayes")
    world.describe(audit={"references": 4})
    monkeypatch.setattr(lira, "likelihood_ratio", refuses)
    request = forget(SUBJECT)
    assert request.state == "completed", request.blocked_because
    told = audit_of(request)["checks"]["likelihood_ratio"]
    assert told == "not measured: somebody stands in two of the samples"


def test_below_its_minimum_nothing_is_promoted_and_the_old_version_stays(world: World) -> None:
    world.train("bayes")
    world.describe(utility={"metric": "score", "min": 2.0})
    before = (world.models / "forecast" / "current").read_text()
    request = forget(SUBJECT)
    assert request.state == "blocked"
    assert "below the minimum of 2.0" in request.blocked_because
    assert ModelJob.objects.get().state == "blocked"
    assert (world.models / "forecast" / "current").read_text() == before
    assert world.versions() == ["1"]
    assert world.store().load("forecast") is not None


def test_a_slice_that_would_lose_too_much_falls_back_and_then_blocks(world: World) -> None:
    world.train("bayes")
    world.describe(utility={"max_slice_drop": -1.0})
    request = forget(SUBJECT)
    assert request.state == "blocked"
    assert "slice 'often' would fall" in request.blocked_because
    assert world.versions() == ["1"]


@pytest.mark.parametrize("damage", ["rows", "seal"])
def test_kept_rows_that_were_altered_are_refused(world: World, damage: str) -> None:
    world.train("ridge")
    world.describe()
    path = world.models / "forecast" / "1" / "rows.sealed"
    content = path.read_bytes()
    path.write_bytes(content[:-1] + b"x" if damage == "rows" else b"{}" + content)
    request = forget(SUBJECT)
    assert request.state == "blocked"
    assert "rows.sealed was altered" in request.blocked_because


def test_kept_rows_hold_nothing_readable_and_nobody_who_was_forgotten(world: World) -> None:
    world.train("ridge")
    world.describe()
    forget(SUBJECT)
    folder = world.models / "forecast" / "2"
    head, _, _ = (folder / "rows.sealed").read_bytes().partition(b"\n")
    people = json.loads(head)["people"]
    assert world.hasher()(SUBJECT) not in people
    assert world.hasher()(NEIGHBOUR) in people
    assert set(people) <= set(json.loads((folder / "manifest.json").read_text())["people"])


def test_a_version_trained_on_somebody_forgotten_raises_an_alarm(world: World) -> None:
    world.train("bayes")
    world.describe()
    forget(SUBJECT)
    assert world.store().alarms(_dataset(world)) == []
    world.shop.write_bytes((world.folder / "copy.sqlite3").read_bytes())
    world.train("bayes")
    assert world.store().alarms(_dataset(world)) == [
        "version 3 was trained on 1 people who were forgotten"
    ]
    same_as_independent(world, "bayes")


def test_an_assessment_as_anonymous_leaves_the_model_and_says_so(world: World) -> None:
    world.train("plain")
    until = (timezone.now() + timedelta(days=30)).date().isoformat()
    world.describe(anonymous={"assessment": "DPIA 7", "until": until})
    request = forget(SUBJECT)
    assert request.state == "completed", request.blocked_because
    assert world.versions() == ["1"]
    (decision,) = audit_of(request)["decisions"]
    assert (decision["action"], decision["until"]) == ("refer", until)
