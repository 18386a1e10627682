"""Rows of a dataset whose retention has run out, and what goes with them: looked up row by row.

A row goes only with everything that refers to it. Rows that refer to it deeply and have no
retention of their own are parts of it, and go along; whatever else refers to it lets it stay, until
that has gone by its own rule. What it refers to is not touched.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from itertools import islice
from typing import Any, Literal

from erasure import vault
from erasure.domain.errors import StoreError
from erasure.domain.finding import KeyText, key_text, mode_of
from erasure.domain.plan import World, guard_fields, reached_by, referrers
from erasure.domain.steps import Step
from erasure.domain.turns import ranks
from erasure.domain.values import Scalar, Value, canonical
from erasure.models import StayingRow
from erasure.runs.journal import RunStep
from erasure.runs.overdue import rule_of
from erasure.runs.places import Places
from erasure.runs.searching import Stores
from erasure.runs.segments import Entry
from erasure.runs.staying import Staying, staying
from erasure.stores.base import Found, Key, Restorable, Selector
from erasure.stores.dating import Dated
from lineage.graph import Dataset, Reference
from lineage.snapshot import Snapshot

ROOTS = "(roots)"
_CHUNK = 1000


@dataclass
class Row:
    """A row that goes, and the rows past their date with which it does."""

    address: str
    key: Key
    carry: Mapping[str, Scalar]
    roots: set[KeyText] = field(default_factory=set)


class Survey:
    """What is over in one dataset, as its stores are now; nothing is changed."""

    keyed = True

    def __init__(self, dataset: Dataset, catalogue: Snapshot, stores: Stores, today: date) -> None:
        self.dataset, self._catalogue, self._stores = dataset, catalogue, stores
        self._rule, self._today = rule_of(dataset, keyed=self.keyed), today
        self._into: dict[str, list[Reference]] = {}
        for reference in catalogue.references:
            self._into.setdefault(reference.target, []).append(reference)
        going = dataset.action != "anonymize"
        self._along = _along(dataset, catalogue) if going else {}
        self.addresses = (dataset.address, *sorted({r.holder for r in self._along}))
        self.steps = self._steps()
        self._ordinals = {s.step.dataset.address: s.ordinal for s in self.steps}
        self._staying: Staying = staying(self._touching(), stores)
        self._kept: dict[str, Places] = {}
        self._rows: dict[str, dict[KeyText, Row]] = {}
        self._stays: dict[KeyText, tuple[str, str]] = {}
        # Rows past their date, and those without which they cannot go.
        self._needs: dict[KeyText, set[KeyText]] = {}
        self._left: Counter[tuple[str, str]] = Counter()
        self._roots: dict[KeyText, Row] = {}
        self.since: date | None = None
        # Rows past their date that were counted and not looked into.
        self.more = 0
        # Of the rows looked at, those that are there, over or not.
        self.present: set[KeyText] = set()

    def _touching(self) -> set[str]:
        """The datasets whose rows go, and those whose rows may let them stay."""
        holders = {r.holder for a in self.addresses for r in self._into.get(a, ())}
        return {*self.addresses, *holders}

    def _steps(self) -> list[RunStep]:
        world = self._world()
        order = ranks(world)
        kinds = {s.name: s.kind for s in self._catalogue.stores}
        listed = sorted(self.addresses, key=lambda a: (order[a], a))
        return [
            RunStep(ordinal=n, store=d.store, kind=kinds[d.store], step=self._step(d, world))
            for n, d in enumerate(self._catalogue.datasets[a] for a in listed)
        ]

    def _world(self) -> World:
        datasets = self._catalogue.datasets
        names = {datasets[a].store for a in self.addresses}
        return World(
            datasets=datasets,
            stores={s.name: s for s in self._catalogue.stores},
            references=self._catalogue.references,
            inspections={name: self._stores.get(name).inspect() for name in sorted(names)},
        )

    def _step(self, dataset: Dataset, world: World) -> Step:
        """What is over is guarded by its date, too: one that was renewed is left alone."""
        own = dataset.address == self.dataset.address
        guard = set(guard_fields(dataset, world.references)) | (self._told_by() if own else set())
        anonymized = dataset.action == "anonymize"
        return Step(
            dataset=dataset,
            action="anonymize" if anonymized else "delete",
            guard=tuple(sorted(guard)),
            reference=reached_by(dataset, world.references),
            redact=dataset.free_text if anonymized else (),
            referrers=referrers(dataset, world) if anonymized else (),
        )

    def _told_by(self) -> set[str]:
        """What a row's being over is told by, beside whose it is."""
        return set(self._rule.fields) - set(self.dataset.key)

    def root_of(self, values: Sequence[Scalar]) -> KeyText:
        """What tells a row past its date from others, of the values of a key."""
        return key_text(values)

    def there(self, root: KeyText) -> int | None:
        """How many rows that could go stand behind it now; None where it is a row itself."""
        return None

    def look(self, most: int) -> None:
        """Take rows past their date, from the store's beginning, until so many could go; count the
        rest."""
        keys = self._stream()
        while (chunk := list(islice(keys, _CHUNK))) and len(self.free) < most:
            self.take(chunk)
        self.more = len(chunk) + sum(1 for _ in keys)

    def _stream(self) -> Iterator[tuple[Scalar, ...]]:
        """The keys of all rows that are past their date."""
        names = tuple(dict.fromkeys((*self.dataset.key, *self._rule.fields)))
        width = len(self.dataset.key)
        store = self._stores.get(self.dataset.store)
        if not isinstance(store, Restorable):
            raise StoreError(
                self.dataset.store, f"a {store.kind} store cannot be read by date; look by hand"
            )
        for row in store.read(self.dataset, names):
            known = dict(zip(names, row, strict=True))
            if self._rule.over_since(known, self._today):
                yield row[:width]
            elif self._rule.last_day(known) is None:
                self._left[self.dataset.address, self._rule.untold] += 1

    def take(self, keys: Sequence[tuple[Scalar, ...]]) -> None:
        """Look at these rows as they are now, and at whatever refers to them."""
        address, fresh = self.dataset.address, []
        found = list(self._find_own(keys))
        self.present |= {key_text(one.key.values) for one in found}
        rows = [(one, since) for one in found if (since := self._over(one.key))]
        known = self._known_staying([self._hash(one.key, since) for one, since in rows])
        for one, since in rows:
            text = key_text(one.key.values)
            if text in self._roots or self._hash(one.key, since) in known:
                continue
            if why := self._staying.why(address, text):
                self._left[address, why] += 1
                continue
            self.since = min(self.since or since, since)
            row = Row(address, one.key, one.carry, {text})
            self._rows.setdefault(address, {})[text] = self._roots[text] = row
            fresh.append(row)
        if self.dataset.action != "anonymize":
            self._grow(fresh)

    def _find_own(self, keys: Sequence[tuple[Scalar, ...]]) -> Iterator[Found]:
        single = len(self.dataset.key) == 1
        values: list[Value] = [key[0] if single else key for key in keys]
        yield from self._find(self.dataset, self.dataset.key, values)

    def _find(
        self, dataset: Dataset, fields: tuple[str, ...], values: Sequence[Value]
    ) -> Iterator[Found]:
        if not values:
            return
        ordinal = self._ordinals.get(dataset.address)
        guard = self.steps[ordinal].step.guard if ordinal is not None else ()
        into = self._into.get(dataset.address, ())
        carry = tuple(dict.fromkeys((*(n for r in into for n in r.target_fields), *fields)))
        first = dataset.get(fields[0])
        mode: Literal["key", "email", "together"] = "together"
        if len(fields) == 1:
            mode = mode_of(first.identity if first else None)
        selector = Selector(dataset=dataset, mode=mode, fields=fields, carry=carry, guard=guard)
        yield from self._stores.get(dataset.store).find(selector, values)

    @property
    def root(self) -> RunStep:
        """The step of the dataset itself."""
        return self.steps[self._ordinals[self.dataset.address]]

    def _over(self, key: Key) -> date | None:
        row = dict(zip(self.root.step.guard, key.guard, strict=True))
        row |= dict(zip(self.dataset.key, key.values, strict=True))
        return self._rule.over_since(row, self._today)

    def _hash(self, key: Key, since: date) -> str:
        text = "|".join(key_text(key.values))
        return vault.keyed_hash(f"staying:{self.dataset.address}:{since}:{text}")

    def _known_staying(self, hashes: Sequence[str]) -> set[str]:
        if self.dataset.action != "anonymize":
            return set()
        found = StayingRow.objects.filter(keyed_hash__in=hashes)
        return set(found.values_list("keyed_hash", flat=True))

    def staying_hashes(self, keys: Iterable[Key]) -> list[str]:
        """By what rows that stay anonymised are known afterwards; none where rows go."""
        if self.dataset.action != "anonymize":
            return []
        found = ((key, self._over(key)) for key in keys)
        return [self._hash(key, since) for key, since in found if since]

    def _grow(self, frontier: Sequence[Row]) -> None:
        """Follow what refers to these rows, and to what goes along with them."""
        while frontier:
            by_address: dict[str, list[Row]] = {}
            for row in frontier:
                by_address.setdefault(row.address, []).append(row)
            frontier = [
                grown
                for address, rows in by_address.items()
                for reference in self._into.get(address, ())
                for grown in self._referring(reference, rows)
            ]

    def _referring(self, reference: Reference, rows: Sequence[Row]) -> Iterator[Row]:
        holder = self._catalogue.datasets[reference.holder]
        led: dict[str, tuple[Value, set[KeyText]]] = {}
        for row in rows:
            parts = tuple(row.carry.get(name) for name in reference.target_fields)
            if None not in parts:
                value: Value = parts[0] if len(parts) == 1 else parts
                led.setdefault(canonical(value), (value, set()))[1].update(row.roots)
        values = [value for value, _ in led.values()]
        by_text = {canonical(value): roots for value, roots in led.values()}
        if holder.action == "ignore":
            return
        for found in self._find(holder, reference.holder_fields, values):
            roots = {r for m in found.matched for r in by_text.get(canonical(m), ())}
            if grown := self._met(reference, holder, found, roots):
                yield grown

    def _met(
        self, reference: Reference, holder: Dataset, found: Found, roots: set[KeyText]
    ) -> Row | None:
        """A row that refers to some that are over: it is over itself, goes along, or lets them
        stay."""
        text = key_text(found.key.values)
        known = self._rows.get(holder.address, {}).get(text)
        if known is not None:
            if holder.address == self.dataset.address:
                self._tie(roots, known.roots)
                return None
            if roots <= known.roots:
                return None
            known.roots = known.roots | roots
            self._tie(known.roots, known.roots)
            return known
        why = self._why(holder.address, found.key)
        if why or reference not in self._along:
            words = why or "refer to them and stay"
            for root in roots:
                self._stays.setdefault(root, (holder.address, words))
            return None
        row = Row(holder.address, found.key, found.carry, set(roots))
        self._rows.setdefault(holder.address, {})[text] = row
        self._tie(row.roots, row.roots)
        return row

    def _why(self, address: str, key: Key) -> str:
        """Why that row stays; empty when it may go. One in a file was found by another field than
        the search that led from a person, so what its guard holds is asked as well."""
        places, ordinal = self._places(address), self._ordinals.get(address)
        if places is None or ordinal is None:
            return self._staying.why(address, key_text(key.values))
        held = dict(zip(self.steps[ordinal].step.guard, key.guard, strict=True))
        own = {str(key.values[1]): key.values[2]}
        return places.why({name: (value,) for name, value in {**held, **own}.items()})

    def _places(self, address: str) -> Places | None:
        """What stays in a dataset of files; None for one of rows with keys."""
        store = self._stores.get(self._catalogue.datasets[address].store)
        if not isinstance(store, Dated):
            return None
        if address not in self._kept:
            self._kept[address] = Places(address, self._staying)
        return self._kept[address]

    def _tie(self, roots: set[KeyText], to: set[KeyText]) -> None:
        for root in roots:
            self._needs.setdefault(root, set()).update(to)

    def _settle(self) -> None:
        """Rows that are tied to one that stays, stay as well."""
        grown = True
        while grown:
            grown = False
            for root, needs in self._needs.items():
                why = next((self._stays[n] for n in needs if n in self._stays), None)
                if why is not None and root not in self._stays:
                    self._stays[root], grown = why, True

    def entries(self, person: str, most: int) -> list[Entry]:
        """Those that go, at most so many rows past their date; each says with which of them."""
        chosen, before = set(islice(sorted(self.free), most)), -1
        while len(chosen) != before:
            before = len(chosen)
            # What goes together goes together, another time.
            chosen = {root for root in chosen if self._needs.get(root, set()) <= chosen}
        people, found = frozenset({person}), []
        for address in self.addresses:
            for text, row in self._rows.get(address, {}).items():
                if row.roots <= chosen:
                    carry = {ROOTS: json.dumps(sorted(row.roots))}
                    found.append(Entry(self._ordinals[address], row.key, text, people, carry))
        return found

    def more_than(self, entries: Iterable[Entry]) -> int:
        """How many rows are past their date and could go, or were not looked into, beyond these."""
        roots = {root for e in entries for root in roots_of(e)}
        return self.more + sum(self.there(root) or 1 for root in self.free - roots)

    def left_over(self) -> list[dict[str, Any]]:
        """What is over and stays: counts by dataset and reason."""
        self._settle()
        told = Counter(self._left)
        for holder, words in self._stays.values():
            told[self.dataset.address, f"rows of {holder} {words}"] += 1
        return [{"dataset": d, "rows": n, "reason": why} for (d, why), n in sorted(told.items())]

    @property
    def free(self) -> set[KeyText]:
        """The rows past their date that could go now."""
        self._settle()
        return self._roots.keys() - self._stays.keys()


