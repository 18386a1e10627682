"""What a run writes down before it destroys anything, and who may write at all."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import connection
from django.test import override_settings
from django.utils import timezone

from erasure import vault
from erasure.advance import Job, perform
from erasure.domain.errors import Fenced, KeyDestroyed
from erasure.models import Batch, ErasureRequest, Lease, Run, SealedNeedles, StoreRun
from erasure.runs import journal
from erasure.runs.lease import lease
from erasure.runs.rounds import search_again
from erasure.stores import registry
from tests.flow.cast import ANN, BEN, NEIGHBOUR, SECRETS, SUBJECT, Shop
from tests.flow.deeds import act, approved, started, sweep, work_off
from tests.flow.spied import Spied


def run_of(request: ErasureRequest) -> Run:
    assert request.run is not None
    return request.run


def test_keys_and_needles_are_sealed_before_the_first_act(shop: Shop) -> None:
    request = approved(SUBJECT)
    seen: list[tuple[int, int, set[str]]] = []

    def look() -> None:
        needles = SealedNeedles.objects.get(request=request)
        states = set(Batch.objects.filter(store="crm_db").values_list("state", flat=True))
        seen.append((needles.count, Batch.objects.count(), states))

    Spied.before["crm_db", "act"] = look
    Spied.before["shop_db", "act"] = look
    work_off(request)
    needles, batches, states = seen[0]
    assert (needles > 3, batches, states) == (True, 2, {"intent"})
    asked = [what for _, what in Spied.asked]
    assert "find" in asked[: asked.index("act")]


def test_what_was_sealed_holds_what_is_to_be_destroyed(shop: Shop) -> None:
    request = started(approved(SUBJECT))
    person = str(request.id)
    needles = {n.text for n in journal.open_needles(run_of(request), [person])[person]}
    assert {SUBJECT, "Ann Archer", "Archer, Ann", "030 5550009", "12 Quiet Lane"} <= needles
    steps = {s.ordinal: s.step for s in journal.run_steps(run_of(request))}
    found = {
        (steps[e.ordinal].dataset.address, steps[e.ordinal].via, str(e.key.values[0]))
        for e in journal.read_run(run_of(request), [person])
    }
    assert {
        ("shop.customer", "deep", "0"),
        ("shop.orders", "deep", "1"),
        ("shop.line", "deep", "1"),
        ("shop.address", "refcount", "1"),
        ("shop.message", "mention", "2"),
        ("crm.lead", "deep", "1"),
    } <= found


def test_nothing_sealed_can_be_read_without_its_key(shop: Shop) -> None:
    request = started(approved(SUBJECT))
    run = run_of(request)
    stored = [bytes(b.sealed) for b in run.batches.all()]
    stored += [bytes(n.sealed) for n in run.needles.all()]
    stored += [str(b.directory).encode() for b in run.batches.all()]
    for secret in SECRETS:
        assert all(secret.encode() not in text for text in stored)
    vault.destroy_key(request.id, "deferred")
    with pytest.raises(KeyDestroyed):
        list(journal.read_run(run, [str(request.id)]))


def test_one_case_can_be_shredded_without_the_others_of_its_run(shop: Shop) -> None:
    ann, ben = approved(SUBJECT), approved(NEIGHBOUR)
    started(ann, ben)
    run = run_of(ann)
    both = list(journal.read_run(run, [str(ann.id), str(ben.id)]))
    vault.destroy_key(ann.id, "deferred")
    bens = list(journal.read_run(run, [str(ben.id)]))
    assert 0 < len(bens) < len(both)
    assert all(entry.people == {str(ben.id)} for entry in bens)


def receipts(run: Run) -> dict[str, object]:
    found = Batch.objects.filter(run=run).order_by("ordinal")
    return {str(b.ordinal): b.receipts for b in found}


def test_a_batch_carried_out_twice_gives_the_same_receipts_and_the_same_rows(
    shop: Shop,
) -> None:
    """A worker dies after the store committed and before the control database knew."""
    request = started(approved(SUBJECT))
    act(request)
    act(request, "crm_db")
    once, rows = receipts(run_of(request)), shop.everything()
    Batch.objects.update(state="intent", receipts={})
    StoreRun.objects.update(state="pending")
    act(request)
    act(request, "crm_db")
    assert receipts(run_of(request)) == once
    assert shop.everything() == rows
    lines = receipts(run_of(request))["1"]
    assert sum(line["rows"] for line in lines[str(request.id)].values()) > 5  # type: ignore[index]


def test_a_store_that_is_done_is_not_acted_on_again(shop: Shop) -> None:
    request = started(approved(SUBJECT))
    act(request)
    acted = Spied.asked.count(("shop_db", "act"))
    act(request)
    assert Spied.asked.count(("shop_db", "act")) == acted


def test_a_worker_killed_between_the_target_and_the_journal_is_gone_on_from(
    shop: Shop,
) -> None:
    request = started(approved(SUBJECT))

    def die() -> None:
        del Spied.before["shop_db", "acted"]
        raise KeyboardInterrupt

    Spied.before["shop_db", "acted"] = die
    with pytest.raises(KeyboardInterrupt):
        act(request)
    assert Batch.objects.get(store="shop_db").state == "intent"
    work_off(request)
    assert request.state == "partly_granted", request.blocked_because
    customer = request.plans.get().steps.get(dataset="shop.customer", via="deep")
    assert customer.rows == 1


@pytest.mark.parametrize("state", ["acting", "settling", "models", "verifying"])
def test_a_run_left_in_any_state_is_gone_on_with_by_the_sweep(
    shop: Shop, state: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = approved(SUBJECT)
    place = "flow.verify.RunKnowledge" if state == "verifying" else "flow.execute.search_again"

    def die(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        job = _just_before(request, searched=state == "verifying")
        patched.setattr(f"erasure.{place}", die)
        with pytest.raises(KeyboardInterrupt):
            perform(job)
    if state in ("settling", "models"):  # one that has models waits in these
        assert Run.objects.filter(state="acting").update(state=state) == 1
    assert Run.objects.get().state == state
    sweep()
    request.refresh_from_db()
    assert request.state == "partly_granted"


def _just_before(request: ErasureRequest, *, searched: bool) -> Job:
    """Carry the case on until its next job is the one that searches again, or looks everywhere."""
    waiting = [Job("advance", request.id)]
    while waiting:
        request.refresh_from_db()
        if request.run and _about_to(request.run, searched):
            break
        waiting += perform(waiting.pop(0))
    return waiting[0]


def _about_to(run: Run, searched: bool) -> bool:
    if searched:
        return run.state == "verifying"
    return run.state == "acting" and not run.stores.filter(state="pending").exists()


def hold(run: Run, holder: str, *, seconds: int = 300) -> Lease:
    """Somebody holds the lease of the shop's store."""
    record, _ = Lease.objects.get_or_create(run=run, store="shop_db")
    record.holder = holder
    record.until = timezone.now() + timedelta(seconds=seconds)
    record.epoch += 1
    record.save()
    return record


