"""Stores that fail, for a while or for good, and what cannot be foreseen."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from erasure import advance, inline, vault
from erasure.advance import ATTEMPTS, Job, perform
from erasure.domain.errors import StalePlan, StoreError, StoreUnreachable
from erasure.flow import decide
from erasure.inline import run_inline
from erasure.models import Certificate
from erasure.stores import registry
from erasure.stores.base import Failure
from lineage import models as catalogue
from lineage import revision
from tests.flow.cast import ANN, OFFICER, SECRETS, SUBJECT, Shop, SqliteShop
from tests.flow.deeds import act, approved, identified, planned, started, work_off
from tests.flow.spied import Spied


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waiting before another attempt is not what is tested."""
    monkeypatch.setattr("erasure.inline.time.sleep", lambda _: None)


def fail(times: int, error: Callable[[], Exception]) -> Callable[[], None]:
    """Raises ``error`` that many times, then never again."""
    left = iter(range(times))

    def hook() -> None:
        if next(left, None) is not None:
            raise error()

    return hook


def away() -> Exception:
    return StoreUnreachable("crm_db", "no connection; try later")


def refused() -> Exception:
    return StoreError("crm_db.lead", "the table is read-only; ask its owner")


def test_a_passing_fault_is_tried_again(shop: Shop) -> None:
    request = started(approved(SUBJECT))
    Spied.before["crm_db", "act"] = fail(ATTEMPTS - 1, away)
    run_inline(request)
    assert request.state == "partly_granted"
    assert Spied.asked.count(("crm_db", "act")) == ATTEMPTS


def test_a_passing_fault_is_not_swallowed(shop: Shop) -> None:
    request = started(approved(SUBJECT))
    Spied.before["crm_db", "act"] = fail(1, away)
    with pytest.raises(StoreUnreachable):
        act(request, "crm_db")
    assert request.run is not None
    assert request.run.stores.get(store="crm_db").state == "pending"


def test_a_dead_store_blocks_only_its_part_and_the_others_finish(shop: Shop) -> None:
    request = started(approved(SUBJECT))
    Spied.before["crm_db", "act"] = fail(10**6, away)
    run_inline(request)
    assert request.state == "blocked"
    assert request.blocked_because == f"crm_db: no connection; try later (tried {ATTEMPTS} times)"
    assert request.run is not None
    states = dict(request.run.stores.values_list("store", "state"))
    assert states == {"crm_db": "blocked", "shop_db": "done"}
    customer = shop.row("customer", ANN)
    assert customer is not None
    assert customer["email"] is None
    assert shop.row("lead", 1, "crm_db") is not None
    assert not Certificate.objects.exists()


def test_a_blocked_case_is_completed_by_asking_again(shop: Shop) -> None:
    request = started(approved(SUBJECT))
    Spied.before["crm_db", "act"] = fail(10**6, away)
    run_inline(request)
    Spied.before.clear()
    again = inline.open_case([("email", SUBJECT)], by=OFFICER, method="console")
    assert again.pk == request.pk
    run_inline(again)
    assert again.state == "partly_granted"
    assert shop.row("lead", 1, "crm_db") is None
    assert Certificate.objects.count() == 1


def test_a_permanent_fault_blocks_with_its_reason_at_once(shop: Shop) -> None:
    request = started(approved(SUBJECT))
    Spied.before["crm_db", "act"] = fail(10**6, refused)
    run_inline(request)
    assert request.state == "blocked"
    assert request.blocked_because == "crm_db.lead: the table is read-only; ask its owner"
    assert Spied.asked.count(("crm_db", "act")) == 1
    assert not any(secret in request.blocked_because for secret in SECRETS)


def test_a_store_that_cannot_be_rescanned_is_never_certified(shop: Shop) -> None:
    request = started(approved(SUBJECT))
    Spied.before["crm_db", "scan"] = fail(10**6, refused)
    run_inline(request)
    assert request.state == "blocked"
    assert not Certificate.objects.exists()
    assert request.run is not None
    assert not request.run.scan_results.exists()
    Spied.before.clear()
    decide.retry_blocked(request, by=OFFICER)
    run_inline(request)
    assert request.state == "partly_granted"


def test_a_store_that_is_away_when_the_run_starts_blocks_the_case(shop: Shop) -> None:
    request = approved(SUBJECT)
    Spied.before["crm_db", "find"] = fail(10**6, away)
    before = shop.everything()
    run_inline(request)
    assert request.state == "blocked"
    assert request.run is None
    assert shop.everything() == before