def roots_of(entry: Entry) -> set[KeyText]:
    """The rows past their date with which an entry goes."""
    return {tuple(text) for text in json.loads(str(entry.carry[ROOTS]))}


def _along(dataset: Dataset, catalogue: Snapshot) -> dict[Reference, None]:
    """The references over which rows go along: deep ones, from rows that are deleted and have no
    retention of their own."""
    found: dict[Reference, None] = {}
    pending = [dataset.address]
    while pending:
        at = pending.pop()
        for edge in catalogue.neighbours(frozenset({at})).edges:
            holder = catalogue.datasets[edge.destination]
            parts = edge.effect == "deep" and not edge.forward and holder.address != at
            written = edge.reference in catalogue.references
            if not (parts and written and edge.reference not in found):
                continue
            if holder.action == "delete" and not holder.retention and not holder.until:
                found[edge.reference] = None
                pending.append(holder.address)
    return found


def limits(addresses: Sequence[str], catalogue: Snapshot) -> list[dict[str, str]]:
    """Copies that a sweep does not reach, and what becomes of them."""
    words = {
        "backed_up": "copies here go when they expire; restored, the sweep finds them again",
        "trained": "a model that was trained on them is not changed by their retention",
    }
    made = catalogue.neighbours(frozenset(addresses)).derivations
    return [
        {
            "dataset": d.downstream,
            "statement": words.get(d.kind, f"{d.kind} from them; goes by a rule of its own"),
        }
        for d in sorted(made, key=lambda d: (d.downstream, d.kind))
    ]
