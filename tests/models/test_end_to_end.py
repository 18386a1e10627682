"""A person is forgotten in a model: request → plan → run → job → verified → promoted → old version
gone → certificate."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import Any

import numpy as np
import pytest

from erasure.domain.errors import StoreError
from erasure.flow import decide, overrule
from erasure.models import ErasureRequest, Event, ModelJob
from erasure.runs import statement
from lineage import selectors
from tests.flow.cast import OFFICER
from tests.flow.deeds import approved, work_off
from tests.models.cast import NEIGHBOUR, OTHER, SUBJECT, World, email


def forget(*people: int) -> ErasureRequest:
    """Cases of these people, carried as far as they go. Returns the first."""
    requests = [approved(email(person)) for person in people]
    work_off(*requests)
    return requests[0]


def audit_of(request: ErasureRequest) -> dict[str, Any]:
    (model,) = statement.models_of(request)
    return {**model, **model["audit"]}


WAYS = {
    "ridge": ("unlearn", "exact to tolerance", "Gram down-date"),
    "bayes": ("unlearn", "bit-exact", "count decrement"),
    "logistic": ("unlearn", "exact to tolerance", "warm Newton"),
    "sharded": ("retrain_shards", "exact in distribution", "SISA"),
    "forest": ("retrain_shards", "exact in distribution", "person-limited forest"),
    "plain": ("retrain", "bit-exact", "batched exact retrain"),
    "neighbours": ("rebuild", "bit-exact", "batched exact retrain"),
}


@pytest.mark.parametrize("kind", WAYS)
def test_a_person_is_forgotten_in_the_way_that_suits_the_model(world: World, kind: str) -> None:
    world.train(kind)
    world.train(kind)
    world.describe(utility={"metric": "score", "max_drop": 0.2})
    request = forget(SUBJECT, OTHER)
    assert request.state == "completed", request.blocked_because
    told = audit_of(request)
    assert (told["action"], told["guarantee"], told["method"]) == WAYS[kind]
    assert (told["old_version"], told["new_version"]) == ("2", "3")
    assert [(d["version"], d["action"]) for d in told["decisions"]] == [
        ("1", "delete"),
        ("2", WAYS[kind][0]),
    ]
    assert told["old_people"] - told["new_people"] == 2
    assert told["checks"]["membership_inference"]["verdict"] in ("without power", "too few people")
    assert set(told["checks"]["slices"]) == {"often", "seldom"}
    assert world.versions() == ["3"]
    assert world.store().alarms(_dataset(world)) == []
    with pytest.raises(StoreError):
        world.store().load("forecast", "2")
    same_as_independent(world, kind, SUBJECT, OTHER)


def same_as_independent(world: World, kind: str, *without: int) -> None:
    """The served model equals one that never knew them: to the bit, or to 1e-8."""
    served, other = world.store().load("forecast"), world.independent(kind, *without)
    probe = np.random.default_rng(0).poisson(4, (200, 2)).astype(np.float64)
    name = "predict" if kind == "ridge" else "predict_proba"
    one, two = (getattr(model, name)(probe) for model in (served, other))
    if WAYS[kind][1] == "exact to tolerance":
        np.testing.assert_allclose(one, two, rtol=0, atol=1e-8)
    elif kind == "plain":  # rows in another order are summed in another order
        np.testing.assert_allclose(one, two, rtol=1e-12)
    else:
        assert (one == two).all()


def _dataset(world: World) -> Any:
    return selectors.datasets("models")["models.forecast"]


def test_a_model_that_never_knew_the_person_is_left_alone(world: World) -> None:
    world.train("bayes")
    world.describe()
    with closing(sqlite3.connect(world.shop)) as db:
        db.execute("INSERT INTO customer VALUES (99, 'new@example.com')")
        db.commit()
    request = approved("new@example.com")
    work_off(request)
    assert request.state == "completed"
    assert world.versions() == ["1"]
    assert not ModelJob.objects.exists()


def test_a_model_without_a_recipe_is_out_of_service_and_nobody_is_told_it_is_done(
    world: World,
) -> None:
    world.train("plain")
    world.describe(recipe=None)
    request = forget(SUBJECT)
    assert request.state == "blocked"
    assert "there is no recipe" in request.blocked_because
    job = ModelJob.objects.get()
    assert job.state == "quarantined"
    with pytest.raises(StoreError, match="out of service"):
        world.store().load("forecast", "1")
    with pytest.raises(StoreError, match="has no current version"):
        world.store().load("forecast")
    assert "out of service" in world.store().alarms(_dataset(world))[0]


def test_an_officer_overrules_with_a_reason_and_the_table_stays_readable(world: World) -> None:
    world.train("plain")
    world.describe(recipe=None)
    request = forget(SUBJECT)
    job = ModelJob.objects.get()
    overrule.overrule(job, version="1", action="delete", by=OFFICER, because="nobody uses it")
    decide.retry_blocked(request, by=OFFICER)
    work_off(request)
    assert request.state == "completed", request.blocked_because
    assert world.versions() == []
    (decision,) = audit_of(request)["decisions"]
    assert (decision["action"], decision["by"]) == ("delete", OFFICER)
    assert decision["reason"].startswith("nobody uses it (the table said: quarantine")


def test_a_recipe_that_is_added_puts_the_model_back_into_service(world: World) -> None:
    world.train("plain")
    world.describe(recipe=None)
    request = forget(SUBJECT)
    world.describe()
    decide.retry_blocked(request, by=OFFICER)
    work_off(request)
    assert request.state == "completed", request.blocked_because
    assert world.versions() == ["2"]
    assert world.store().alarms(_dataset(world)) == []
    same_as_independent(world, "plain", SUBJECT)


def test_an_altered_artifact_is_not_built_upon_and_the_owner_is_told(world: World) -> None:
    world.train("ridge")
    world.describe()
    path = world.models / "forecast" / "1" / "model.skops"
    path.write_bytes(path.read_bytes() + b"x")
    assert "altered" in world.store().alarms(_dataset(world))[0]
    request = forget(SUBJECT)
    assert request.state == "completed", request.blocked_because
    told = audit_of(request)
    assert "not the one its manifest names" in told["fell_back"]
    assert told["method"] == "batched exact retrain"
    same_as_independent(world, "ridge", SUBJECT)


def test_a_person_of_the_hold_out_leaves_the_manifest(world: World) -> None:
    world.train("bayes")
    world.describe()
    request = forget(5)
    assert request.state == "completed", request.blocked_because
    assert world.versions() == ["2"]
    assert world.hasher()(5) not in world.store()._model(_dataset(world)).manifest("2").people


def test_when_everybody_is_forgotten_the_model_is_retired(world: World) -> None:
    world.train("bayes")
    world.describe()
    with closing(sqlite3.connect(world.shop)) as db:
        db.execute("DELETE FROM visit WHERE customer_id > 2")
        db.commit()
    world.train("bayes")
    assert world.store().load("forecast") is not None
    request = forget(SUBJECT, NEIGHBOUR)
    assert request.state == "completed", request.blocked_because
    assert world.versions() == []


def test_what_is_moved_and_decided_stands_in_the_ledger(world: World) -> None:
    world.train("bayes")
    world.describe()
    forget(SUBJECT)
    job = ModelJob.objects.get()
    moves = Event.objects.filter(subject_id=str(job.pk)).values_list("from_state", "to_state")
    assert list(moves) == [("queued", "running"), ("running", "done")]
