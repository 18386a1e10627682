"""An erasure is undone: everything comes back, or is left alone with its reason."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

import pytest
from django.conf import LazySettings
from django.utils import timezone

from erasure.advance import finish_keys
from erasure.domain.errors import UsageError, WrongState
from erasure.flow import undo
from erasure.inline import replay, undo_case
from erasure.models import Capture, Certificate, ErasureRequest, Event, LedgerLeaf, SuppressionEntry
from erasure.runs.images import Sealer
from erasure.stores.base import Left
from tests.flow.beside import LABELS, PARCELS, accepting, add_parcels, beside, plan_of
from tests.flow.cast import (
    ANN,
    BEN,
    BYSTANDER,
    CLEO,
    CONSOLE,
    EMPLOYEE,
    EVE,
    FAY,
    NEIGHBOUR,
    OFFICER,
    SUBJECT,
    Row,
    Shop,
    SqliteShop,
)
from tests.flow.deeds import act, approved, planned, started, work_off
from tests.flow.spied import Spied
from tests.flow.undoing_cast import (
    WHY,
    erased,
    everything_written,
    kept,
    let_pass,
    live_keys,
    report,
    sweep,
    undone,
    window,
)


@pytest.fixture(autouse=True)
def _a_day(settings: LazySettings) -> None:
    settings.LETHE_UNDO_WINDOW = timedelta(hours=24)


# everything comes back


@pytest.mark.parametrize("email", [SUBJECT, NEIGHBOUR, BYSTANDER, EMPLOYEE])
def test_every_row_and_value_comes_back(shop: Shop, email: str) -> None:
    before = shop.everything()
    (request,) = erased(email)
    assert shop.everything() != before
    undone(request)
    assert shop.everything() == before


@pytest.mark.parametrize("email", [SUBJECT, EMPLOYEE])
def test_every_row_comes_back_in_a_real_database(sql_shop: SqliteShop, email: str) -> None:
    before = sql_shop.everything()
    (request,) = erased(email)
    undone(request)
    assert sql_shop.everything() == before


def test_nothing_of_the_case_is_left_but_its_record(shop: Shop) -> None:
    (request,) = erased(SUBJECT)
    undone(request)
    assert live_keys(request) == set()
    assert kept(request) == 0
    assert not SuppressionEntry.objects.filter(request_id=request.id).exists()
    assert not Certificate.objects.exists()
    decided = Event.objects.get(subject_id=str(request.id), to_state="undoing")
    assert (decided.by, decided.because) == (OFFICER, WHY)
    leaf = LedgerLeaf.objects.get(kind="undone", request=str(request.id))
    assert '"became":"put back"' in leaf.payload
    assert {w for counts in window(request).report.values() for w in counts} == {"put back"}
    assert request.closed_at is not None


def test_the_person_can_be_forgotten_again(shop: Shop) -> None:
    (request,) = erased(SUBJECT)
    after = shop.everything()
    undone(request)
    (again,) = erased(SUBJECT)
    assert again.pk != request.pk
    assert shop.everything() == after


def test_the_restore_gate_no_longer_knows_the_person(sqlite_shop: SqliteShop) -> None:
    (request,) = erased(SUBJECT)
    undone(request)
    day_before = timezone.now() - timedelta(days=1)
    assert replay("shop_db", taken_at=day_before, by=CONSOLE) == []


def test_late_rows_come_back_with_the_others(shop: Shop) -> None:
    before = shop.everything()
    request = started(approved(SUBJECT))
    shop.insert("line", {"id": 50, "order_id": 1, "engraving": None})
    act(request)
    shop.insert("orders", {"id": 51, "customer_id": ANN, "wish": "once more"})
    work_off(request)
    assert request.state == "awaiting_window", request.blocked_because
    undone(request)
    after = shop.everything()
    assert [r for r in after["shop_db.line"] if r["id"] != 50] == before["shop_db.line"]
    assert [r for r in after["shop_db.orders"] if r["id"] != 51] == before["shop_db.orders"]
    assert {50, 51} <= {r["id"] for t in ("line", "orders") for r in after[f"shop_db.{t}"]}


def test_of_two_rows_that_had_one_key_the_later_comes_back(shop: Shop) -> None:
    request = started(approved(SUBJECT))
    act(request)
    later: Row = {"id": 2, "customer_id": ANN, "wish": "once more"}
    shop.insert("orders", later)
    work_off(request)
    assert request.state == "awaiting_window", request.blocked_because
    assert shop.row("orders", 2) is None
    captures = Capture.objects.count()
    undone(request)
    assert [what for _, what in Spied.asked].count("restore") == captures, "none was refused"
    assert shop.row("orders", 2) == later
    assert report(request)["shop_db.orders"] == {
        "left: its key or a unique value is another row's now": 1,
        "put back": 1,
    }


def test_a_row_that_was_changed_twice_comes_back_as_it_was_first(shop: Shop) -> None:
    before = shop.row("customer", ANN)
    request = started(approved(SUBJECT))
    act(request)
    shop.insert("message", {"id": 60, "author_id": CLEO, "body": "Ann Archer again"})
    work_off(request)
    assert request.state == "awaiting_window", request.blocked_because
    undone(request)
    assert shop.row("customer", ANN) == before
    message = shop.row("message", 60)
    assert message is not None
    assert message["body"] == "Ann Archer again"


def died(*_: object) -> None:
    raise KeyboardInterrupt


def test_an_execution_that_died_before_it_was_written_down_is_captured_once(shop: Shop) -> None:
    """The store has committed, the control database does not know yet."""
    before = shop.everything()
    request = started(approved(SUBJECT))
    Spied.before["shop_db", "acted"] = died
    with pytest.raises(KeyboardInterrupt):
        act(request)
    Spied.before.clear()
    work_off(request)
    assert request.state == "awaiting_window", request.blocked_because
    undone(request)
    assert shop.everything() == before


def test_an_execution_that_never_took_place_leaves_no_image(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The images were safe, and the store did not commit: a row moved on meanwhile."""
    request = started(approved(SUBJECT))
    with monkeypatch.context() as patched:
        patched.setattr("erasure.runs.images.Sealer.seal", _sealed_and_died)
        with pytest.raises(KeyboardInterrupt):
            act(request)
    assert Capture.objects.filter(store="shop_db", complete=True).count() == 1
    shop.change("orders", 2, wish="changed its mind")
    before = shop.everything()
    work_off(request)
    assert request.state == "awaiting_window", request.blocked_because
    assert Capture.objects.filter(store="shop_db").count() == 1
    undone(request)
    assert shop.everything() == before


