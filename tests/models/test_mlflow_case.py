"""From the request to the certificate, where the model is MLflow's."""

from __future__ import annotations

import json
import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from erasure.connect import derived_key
from erasure.flow import decide
from erasure.models import ErasureRequest, ModelJob
from erasure.runs import statement
from erasure.stores.model_registry import external
from lineage import catalog
from lineage.importers import fideslang
from tests.flow.cast import OFFICER
from tests.flow.deeds import approved, work_off
from tests.models import mlflow_script
from tests.models.cast import CATALOGUE, NEIGHBOUR, SUBJECT, World, email
from tests.models.mlflow_cast import MODEL, Registry
from tests.models.test_queue import swept


@pytest.fixture
def registry(world: World, monkeypatch: pytest.MonkeyPatch) -> Registry:
    """Version 1 and 2 know both people; a pipeline in this process trains the next."""
    folder = world.folder / "ml"
    folder.mkdir()
    made = Registry(folder, derived_key("models"))
    made.create()
    people = [str(SUBJECT), str(NEIGHBOUR)]
    made.train(people)
    made.train(people)
    options = f"options: {{caches: [{made.cache.as_uri()}]}}"
    text = CATALOGUE.read_text().replace("kind: model_registry", f"kind: mlflow, {options}")
    text = text.replace("${SHOP_URL}", f"sqlite:///{world.shop}").replace("${MODELS_URL}", made.uri)
    said = {"person_key": "customer_id", "recipe": {"command": ["python", "train.py"]}}
    text = text.replace("name: forecast", f"name: {MODEL}").replace("MODEL", json.dumps(said))
    path = world.folder / "catalogue.yml"
    path.write_text(text)
    catalog.upsert(fideslang.read([str(path)]), prune=True)

    def deliver(place: str, recipe: object, asked: external.Asked, call: object) -> Path:
        external._write(asked)
        monkeypatch.setitem(os.environ, "LETHE_TRAINING", asked.folder)
        mlflow_script.main(people)
        return Path(asked.folder)

    monkeypatch.setattr(external, "deliver", deliver)
    return made


def test_a_person_is_forgotten_in_a_model_of_mlflow_and_the_certificate_says_how(
    registry: Registry,
) -> None:
    runs = [registry.client.get_model_version(MODEL, v).run_id for v in ("1", "2")]
    request = approved(email(SUBJECT))
    plan = request.plans.get(state="approved")
    versions = plan.steps.get(dataset=f"models.{MODEL}").explained["versions"]
    assert [(v["version"], v["action"]) for v in versions] == [("1", "delete"), ("2", "retrain")]
    work_off(request)
    assert request.state == "completed", request.blocked_because
    job = ModelJob.objects.get()
    assert (job.state, job.report["new"]) == ("done", "3")
    assert {receipt["version"] for receipt in job.report["purged"]} == {"1", "2"}
    assert registry.holding(*runs) == []
    facts = registry.store().records(_dataset(registry))
    assert [(r["version"], r["people"], r["signed"]) for r in facts] == [("3", 1, True)]
    (told,) = statement.models_of(request)
    assert (told["old_version"], told["new_version"]) == ("2", "3")
    assert "models:/churn/2" in json.dumps(told["audit"]["recovery"])


def described(world: World, **model: Any) -> None:
    """The catalogue says more of the model."""
    path = world.folder / "catalogue.yml"
    said = json.dumps(model)[1:-1]
    path.write_text(path.read_text().replace('"recipe": ', f'{said}, "recipe": '))
    catalog.upsert(fideslang.read([str(path)]), prune=True)


def test_an_assessment_as_anonymous_leaves_the_versions_and_the_case_is_completed(
    registry: Registry, world: World
) -> None:
    until = (timezone.localdate() + timedelta(days=30)).isoformat()
    described(world, anonymous={"assessment": "DPIA 7", "until": until})
    request = approved(email(SUBJECT))
    work_off(request)
    assert request.state == "completed", request.blocked_because
    job = ModelJob.objects.get()
    assert [d["action"] for d in job.decisions] == ["refer", "refer"]
    facts = registry.store().records(_dataset(registry))
    assert [r["version"] for r in facts] == ["1", "2"]


def test_after_a_rollback_window_the_certificate_still_says_what_replaced_what(
    registry: Registry, world: World
) -> None:
    described(world, rollback="7d")
    request = approved(email(SUBJECT))
    work_off(request)
    job = ModelJob.objects.get()
    assert (job.state, job.report["new"]) == ("window", "3")
    ModelJob.objects.update(window_until=timezone.now() - timedelta(seconds=1))
    swept()
    request.refresh_from_db()
    assert request.state == "completed", request.blocked_because
    (told,) = statement.models_of(request)
    assert (told["old_version"], told["new_version"]) == ("2", "3")
    assert (told["audit"]["new_people"], "kept" in told["audit"]) == (1, False)
    assert [receipt["version"] for receipt in told["audit"]["purged"]] == ["1", "2"]
    assert told["audit"]["recovery"].keys() == {"1", "2"}


def test_without_an_alias_one_that_is_not_good_enough_never_takes_the_old_ones_place(
    registry: Registry, world: World
) -> None:
    described(world, utility={"metric": "auc", "min": 0.795})
    request = approved(email(SUBJECT))
    for _ in range(2):
        work_off(request)
        job = ModelJob.objects.get()
        assert (request.state, job.state) == ("blocked", "blocked")
        assert "auc would be 0.7900, below the minimum of 0.795" in job.error
        facts = registry.store().records(_dataset(registry))
        assert [r["version"] for r in facts if r["current"]] == ["2"]
        decide.retry_blocked(request, by=OFFICER)
    assert len(facts) == 4  # the recipe was asked each time


def test_without_an_alias_a_proposed_version_is_not_served(
    registry: Registry, world: World
) -> None:
    described(world, promote="propose")
    request = approved(email(SUBJECT))
    work_off(request)
    assert ModelJob.objects.get().state == "proposed"
    facts = registry.store().records(_dataset(registry))
    assert [r["version"] for r in facts if r["current"]] == ["2"]


def test_what_still_loads_though_it_is_out_of_service_is_told_to_who_decides(
    registry: Registry,
) -> None:
    run_id = registry.client.get_model_version(MODEL, "2").run_id
    registry.client.create_registered_model("encoder")
    registry.client.create_model_version("encoder", f"runs:/{run_id}/encoder", run_id=run_id)
    request = approved(email(SUBJECT))
    ErasureRequest.objects.filter(pk=request.pk).update(ground="unlawful")
    work_off(request)
    assert request.state == "blocked"
    assert "version 2 still loads by its URI: its run also made encoder/1" in (
        request.blocked_because
    )
    assert "version 1 still" not in request.blocked_because
    facts = registry.store().records(_dataset(registry))
    assert all("no lawful basis" in r["out_of_service"] for r in facts)


def _dataset(registry: Registry) -> Any:
    from lineage import selectors

    return selectors.dataset(f"models.{MODEL}")
