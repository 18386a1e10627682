"""What people decide for datasets that only events know, and what they are shown of them."""

from __future__ import annotations

from datetime import date

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.test import Client

from lineage import downstream, hearing, intake, selectors
from lineage.decisions import decide
from lineage.errors import CatalogueError
from lineage.event_models import HeardDataset, HeardRun
from lineage.importers import openlineage
from tests.lineage.events import dataset, run_event, schema
from tests.lineage.heard_cast import (
    CUSTOMER,
    ORDERS,
    effects,
    events,
    flow,
    open_codes,
    reach,
    shop,
)

__all__ = ["shop"]
pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("shop")]


# --- decisions -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("choice", "action"), [("rebuild", None), ("drop", None), ("anonymous", "ignore")]
)
def test_a_decision_settles_the_question_and_says_who_and_why(
    choice: str, action: str | None
) -> None:
    events(flow(dataset("stats"), CUSTOMER, ("n", "id", "AGGREGATION")))
    call_command("decide_lineage", "db:stats", choice, because="k ≥ 50", by="dpo", on="2026-11-21")
    found = selectors.snapshot().datasets["db:stats"]
    assert (found.action, found.decided) == (action, choice)
    assert "dpo on 2026-11-21: k ≥ 50" in found.because
    assert open_codes() == set()


def test_what_flows_in_after_the_assessment_asks_again() -> None:
    events(flow(dataset("stats"), CUSTOMER, ("n", "id", "AGGREGATION")))
    decide("db:stats", choice="anonymous", because="sums", by="dpo", on=date(2026, 11, 21))
    events(flow(dataset("stats"), CUSTOMER, ("n", "id", "AGGREGATION"), at="2026-11-22T10:00:00Z"))
    assert open_codes() == set()
    events(flow(dataset("stats"), ORDERS, ("m", "id", "AGGREGATION"), at="2026-11-23T10:00:00Z"))
    assert open_codes() == {("derived-without-key", "db:stats")}


def test_nothing_is_decided_for_the_unknown_or_without_a_reason() -> None:
    events(flow(dataset("stats"), CUSTOMER, ("n", "id", "AGGREGATION")))
    with pytest.raises(CommandError, match="did you mean 'db:stats'"):
        call_command("decide_lineage", "db:stat", "drop", because="x")
    with pytest.raises(CommandError, match="needs a reason"):
        call_command("decide_lineage", "db:stats", "drop", because=" ")
    with pytest.raises(CatalogueError, match="cannot be 'keep'"):
        decide("db:stats", choice="keep", because="x", by="y", on=date(2026, 1, 1))
    with pytest.raises(CommandError, match="--on"):
        call_command("decide_lineage", "db:stats", "drop", because="x", on="soon")
    assert open_codes() == {("derived-without-key", "db:stats")}


def test_a_plan_warns_of_what_nobody_decided() -> None:
    events(flow(dataset("stats"), CUSTOMER, ("n", "id", "AGGREGATION")))
    whole, found = reach()
    (warning,) = downstream.warnings(found, whole.datasets)
    assert warning.startswith("db:stats: made from the person's data")
    decide("db:stats", choice="drop", because="unused", by="dpo", on=date(2026, 11, 21))
    whole, found = reach()
    assert downstream.warnings(found, whole.datasets) == []


def test_there_is_a_store_of_what_only_events_know() -> None:
    assert selectors.store("lineage events").kind == "manual"


# --- what people see -----------------------------------------------------------------------------


def test_the_gate_tells_of_everything_that_events_leave_open(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    events(flow(dataset("stats"), CUSTOMER, ("n", "id", "AGGREGATION")))
    intake.take([run_event(inputs=[], outputs=[])])
    monkeypatch.setattr(openlineage, "read", lambda plain: plain["x"])
    hearing.learn()
    with pytest.raises(CommandError):
        call_command("check_lineage")
    said = capsys.readouterr().out
    assert "db:stats: it is made from shop.customer" in said
    assert "[derived-without-key]" in said
    assert "cannot be read: KeyError [event-unreadable]" in said


def test_the_desk_shows_what_was_heard_and_changes_nothing(client: Client) -> None:
    link = {"identifiers": [{"namespace": "hive", "name": "m", "type": "TABLE"}]}
    into = dataset("mart", symlinks=link, schema=schema("who"))
    events(flow(into, CUSTOMER, ("who", "id", "IDENTITY")))
    decide("db:mart", choice="drop", because="unused", by="dpo", on=date(2026, 11, 21))
    client.force_login(User.objects.create_superuser("officer", password="x"))
    for model, words in {
        "hearddataset": ["db:mart"],
        "decision": ["unused", "dpo"],
        "storedevent": ["run:"],
    }.items():
        page = client.get(f"/admin/lineage/{model}/")
        assert page.status_code == 200
        assert all(word in page.content.decode() for word in words)
        assert client.get(f"/admin/lineage/{model}/add/").status_code == 403
    row = HeardDataset.objects.get(address="db:mart")
    shown = client.get(f"/admin/lineage/hearddataset/{row.pk}/change/").content.decode()
    assert "hive:m" in shown
    assert "who from id (unchanged)" in shown


def test_the_desk_says_what_a_run_is_a_part_of_and_that_failed_ones_count(client: Client) -> None:
    above = {
        "run": {"runId": "whole"},
        "job": {"namespace": "jobs", "name": "nightly"},
        "root": {"run": {"runId": "day"}, "job": {"namespace": "jobs", "name": "the_day"}},
    }
    part = flow(dataset("mart"), CUSTOMER, ("who", "id", "IDENTITY"))
    part["run"]["facets"] = {"parent": above}
    part["eventType"] = "FAIL"
    events(part, run_event(inputs=[], outputs=[], run="whole", state="ABORT"))
    assert effects() == {"db:mart": "deep"}
    client.force_login(User.objects.create_superuser("officer", password="x"))
    job = part["job"]["name"]
    listed = client.get("/admin/lineage/heardrun/").content.decode()
    assert f"jobs:{job} in jobs:nightly in jobs:the_day" in listed
    assert "failed: what it wrote may be there" in listed
    assert "aborted: what it wrote may be there" in listed
    badly = client.get("/admin/lineage/heardrun/?ended=badly").content.decode()
    assert "2 runs of pipelines" in badly
    assert (
        "0 runs of pipelines" in client.get("/admin/lineage/heardrun/?ended=not").content.decode()
    )
    row = HeardDataset.objects.get(address="db:mart")
    shown = client.get(f"/admin/lineage/hearddataset/{row.pk}/change/").content.decode()
    assert f"jobs:{job} in jobs:nightly" in shown
    run = HeardRun.objects.get(key__startswith="run:", parent="whole")
    page = client.get(f"/admin/lineage/heardrun/{run.pk}/change/").content.decode()
    assert "db:mart" in page
