"""What is seen: progress, the list of requests, the first page."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone

from erasure.flow import execute
from erasure.inline import approve, run_inline
from erasure.models import ErasureRequest, Event, Notice
from tests.flow.cast import CONSOLE
from tests.web.conftest import (
    LIST,
    Person,
    other,
)

# --- what is seen while it works -----------------------------------------------------------------


def test_a_running_case_looks_again_by_itself_and_counts_its_stores(
    auditor: Person, planned: ErasureRequest
) -> None:
    assert "http-equiv" not in auditor.case(planned)
    approve(planned, by=CONSOLE, because="test")
    run = execute.start_run(planned)
    assert run is not None
    planned.refresh_from_db()
    shown = auditor.case(planned)
    assert '<meta http-equiv="refresh" content="5">' in shown
    assert "0 of 1 stores" in shown
    execute.act_on_store(run.pk, "shop_db")
    assert "1 of 1 stores" in auditor.case(planned)
    run_inline(planned)
    assert "http-equiv" not in auditor.case(planned)


def test_a_case_that_nobody_works_on_asks_whether_a_worker_runs(
    auditor: Person, opened: ErasureRequest
) -> None:
    assert "Is a worker running?" not in auditor.case(opened)
    Event.objects.update(at=timezone.now() - timedelta(minutes=10))
    assert "Is a worker running?" in auditor.case(opened)


# --- the list and the first page -----------------------------------------------------------------


def test_the_list_shows_what_is_open_by_its_deadline_and_what_is_answered_last(
    officer: Person, shop: Path
) -> None:
    cases = [other("planned", -3), other("blocked", 2), other("executing", 20)]
    answered = [other("completed", -40), other("refused", 10)]
    text = officer.get(LIST).content.decode()
    places = [text.index(f"case {str(case.pk)[:8]}") for case in [*cases, *answered]]
    assert places == sorted(places)
    assert text.count("due-late") == 1
    assert "3 days overdue" in text
    for words in ("Waiting for approval", "Blocked", "Being erased", "Erased and verified"):
        assert words in text


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("state=blocked", {"blocked"}),
        ("due=overdue", {"planned"}),
        ("due=soon", {"planned", "blocked"}),
        ("due=running", {"executing"}),
        ("due=open", {"planned", "blocked", "executing"}),
    ],
)
def test_the_list_is_narrowed_by_state_and_by_what_is_due(
    officer: Person, shop: Path, query: str, found: set[str]
) -> None:
    cases = [other("planned", -3), other("blocked", 2), other("executing", 20)]
    cases += [other("completed", -40)]
    text = officer.get(f"{LIST}?{query}").content.decode()
    assert {c.state for c in cases if f"case {str(c.pk)[:8]}" in text} == found


def test_the_first_page_counts_what_waits(officer: Person, planned: ErasureRequest) -> None:
    other("blocked", -1)
    Notice.objects.create(request=planned, dataset="m.r", store="m")
    waits = re.findall(r"<strong>(\d+)</strong> ([\w ]+)", officer.get("/admin/").content.decode())
    assert [(int(count), words) for count, words in waits] == [
        (1, "overdue"),
        (1, "blocked"),
        (1, "waiting for approval"),
        (1, "recipient to tell"),
        (0, "running now"),
    ]
