"""What pipelines tell is part of a person's case, and runs are told to the lineage backend."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from django.conf import LazySettings, settings
from django.core.management import CommandError, call_command
from django.utils import timezone

from erasure import tasks as erasure_tasks
from erasure.flow import tell_lineage
from erasure.models import Certificate, Run
from lineage import hearing, intake, keeping, outbox, tasks
from lineage.event_models import OutgoingEvent
from lineage.importers import openlineage
from tests.flow.cast import ANN, CATALOGUE, SUBJECT, MemoryShop, Shop
from tests.flow.deeds import approved, planned, work_off
from tests.lineage.events import SAMPLES, columns, dataset, run_event


def events(*made: dict[str, Any]) -> None:
    assert intake.take(made).refused == []
    hearing.learn()


def mart(name: str, *made: tuple[str, str, str]) -> dict[str, Any]:
    """An event: columns of the shop's customers went into a table that nobody catalogued."""
    source = dataset("customer", namespace="shop")
    into = dataset(name, columnLineage=columns("customer", *made, namespace="shop"))
    return run_event(inputs=[source], outputs=[into])


def test_a_copy_that_only_events_know_is_in_the_plan_and_somebody_has_to_be_told(
    shop: Shop,
) -> None:
    events(mart("mart", ("who", "id", "IDENTITY")))
    request = planned(SUBJECT)
    plan = request.plans.get()
    step = plan.steps.get(dataset="db:mart")
    assert (step.action, step.store, step.counted) == ("notify", "lineage events", 1)
    assert any(w.startswith("db:mart: made from the person's data") for w in plan.warnings)


def test_the_erasure_goes_through_and_leaves_a_notice_for_the_copy(shop: Shop) -> None:
    events(mart("mart", ("who", "id", "IDENTITY")), mart("sums", ("n", "id", "AGGREGATION")))
    request = approved(SUBJECT)
    work_off(request)
    assert request.state == "partly_granted", request.blocked_because
    assert set(request.notices.values_list("dataset", flat=True)) == {"db:mart", "db:sums"}


def test_an_event_about_people_makes_an_approved_plan_stale(memory_shop: MemoryShop) -> None:
    request = approved(SUBJECT)
    events(mart("mart", ("who", "id", "IDENTITY")))
    before = memory_shop.everything()
    work_off(request)
    assert request.state == "planned"
    assert memory_shop.everything() == before


def test_an_event_about_anything_else_does_not(memory_shop: MemoryShop) -> None:
    request = approved(SUBJECT)
    events(run_event(inputs=[dataset("weather")], outputs=[dataset("forecast")]))
    work_off(request)
    assert request.state == "partly_granted"


# --- out -----------------------------------------------------------------------------------------


