"""One person with two rows, from the request to the certificate, the re-scan left to its schedule:
what a case costs whatever it holds. Prints milliseconds and statements; asserts no time."""

from __future__ import annotations

import os
import statistics
import sys
import time
from collections import deque
from collections.abc import Iterator

import psycopg
import pytest
from django.db import connection

from erasure.advance import Job, perform
from erasure.flow import decide, identify, intake, planning
from erasure.models import Certificate, ErasureRequest
from lineage import catalog
from lineage.importers import fideslang
from tests.flow.cast import APPROVER, OFFICER
from tests.scenarios.three_tables import CATALOGUE, SCHEMA
from tests.stores.postgresql import scratch_database

pytestmark = [
    pytest.mark.benchmark,
    pytest.mark.postgres,
    pytest.mark.django_db(transaction=True),
]

CASES = int(os.environ.get("BENCHMARK_CASES", "20"))
WARM = 5  # cases before those that are measured
OTHERS = 2_000  # people beside them


@pytest.fixture
def url() -> Iterator[str]:
    for url in scratch_database("small_case"):
        with psycopg.connect(url) as target:
            target.execute(SCHEMA)
            people = f"generate_series(1, {OTHERS}) n"
            target.execute(
                f"INSERT INTO customer SELECT n, 'person' || n || '@example.com' FROM {people}"
            )
            target.execute(f"INSERT INTO purchase SELECT n, n FROM {people}")
            target.execute("ANALYZE")
        yield url


def carried_out(email: str) -> ErasureRequest:
    """What the desk and a worker do of a request, one after the other."""
    request = intake.open_request([("email", email)], by=OFFICER)
    identify.confirm_identity(request, by=OFFICER, method="benchmark")
    plan = planning.make_plan(request, by=OFFICER)
    assert plan is not None
    decide.approve_plan(request, digest=plan.digest, by=APPROVER)
    jobs = deque([Job("advance", request.pk)])
    while jobs:
        jobs.extend(perform(jobs.popleft()))
    return ErasureRequest.objects.get(pk=request.pk)


def test_one_person_with_two_rows(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = CATALOGUE.replace('"URL"}', f'"{url}", options: {{rescan: scheduled}}}}')
    catalog.upsert(fideslang.read_text(text, "small_case.yml"), prune=True)
    walls, own, asked = [], [], [0]

    def count(run: object, *arguments: object) -> object:
        asked[0] += 1
        return run(*arguments)  # type: ignore[operator]

    for person in range(1, WARM + CASES + 1):
        asked[0], began, worked = 0, time.perf_counter(), time.process_time()
        with connection.execute_wrapper(count):
            request = carried_out(f"person{person}@example.com")
        walls.append(time.perf_counter() - began)
        own.append(time.process_time() - worked)
        assert request.state == "awaiting_rescan"
        assert Certificate.objects.filter(request=str(request.pk)).exists()
    with psycopg.connect(url) as target:
        assert target.execute("SELECT count(*) FROM purchase").fetchone() == (
            OTHERS - WARM - CASES,
        )
    with capsys.disabled():
        sys.stdout.write(
            f"\none person with two rows, to the certificate: median "
            f"{statistics.median(walls[WARM:]) * 1000:.0f} ms "
            f"(from {min(walls[WARM:]) * 1000:.0f} to {max(walls[WARM:]) * 1000:.0f}), its own "
            f"{statistics.median(own[WARM:]) * 1000:.0f} ms, {asked[0]} statements on our own "
            f"database, {connection.vendor}\n"
        )
