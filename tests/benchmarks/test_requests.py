"""A hundred thousand requests in PostgreSQL: what lists, filters, details and the sweep cost."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from itertools import islice
from statistics import quantiles

import pytest
from django.db import connection, connections
from django.test import Client
from django.utils import timezone

from erasure.advance import due_jobs, finish_keys
from erasure.models import ErasureRequest
from tests.servers import postgresql_server
from tests.web.api_cast import ROOT, caller

MANY = 100_000
ROUNDS = 40
# As they are after a year: nearly all answered.
STATES = ["completed"] * 12 + ["partly_granted"] * 4 + ["refused", "no_data", "planned", "received"]

pytestmark = [pytest.mark.benchmark, pytest.mark.postgres, pytest.mark.nightly]


def requests() -> Iterator[ErasureRequest]:
    now = timezone.now()
    for n in range(MANY):
        yield ErasureRequest(
            state=STATES[n % len(STATES)],
            subject=f"{n:064x}",
            received_at=now - timedelta(minutes=5 * n),
            due_at=now + timedelta(days=30) - timedelta(minutes=5 * n),
            closed_at=now if STATES[n % len(STATES)] in ("completed", "refused") else None,
        )


def timed(call: Callable[[], object]) -> float:
    """Milliseconds, the 95th percentile."""
    took = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        call()
        took.append((time.perf_counter() - start) * 1000)
    return quantiles(took, n=20)[-1]


@pytest.mark.skipif(connection.vendor != "postgresql", reason="run with TEST_DATABASE_URL")
@pytest.mark.django_db
def test_a_hundred_thousand_requests(capsys: pytest.CaptureFixture[str]) -> None:
    assert postgresql_server()
    making = requests()
    while some := list(islice(making, 5000)):
        ErasureRequest.objects.bulk_create(some)
    with connections["default"].cursor() as cursor:
        cursor.execute("ANALYZE")
    one = caller("officer")
    headers, client = one.headers(), Client()
    pk = ErasureRequest.objects.order_by("subject")[MANY // 2].pk
    deep = ErasureRequest.objects.order_by("-received_at")[MANY - 500].received_at
    paths = {
        "list": f"{ROOT}/requests",
        "deep": f"{ROOT}/requests?received_before={deep:%Y-%m-%dT%H:%M:%SZ}",
        "state": f"{ROOT}/requests?state=planned",
        "overdue": f"{ROOT}/requests?overdue=true",
        "nothing": f"{ROOT}/requests?state=blocked",
        "detail": f"{ROOT}/requests/{pk}",
    }
    told = []
    for name, path in paths.items():
        assert client.get(path, headers=headers).status_code == 200
        took = timed(lambda path=path: client.get(path, headers=headers))  # type: ignore[misc]
        told.append(f"{name}: p95 {took:.0f} ms")
    start = time.perf_counter()
    finish_keys()
    jobs = sum(1 for _ in due_jobs())
    told.append(f"sweep: {time.perf_counter() - start:.2f} s ({jobs} jobs)")
    with capsys.disabled():
        sys.stdout.write(f"\n{MANY} requests: {'; '.join(told)}\n")
