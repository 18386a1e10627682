"""Many people in one run, and runs beside each other: each gets what is theirs, nobody is mixed."""

from __future__ import annotations

import threading

import pytest
from django.db import connection

from erasure import vault
from erasure.advance import Job, due_jobs, finish_keys, perform
from erasure.domain.errors import StoreError
from erasure.flow import attest, decide
from erasure.models import (
    Certificate,
    DataKey,
    ErasureRequest,
    Run,
    SuppressionEntry,
)
from tests.flow.cast import (
    ANN,
    BEN,
    BYSTANDER,
    CLEO,
    EMPLOYEE,
    EVE,
    FAY,
    NEIGHBOUR,
    OFFICER,
    SUBJECT,
    Shop,
    SqliteShop,
)
from tests.flow.deeds import act, approved, started, work_off
from tests.flow.spied import Spied


def entries(request: ErasureRequest) -> set[tuple[str, str]]:
    found = SuppressionEntry.objects.filter(request_id=request.id)
    return set(found.values_list("kind", "keyed_hash"))


def hashed(kind: str, value: str) -> tuple[str, str]:
    return kind, vault.pseudonym(kind, value)


def sealed(*requests: ErasureRequest) -> bool:
    return all(Certificate.objects.filter(pk=f"lethe-{r.id}").exists() for r in requests)


def test_people_with_one_plan_shape_share_a_run_and_keep_receipts_of_their_own(
    shop: Shop,
) -> None:
    ann, ben = approved(SUBJECT), approved(NEIGHBOUR)
    work_off(ann, ben)
    assert ann.run == ben.run
    for request, orders in ((ann, 2), (ben, 1)):
        assert request.state == "partly_granted", request.blocked_because
        steps = {(s.dataset, s.via): s for s in request.plans.get().steps.all()}
        assert steps["shop.orders", "deep"].rows == orders
        assert steps["shop.customer", "deep"].rows == 1
        assert steps["shop.address", "refcount"].rows == 1
        assert steps["shop.address", "refcount"].note == ""
    assert sealed(ann, ben)


def test_a_shared_address_goes_in_the_run_in_which_the_last_one_leaves(shop: Shop) -> None:
    first = approved(SUBJECT)
    work_off(first)
    assert shop.row("address", 1) is not None
    step = first.plans.get().steps.get(dataset="shop.address", via="refcount")
    assert (step.rows, step.note) == (0, "1 stay: somebody else refers to them")
    second = approved(NEIGHBOUR)
    work_off(second)
    assert shop.row("address", 1) is None
    assert second.plans.get().steps.get(dataset="shop.address", via="refcount").rows == 1


def test_a_customer_and_who_serves_them_leave_together(shop: Shop) -> None:
    """Ann's row is her own and refers to Eve: it is anonymised and the reference is cut."""
    ann, eve = approved(SUBJECT), approved(EMPLOYEE)
    work_off(ann, eve)
    assert ann.run == eve.run
    assert (ann.state, eve.state) == ("partly_granted", "completed"), ann.blocked_because
    assert shop.row("employee", EVE) is None
    customers = {row["id"]: row for row in shop.rows("customer")}
    assert (customers[ANN]["email"], customers[ANN]["rep_id"]) == (None, None)
    assert (customers[CLEO]["email"], customers[CLEO]["rep_id"]) == (BYSTANDER, None)


def test_a_persons_values_are_not_taken_for_those_of_whom_they_refer_to(shop: Shop) -> None:
    ann, eve = approved(SUBJECT), approved(EMPLOYEE)
    work_off(ann, eve)
    assert entries(eve) == {hashed("email", EMPLOYEE)}
    assert entries(ann) == {hashed("email", SUBJECT), hashed("phone", "030 5550001")}


def test_an_employee_who_is_a_customer_of_their_own_can_leave(shop: Shop) -> None:
    shop.change("customer", CLEO, email=EMPLOYEE, name="Eve Evans")
    request = approved(EMPLOYEE)
    work_off(request)
    assert request.state == "completed", request.blocked_because
    customer = shop.row("customer", CLEO)
    assert customer is not None
    assert (customer["email"], customer["rep_id"]) == (None, None)


def test_only_the_reference_that_leads_to_the_person_is_cut(shop: Shop) -> None:
    """Fay's boss leaves; her mentor does not."""
    fay = shop.row("employee", FAY)
    assert fay is not None
    request = approved(EMPLOYEE)
    work_off(request)
    assert request.state == "completed", request.blocked_because
    assert shop.row("employee", FAY) == {**fay, "boss_id": None}


