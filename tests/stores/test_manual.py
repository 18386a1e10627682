"""The recipient who is told by hand."""

from __future__ import annotations

from typing import get_args

import pytest

from erasure.domain.errors import StoreError
from erasure.domain.needles import Matcher, Needle
from erasure.stores import registry
from erasure.stores.base import Action, Declared, Key, Secrets, Selector, Step, Store, Work
from erasure.stores.manual import TO_BE_TOLD, ManualStore
from lineage.graph import Dataset, Field

EMAIL = "mara.lindqvist@example.com"
DATASET = Dataset(
    address="mail_house.recipients",
    store="mail_house",
    name="recipients",
    fields=(Field(name="email", categories=("user.contact.email",)),),
)
SECRETS = Secrets(seed=bytes(32), needles=Matcher([Needle(text=EMAIL, category="email")]))


@pytest.fixture
def store() -> ManualStore:
    return ManualStore(name="mail_house", url="data protection desk", options={})


def _work(action: Action) -> Work:
    return Work(step=Step(dataset=DATASET, action=action), keys=(Key(values=(EMAIL,)),))


def test_it_is_a_store_under_its_kind() -> None:
    factory = registry.get("manual")
    made = factory(name="x", url="", options={})
    assert isinstance(made, Store)
    assert isinstance(made, ManualStore)
    assert made.inspect().tables == {}


def test_each_value_is_one_thing_to_tell_however_it_is_written(store: ManualStore) -> None:
    selector = Selector(dataset=DATASET, mode="email", fields=("email",))
    found = list(store.find(selector, [EMAIL, EMAIL.upper(), None, "other@example.org"]))
    assert [f.key.values for f in found] == [(EMAIL,), ("other@example.org",)]
    assert found[0].matched == (EMAIL, EMAIL.upper())


def test_a_number_and_its_text_are_one_person(store: ManualStore) -> None:
    found = list(store.find(Selector(dataset=DATASET, fields=("id",)), [42, "42"]))
    assert [(f.key.values, f.matched) for f in found] == [(("42",), (42, "42"))]


def test_text_over_there_cannot_be_searched(store: ManualStore) -> None:
    assert list(store.find(Selector(dataset=DATASET, mode="text", fields=("x",)), [EMAIL])) == []


@pytest.mark.parametrize("action", ["notify", "manual"])
def test_nothing_is_claimed_until_a_person_has_told_them(
    store: ManualStore, action: Action
) -> None:
    (receipt,) = store.act([_work(action)], SECRETS)
    assert (receipt.residue, receipt.note, receipt.done) == ("present", TO_BE_TOLD, 0)
    assert store.act([_work(action)], SECRETS) == [receipt]
    assert store.purge([DATASET]).residue == "present"


@pytest.mark.parametrize("action", sorted(set(get_args(Action)) - {"notify", "manual"}))
def test_what_cannot_be_done_by_hand_is_refused_without_a_value(
    store: ManualStore, action: Action
) -> None:
    with pytest.raises(StoreError, match=r"mail_house\.recipients: '\w+' cannot be done") as error:
        store.act([_work("notify"), _work(action)], SECRETS)
    assert EMAIL not in str(error.value)


def test_a_scan_does_not_even_claim_to_have_looked(store: ManualStore) -> None:
    assert list(store.scan([Declared(dataset=DATASET)], SECRETS.needles)) == []
