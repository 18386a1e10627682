"""What is kept of a person afterwards: nothing but what recognises them, and what is still due."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import settings
from django.utils import timezone

from erasure import vault
from erasure.advance import finish_keys
from erasure.domain.errors import KeyDestroyed
from erasure.domain.steps import Ghost
from erasure.flow import decide, planning
from erasure.inline import replay
from erasure.models import (
    Certificate,
    DataKey,
    ErasureRequest,
    LedgerLeaf,
    Run,
    SuppressionEntry,
)
from erasure.runs import case, journal, seeds
from tests.flow.cast import (
    ANN,
    APPROVER,
    BEN,
    CATALOGUE,
    CONSOLE,
    EMPLOYEE,
    NEIGHBOUR,
    NOBODY,
    OFFICER,
    SUBJECT,
    Shop,
    SqliteShop,
)
from tests.flow.deeds import approved, identified, planned, started, work_off

LATER = timezone.now() + timedelta(days=3650)


def live_keys(request: ErasureRequest) -> set[str]:
    """Purposes of the case's keys that can still be opened, record and file alike."""
    records = DataKey.objects.filter(owner=request.id)
    files = {p.stem for p in (Path(settings.LETHE_HOME) / "keys").glob("*.key")}
    for record in records:
        assert (str(record.id) in files) == (record.destroyed_at is None)
    return {record.purpose for record in records if record.destroyed_at is None}


def told_destroyed(request: ErasureRequest) -> int:
    return LedgerLeaf.objects.filter(kind="key_destroyed", request=str(request.id)).count()


def test_the_keys_live_until_the_certificate_is_sealed_and_not_longer(shop: Shop) -> None:
    request = approved(EMPLOYEE)
    assert live_keys(request) == {"identifiers", "deferred"}
    work_off(request)
    assert request.state == "completed"
    assert live_keys(request) == set()
    assert told_destroyed(request) == 2
    with pytest.raises(KeyDestroyed):
        case.given_by([request])
    last = LedgerLeaf.objects.filter(kind="key_destroyed", request=str(request.id)).first()
    assert last is not None
    assert last.index > Certificate.objects.get().leaf


def test_the_row_keys_stay_while_something_waits_for_its_date(shop: Shop) -> None:
    request = approved(SUBJECT)
    work_off(request)
    assert request.state == "partly_granted"
    assert live_keys(request) == {"deferred"}


def test_the_seed_of_a_run_goes_with_it(shop: Shop) -> None:
    request = approved(SUBJECT)
    work_off(request)
    run = request.run
    assert run is not None
    assert bytes(run.sealed_seed) == b""
    assert not DataKey.objects.filter(owner=run.id, destroyed_at=None).exists()


def test_only_a_run_that_makes_values_has_a_seed(shop: Shop) -> None:
    run = started(approved(SUBJECT)).run
    assert run is not None
    steps = journal.run_steps(run)
    deleting = next(s for s in steps if s.step.action == "delete" and s.step.via == "deep")
    retaining = replace(deleting, step=replace(deleting.step, action="retain"))
    plain, without = [deleting, retaining], Run(sealed_seed=b"")
    assert seeds.new_seed(without.id, plain) == b""
    assert not DataKey.objects.filter(owner=without.id).exists()
    assert seeds.seed_of(without, plain) != seeds.seed_of(without, plain)
    masking = replace(deleting.step, action="anonymize")
    for making in (
        masking,
        replace(deleting.step, redact=("note",)),
        replace(deleting.step, ghost=Ghost(dataset=deleting.step.dataset, field="id")),
        replace(retaining.step, held=masking),
        replace(retaining.step, held=replace(retaining.step, held=masking)),
    ):
        every = [*plain, replace(deleting, step=making)]
        one = Run()
        one.sealed_seed = seeds.new_seed(one.id, every)
        assert seeds.seed_of(one, every) == seeds.seed_of(one, every)
        with pytest.raises(KeyDestroyed):
            seeds.seed_of(without, every)


def nobody(shop: Shop) -> ErasureRequest:
    request = identified(("email", NOBODY))
    planning.make_plan(request, by=OFFICER)
    return request


def withdrawn(shop: Shop) -> ErasureRequest:
    return decide.withdraw_request(planned(SUBJECT), by=OFFICER, because="changed their mind")


def withdrawn_after_approval(shop: Shop) -> ErasureRequest:
    return decide.withdraw_request(approved(SUBJECT), by=OFFICER)