def test_one_members_stale_plan_does_not_stop_the_others(shop: Shop) -> None:
    ann, ben = approved(SUBJECT), approved(NEIGHBOUR)
    shop.change("customer", ANN, email="somebody.else@example.com")
    work_off(ann, ben)
    assert ben.state == "partly_granted"
    assert ann.run is None
    # Nothing answers to the address any more: planned anew, there is nobody to be found.
    assert ann.state == "no_data"
    assert shop.row("customer", BEN)["email"] is None  # type: ignore[index]


def test_the_run_of_the_others_goes_on_when_the_case_that_opened_it_was_stale(
    shop: Shop,
) -> None:
    ann, ben = approved(SUBJECT), approved(NEIGHBOUR)
    shop.change("customer", ANN, email="somebody.else@example.com")
    work_off(ann)
    ben.refresh_from_db()
    assert ben.state == "partly_granted"


def test_a_member_whose_key_is_lost_does_not_stop_the_others(shop: Shop) -> None:
    ann, ben = approved(SUBJECT), approved(NEIGHBOUR)
    vault.destroy_key(ann.id, "identifiers")
    work_off(ben, ann)
    assert ben.state == "partly_granted"
    assert ann.state == "blocked"
    assert "identifiers key" in ann.blocked_because


def plant(shop: Shop, text: str) -> None:
    """A value in a column that is declared, but not as text."""
    shop.insert("orders", {"id": 40, "customer_id": BEN, "wish": text})


def unplant(shop: Shop) -> None:
    shop.delete("orders", 40)


def test_one_members_residue_blocks_that_member_alone(shop: Shop) -> None:
    ann, cleo = approved(SUBJECT), approved(BYSTANDER)
    plant(shop, "call Ann Archer")
    work_off(ann, cleo)
    assert (ann.state, cleo.state) == ("blocked", "completed")
    assert "shop_db.orders.wish (1)" in ann.blocked_because
    assert sealed(cleo)
    assert not sealed(ann)


def test_a_blocked_member_completes_after_the_others_keys_were_destroyed(shop: Shop) -> None:
    ann, cleo = approved(SUBJECT), approved(BYSTANDER)
    plant(shop, "call Ann Archer")
    work_off(ann, cleo)
    results = list(cleo.scan_results.values_list("store", "collection", "field", "verdict"))
    unplant(shop)
    decide.retry_blocked(ann, by=OFFICER)
    work_off(ann)
    assert ann.state == "partly_granted", ann.blocked_because
    assert sealed(ann)
    run = ann.run
    assert run is not None
    assert run.state == "finished"
    again = list(cleo.scan_results.values_list("store", "collection", "field", "verdict"))
    assert again == results


def test_rows_born_after_a_member_was_erased_are_left_alone(shop: Shop) -> None:
    """Ben's run goes on, and Cleo is a customer again by then: under her old key, even."""
    ann, cleo = approved(SUBJECT), approved(BYSTANDER)
    plant(shop, "call Ann Archer")
    work_off(ann, cleo)
    shop.insert("orders", {"id": 41, "customer_id": CLEO, "wish": "hello again"})
    unplant(shop)
    decide.retry_blocked(ann, by=OFFICER)
    work_off(ann)
    assert ann.state == "partly_granted"
    assert shop.row("orders", 41) is not None


