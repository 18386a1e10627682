"""Where pipelines send events: what is taken, what is refused and how, and what it costs."""

from __future__ import annotations

import gzip
import json
import threading
import tracemalloc
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError
from django.test import Client
from openlineage.client import OpenLineageClient
from openlineage.client.event_v2 import InputDataset, Job, OutputDataset, Run, RunEvent, RunState

from lineage import api, hearing, intake, keys, tasks
from lineage.bodies import Refused, decode
from lineage.event_models import HeardFlow, LineageKey, StoredEvent
from lineage.naming import LONGEST
from tests.lineage.events import dataset, run_event, sample

pytestmark = pytest.mark.django_db

ONE, BATCH = "/api/v1/lineage", "/api/v1/lineage/batch"


@pytest.fixture
def woken(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Digests of events that a worker was told of; no thread is started."""
    told: list[str] = []
    monkeypatch.setattr(tasks, "wake", told.append)
    return told


@pytest.fixture
def key() -> str:
    return keys.make_key("airflow")


def send(body: Any, *, key: str = "", path: str = ONE, **headers: str) -> Any:
    """POST something; what is no bytes is sent as JSON."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    if key:
        headers["authorization"] = f"Bearer {key}"
    return Client().post(path, raw, content_type="application/json", headers=headers)


def assert_problem(response: Any, status: int) -> str:
    """RFC 9457, and nothing was stored; returns the detail."""
    assert response.status_code == status
    assert response["Content-Type"] == "application/problem+json"
    plain = json.loads(response.content)
    assert set(plain) == {"type", "title", "status", "detail"}
    assert plain["status"] == status
    assert StoredEvent.objects.count() == 0
    return str(plain["detail"])


def event(name: str = "a") -> dict[str, Any]:
    return run_event(inputs=[dataset(name)], outputs=[dataset("out")])


# --- taken ---------------------------------------------------------------------------------------


def test_an_event_is_stored_and_a_worker_is_told(key: str, woken: list[str]) -> None:
    response = send(event(), key=key)
    assert (response.status_code, response.content) == (201, b"")
    row = StoredEvent.objects.get()
    assert woken == [row.digest]
    assert row.processed_at is None
    tasks.learn_from(row.digest)
    assert HeardFlow.objects.count() == 1


def test_a_gzipped_event_is_the_same_event(key: str, woken: list[str]) -> None:
    plain = event()
    assert send(plain, key=key).status_code == 201
    packed = gzip.compress(json.dumps(plain).encode())
    assert send(packed, key=key, **{"content-encoding": "gzip"}).status_code == 201
    assert StoredEvent.objects.count() == 1


@pytest.mark.shared
@pytest.mark.parametrize(
    "name",
    ["06_simple_run_event_nonuuid", "08_dataset_event_naive_time", "09_job_event_naive_time"],
)
def test_lenient_samples_are_taken(name: str, key: str, woken: list[str]) -> None:
    assert send(sample(name), key=key).status_code == 201


def test_a_batch_is_taken_whole_or_says_what_was_not(key: str, woken: list[str]) -> None:
    assert send([event("a"), event("b")], key=key, path=BATCH).status_code == 204
    response = send([event("c"), {"run": {}}, 7], key=key, path=BATCH)
    assert response.status_code == 200
    plain = response.json()
    assert plain["status"] == "partial_success"
    assert plain["summary"] == {
        "received": 3, "successful": 1, "failed": 2, "retriable": 0, "non_retriable": 2,
    }  # fmt: skip
    assert [failed["index"] for failed in plain["failed_events"]] == [1, 2]
    assert StoredEvent.objects.count() == 3
    assert send([], key=key, path=BATCH).status_code == 204


def test_an_array_of_ten_thousand_events_is_one_batch(key: str, woken: list[str]) -> None:
    plain = event()
    many = [{**plain, "run": {"runId": str(n)}} for n in range(10_000)]
    assert send(many, key=key, path=BATCH).status_code == 204
    assert StoredEvent.objects.count() == 10_000


def test_strange_texts_are_stored_and_learnt_from(key: str, woken: list[str]) -> None:
    raw = json.dumps(event("x")).replace('"x"', '"\\u0000 \\ud800 ü 💠"').encode()
    assert send(raw, key=key).status_code == 201
    assert hearing.learn() == 1
    assert StoredEvent.objects.get().error == ""
    assert HeardFlow.objects.count() == 1


# --- refused -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"not json", 400),
        (b'"\xff"', 400),
        (b"[" * 100_000, 422),
        (b'{"a":' * 100_000, 422),
        (b"9" * 5_000, 400),
        (b"null", 422),
        (b"[]", 422),
        (b"{}", 422),
        (b"[" + b"{}," * 500_001 + b"{}]", 413),
    ],
)
def test_what_is_no_event_is_a_problem(
    body: bytes, status: int, key: str, woken: list[str]
) -> None:
    assert_problem(send(body, key=key), status)
    assert woken == []