def refused(shop: Shop) -> ErasureRequest:
    return decide.refuse_request(planned(SUBJECT), by=OFFICER, because="not the person")


ENDINGS = [nobody, withdrawn, withdrawn_after_approval, refused]


@pytest.mark.parametrize("end", ENDINGS)
def test_a_case_that_ends_without_an_erasure_keeps_no_identifier(
    shop: Shop, end: Callable[[Shop], ErasureRequest]
) -> None:
    before = shop.everything()
    request = end(shop)
    assert live_keys(request) == set()
    assert told_destroyed(request) == 2
    assert not SuppressionEntry.objects.exists()
    assert shop.everything() == before


@pytest.mark.parametrize("end", [*ENDINGS, approved])
def test_what_a_crash_left_of_the_keys_is_destroyed_by_the_sweep(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, end: Callable[..., ErasureRequest]
) -> None:
    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("erasure.runs.case.vault.destroy_all", die)
        with pytest.raises(KeyboardInterrupt):
            work_off(end(EMPLOYEE) if end is approved else end(shop))
    request = ErasureRequest.objects.get()
    assert live_keys(request) == {"identifiers", "deferred"}
    assert finish_keys() == 1
    assert live_keys(request) == set()
    assert finish_keys() == 0


def test_the_sweep_leaves_the_keys_of_open_cases_alone(shop: Shop) -> None:
    ann, ben = approved(SUBJECT), planned(NEIGHBOUR)
    assert finish_keys() == 0
    assert live_keys(ann) == live_keys(ben) == {"identifiers", "deferred"}


def test_a_row_key_left_behind_alone_is_destroyed_too(shop: Shop) -> None:
    """The process died between the two keys."""
    request = approved(EMPLOYEE)
    work_off(request)
    DataKey.objects.filter(owner=request.id, purpose="deferred").delete()
    vault.make_key(request.id, "deferred")
    assert finish_keys() == 1
    assert live_keys(request) == set()


def test_suppression_holds_keyed_hashes_of_what_was_given_and_found(shop: Shop) -> None:
    request = approved(SUBJECT)
    work_off(request)
    entries = set(SuppressionEntry.objects.values_list("request_id", "kind", "keyed_hash"))
    assert entries == {
        (request.id, "email", vault.pseudonym("email", SUBJECT)),
        (request.id, "phone", vault.pseudonym("phone", "030 5550001")),
    }
    assert SuppressionEntry.objects.values_list("hash_key_id", flat=True).distinct().get()


def restored(shop: SqliteShop, tmp_path: Path, *emails: str) -> list[ErasureRequest]:
    """The people are erased; then a backup taken before is put back."""
    backups = {store: tmp_path / f"{store}.backup" for store in shop.files}
    for store, file in shop.files.items():
        shutil.copy(file, backups[store])
    requests = [approved(email) for email in emails]
    work_off(*requests)
    for store, file in shop.files.items():
        shutil.copy(backups[store], file)
    return requests


def again(shop: SqliteShop) -> list[str]:
    """Replay everything; the states of the cases that it opened."""
    taken = timezone.now() - timedelta(days=1)
    return [done.request.state for done in replay("shop_db", taken_at=taken, by=CONSOLE)]


def test_replay_forgets_again_whom_a_restore_brought_back(
    sqlite_shop: SqliteShop, tmp_path: Path
) -> None:
    shop = sqlite_shop
    (request,) = restored(shop, tmp_path, SUBJECT)
    ben = shop.row("customer", BEN)
    assert again(shop) == ["partly_granted"]
    ann = shop.row("customer", ANN)
    assert ann is not None
    assert ann["email"] is None
    assert [row["id"] for row in shop.rows("orders")] == [3]
    assert shop.row("customer", BEN) == ben
    replayed = Certificate.objects.get(kind="replay")
    assert replayed.request != str(request.id)


def test_replay_is_idempotent(sqlite_shop: SqliteShop, tmp_path: Path) -> None:
    restored(sqlite_shop, tmp_path, SUBJECT)
    again(sqlite_shop)
    rows = sqlite_shop.everything()
    assert again(sqlite_shop) == []
    assert sqlite_shop.everything() == rows


def test_replay_looks_only_at_whom_was_erased_since_the_backup(
    sqlite_shop: SqliteShop, tmp_path: Path
) -> None:
    restored(sqlite_shop, tmp_path, SUBJECT)
    assert replay("shop_db", taken_at=LATER, by=CONSOLE) == []