def test_a_crash_between_two_members_certificates_is_gone_on_from(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann, cleo = approved(SUBJECT), approved(BYSTANDER)
    destroy = attest.destroy_keys

    def destroy_and_die(request: ErasureRequest) -> None:
        destroy(request)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(attest, "destroy_keys", destroy_and_die)
        with pytest.raises(KeyboardInterrupt):
            work_off(ann, cleo)
    states = set(ErasureRequest.objects.values_list("state", flat=True))
    assert "verifying" in states
    assert len(states) == 2
    for job in list(due_jobs()):
        perform(job)
    ann.refresh_from_db()
    cleo.refresh_from_db()
    assert (ann.state, cleo.state) == ("partly_granted", "completed")
    assert sealed(ann, cleo)


def test_a_crash_before_the_run_is_closed_is_made_good_by_the_sweep(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = approved(SUBJECT)

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("erasure.flow.execute.finish_run", die)
        with pytest.raises(KeyboardInterrupt):
            work_off(request)
    run = Run.objects.get()
    assert run.state == "verifying"
    finish_keys()
    run.refresh_from_db()
    assert run.state == "finished"
    assert not DataKey.objects.filter(owner=run.id, destroyed_at=None).exists()


def test_a_retry_goes_on_for_everybody_who_was_blocked_with_the_run(shop: Shop) -> None:
    ann, ben = approved(SUBJECT), approved(NEIGHBOUR)
    started(ann, ben)

    def refuse() -> None:
        raise StoreError("crm_db", "locked by its vendor; ask them")

    Spied.before["crm_db", "act"] = refuse
    work_off(ann, ben)
    assert (ann.state, ben.state) == ("blocked", "blocked")
    del Spied.before["crm_db", "act"]
    decide.retry_blocked(ann, by=OFFICER)
    work_off(ann)
    ben.refresh_from_db()
    assert (ann.state, ben.state) == ("partly_granted", "partly_granted")


def test_two_runs_at_once_on_neighbours_leave_no_orphan_and_no_half(
    sqlite_shop: SqliteShop,
) -> None:
    """Both cut the one address: whoever is last takes it along."""
    ann = started(approved(SUBJECT))
    ben = started(approved(NEIGHBOUR))
    assert ann.run != ben.run
    gate = threading.Barrier(2, timeout=30)
    Spied.before["shop_db", "act"] = lambda: None if gate.broken else _meet(gate)
    failures: list[BaseException] = []

    def carry(request: ErasureRequest) -> None:
        try:
            act(request)
        except BaseException as error:
            failures.append(error)
            raise
        finally:
            connection.close()

    threads = [threading.Thread(target=carry, args=(r,)) for r in (ann, ben)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    Spied.before.clear()
    assert failures == []
    work_off(ann, ben)
    assert (ann.state, ben.state) == ("partly_granted", "partly_granted")
    assert sqlite_shop.row("address", 1) is None
    assert sqlite_shop.rows("orders") == []
    leavers = [sqlite_shop.row("customer", n) for n in (ANN, BEN)]
    assert [row and row["email"] for row in leavers] == [None, None]


def _meet(gate: threading.Barrier) -> None:
    gate.wait()


def test_of_two_who_start_one_run_one_does(shop: Shop) -> None:
    ann, ben = approved(SUBJECT), approved(NEIGHBOUR)
    starting = Job("advance", ann.id)

    def start_beside() -> None:
        del Spied.before["crm_db", "find"]
        perform(Job("advance", ben.id))

    Spied.before["crm_db", "find"] = start_beside
    perform(starting)
    assert Run.objects.count() == 1
    work_off(ann, ben)
    assert (ann.state, ben.state) == ("partly_granted", "partly_granted")
    assert Run.objects.count() == 1


def test_a_shared_row_that_stays_loses_the_persons_name_from_its_text(shop: Shop) -> None:
    shop.change("address", 1, hint="Ann Archer is on the left, Ben Baker on the right")
    request = approved(SUBJECT)
    work_off(request)
    assert request.state == "partly_granted", request.blocked_because
    address = shop.row("address", 1)
    assert address is not None
    assert address["hint"] == "[erased] is on the left, Ben Baker on the right"


def test_a_shared_row_that_goes_is_no_mention_of_anybody(shop: Shop) -> None:
    shop.change("address", 2, hint="Cleo Carter, third floor")
    request = approved(BYSTANDER)
    work_off(request)
    assert request.state == "completed", request.blocked_because
    assert shop.row("address", 2) is None


def test_a_member_mentioned_in_what_another_member_must_keep_is_redacted_there(
    shop: Shop,
) -> None:
    shop.change("invoice", 2, note="for Ben Baker and Ann Archer")
    ann, ben = approved(SUBJECT), approved(NEIGHBOUR)
    work_off(ann, ben)
    invoice = shop.row("invoice", 2)
    assert invoice is not None
    assert "Ann Archer" not in str(invoice["note"])
    assert ann.state == "partly_granted", ann.blocked_because


def test_an_employee_and_the_row_that_refers_to_them_leave_in_two_runs(shop: Shop) -> None:
    ann = started(approved(SUBJECT))
    eve = started(approved(EMPLOYEE))
    assert ann.run != eve.run
    act(eve)
    work_off(ann, eve)
    assert (ann.state, eve.state) == ("partly_granted", "completed"), ann.blocked_because
    customer = shop.row("customer", ANN)
    assert customer is not None
    assert (customer["email"], customer["rep_id"]) == (None, None)
    assert shop.row("employee", EVE) is None
