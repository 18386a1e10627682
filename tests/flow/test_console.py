"""The console shows a plan in 80 columns, says what it sets off, and approves that by name."""

from __future__ import annotations

import json
import sys
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from erasure.domain.errors import StoreError, StoreUnreachable
from erasure.management.console import USAGE
from erasure.models import DataKey, ErasureRequest, Plan
from tests.flow.beside import LABELS, PARCELS, WATCH, add_parcels, add_trigger, beside
from tests.flow.cast import NOBODY, SECRETS, SUBJECT, SqliteShop
from tests.flow.spied import Spied

WHO = f"email={SUBJECT}"


class Terminal(StringIO):
    """Somebody sits there."""

    def isatty(self) -> bool:
        return True


def erase(*options: str) -> str:
    """What the command prints."""
    out = StringIO()
    call_command("erase", WHO, *options, stdout=out, stderr=StringIO())
    return out.getvalue()


def untouched() -> bool:
    """No store was acted on, and no case or identifier is left open."""
    cases = set(ErasureRequest.objects.values_list("state", flat=True))
    keys = DataKey.objects.filter(purpose="identifiers", destroyed_at=None)
    return cases <= {"withdrawn"} and not keys.exists() and ("shop_db", "act") not in Spied.asked


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What somebody at the terminal types, in order."""
    typed: list[str] = []
    monkeypatch.setattr(sys, "stdin", Terminal())
    monkeypatch.setattr("builtins.input", lambda _question: typed.pop(0))
    return typed


def test_a_plan_is_shown_with_how_it_would_be_done_in_80_columns(sqlite_shop: SqliteShop) -> None:
    add_parcels(sqlite_shop)
    add_trigger(sqlite_shop)
    shown = erase("--dry-run")
    assert max(map(len, shown.splitlines())) <= 80
    flat = " ".join(shown.split())
    for part in (
        "DELETE FROM orders WHERE id IN (row keys) AND customer_id = guard",
        "customer_id: no index serves it, every row is read",
        "shop.orders, delete, about 3 rows in the table",
        "locks in shop_db: the whole file is locked for writing",
        "stays: the row as it is until end_of_year(issued_on) + 8y",
        "warning: reached only where the reference is filled in",
        f"beside the plan: {PARCELS} (rows now: 2)",
        "deleting rows of orders also deletes the rows of parcel",
        f"--accept {PARCELS} --accept {LABELS} --accept {WATCH}",
    ):
        assert part in flat, part
    assert not [value for value in SECRETS if value.casefold() in shown.casefold()]
    assert untouched()


@pytest.mark.parametrize(
    "fault", [StoreUnreachable("shop_db", "no connection"), KeyboardInterrupt()]
)
def test_a_look_that_cannot_be_finished_leaves_no_case_behind(
    sqlite_shop: SqliteShop, fault: BaseException
) -> None:
    def fails() -> None:
        raise fault

    Spied.before[("shop_db", "find")] = fails
    with pytest.raises((CommandError, KeyboardInterrupt)):
        erase("--dry-run")
    assert untouched()
    assert set(ErasureRequest.objects.values_list("state", flat=True)) == {"withdrawn"}
    Spied.before.clear()
    assert "What would be done" in erase("--dry-run")


def test_a_look_that_only_values_answer_says_where_and_leaves_no_case_behind(
    sqlite_shop: SqliteShop,
) -> None:
    sqlite_shop.create("newsletter", [{"id": 1, "mail": NOBODY}], "crm_db")
    with pytest.raises(CommandError, match=r"blocked: .*crm_db\.newsletter\.mail \(1\)"):
        call_command("erase", f"email={NOBODY}", "--dry-run", stdout=StringIO())
    assert set(ErasureRequest.objects.values_list("state", flat=True)) == {"withdrawn"}


def test_an_order_that_cannot_be_planned_now_is_not_lost(sqlite_shop: SqliteShop) -> None:
    def fails() -> None:
        raise StoreUnreachable("shop_db", "no connection")

    Spied.before[("shop_db", "find")] = fails
    with pytest.raises(CommandError):
        erase("--yes")
    assert ErasureRequest.objects.get().state == "identified"
    with pytest.raises(CommandError):
        erase("--yes", "--dry-run")  # a look at an open case never ends it
    assert ErasureRequest.objects.get().state == "identified"


def test_a_blocked_case_says_how_to_go_on_and_names_its_certificate_once(
    sqlite_shop: SqliteShop,
) -> None:
    def fails() -> None:
        raise StoreError("shop_db", "the disk is full")

    Spied.before[("shop_db", "act")] = fails
    out = StringIO()
    with pytest.raises(CommandError, match="then give the same command again"):
        call_command("erase", WHO, "--yes", stdout=out, stderr=StringIO())
    case = ErasureRequest.objects.get()
    assert f"Request {case.id}: blocked\n" in out.getvalue()
    assert out.getvalue().count("certificate:") == 1


def test_the_json_of_a_plan_carries_how_and_what_it_sets_off(sqlite_shop: SqliteShop) -> None:
    add_parcels(sqlite_shop)
    told: dict[str, Any] = json.loads(erase("--dry-run", "--json"))
    orders = next(s for s in told["steps"] if (s["dataset"], s["via"]) == ("shop.orders", "deep"))
    assert orders["how"]["statement"].startswith("DELETE FROM orders")
    assert orders["how"]["effects"] == [PARCELS, LABELS]
    assert {f["code"]: f["rows"] for f in told["findings"]} == {LABELS: 1, PARCELS: 2}
    assert untouched()


@pytest.mark.parametrize("accept", [(), (PARCELS,), (PARCELS, LABELS, WATCH)])
def test_yes_alone_does_not_accept_what_a_plan_sets_off(
    sqlite_shop: SqliteShop, accept: tuple[str, ...]
) -> None:
    add_parcels(sqlite_shop)
    before = beside(sqlite_shop)
    with pytest.raises(CommandError, match="accept") as caught:
        erase("--yes", *(word for code in accept for word in ("--accept", code)))
    assert caught.value.returncode == USAGE
    assert beside(sqlite_shop) == before
    assert untouched()


def test_what_is_accepted_by_name_is_carried_out(sqlite_shop: SqliteShop) -> None:
    add_parcels(sqlite_shop)
    told = json.loads(erase("--yes", "--accept", PARCELS, "--accept", LABELS, "--json"))
    assert told["outcome"] == "partly_granted"
    assert sqlite_shop.rows("parcel") == [{"id": 3, "order_id": 3}]
    limits = {limit["dataset"]: limit["rows"] for limit in told["limits"]}
    assert limits == {"shop_db.parcel": 2, "shop_db.label": 1}
    (plan,) = Plan.objects.all()
    assert [entry["code"] for entry in plan.accepted] == [LABELS, PARCELS]
    assert all(entry["by"].startswith("console operator") for entry in plan.accepted)


def test_somebody_at_the_terminal_is_asked_for_each(
    sqlite_shop: SqliteShop, answers: list[str]
) -> None:
    add_parcels(sqlite_shop)
    answers += ["yes", "yes"]
    erase("--accept", LABELS)
    assert not answers
    assert sqlite_shop.rows("parcel") == [{"id": 3, "order_id": 3}]


@pytest.mark.parametrize("typed", [["no"], ["yes", "no"], ["yes", "yes", ""]])
def test_one_refusal_at_the_terminal_leaves_everything_as_it_was(
    sqlite_shop: SqliteShop, answers: list[str], typed: list[str]
) -> None:
    add_parcels(sqlite_shop)
    before = beside(sqlite_shop)
    answers += typed
    erase()
    assert not answers
    assert beside(sqlite_shop) == before
    assert untouched()