_SEAL = Sealer.seal


def _sealed_and_died(sealer: Sealer, left: Iterable[Left]) -> None:
    _SEAL(sealer, left)
    raise KeyboardInterrupt


# what stands in the way is left alone


def test_a_row_that_somebody_changed_since_is_left_and_told(shop: Shop) -> None:
    (request,) = erased(EMPLOYEE)
    shop.change("employee", FAY, name="Fay Finch-Field")
    undone(request)
    fay, cleo = shop.row("employee", FAY), shop.row("customer", CLEO)
    assert fay is not None
    assert cleo is not None
    assert (fay["name"], fay["boss_id"]) == ("Fay Finch-Field", None)
    assert cleo["rep_id"] == EVE
    assert report(request)["shop_db.employee"] == {
        "left: changed by somebody since": 1,
        "put back": 1,
    }


def test_a_key_that_is_another_rows_now_is_left_and_so_is_all_that_referred_to_it(
    shop: Shop,
) -> None:
    before = shop.everything()
    (request,) = erased(EMPLOYEE)
    newcomer: Row = {
        **before["shop_db.employee"][0],
        "name": "Nora Newcomer",
        "email": "nora@example.org",
    }
    shop.insert("employee", newcomer)
    after = shop.everything()
    undo_case(request, by=OFFICER, because=WHY)
    assert shop.everything() == after, "nobody's row refers to the newcomer"
    assert request.state == "awaiting_window", "nothing could be put back, so the erasure stands"
    assert report(request)["shop_db.employee"] == {
        "left: its key or a unique value is another row's now": 1,
        "left: refers to rows that are not there": 1,
    }
    assert SuppressionEntry.objects.filter(request_id=request.id).exists()
    sweep(request)
    assert request.state == "completed"


def test_what_referred_to_a_row_that_is_left_is_left_in_every_store(shop: Shop) -> None:
    (request,) = erased(SUBJECT)
    shop.change("customer", ANN, remark="to be called back")
    undone(request)
    assert shop.row("lead", 1, "crm_db") is None
    assert shop.row("orders", 1) is None
    assert shop.row("line", 1) is None
    message = shop.row("message", 2)
    assert message is not None
    assert message["body"] == "Ann Archer and Ben Baker are kind"
    assert report(request)["crm_db.lead"] == {"left: refers to rows that are not there": 1}


def test_a_row_that_would_refer_to_one_that_another_case_erased_is_left(
    sqlite_shop: SqliteShop,
) -> None:
    """The address that Ann shared with Ben went with Ben."""
    shop = sqlite_shop
    (ann,) = erased(SUBJECT)
    (ben,) = erased(NEIGHBOUR)
    assert shop.row("address", 1) is None
    after = shop.everything()
    undo_case(ann, by=OFFICER, because=WHY)
    assert shop.everything() == after
    assert ann.state == "awaiting_window"
    assert report(ann)["shop_db.customer"] == {"left: refers to rows that are not there": 1}
    undone(ben)
    assert shop.row("address", 1) is not None
    undone(ann)
    assert {word for counts in report(ann).values() for word in counts} == {"put back"}


