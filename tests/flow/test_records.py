"""The record of a case: looked at only on record, and emptied on its day."""

from __future__ import annotations

from datetime import date, timedelta
from uuid import UUID

import pytest
from django.conf import LazySettings
from django.utils import timezone

from erasure import vault
from erasure.advance import finish_keys
from erasure.domain.errors import KeyDestroyed
from erasure.evidence import audit, ledger
from erasure.evidence.signing import pinned_keys
from erasure.flow import (
    decide,
    disclose,
    end_records,
    extend,
    hold,
    reopen,
    route,
    watch,
)
from erasure.models import (
    ErasureRequest,
    Event,
    Hold,
    LedgerLeaf,
    Reasoning,
)
from erasure.runs import reasoning, records, telling
from tests.flow.cast import (
    DPO,
    NEIGHBOUR,
    OFFICER,
    SUBJECT,
    Shop,
)
from tests.flow.deeds import approved, planned, work_off
from tests.flow.test_reopening import ANN_NOW, WHY


def test_every_look_at_reasons_is_on_record_and_a_look_at_nothing_is_none(
    memory_shop: Shop,
) -> None:
    request = planned(SUBJECT)
    extend.extend_deadline(request, because=f"{SUBJECT} wrote a lot", by=OFFICER)
    ((entry, words),) = disclose.read_reasons(request, by=DPO)
    assert (entry.about, words) == ("extension", f"{SUBJECT} wrote a lot")
    leaf = LedgerLeaf.objects.get(kind="reasons_seen")
    assert (leaf.request, '"by":"dpo"' in leaf.payload) == (str(request.id), True)
    assert SUBJECT not in leaf.payload
    vault.destroy_key(request.id, "record")
    with pytest.raises(KeyDestroyed):
        disclose.read_reasons(request, by=DPO)
    assert LedgerLeaf.objects.filter(kind="reasons_seen").count() == 1


# ended


def over(settings: LazySettings) -> ErasureRequest:
    request = planned(SUBJECT)
    extend.extend_deadline(request, because="much to do", by=OFFICER)
    decide.refuse_request(request, by=OFFICER, because="not a customer")
    long_ago = timezone.now() - timedelta(days=31 * settings.LETHE_RECORD_MONTHS)
    ErasureRequest.objects.update(closed_at=long_ago)
    return request


def left_of(request: ErasureRequest) -> tuple[object, ...]:
    request.refresh_from_db()
    sealed = list(request.identifiers.values_list("sealed", flat=True))
    return Reasoning.objects.count(), [bytes(one) for one in sealed], bool(request.record_ended_at)


def test_reasons_that_an_earlier_version_left_in_clear_are_emptied_by_the_sweep(
    memory_shop: Shop, settings: LazySettings
) -> None:
    old, fresh = over(settings), planned(NEIGHBOUR)
    decide.refuse_request(fresh, by=OFFICER, because="a reason of today")
    ErasureRequest.objects.filter(pk=old.pk).update(record_ended_at=timezone.now())
    finish_keys()
    words = dict(Event.objects.filter(to_state="refused").values_list("subject_id", "because"))
    assert words == {str(old.pk): reasoning.ENDED, str(fresh.pk): "a reason of today"}
    leaves = LedgerLeaf.objects.filter(kind="reasons_emptied")
    assert [leaf.request for leaf in leaves] == [str(old.pk)]
    finish_keys()
    assert leaves.count() == 1


