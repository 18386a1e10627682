"""The protocol of a store: what every adapter offers, and the values that cross its border.

A store knows nothing of requests, Django or other stores. It is made with a name, a resolved
address and its options, and is handed a :class:`Step` and keys. It answers with receipts, never
with a payload. Foreign errors are translated at the adapter's edge into ``StoreError``, by code
and constraint name only, ``from None``, because drivers print parameters.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from dataclasses import field as default
from datetime import date
from typing import Any, Literal, Protocol, runtime_checkable

from erasure.domain.errors import StoreError
from erasure.domain.needles import Matcher, Needle
from erasure.domain.steps import Action as Action
from erasure.domain.steps import Referrer as Referrer
from erasure.domain.steps import Residue as Residue
from erasure.domain.steps import Step as Step
from erasure.domain.steps import Via as Via
from erasure.domain.steps import step_from_json as step_from_json
from erasure.domain.values import Scalar, Value
from lineage.graph import Dataset
from lineage.schema import Inspection, Sample


@dataclass(frozen=True, kw_only=True)
class Selector:
    """Where to look. ``mode`` key: one of ``fields`` equals one of the values (typed by the column,
    so 42 finds "42"); email: the same without regard to case; together: all of ``fields`` equal
    the parts of one of the values, which are tuples; text: any of ``fields`` holds one of the
    values as :class:`Matcher` finds them.

    ``key`` names the fields that identify a row (the declared primary key, else the store's own);
    ``carry`` the fields whose values lead on; ``guard`` those whose values a mutation re-tests.
    """

    dataset: Dataset
    mode: Literal["key", "email", "together", "text"] = "key"
    fields: tuple[str, ...] = ()
    carry: tuple[str, ...] = ()
    guard: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Key:
    """One place that holds a person's data.

    SQL: ``values`` are the primary key's values in order, ``count`` is 1. Files and logs: the
    values are ``(object, field, value)``, standing for ``count`` rows of that object. ``guard``
    are the guard fields' values at find, in ``Step.guard`` order; ``version`` is an object's
    checksum at find, empty for rows.
    """

    values: tuple[Scalar, ...]
    guard: tuple[Scalar, ...] = ()
    count: int = 1
    version: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """A key, the searched value(s) that led to it (as given), and the values that lead on."""

    key: Key
    matched: tuple[Value, ...]
    carry: Mapping[str, Scalar] = default(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Work:
    """A step and some of its keys: the unit that ``act`` and ``check`` are handed."""

    step: Step
    keys: tuple[Key, ...]


@dataclass(frozen=True, kw_only=True)
class Secrets:
    """What ``act`` needs and may never write down: the run's sealed seed (32 bytes), from which
    every random value is derived so that a second execution ends alike, and the needles."""

    seed: bytes
    needles: Matcher


@dataclass(frozen=True, kw_only=True)
class Receipt:
    """What a store says it did to one work: keys, not payloads.

    ``done``: rows acted on now or found already so; ``reused``: keys that are somebody else's
    now and were left alone; ``kept``: refcounted rows somebody still refers to; ``until``: for
    the dated residues.
    """

    dataset: str
    action: Action
    done: int
    residue: Residue
    reused: tuple[Key, ...] = ()
    kept: tuple[Key, ...] = ()
    until: date | None = None
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Failure:
    """A postcondition that does not hold: a row still there, a field not cleared, a text that
    still holds a needle. ``why`` is words for people, without values."""

    dataset: str
    why: str
    count: int = 1


@dataclass(frozen=True, kw_only=True)
class Hit:
    """A needle seen by a scan. ``collection`` and ``field`` as the store names them, declared or
    not. ``whole``: the value equals the needle. ``owner``: values of the declared identity and
    reference fields of that row, for telling whose row it is; kept in memory only."""

    collection: str
    field: str
    key: tuple[Scalar, ...]
    needle: int
    whole: bool
    owner: Mapping[str, Scalar] = default(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Declared:
    """A dataset of the catalogue, and its fields whose values tell whose row it is (identities
    and references)."""

    dataset: Dataset
    owners: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Searched:
    """A collection that a scan has read to its end: the count behind "found nothing"."""

    collection: str
    fields: int
    rows: int


@dataclass(frozen=True, kw_only=True)
class Purged:
    """What physical removal reached: ``residue`` for everything deleted before it."""

    residue: Residue
    until: date | None = None
    note: str = ""


@runtime_checkable
class Store(Protocol):
    """What every adapter offers. All methods may run twice, and beside themselves."""

    name: str
    kind: str

    def inspect(self) -> Inspection:
        """The live schema, without a query per table. Raises StoreUnreachable."""

    def find(self, selector: Selector, values: Sequence[Value]) -> Iterator[Found]:
        """Stream the keys of rows that match any value. A row matching several comes once."""

    def gather(self, dataset: Dataset, keys: Sequence[Key]) -> Iterator[tuple[Key, list[Needle]]]:
        """The person's needles in those rows, read before they are gone."""

    def act(self, works: Sequence[Work], secrets: Secrets) -> list[Receipt]:
        """Carry out the works in the order given, as one transaction where the store has them.

        Every mutation tests key and guard. Idempotent. Raises LateRows when something new refers
        to a row that was to go; then nothing of the batch has happened.
        """

    def check(self, works: Sequence[Work], secrets: Secrets) -> list[Failure]:
        """The postconditions, read anew; empty when all hold."""

    def scan(self, declared: Sequence[Declared], needles: Matcher) -> Iterator[Hit | Searched]:
        """Open the store afresh and search everything by value, declared or not, sharing no
        query with ``find``. ``declared`` only tells which fields name an owner. One
        :class:`Searched` per collection, after its hits."""

    def purge(self, datasets: Sequence[Dataset]) -> Purged:
        """Physical removal of what was deleted; says what stays and until when."""

    def close(self) -> None:
        """Release connections and handles."""


@runtime_checkable
class Restorable(Protocol):
    """A store that can come back from a backup."""

    def read(self, dataset: Dataset, fields: Sequence[str]) -> Iterator[tuple[Scalar, ...]]:
        """Stream the values of ``fields`` of every row where any of them is set: for recognising
        people by keyed hash after a restore."""


@runtime_checkable
class ReportsModels(Protocol):
    """A store of trained models: it can tell what became of one."""

    def report(self, dataset: Dataset) -> dict[str, Any]:
        """Old and new version, digests, guarantee and figures of the last retraining, as JSON
        without floats (figures are text), for the certificate."""


def single_values(place: str, selector: Selector, values: Sequence[Value]) -> list[Scalar]:
    """The values, for a store that compares one field at a time. Raises StoreError for others."""
    if selector.mode == "together":
        names = ", ".join(selector.fields)
        raise StoreError(
            place, f"a reference of several fields ({names}) can be followed in databases only"
        )
    return [value for value in values if not isinstance(value, tuple)]


@runtime_checkable
class Samples(Protocol):
    """A store that a draft may look into."""

    def sample(self, collections: Sequence[str], rows: int) -> Iterator[Sample]:
        """At most ``rows`` rows of each collection, in order and always the same ones while the
        store is the same; cheap however large it is. What cannot be read says why."""

    def present(self, collection: str, field: str, values: Sequence[object]) -> int | None:
        """How many of the different ``values`` that field holds; None where the store would not
        tell in time or at all."""


class StoreFactory(Protocol):
    """How the registry makes a store: ``url`` is resolved, ``options`` were checked by name."""

    kind: str
    options: frozenset[str]

    def __call__(self, *, name: str, url: str, options: Mapping[str, Any]) -> Store:
        """Make the store; connects lazily."""