def elsewhere() -> str:
    return "another-host|1|1|1"


def dead_here() -> str:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    return f"{socket.gethostname()}|{gone.pid}|1|1"


def reused_here() -> str:
    """The process id lives, but it is another process."""
    return f"{socket.gethostname()}|{os.getpid()}|1|1"


def test_a_second_worker_is_kept_out(shop: Shop) -> None:
    request = started(approved(SUBJECT))
    before = shop.everything()
    with lease(run_of(request).id, "shop_db"):
        act(request)
        with pytest.raises(Fenced), lease(run_of(request).id, "shop_db"):
            pass
    assert shop.everything() == before
    act(request)
    assert shop.everything() != before


def test_a_holder_elsewhere_is_waited_for_until_its_lease_runs_out(shop: Shop) -> None:
    request = started(approved(SUBJECT))
    record = hold(run_of(request), elsewhere())
    act(request)
    assert shop.row("orders", 1) is not None
    record.until = timezone.now() - timedelta(seconds=1)
    record.save()
    act(request)
    assert shop.row("orders", 1) is None


@pytest.mark.parametrize("holder", [dead_here, reused_here])
def test_a_dead_holder_is_replaced_at_once(shop: Shop, holder: Callable[[], str]) -> None:
    request = started(approved(SUBJECT))
    hold(run_of(request), holder())
    act(request)
    assert shop.row("orders", 1) is None


