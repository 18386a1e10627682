"""Whoever serves a model is told what is served, signed, and that nothing is any more."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.utils import timezone

from erasure import calling
from erasure.domain.errors import CallFailed
from erasure.domain.roles import SYSTEM
from erasure.flow import retire, training
from erasure.flow.overrule import overrule
from erasure.flow.release import release
from erasure.models import ErasureRequest, ModelJob
from erasure.runs import pipelines
from tests.flow.cast import OFFICER, OPERATOR
from tests.flow.deeds import work_off
from tests.models.cast import World
from tests.models.test_promotion import OWNER, erased


def test_endpoints_are_told_signed_and_an_absent_one_stops_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[tuple[str, bytes, dict[str, str]]] = []

    def post(url: str, body: bytes, *, headers: dict[str, str], timeout: float) -> Any:
        if "away" in url:
            raise CallFailed("away.example.com", "cannot be reached", permanent=False)
        sent.append((url, body, headers))
        return calling.Answer(204, {}, b"")

    monkeypatch.setattr(calling, "post", post)
    monkeypatch.setenv("HOOK", "hush")
    world.train("plain")
    hooks = ["https://serving.example.com/models", "https://away.example.com/models"]
    world.describe(webhooks=hooks, webhook_secret="${HOOK}")
    request = erased()
    assert request.state == "completed", request.blocked_because
    ((url, body, headers),) = sent
    assert url == hooks[0]
    assert calling.is_signed(b"hush", body, headers, now=timezone.now())
    told = json.loads(body)
    assert (told["version"], told["replaces"]) == ("2", "1")
    endpoints = ModelJob.objects.get().report["endpoints"]
    assert endpoints["serving.example.com"] == "told"
    assert endpoints["away.example.com"].startswith("not told")


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What endpoints are told, by the one way out."""
    told: list[Any] = []

    def tell(dataset: Any, said: Any, _key: str) -> dict[str, str]:
        told.append((dataset.address, said["version"], said.get("because", "")))
        return {"serving.example.com": "told"}

    monkeypatch.setattr(pipelines, "tell_endpoints", tell)
    return told


def test_endpoints_are_told_that_a_model_is_out_of_service_and_that_it_is_back(
    world: World, endpoint: list[Any]
) -> None:
    world.train("plain")
    world.describe(recipe=None)
    request = erased()
    job = ModelJob.objects.get()
    assert (request.state, job.state) == ("blocked", "quarantined")
    ((model, version, because),) = endpoint
    assert (model, version) == ("models.forecast", None)
    assert "there is no recipe" in because
    assert job.report["endpoints"] == {"serving.example.com": "told"}
    ErasureRequest.objects.filter(pk=request.pk).update(state="withdrawn")
    release("models.forecast", "1", by=OFFICER, because="nobody waits")
    assert [one[1] for one in endpoint] == [None, "1"]


def test_endpoints_are_told_that_nobody_is_left_to_serve(world: World, endpoint: list[Any]) -> None:
    world.train("plain")
    world.describe(batch={"every": "4w", "people": 9})
    request = erased()
    job = ModelJob.objects.get()
    overrule(job, version="1", action="delete", by=OWNER, because="not worth it")
    training.train(training.begin_now(job, by=SYSTEM).id)
    work_off(request)
    assert (request.state, world.versions()) == ("completed", [])
    ((_, version, because),) = endpoint
    assert version is None
    assert "not worth it" in because


def test_endpoints_are_told_of_a_retirement(world: World, endpoint: list[Any]) -> None:
    world.train("plain")
    world.train("plain")
    world.describe()
    old: dict[str, Any] = {"reason": "obsolete", "because": "nobody asks it", "by": OPERATOR}
    retire.retire_model(retire.assess("models.forecast", ["1"]), **old)
    assert endpoint == []  # the one that is served has stayed
    proof = retire.retire_model(retire.assess("models.forecast"), **old)
    ((_, version, because),) = endpoint
    assert (version, because) == (None, "is retired (obsolete): nobody asks it")
    assert proof["endpoints"] == {"serving.example.com": "told"}