@pytest.mark.parametrize("place", ["before the key", "after the key", "in the ledger"])
def test_a_record_ends_alike_wherever_the_sweep_is_killed(
    memory_shop: Shop, settings: LazySettings, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    request = over(settings)
    subject, destroy = request.subject, vault.destroy_keys

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    def killed_after(owners: list[UUID], purpose: str) -> None:
        destroy(owners, purpose)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        if place == "in the ledger":
            patched.setattr(ledger, "append_many", killed)
        else:
            patched.setattr(vault, "destroy_keys", killed if "before" in place else killed_after)
        with pytest.raises(KeyboardInterrupt):
            end_records.end_records(timezone.now())
    assert end_records.end_records(timezone.now()) == 1
    assert left_of(request) == (0, [b""], True)
    with pytest.raises(KeyDestroyed):
        vault.open_key(request.id, "record")
    assert end_records.end_records(timezone.now()) == 0
    assert request.subject == subject
    assert route.find_cases(ANN_NOW, by=OFFICER) == [request]
    assert LedgerLeaf.objects.filter(kind="record_ended").count() == 1


def test_a_case_can_be_reopened_after_its_record_has_ended(
    memory_shop: Shop, settings: LazySettings
) -> None:
    request = over(settings)
    finish_keys()
    reopen.reopen_case(request, identifiers=ANN_NOW, by=OFFICER, **WHY)
    assert left_of(request)[0] == 1
    ((_, words),) = disclose.read_reasons(request, by=OFFICER)
    assert words == WHY["because"]
    finish_keys()
    assert left_of(request)[0] == 1


def test_what_waits_for_a_date_keeps_its_reasons_and_says_until_when(
    memory_shop: Shop, settings: LazySettings
) -> None:
    request = approved(SUBJECT)
    work_off(request)
    long_ago = timezone.now() - timedelta(days=31 * settings.LETHE_RECORD_MONTHS)
    ErasureRequest.objects.update(closed_at=long_ago)
    watch._Case(request).note_dates()
    request.refresh_from_db()
    assert list(records.over(timezone.now())) == []
    assert records.kept_until(request) == date(2034 + settings.LETHE_RECORD_MONTHS // 12, 12, 31)


# reasons that stand in clear

SAID = "Mrs Archer owes us money"


def held(person: str) -> Hold:
    return hold.place_hold(
        person=[("email", person)], code="legal_claims", legal_reference="ZPO", because=SAID,
        matter="Archer", by=OFFICER,
    )  # fmt: skip


def clear_words() -> str:
    return str([list(Event.objects.values_list("because")), list(Hold.objects.values())])


def test_reasons_in_clear_end_with_the_record_and_the_ledger_never_had_them(
    memory_shop: Shop, settings: LazySettings
) -> None:
    released = held(SUBJECT)
    request = planned(SUBJECT)
    hold.release_hold(released, by=OFFICER, because=SAID)
    request.refresh_from_db()
    decide.refuse_request(request, by=OFFICER, because=SAID)
    assert telling.facts_of(request)["reasons"]["refusal"] == SAID
    ledger.head()  # shown to somebody: it must hold for ever
    ErasureRequest.objects.update(closed_at=timezone.now() - timedelta(days=4000))
    assert end_records.end_records(timezone.now()) == 1
    assert SAID not in clear_words()
    assert "Archer" not in clear_words()
    assert reasoning.ENDED in clear_words()
    request.refresh_from_db()
    assert telling.facts_of(request)["reasons"]["refusal"] == ""
    assert disclose.read_reasons(request, by=OFFICER) == []
    assert not [leaf for leaf in LedgerLeaf.objects.all() if "Archer" in leaf.payload]
    assert list(audit.audit_ledger(pinned_keys())) == []
    leaves = LedgerLeaf.objects.count()
    assert end_records.end_records(timezone.now()) == 0
    assert LedgerLeaf.objects.count() == leaves


def test_reasons_in_clear_stay_if_the_sweep_is_killed_and_of_cases_that_go_on(
    memory_shop: Shop, settings: LazySettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    over(settings)
    hold.release_hold(held(SUBJECT), by=OFFICER, because=SAID)
    neighbour = planned(NEIGHBOUR)
    hold.release_hold(held(NEIGHBOUR), by=OFFICER, because=SAID)
    in_force = held(SUBJECT)
    neighbour.refresh_from_db()
    decide.withdraw_request(neighbour, by=OFFICER, because=SAID)
    before = clear_words()

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(ledger, "append_many", killed)
        with pytest.raises(KeyboardInterrupt):
            end_records.end_records(timezone.now())
    assert clear_words() == before
    end_records.end_records(timezone.now())
    of_neighbour = Event.objects.get(to_state="withdrawn", subject_id=str(neighbour.pk))
    assert of_neighbour.because == SAID
    said = dict(Hold.objects.values_list("people__keyed_hash", "released_because"))
    assert said[vault.pseudonym("email", NEIGHBOUR)] == SAID
    in_force.refresh_from_db()
    assert in_force.because == SAID
    later = timezone.now() + timedelta(days=4000)
    end_records.end_records(later)
    hold.release_hold(in_force, by=OFFICER, because=SAID)
    end_records.end_records(later)
    assert SAID not in clear_words()


def test_a_look_at_a_typed_reason_or_at_a_hold_is_on_record(memory_shop: Shop) -> None:
    request = planned(SUBJECT)
    decide.refuse_request(request, by=OFFICER, because=SAID)
    ((entry, words),) = disclose.read_reasons(request, by=DPO)
    assert (entry.about, entry.by, words) == ("refused", OFFICER, SAID)
    assert disclose.read_hold(held(SUBJECT), by=DPO) == (SAID, "")
    looks = LedgerLeaf.objects.filter(kind="reasons_seen")
    assert ['"about":["refused"]' in look.payload for look in looks] == [True, False]
    assert SAID not in str([look.payload for look in looks])