@pytest.mark.shared
def test_a_run_without_run_id_is_a_problem_that_names_the_place(key: str) -> None:
    assert "run.runId" in assert_problem(send(sample("10_invalid_no_run_id"), key=key), 422)


def test_deeply_nested_facets_are_refused_and_deep_ones_are_not(key: str, woken: list[str]) -> None:
    def nested(levels: int) -> dict[str, Any]:
        inner: dict[str, Any] = {}
        for _ in range(levels):
            inner = {"x": inner}
        return run_event(inputs=[dataset("a", deep=inner)], outputs=[])

    assert_problem(send(nested(intake.DEEPEST), key=key), 422)
    assert_problem(send(nested(900), key=key), 422)
    assert send(nested(100), key=key).status_code == 201


def test_a_name_of_ten_thousand_characters_is_refused_and_one_of_two_thousand_is_cut(
    key: str, woken: list[str]
) -> None:
    detail = assert_problem(send(event("n" * 10_000), key=key), 422)
    assert "n" * 20 not in detail
    assert send(event("n" * 2_000), key=key).status_code == 201
    hearing.learn()
    assert len(HeardFlow.objects.get().upstream.address) <= LONGEST


def test_an_event_of_twenty_megabytes_is_refused_before_it_is_read(key: str) -> None:
    huge = json.dumps(event("x")).encode()[:-1] + b" " * 20_000_000 + b"}"
    assert_problem(send(huge, key=key), 413)
    # Who lies about the length, or says none, is read no further than the limit.
    read: list[int] = []

    class Endless:
        def __call__(self, size: int) -> bytes:
            read.append(size)
            return b" " * size

    with pytest.raises(Refused) as caught:
        decode(Endless(), encoding="", most=api.MOST_BYTES)
    assert caught.value.status == 413
    assert sum(read) <= api.MOST_BYTES + 2**17


def test_a_gzip_bomb_is_noticed_at_the_limit(key: str) -> None:
    bomb = gzip.compress(b" " * 500_000_000, compresslevel=1)
    tracemalloc.start()
    response = send(bomb, key=key, **{"content-encoding": "gzip"})
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert_problem(response, 413)
    assert peak < 40_000_000


@pytest.mark.parametrize(
    ("body", "encoding", "status"),
    [
        (b"no gzip", "gzip", 400),
        (gzip.compress(b"{}" * 1000)[:-9], "gzip", 400),
        (gzip.compress(b"{}") + gzip.compress(b"{}"), "gzip", 400),
        (b"{}", "br", 415),
    ],
    ids=["not gzip", "cut off", "two streams", "brotli"],
)
def test_bodies_that_are_packed_wrongly_are_problems(
    body: bytes, encoding: str, status: int, key: str
) -> None:
    assert_problem(send(body, key=key, **{"content-encoding": encoding}), status)


@pytest.mark.parametrize("authorization", ["", "Bearer", "Bearer x", "Basic YTpi", "Bearer \xfc"])
def test_without_the_right_key_nothing_is_read(authorization: str, key: str) -> None:
    response = send(event(), authorization=authorization)
    assert_problem(response, 401)
    assert response["WWW-Authenticate"].startswith("Bearer")


def test_a_key_is_shown_once_kept_hashed_and_can_be_revoked(
    capsys: pytest.CaptureFixture[str], woken: list[str]
) -> None:
    call_command("lineage_key", "spark")
    token = capsys.readouterr().out.strip()
    assert token not in str(LineageKey.objects.values_list())
    assert send(event(), key=token).status_code == 201
    StoredEvent.objects.all().delete()
    call_command("lineage_key", "spark", "--revoke")
    assert_problem(send(event(), key=token), 401)
    call_command("lineage_key", "--list")
    assert "revoked" in capsys.readouterr().out
    for wrong in (["spark"], ["nobody", "--revoke"], ["x" * 101], []):
        with pytest.raises(CommandError):
            call_command("lineage_key", *wrong)


