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
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from erasure import vault
from erasure.advance import due_jobs, finish_keys
from erasure.flow.digest import compose
from erasure.models import Complaint, DateDue, ErasureRequest, Expiry
from erasure.runs import reasoning
from tests.servers import postgresql_server
from tests.web.api_cast import ROOT, caller

MANY = 100_000
ROUNDS = 40
# As they are after a few years: nearly all answered.
STATES = ["completed"] * 12 + ["partly_granted"] * 4 + ["refused", "no_data", "planned", "received"]
# What is due on top of that, each so many times at once: to be planned, rows and copies past their
# date, records past their day, keys that a killed worker left.
DUE = 1_000
# Datasets of which something is over, each with a plan that was approved.
EXPIRIES = 200

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


def something_due() -> None:
    """A part of them has something to be done."""
    now, long_ago = timezone.now(), timezone.now() - timedelta(days=365 * 5)
    every = ErasureRequest.objects.order_by("subject")
    states = {name: list(every.filter(state=name)[: 2 * DUE]) for name in set(STATES)}
    received, partly = states["received"][:DUE], states["partly_granted"]
    over, left = states["completed"][:DUE], states["completed"][DUE:]
    identified = every.filter(pk__in=[case.pk for case in received])
    identified.update(state="identified", closed_at=None)
    ErasureRequest.objects.filter(state="partly_granted").update(closed_at=now)
    for late, cases in ((True, partly[:DUE]), (False, partly[DUE:])):
        DateDue.objects.bulk_create(
            DateDue(
                request=case,
                store="shop_db",
                dataset="shop.invoice",
                step=0,
                on=(now + timedelta(days=-9 if late else 900)).date(),
                rows=1,
            )
            for case in cases
        )
    every.filter(pk__in=[case.pk for case in over]).update(closed_at=long_ago)
    for case in over:
        reasoning.write_down(case, "extension", "much to do", by="olga")
    for case in left[: DUE // 10]:
        vault.make_key(case.pk, "identifiers")
    # Records that an earlier version has ended with their reasons left in clear.
    earlier = states["no_data"][:DUE]
    every.filter(pk__in=[case.pk for case in earlier]).update(record_ended_at=long_ago)
    Expiry.objects.bulk_create(
        Expiry(
            dataset=f"shop.table_{n}", store="shop_db", rows=1, sealed_keys=b"", state="approved"
        )
        for n in range(EXPIRIES)
    )
    Complaint.objects.bulk_create(
        Complaint(request=case, law="uk", received_at=now, opened_at=now, acknowledge_by=now)
        for case in states["refused"][:DUE]
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
    something_due()
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
    for when in ("first", "second", "third"):
        start = time.perf_counter()
        with CaptureQueriesContext(connection) as asked:
            left = finish_keys()
            jobs = sum(1 for _ in due_jobs())
        seconds = time.perf_counter() - start
        ended = ErasureRequest.objects.filter(reasons_emptied=True).count()
        told.append(
            f"{when} sweep: {seconds:.2f} s, {len(asked)} statements ({jobs} jobs, "
            f"{left} left keys, {ended} records ended)"
        )
        assert jobs == 2 * DUE + EXPIRIES
        assert len(asked) < DUE // 10  # what is due is listed, not walked
    assert ended == 2 * DUE
    told.append(f"digest: {timed(lambda: compose(timezone.now())):.0f} ms")
    with capsys.disabled():
        sys.stdout.write(f"\n{MANY} requests: {'; '.join(told)}\n")