def test_whoever_was_replaced_is_stopped_before_it_writes(shop: Shop) -> None:
    request = started(approved(SUBJECT))
    run = run_of(request)

    def replaced() -> None:
        hold(run, elsewhere())

    Spied.before["shop_db", "acted"] = replaced
    act(request)
    batch = Batch.objects.get(store="shop_db")
    assert (batch.state, batch.receipts) == ("intent", {})
    assert run.stores.get(store="shop_db").state == "pending"


def test_whoever_was_replaced_during_the_search_writes_nothing_down(shop: Shop) -> None:
    request = started(approved(SUBJECT))
    run = run_of(request)
    act(request)
    act(request, "crm_db")
    shop.insert("orders", {"id": 50, "customer_id": ANN, "wish": None})
    batches = run.batches.count()

    def replaced() -> None:
        Lease.objects.filter(run=run, store="").update(epoch=99, holder=elsewhere())

    Spied.before["crm_db", "find"] = replaced
    perform(Job("advance", request.id))
    assert run.batches.count() == batches
    assert Run.objects.get().state == "acting"


def test_whoever_was_replaced_during_the_rescan_certifies_nothing(shop: Shop) -> None:
    request = started(approved(SUBJECT))
    run = run_of(request)

    def replaced() -> None:
        Lease.objects.filter(run=run, store="").update(epoch=99, holder=elsewhere())

    Spied.before["shop_db", "scan"] = replaced
    work_off(request)
    assert request.state == "verifying"
    assert not run.scan_results.exists()


@override_settings(LETHE_LEASE_SECONDS=4)
def test_a_lease_outlives_one_long_statement(shop: Shop) -> None:
    request = started(approved(SUBJECT))
    refused: list[bool] = []

    def barge_in() -> None:
        try:
            with lease(run_of(request).id, "shop_db"):
                refused.append(False)
        except Fenced:
            refused.append(True)
        finally:
            connection.close()

    def take_long() -> None:
        first = Lease.objects.get(run=run_of(request), store="shop_db").until
        assert first is not None
        while timezone.now() <= first:  # afterwards it would have ended
            time.sleep(0.05)
        thread = threading.Thread(target=barge_in)
        thread.start()
        thread.join()

    Spied.before["shop_db", "act"] = take_long
    act(request)
    assert refused == [True]
    assert run_of(request).stores.get(store="shop_db").state == "done"


def test_late_rows_that_two_stores_find_at_once_are_written_down_once(shop: Shop) -> None:
    """While one search reads, another has written the same rows down."""
    request = started(approved(SUBJECT))
    run = run_of(request)
    shop.insert("orders", {"id": 50, "customer_id": ANN, "wish": None})
    steps = journal.run_steps(run)

    def search_beside() -> None:
        del Spied.before["crm_db", "find"]
        with lease(run.id, "crm_db") as other:
            assert search_again(run, steps, other) == 1

    Spied.before["crm_db", "find"] = search_beside
    with lease(run.id, "shop_db") as fence:
        assert search_again(run, steps, fence) == 0
    assert run.batches.filter(round=1).count() == 1
    work_off(request)
    assert request.plans.get().steps.get(dataset="shop.orders", via="deep").rows == 3


def test_a_store_that_another_finds_more_to_do_in_is_not_called_done(shop: Shop) -> None:
    request = started(approved(SUBJECT))
    run = run_of(request)

    def more_to_do() -> None:
        del Spied.before["shop_db", "acted"]
        shop.insert("orders", {"id": 50, "customer_id": ANN, "wish": None})

    def found_beside(*_: object) -> object:
        with lease(run.id, "crm_db") as other:
            search_again(run, journal.run_steps(run), other)
        return purge(*_)

    Spied.before["shop_db", "acted"] = more_to_do
    store_class = registry.get(shop.kind)
    purge = getattr(store_class, "purge")  # noqa: B009 - a factory is not known to have one
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(store_class, "purge", found_beside)
        act(request)
    assert run.stores.get(store="shop_db").state == "pending"
    work_off(request)
    assert shop.row("orders", 50) is None
    assert request.state == "partly_granted"


def test_the_neighbours_rows_are_never_in_a_batch(shop: Shop) -> None:
    request = started(approved(SUBJECT))
    steps = {s.ordinal: s.step for s in journal.run_steps(run_of(request))}
    for entry in journal.read_run(run_of(request), [str(request.id)]):
        if steps[entry.ordinal].dataset.address == "shop.customer":
            assert entry.key.values[0] != BEN