def test_replay_touches_no_other_store(sqlite_shop: SqliteShop, tmp_path: Path) -> None:
    restored(sqlite_shop, tmp_path, SUBJECT)
    leads = sqlite_shop.rows("lead", "crm_db")
    again(sqlite_shop)
    assert sqlite_shop.rows("lead", "crm_db") == leads


def test_replay_leaves_a_newcomer_with_the_same_primary_key_alone(
    sqlite_shop: SqliteShop, tmp_path: Path
) -> None:
    restored(sqlite_shop, tmp_path, SUBJECT)
    sqlite_shop.change("customer", ANN, name=None, email="nora@example.com", phone=None)
    newcomer = sqlite_shop.row("customer", ANN)
    orders = sqlite_shop.rows("orders")
    assert again(sqlite_shop) == []
    assert sqlite_shop.row("customer", ANN) == newcomer
    assert sqlite_shop.rows("orders") == orders


def test_replay_knows_a_person_whose_number_was_another_then(
    sqlite_shop: SqliteShop, tmp_path: Path
) -> None:
    restored(sqlite_shop, tmp_path, SUBJECT)
    sqlite_shop.change("customer", ANN, phone="030 5550066")
    assert again(sqlite_shop) == ["partly_granted"]
    ann = sqlite_shop.row("customer", ANN)
    assert ann is not None
    assert (ann["email"], ann["phone"]) == (None, None)


def test_replay_leaves_alone_who_shares_a_number_with_the_person(
    sqlite_shop: SqliteShop, tmp_path: Path
) -> None:
    sqlite_shop.change("customer", BEN, phone="030 5550001")
    restored(sqlite_shop, tmp_path, SUBJECT)
    ben = sqlite_shop.row("customer", BEN)
    assert again(sqlite_shop) == ["partly_granted"]
    assert sqlite_shop.row("customer", BEN) == ben
    assert sqlite_shop.row("orders", 3) is not None


def test_replay_goes_on_with_the_others_when_one_case_is_blocked(
    sqlite_shop: SqliteShop, tmp_path: Path
) -> None:
    restored(sqlite_shop, tmp_path, SUBJECT, NEIGHBOUR)
    sqlite_shop.insert("orders", {"id": 40, "customer_id": None, "wish": "for Ann Archer"})
    assert sorted(again(sqlite_shop)) == ["blocked", "partly_granted"]
    customers = [sqlite_shop.row("customer", n) for n in (ANN, BEN)]
    assert [row and row["email"] for row in customers] == [None, None]


KEYED = """
      - name: member
        erasure: {action: delete}
        fields:
          - name: id
            data_categories: [user.unique_id]
            fides_meta: {primary_key: true, identity: member_id}
          - {name: email, data_categories: [user.contact.email], fides_meta: {identity: email}}
  - fides_key: crm
"""


@pytest.mark.parametrize("email", [None, "nora@example.com"])
def test_a_key_that_is_an_identity_recognises_nobody_beside_another_mailbox_or_none(
    sqlite_shop: SqliteShop, email: str | None
) -> None:
    sqlite_shop.create("member", [{"id": 10_000_007, "email": SUBJECT}])
    sqlite_shop.describe(
        CATALOGUE.read_text().replace("\n  - fides_key: crm\n", KEYED.rstrip("\n") + "\n")
    )
    request = approved(SUBJECT)
    work_off(request)
    assert SuppressionEntry.objects.filter(kind="member_id").exists()
    assert sqlite_shop.rows("member") == []
    sqlite_shop.insert("member", {"id": 10_000_007, "email": email})
    assert again(sqlite_shop) == []
    assert sqlite_shop.rows("member") == [{"id": 10_000_007, "email": email}]
    sqlite_shop.change("member", 10_000_007, email=SUBJECT.upper())
    assert again(sqlite_shop) != []
    assert sqlite_shop.rows("member") == []


def test_an_approver_is_named_in_the_certificate_and_the_person_is_not(shop: Shop) -> None:
    request = approved(SUBJECT)
    work_off(request)
    sealed = Path(settings.LETHE_HOME) / Certificate.objects.get().path
    text = sealed.read_text()
    assert APPROVER in text
    assert SUBJECT not in text.casefold()
    assert "ann archer" not in text.casefold()