def test_a_store_that_left_the_catalogue_blocks_its_part(shop: Shop) -> None:
    request = started(approved(SUBJECT))
    catalogue.Reference.objects.filter(holder__dataset__store__name="crm_db").delete()
    catalogue.Dataset.objects.filter(store__name="crm_db").delete()
    catalogue.Store.objects.filter(name="crm_db").delete()
    revision.renew_written()
    run_inline(request)
    assert request.state == "blocked"
    assert "crm_db" in request.blocked_because


def test_a_run_goes_by_what_was_approved_whatever_the_catalogue_says_since(
    shop: Shop,
) -> None:
    request = started(approved(SUBJECT))
    catalogue.Reference.objects.filter(holder__dataset__name="line").delete()
    catalogue.Dataset.objects.filter(name="line").delete()
    revision.renew_written()
    shop.insert("line", {"id": 50, "order_id": 1, "engraving": None})
    run_inline(request)
    assert request.state == "partly_granted", request.blocked_because
    assert shop.row("line", 50) is None


def test_a_lost_key_blocks_and_does_not_spin(shop: Shop) -> None:
    request = started(approved(SUBJECT))
    vault.destroy_key(request.id, "deferred")
    run_inline(request)
    assert request.state == "blocked"
    assert "deferred key" in request.blocked_because


def test_a_failed_postcondition_blocks(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    def left(*_: object) -> list[Failure]:
        return [Failure(dataset="crm.lead", why="the row is still there")]

    request = started(approved(SUBJECT))
    monkeypatch.setattr(registry.get(shop.kind), "check", left)
    run_inline(request)
    assert request.state == "blocked"
    assert "postcondition failed: the row is still there" in request.blocked_because
    assert not Certificate.objects.exists()


def test_a_disk_that_is_full_when_the_certificate_is_written_leaves_no_completed_case(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = started(approved(SUBJECT))

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("erasure.evidence.certificate.disk.replace", full)
        with pytest.raises(OSError, match="space"):
            work_off(request)
    request.refresh_from_db()
    assert request.state == "verifying"
    assert request.plans.get().state == "approved"
    assert not Certificate.objects.exists()
    work_off(request)
    assert request.state == "partly_granted"
    assert Certificate.objects.count() == 1


def test_no_completed_case_is_without_its_certificate_wherever_it_crashed(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = started(approved(SUBJECT))

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    for place in ("certificate.seal", "statement.body_of", "destroy_keys"):
        with monkeypatch.context() as patched:
            patched.setattr(f"erasure.flow.attest.{place}", die)
            with pytest.raises(KeyboardInterrupt):
                work_off(request)
        request.refresh_from_db()
        closed = request.state == "partly_granted"
        assert closed == Certificate.objects.filter(pk=f"lethe-{request.id}").exists(), place
    assert closed


def test_a_column_that_has_gone_blocks_the_plan_with_the_remedy(shop: Shop) -> None:
    shop.lose("customer", "phone")
    request = identified(("email", SUBJECT))
    perform(Job("advance", request.id))
    request.refresh_from_db()
    assert request.state == "blocked"
    assert "the column phone has gone; correct the catalogue" in request.blocked_because


def test_a_view_in_a_tables_place_blocks_the_plan_and_says_what_it_is(
    sqlite_shop: SqliteShop,
) -> None:
    sqlite_shop.execute("shop_db", "ALTER TABLE customer RENAME TO customer_base")
    sqlite_shop.execute("shop_db", "CREATE VIEW customer AS SELECT * FROM customer_base")
    request = identified(("email", SUBJECT))
    perform(Job("advance", request.id))
    request.refresh_from_db()
    assert request.state == "blocked"
    words = "'customer' is a view; name the tables it reads from instead; correct the catalogue"
    assert words in request.blocked_because


def test_a_job_for_a_case_that_is_settled_does_nothing(shop: Shop) -> None:
    request = approved(SUBJECT)
    work_off(request)
    asked = len(Spied.asked)
    assert perform(Job("advance", request.id)) == []
    assert len(Spied.asked) == asked
    assert list(advance.due_jobs()) == []


def test_giving_up_on_a_plan_blocks_the_case(shop: Shop) -> None:
    request = identified(("email", SUBJECT))
    Spied.before["shop_db", "find"] = fail(10**6, away)
    run_inline(request)
    assert request.state == "blocked"
    assert "tried" in request.blocked_because


def test_a_planned_case_that_nobody_approves_is_told_as_such(shop: Shop) -> None:
    request = planned(SUBJECT)
    with pytest.raises(StalePlan, match="approve"):
        run_inline(request)
