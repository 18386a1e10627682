"""The words of the file are those that the stores and the masking know."""

from __future__ import annotations

import pytest

from erasure.domain.errors import DriverMissing
from erasure.domain.vocabulary import pick
from erasure.stores import registry
from lineage.importers import fideslang
from lineage.importers.grammar import STORE_OPTIONS

# Given by the product itself, never by a file.
_DERIVED = {"hash_key"}


@pytest.mark.parametrize("kind", registry.kinds())
def test_every_option_of_an_adapter_can_be_written_in_a_file(kind: str) -> None:
    try:
        options = registry.get(kind).options
    except DriverMissing as error:
        pytest.skip(str(error))
    assert options - _DERIVED <= {*STORE_OPTIONS[kind], "max_concurrent", "rescan"}


@pytest.mark.parametrize("word", ["name", "email", "phone", "zip", "address", "text", "job"])
def test_what_can_be_faked_is_known_on_both_sides(word: str) -> None:
    assert pick(word, bytes(8)) is not None
    fideslang.read_text(
        "dataset: [{fides_key: k, erasure: {store: s}, collections: [{name: c, fields: "
        f"[{{name: a, erasure: {{method: {{fake: {word}}}}}}}]}}]}}]",
        "c.yml",
    )
