"""Whose is a value that the re-scan saw? Pure.

An equal value in another person's own row stays and is reported as shared; a value in the
person's rows, in free text or in a place nobody declared is residue.
"""

from __future__ import annotations

from collections.abc import Collection, Container, Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

from erasure.domain.finding import KeyText
from erasure.domain.needles import Matcher
from erasure.domain.values import Scalar, canonical, each
from lineage.graph import Dataset

Verdict = Literal["residue", "shared", "retained"]
# What became of a row: kept by law; shared and still referred to; there without the person
# (anonymised); removed; or somebody else's, in which the person was cut out or redacted.
Fate = Literal["retained", "kept", "stays", "gone", "others"]


class Fates(Protocol):
    """What became of rows: a mapping, or what answers like one."""

    def get(self, key: KeyText, /) -> Fate | None:
        """Of the row at that key; None where the run has written down nothing of it."""


class OwnValues(Protocol):
    """By what the person's rows are known: a mapping, or what answers like one."""

    def get(self, place: tuple[str, str], /) -> Container[str] | None:
        """Canonical values, by dataset address and field."""


@dataclass(frozen=True, kw_only=True)
class Knowledge:
    """What a run knows of one person in one dataset.

    ``fate``: key text → what became of that row: ``retained`` rows may hold values, ``kept`` ones
    in their own fields, ``stays`` none; whoever is at the key of a row that went is judged by
    owner.
    ``referenced``: rows of this dataset belong to whoever refers to them (an address);
    ``excepted``: fields that an exception keeps in rows that stay.
    """

    dataset: Dataset | None
    needles: Matcher
    fate: Fates = field(default_factory=dict[KeyText, Fate])
    own: OwnValues = field(default_factory=dict[tuple[str, str], set[str]])
    referenced: bool = False
    excepted: Collection[str] = ()


@dataclass(frozen=True, kw_only=True)
class Sighting:
    """A needle in a field of a row; ``owner``: the declared owner fields' values there; ``left``:
    it is known to be one of which an exception has left some fields."""

    field: str
    key: KeyText
    whole: bool
    coarse: bool
    owner: Mapping[str, Scalar]
    left: bool = False


def judge(seen: Sighting, knowledge: Knowledge) -> Verdict:
    """Residue unless there is a reason for the value to be there."""
    fate = knowledge.fate.get(seen.key)
    partly = seen.left or fate == "stays"
    if fate == "retained" or (partly and seen.field in knowledge.excepted):
        return "retained"
    dataset = knowledge.dataset
    if fate == "kept" and dataset is not None:
        return "shared" if seen.coarse or _declared(dataset, seen.field) else "residue"
    if partly or (dataset is not None and _is_own(seen, dataset, knowledge)):
        return "residue"
    if seen.coarse:
        return "shared"  # a city in an album's title says nothing of anybody
    if dataset is None:
        return "residue"
    declared = _declared(dataset, seen.field)
    somebody = knowledge.referenced or _somebody_else(seen, knowledge)
    return "shared" if declared and seen.whole and somebody else "residue"


def _declared(dataset: Dataset, name: str) -> bool:
    found = dataset.get(name)
    return found is not None and not found.free_text


def _is_own(seen: Sighting, dataset: Dataset, knowledge: Knowledge) -> bool:
    for name, value in seen.owner.items():
        values = knowledge.own.get((dataset.address, name))
        if values is not None and any(_text(dataset, name, one) in values for one in each(value)):
            return True
    return False


def _somebody_else(seen: Sighting, knowledge: Knowledge) -> bool:
    """An owner field with a value that is not one of this person's own values."""
    return any(
        not knowledge.needles.equals(canonical(one))
        for value in seen.owner.values()
        for one in each(value)
    )


def _text(dataset: Dataset, name: str, value: Scalar) -> str:
    found = dataset.get(name)
    return canonical(value, found.identity if found else None)
