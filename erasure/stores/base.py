"""The protocol of a store: what every adapter offers, and the values that cross its border.

A store knows nothing of requests, Django or other stores. It is made with a name, a resolved
address and its options, and is handed a :class:`Step` and keys. It answers with receipts, never
with a payload. Foreign errors are translated at the adapter's edge into ``StoreError``, by code
and constraint name only, ``from None``, because drivers print parameters.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from dataclasses import field as default
from datetime import date
from functools import cached_property
from types import MappingProxyType
from typing import Any, Literal, NamedTuple, Protocol, runtime_checkable

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


class Key(NamedTuple):
    """One place that holds a person's data.

    SQL: ``values`` are the primary key's values in order, ``count`` is 1. Files and logs: they are
    ``(object, field, value)``, for ``count`` rows of that object (empty: any). ``guard`` are the
    guard fields' values at find, in ``Step.guard`` order; ``version`` is an object's checksum
    then, empty for rows. A tuple, since there are as many of them as rows.
    """

    values: tuple[Scalar, ...]
    guard: tuple[Scalar, ...] = ()
    count: int = 1  # type: ignore[assignment]  # nobody counts what is in the tuple
    version: str = ""


class Found(NamedTuple):
    """A key, the searched value(s) that led to it (as given), and the values that lead on. Rows
    that matched alike may share one ``matched``."""

    key: Key
    matched: tuple[Value, ...]
    carry: Mapping[str, Scalar] = MappingProxyType({})


@dataclass(frozen=True, kw_only=True)
class Work:
    """A step and some of its keys: the unit that ``act`` and ``check`` are handed."""

    step: Step
    keys: tuple[Key, ...]

    @cached_property
    def by_values(self) -> Mapping[tuple[Scalar, ...], Key]:
        """Each key once."""
        return {key.values: key for key in self.keys}


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
    the dated residues; ``along``: rows that no step names and that went with a key, by the code
    of the side effect that the step accepts.
    """

    dataset: str
    action: Action
    done: int
    residue: Residue
    reused: tuple[Key, ...] = ()
    kept: tuple[Key, ...] = ()
    until: date | None = None
    note: str = ""
    along: Mapping[Key, Mapping[str, int]] = default(default_factory=dict)


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
    not. ``whole``: the value equals the needle. ``owner``, ``marks``: that row's values, of the
    fields of :class:`Declared`; kept in memory only."""

    collection: str
    field: str
    key: tuple[Scalar, ...]
    needle: int
    whole: bool
    owner: Mapping[str, Scalar] = default(default_factory=dict)
    marks: Mapping[str, Scalar] = default(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Declared:
    """A dataset, its fields that tell whose row it is, and what else objects tell with a hit."""

    dataset: Dataset
    owners: tuple[str, ...] = ()
    marks: tuple[str, ...] = ()


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


SideEffectKind = Literal["cascade", "set_null", "set_default", "trigger"]


@dataclass(frozen=True, kw_only=True)
class SideEffect:
    """What a store would do beside a step: to rows that no step names, or by a trigger.

    ``code`` is stable and is what an officer accepts: ``cascade:STORE.TABLE.COLUMN+COLUMN`` (also
    ``set_null:``, ``set_default:``) or ``trigger:STORE.TABLE.NAME``. ``place`` is the table that
    is changed, ``mark`` changes whenever the effect itself does, ``words`` and ``remedy`` are for
    people.
    """

    code: str
    kind: SideEffectKind
    place: str
    mark: str
    words: str
    remedy: str


@dataclass(frozen=True, kw_only=True)
class Approach:
    """A step, and the searches that lead to its rows."""

    step: Step
    searches: tuple[Selector, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """How a store would carry out a step. No text holds a value of any row.

    ``statement``: its shape; ``rows``: the table's size, an estimate, None where unknown;
    ``index``: what each search uses, and references to its rows without one; ``locks``: what
    waits meanwhile; ``stays``: what is left of the rows; ``warnings``: what costs time or may be
    missed, each with place and remedy.
    """

    statement: str
    rows: int | None = None
    index: tuple[str, ...] = ()
    locks: str = ""
    stays: str = ""
    cascades: tuple[SideEffect, ...] = ()
    triggers: tuple[SideEffect, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def effects(self) -> tuple[SideEffect, ...]:
        """Everything that has to be accepted."""
        return (*self.cascades, *self.triggers)


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


@dataclass(frozen=True, kw_only=True)
class Image:
    """A row as it was before a batch deleted or changed it, to be put back whole.

    ``collection`` as the store names it; ``key_names`` and ``key`` identify the row; ``values``
    are all its columns as this store reads and writes them exactly, meant for it alone; none for
    a row that the batch added: to put that back is to take it away.
    ``whose``: the works, by their place, and the keys in them that the row belongs to.
    ``left``: :func:`erasure.stores.images.digest` of the row as the batch left it, None when it
    went; ``now``: its key since then, where that was rewritten.
    """

    collection: str
    key_names: tuple[str, ...]
    key: tuple[Scalar, ...]
    values: Mapping[str, Scalar]
    whose: tuple[tuple[int, tuple[Scalar, ...]], ...] = ()
    left: str | None = None
    now: tuple[Scalar, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Left:
    """How a batch left a row of which an image was kept; a row that went is not told of."""

    collection: str
    key: tuple[Scalar, ...]
    digest: str
    now: tuple[Scalar, ...] = ()


class Keeper(Protocol):
    """Where images go. What it was given is durable once ``seal`` returns, not before."""

    def keep(self, image: Image) -> None:
        """Take an image; before the first row of the batch is touched, or is known to be added."""

    def seal(self, left: Iterable[Left]) -> None:
        """Learn how the rows were left; called once, before the store commits."""


@dataclass(frozen=True, kw_only=True)
class Missing:
    """A row that a row to be put back refers to, and that is not there now."""

    collection: str
    columns: tuple[str, ...]
    values: tuple[Scalar, ...]


@dataclass(frozen=True, kw_only=True)
class Standing:
    """What stands now where an image was taken: the row as it was before, or as the batch left
    it; or it was ``changed`` since; or its key, or a unique value of it, is ``taken`` by another
    row. ``missing``: what it would refer to in vain."""

    image: Image
    how: Literal["before", "left", "changed", "taken"]
    missing: tuple[Missing, ...] = ()


@runtime_checkable
class Captures(Protocol):
    """A store that can put back, exactly, what it has deleted and changed."""

    def capture(self, works: Sequence[Work], secrets: Secrets, keeper: Keeper) -> list[Receipt]:
        """As :meth:`Store.act`, and hands ``keeper`` an image of every row that is deleted or
        changed, read inside the transaction that does it, so that none can be stale. Nothing has
        happened unless ``keeper.seal`` has returned."""

    def compare(self, images: Iterable[Image]) -> Iterator[Standing]:
        """What stands now in the place of each image; streamed, in order."""

    def restore(self, images: Iterable[Image]) -> None:
        """Put back the rows of one capture, all or none, in one transaction; ``images`` are given
        latest first and iterated several times. A row that stands as before is left alone, and
        every other is read back and compared before the commit.

        Idempotent. Raises StoreError, passing, where a row was changed or its key taken: compare
        again; and permanently where a row does not come out as it was.
        """


@runtime_checkable
class ReportsModels(Protocol):
    """A store of trained models: it can tell what became of one."""

    def report(self, dataset: Dataset) -> dict[str, Any]:
        """Old and new version, digests, guarantee and figures of the last retraining, as JSON
        without floats (figures are text), for the certificate."""


@runtime_checkable
class Explains(Protocol):
    """A store that can say how it would carry out steps, all of them of one plan."""

    def explain(self, approaches: Sequence[Approach]) -> list[Explanation]:
        """One explanation per approach, in order; reads no row's value."""

    def side_effects(self, steps: Sequence[Step]) -> list[tuple[SideEffect, ...]]:
        """The effects of :meth:`explain` alone, per step: asked again before a run begins."""

    def along(self, works: Sequence[Work]) -> Mapping[str, int]:
        """How many rows would go along now, by code; none of them is locked or touched."""


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
