"""Whose is a value that the re-scan saw?"""

from __future__ import annotations

from erasure.domain.needles import Matcher, Needle
from erasure.domain.verdict import Knowledge, Sighting, judge
from lineage.graph import Dataset, Field

CUSTOMER = Dataset(
    address="shop.customer",
    store="db",
    name="customer",
    fields=(
        Field(name="id", primary_key=True, identity="customer_id"),
        Field(name="email", identity="email"),
        Field(name="phone", categories=("user.contact.phone_number",)),
        Field(name="notes", free_text=True),
    ),
)
NEEDLES = Matcher(
    [Needle(text="ann@example.com", category="email"), Needle(text="030 1234567", category="phone")]
)


def seen(**changes: object) -> Sighting:
    plain = {
        "field": "phone",
        "key": ("8",),
        "whole": True,
        "coarse": False,
        "owner": {"id": 8, "email": "bob@example.com"},
    }
    return Sighting(**{**plain, **changes})  # type: ignore[arg-type]


def knowledge(**changes: object) -> Knowledge:
    plain = {"dataset": CUSTOMER, "needles": NEEDLES, "own": {("shop.customer", "id"): {"7"}}}
    return Knowledge(**{**plain, **changes})  # type: ignore[arg-type]


def test_an_equal_value_in_another_persons_own_row_is_shared() -> None:
    assert judge(seen(), knowledge()) == "shared"


def test_the_same_value_in_the_persons_own_row_is_residue() -> None:
    own = seen(key=("7",), owner={"id": 7, "email": None})
    assert judge(own, knowledge()) == "residue"


def test_a_row_without_any_owner_is_residue() -> None:
    assert judge(seen(owner={"id": None, "email": None}), knowledge()) == "residue"


def test_a_row_whose_only_owner_value_is_the_persons_own_is_residue() -> None:
    assert judge(seen(owner={"email": "ANN@example.com"}), knowledge()) == "residue"


def test_part_of_a_longer_value_is_residue() -> None:
    assert judge(seen(whole=False), knowledge()) == "residue"


def test_free_text_is_residue_even_where_it_equals_the_needle() -> None:
    assert judge(seen(field="notes"), knowledge()) == "residue"


def test_an_undeclared_column_is_residue_whoever_owns_the_row() -> None:
    assert judge(seen(field="remark"), knowledge()) == "residue"


def test_an_undeclared_table_is_residue() -> None:
    assert judge(seen(owner={}), knowledge(dataset=None)) == "residue"


def test_a_coarse_value_anywhere_but_in_the_persons_rows_is_shared() -> None:
    assert judge(seen(field="remark", whole=False, coarse=True), knowledge()) == "shared"
    assert judge(seen(owner={}, coarse=True), knowledge(dataset=None)) == "shared"
    own = seen(key=("7",), owner={"id": 7}, coarse=True)
    assert judge(own, knowledge()) == "residue"


def test_a_retained_row_is_retained_and_a_kept_shared_row_is_shared() -> None:
    assert judge(seen(), knowledge(fate={("8",): "retained"})) == "retained"
    assert judge(seen(owner={}), knowledge(fate={("8",): "kept"})) == "shared"


def test_an_anonymised_row_may_hold_nothing_even_if_it_names_somebody() -> None:
    assert judge(seen(), knowledge(fate={("8",): "stays"})) == "residue"


def test_a_newcomer_at_the_key_of_a_row_that_went_is_judged_by_owner() -> None:
    assert judge(seen(), knowledge(fate={("8",): "gone"})) == "shared"