class Backend:
    """A lineage backend on this machine; answers with ``status`` and keeps what it was sent."""

    def __init__(self) -> None:
        self.status = 201
        self.bodies: list[dict[str, Any]] = []
        self.keys: list[str | None] = []
        backend = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                raw = self.rfile.read(int(self.headers["Content-Length"]))
                backend.bodies.append(json.loads(raw))
                backend.keys.append(self.headers["Authorization"])
                self.send_response(backend.status)
                self.send_header("Content-Length", "0")
                self.send_header("Location", "http://127.0.0.1:9/")
                self.end_headers()

            def log_message(self, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/api/v1/lineage"


@pytest.fixture
def backend(settings: LazySettings) -> Iterator[Backend]:
    """Runs are told to it."""
    made = Backend()
    thread = threading.Thread(target=made.server.serve_forever)
    thread.start()
    settings.LETHE_OPENLINEAGE_URL = made.url
    settings.LETHE_OPENLINEAGE_KEY = "k"
    yield made
    made.server.shutdown()
    made.server.server_close()
    thread.join()


def told(times: int = 1) -> None:
    """The sweeps of both applications, and what they enqueue, done here."""
    for _ in range(times):
        tell_lineage.tell_runs()
        for outgoing_id in outbox.due():
            tasks.send_out(outgoing_id)


def erased() -> Run:
    request = approved(SUBJECT)
    work_off(request)
    assert request.run is not None
    return request.run


@pytest.mark.shared
def test_a_run_is_told_once_as_valid_events_without_anything_of_the_person(
    memory_shop: MemoryShop, backend: Backend
) -> None:
    events(mart("mart", ("who", "id", "IDENTITY")))
    (person,) = [row for row in memory_shop.rows("customer") if row["id"] == ANN]
    run = erased()
    told(times=3)
    start, end = backend.bodies
    assert [body["eventType"] for body in (start, end)] == ["START", "COMPLETE"]
    assert {body["run"]["runId"] for body in (start, end)} == {str(run.id)}
    assert backend.keys == ["Bearer k"] * 2
    schema = json.loads((SAMPLES / "OpenLineage.json").read_text())
    validator = jsonschema.Draft202012Validator(
        schema, format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER
    )
    for body in (start, end):
        validator.validate(body)
        openlineage.read(body)
    outputs = {(o["namespace"], o["name"]): o["facets"] for o in end["outputs"]}
    states = {
        name: facets.get("lifecycleStateChange", {}).get("lifecycleStateChange")
        for (_, name), facets in outputs.items()
    }
    assert (states["customer"], states["orders"], states["mart"]) == ("ALTER", "ALTER", None)
    assert outputs["db", "mart"]["lethe_erasure"]["actions"] == ["notify"]
    text = json.dumps(backend.bodies).casefold()
    for value in person.values():
        assert not isinstance(value, str) or value.casefold() not in text
    assert SUBJECT.casefold() not in text


def test_a_backend_that_is_away_is_tried_again_later_and_gets_it_once(
    memory_shop: MemoryShop, backend: Backend
) -> None:
    erased()
    backend.status = 503
    told()
    rows = OutgoingEvent.objects.order_by("id")
    assert [(r.attempts, r.sent_at, r.error) for r in rows] == [
        (1, None, "the lineage backend answered 503")
    ] * 2
    assert outbox.due() == []
    OutgoingEvent.objects.update(due_at=timezone.now())
    backend.status = 200
    told(times=2)
    assert len(backend.bodies) == 4
    assert backend.bodies[:2] == backend.bodies[2:]
    assert OutgoingEvent.objects.filter(sent_at=None).count() == 0


def test_the_key_is_never_sent_elsewhere(memory_shop: MemoryShop, backend: Backend) -> None:
    erased()
    backend.status = 302
    told()
    assert {r.error for r in OutgoingEvent.objects.all()} == {"the lineage backend answered 302"}


def test_a_backend_that_cannot_be_reached_is_a_line_without_its_address(
    memory_shop: MemoryShop, settings: LazySettings
) -> None:
    settings.LETHE_OPENLINEAGE_URL = "http://127.0.0.1:9/api"
    erased()
    told()
    assert {r.error for r in OutgoingEvent.objects.all()} == {
        "the lineage backend cannot be reached"
    }


def test_without_an_address_nobody_is_told(memory_shop: MemoryShop) -> None:
    erased()
    told()
    assert not OutgoingEvent.objects.exists()


def test_the_sweeps_tell_and_send(
    memory_shop: MemoryShop, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    erased()
    erasure_tasks.sweep()
    sent: list[int] = []
    monkeypatch.setattr(tasks.send_out, "delay", sent.append)
    tasks.sweep()
    assert len(sent) == 2


# --- kept graphs ---------------------------------------------------------------------------------


def test_the_graph_that_was_decided_on_is_kept_and_compared_with_that_of_now(
    memory_shop: MemoryShop, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(CommandError, match="no graph is kept yet"):
        call_command("compare_lineage")
    request = approved(SUBJECT)
    first = request.plans.get().catalogue_version
    call_command("compare_lineage", first[:12])
    assert "nothing changed" in capsys.readouterr().out
    events(mart("mart", ("who", "id", "IDENTITY")))
    call_command("compare_lineage")
    assert capsys.readouterr().out.splitlines() == [
        "+ store lineage events",
        "+ dataset db:mart",
        "+ reference db:mart.who → shop.customer.id",
        "+ derivation shop.customer ⇒ db:mart (derived)",
    ]
    changed = CATALOGUE.read_text().replace("{name: remark, erasure", "{name: note, erasure")
    memory_shop.describe(changed)
    call_command("compare_lineage", first)
    assert "~ dataset shop.customer: +note, -remark" in capsys.readouterr().out.splitlines()
    with pytest.raises(CommandError, match="no one graph"):
        call_command("compare_lineage", "0" * 64)


def test_the_graph_of_a_certificate_is_kept(memory_shop: MemoryShop) -> None:
    request = approved(SUBJECT)
    work_off(request)
    text = (Path(settings.LETHE_HOME) / Certificate.objects.get().path).read_text()
    (version,) = re.findall(r'"graph_hash": ?"([0-9a-f]{64})"', text)
    graph = keeping.kept(version).graph
    assert ("shop.customer",) in graph["datasets"]
    assert "url" not in str(graph["stores"])