def test_only_post_and_no_cookie_is_needed(key: str) -> None:
    response = Client().get(ONE)
    assert_problem(response, 405)
    assert response["Allow"] == "POST"


def test_a_database_that_is_away_is_a_503_so_that_clients_send_again(
    key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object, **__: object) -> None:
        raise OperationalError

    monkeypatch.setattr(intake, "take", away)
    response = send(event(), key=key)
    assert_problem(response, 503)
    assert response["Retry-After"]


def test_a_broker_that_is_down_keeps_nobody_waiting_and_the_sweep_finds_the_event(
    key: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def down(*_: object, **__: object) -> None:
        raise tasks.learn_from.OperationalError

    monkeypatch.setattr(tasks.learn_from, "apply_async", down)
    monkeypatch.setattr(tasks, "_next", 0.0)
    assert send(event(), key=key).status_code == 201
    for thread in threading.enumerate():
        if thread.name == "lineage-wake":
            thread.join(10)
    assert "the broker is not there" in caplog.text
    sent: list[str] = []
    monkeypatch.setattr(tasks.learn_from, "delay", sent.append)
    tasks.sweep()
    assert sent == [StoredEvent.objects.get().digest]
    tasks.learn_from(sent[0])
    sent.clear()
    tasks.sweep()
    assert sent == []


# --- over the wire -------------------------------------------------------------------------------


@pytest.fixture
def stubborn(live_server: Any) -> Iterator[Any]:
    """A server in front of ours that answers 503 twice before it lets anything through."""

    class Proxy(BaseHTTPRequestHandler):
        seen: list[dict[str, str]] = []  # noqa: RUF012 - of this one server

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.seen.append(dict(self.headers))
            status = 503 if len(self.seen) <= 2 else self.passed_on(body)
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def passed_on(self, body: bytes) -> int:
            names = ("Authorization", "Content-Type", "Content-Encoding")
            headers = {n: self.headers[n] for n in names if n in self.headers}
            with urlopen(Request(live_server.url + self.path, body, headers)) as answer:
                return int(answer.status)

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield Proxy, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.django_db(transaction=True)
def test_the_real_client_sends_by_its_environment_alone_with_gzip_and_after_two_503s(
    stubborn: Any, key: str, monkeypatch: pytest.MonkeyPatch, woken: list[str]
) -> None:
    proxy, url = stubborn
    monkeypatch.setenv("OPENLINEAGE__TRANSPORT__TYPE", "http")
    monkeypatch.setenv("OPENLINEAGE__TRANSPORT__URL", url)
    monkeypatch.setenv("OPENLINEAGE__TRANSPORT__COMPRESSION", "gzip")
    monkeypatch.setenv(
        "OPENLINEAGE__TRANSPORT__AUTH", json.dumps({"type": "api_key", "apiKey": key})
    )
    client = OpenLineageClient()
    client.emit(
        RunEvent(
            eventType=RunState.COMPLETE,
            eventTime="2026-11-20T10:00:00Z",
            run=Run(runId="01949ff0-0000-7000-8000-000000000001"),
            job=Job(namespace="prod", name="load"),
            producer="https://example.com/pipelines",
            inputs=[InputDataset(namespace="postgres://db", name="shop.public.customer")],
            outputs=[OutputDataset(namespace="s3://lake", name="customers")],
        )
    )
    client.close()
    assert len(proxy.seen) == 3
    assert {headers["Content-Encoding"] for headers in proxy.seen} == {"gzip"}
    hearing.learn()
    flow = HeardFlow.objects.get()
    assert flow.upstream.address == "postgres://db:5432/shop.public.customer"
    assert flow.downstream.address == "s3://lake/customers"


@pytest.mark.django_db(transaction=True)
def test_one_event_a_thousand_times_from_eight_clients_at_once_is_one_event(
    live_server: Any, key: str, woken: list[str]
) -> None:
    body = json.dumps(event()).encode()
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    answers: list[int] = []

    def client() -> None:
        for _ in range(125):
            try:
                with urlopen(Request(live_server.url + ONE, body, headers), timeout=30) as answer:
                    answers.append(answer.status)
            except HTTPError as error:
                with error:
                    answers.append(error.code)

    threads = [threading.Thread(target=client) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [201] * 1000
    assert StoredEvent.objects.count() == 1