def test_a_row_added_to_a_table_meanwhile_stays(shop: Shop) -> None:
    (request,) = erased(SUBJECT)
    added: Row = {"id": 90, "customer_id": BEN, "wish": "something else"}
    shop.insert("orders", added)
    undone(request)
    assert shop.row("orders", 90) == added


# several people in one run


def test_rows_that_two_share_are_put_back_for_both_or_for_none(shop: Shop) -> None:
    before = shop.everything()
    ann, ben = erased(SUBJECT, NEIGHBOUR)
    after, written = shop.everything(), everything_written()
    with pytest.raises(UsageError, match=f"shares rows with {ben.id}.*undo them together"):
        undo.begin_undo(ann, by=OFFICER, because=WHY)
    assert (shop.everything(), everything_written()) == (after, written)
    undone(ann, together=True)
    ben.refresh_from_db()
    assert ben.state == "undone"
    assert shop.everything() == before


def test_who_shares_nothing_is_undone_alone(shop: Shop) -> None:
    shop.delete("message", 2)
    before = shop.everything()
    ben, cleo = erased(NEIGHBOUR, BYSTANDER)
    assert ben.run == cleo.run
    after = shop.everything()
    undone(cleo)
    mine = {
        f"shop_db.{t}": column
        for t, column in [("message", "author_id"), ("orders", "customer_id")]
    }
    for table, column in mine.items():
        assert shop.everything()[table] == [
            r for r in before[table] if r in after[table] or r[column] == CLEO
        ]
    customers = {r["id"]: r for r in shop.rows("customer")}
    assert customers[CLEO] == before["shop_db.customer"][CLEO]
    assert customers[BEN] == after["shop_db.customer"][BEN]
    sweep(ben)
    assert ben.state == "partly_granted"


def test_who_is_named_in_anothers_text_is_told_before_it_comes_back(shop: Shop) -> None:
    """Cleo's message names Ben; it goes as Cleo's own."""
    ben, cleo = erased(NEIGHBOUR, BYSTANDER)
    with pytest.raises(UsageError, match="shares rows"):
        undo.begin_undo(cleo, by=OFFICER, because=WHY)
    assert cleo.state == "awaiting_window"
    assert ben.state == "awaiting_window"


# refused, and nothing happens


def test_too_late_is_refused_in_one_sentence(shop: Shop) -> None:
    (request,) = erased(SUBJECT)
    let_pass(request)
    after, written = shop.everything(), everything_written()
    with pytest.raises(
        UsageError, match=r"could be undone until .* UTC; that has passed"
    ) as caught:
        undo.begin_undo(request, by=OFFICER, because=WHY)
    assert "\n" not in str(caught.value)
    assert (shop.everything(), everything_written()) == (after, written)
    finish_keys()
    with pytest.raises(UsageError, match="that has passed"):
        undo.begin_undo(request, by=OFFICER, because=WHY)
    assert shop.everything() == after


@pytest.mark.parametrize("because", ["", "  ", f"asked by {SUBJECT.upper()}"])
def test_a_reason_is_needed_and_may_not_repeat_who_it_is(shop: Shop, because: str) -> None:
    (request,) = erased(SUBJECT)
    after, written = shop.everything(), everything_written()
    with pytest.raises(UsageError) as caught:
        undo.begin_undo(request, by=OFFICER, because=because)
    assert SUBJECT not in str(caught.value).casefold()
    assert (shop.everything(), everything_written()) == (after, written)


@pytest.mark.parametrize("state", ["executing", "verifying", "undone", "undoing"])
def test_a_case_that_is_not_waiting_is_not_undone(shop: Shop, state: str) -> None:
    (request,) = erased(SUBJECT)
    ErasureRequest.objects.filter(pk=request.pk).update(state=state)
    request.refresh_from_db()
    after, written = shop.everything(), everything_written()
    with pytest.raises(WrongState):
        undo.begin_undo(request, by=OFFICER, because=WHY)
    assert (shop.everything(), everything_written()) == (after, written)


# what no step names


def test_what_went_along_comes_back_with_what_took_it(sql_shop: SqliteShop) -> None:
    add_parcels(sql_shop)
    before = beside(sql_shop)
    request = accepting(planned(SUBJECT), LABELS, PARCELS)
    work_off(request)
    assert request.state == "awaiting_window", request.blocked_because
    assert beside(sql_shop) != before
    undone(request)
    assert beside(sql_shop) == before
    assert report(request)["shop_db.parcel"] == {"put back": 2}


def test_a_plan_says_what_goes_along_and_cannot_come_back(sqlite_shop: SqliteShop) -> None:
    sqlite_shop.execute(
        "shop_db", "CREATE TABLE scrap (order_id INTEGER REFERENCES orders (id) ON DELETE CASCADE)"
    )
    plan = plan_of(planned(SUBJECT))
    assert [w for w in plan.warnings if "cannot be undone" in w] == [
        "shop_db.scrap: rows that go along here cannot be undone, the table has no primary key"
    ]
