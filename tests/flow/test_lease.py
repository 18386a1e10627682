"""A lease that is taken with the first write: until then it is nobody's."""

from __future__ import annotations

import pytest
from django.db import transaction

from erasure.domain.errors import Fenced, StoreError
from erasure.models import Batch, Lease, StoreRun
from erasure.runs import acting
from erasure.runs.lease import lease
from tests.flow.cast import SUBJECT, Shop
from tests.flow.deeds import act, approved, started
from tests.flow.spied import Spied

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def free(shop: Shop) -> Lease:
    """The lease of the shop's database in a run that has just begun."""
    started(approved(SUBJECT))
    return Lease.objects.get(store="shop_db")


def of(free: Lease) -> tuple[int, str]:
    free.refresh_from_db()
    return free.epoch, free.holder


def test_who_only_reads_leaves_it_as_it_was(free: Lease) -> None:
    assert free.run_id is not None
    before = of(free)
    with lease(free.run_id, "shop_db", later=True):
        assert of(free) == before
    assert of(free) == before == (0, "")


def test_the_first_write_takes_it_and_the_end_frees_it(free: Lease) -> None:
    assert free.run_id is not None
    with lease(free.run_id, "shop_db", later=True) as fence:
        fence.check()
        epoch, holder = of(free)
        assert epoch == 1
        assert holder
        with pytest.raises(Fenced), lease(free.run_id, "shop_db", later=True):
            raise AssertionError("two hold it")
        fence.check()
    assert of(free) == (1, "")


def test_of_two_who_read_one_writes(free: Lease) -> None:
    assert free.run_id is not None
    with (
        lease(free.run_id, "shop_db", later=True) as slow,
        lease(free.run_id, "shop_db", later=True) as fast,
    ):
        fast.check()
        with pytest.raises(Fenced):
            slow.check()
        with pytest.raises(Fenced):
            slow.test()
        fast.check()
    assert of(free) == (1, "")


def test_what_another_has_done_and_ended_meanwhile_is_not_done_again(free: Lease) -> None:
    assert free.run_id is not None
    with lease(free.run_id, "shop_db", later=True) as slow:
        with lease(free.run_id, "shop_db", later=True) as fast:
            fast.check()
        with pytest.raises(Fenced):
            slow.check()


def test_where_the_first_write_is_rolled_back_none_follows(free: Lease) -> None:
    assert free.run_id is not None
    with lease(free.run_id, "shop_db", later=True) as fence:
        with transaction.atomic():
            fence.check()
            transaction.set_rollback(True)
        with pytest.raises(Fenced):
            fence.check()
    assert of(free) == (0, "")


def test_a_store_is_not_blocked_by_who_came_too_late(
    free: Lease, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert free.run is not None
    (request,) = free.run.requests.all()

    def refuse(*_: object) -> None:
        Lease.objects.filter(pk=free.pk).update(epoch=99, holder="another-host|1|1|1")
        raise StoreError("shop_db", "is closed for repair; open it and try again")

    monkeypatch.setattr(acting, "_refuse_changed", refuse)
    act(request)
    assert StoreRun.objects.get(store="shop_db").state == "pending"
    assert of(free) == (99, "another-host|1|1|1")


def test_a_store_whose_rows_are_gone_is_purged_by_who_holds_it(
    free: Lease, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert free.run is not None
    (request,) = free.run.requests.all()
    Batch.objects.filter(store="shop_db").update(state="done")
    purged: list[str] = []

    def taken_over(*_: object) -> None:
        Lease.objects.filter(pk=free.pk).update(epoch=99, holder="another-host|1|1|1")

    monkeypatch.setattr(acting, "_refuse_changed", taken_over)
    monkeypatch.setitem(Spied.before, ("shop_db", "purge"), lambda: purged.append("shop_db"))
    act(request)
    assert StoreRun.objects.get(store="shop_db").state == "pending"
    assert not purged


def test_what_was_carried_out_is_written_down_where_the_purge_fails(
    free: Lease, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert free.run is not None
    (request,) = free.run.requests.all()

    def refuse() -> None:
        raise StoreError("shop_db", "has no room to vacuum; make some and try again")

    monkeypatch.setitem(Spied.before, ("shop_db", "purge"), refuse)
    act(request)
    assert StoreRun.objects.get(store="shop_db").state == "blocked"
    assert set(Batch.objects.filter(store="shop_db").values_list("state", flat=True)) == {"done"}
