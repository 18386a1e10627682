"""Which values are put into rows: for each row the first of its candidates that all constraints
let in.

Columns that constraints tie together are chosen together. The rows of a work are judged in bulk:
first everybody's first candidates, then, of the few that were refused, more and more. What is
chosen follows from the seed and from the rows outside the work, never from what the work's own
rows hold now, so that a second execution chooses alike.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice, product
from typing import Protocol, runtime_checkable

from erasure.domain.errors import StoreError
from erasure.domain.values import Scalar, canonical, fold
from erasure.stores.base import Key, Secrets, Work
from erasure.stores.rows import Effect, Row
from erasure.stores.rules import Rule

KeyValues = tuple[Scalar, ...]
Vector = tuple[Scalar, ...]  # values of a group's columns
Proposal = tuple[KeyValues, Vector]
# The rules that refuse a row, by position: a unique one by the key of the row that is in the way.
Verdict = Mapping[int, KeyValues | None]
CANDIDATES = 512  # of one column
VECTORS = 1024  # of one row and group
_FIRST_ROUND = 4
_GROWTH = 4
_Form = tuple[Rule, tuple[str, ...]]
_INTERIM: KeyValues = ("in the way",)


class Judge(Protocol):
    """Asks the store."""

    def __call__(
        self, rules: Sequence[Rule], names: Sequence[str], proposals: Sequence[Proposal]
    ) -> list[Verdict]:
        """What refuses each row as it would be: its present key, and new values of the columns
        ``names``."""


@runtime_checkable
class Foresees(Protocol):
    """A store that can tell, without writing, what it would refuse to put into its rows."""

    def foresee(self, works: Sequence[Work], secrets: Secrets) -> None:
        """Raise StoreError where ``act`` would find nothing that a column and its constraints
        take, with the remedy. ``secrets`` may have any seed."""


@dataclass(frozen=True, kw_only=True)
class _Group:
    """Columns that change and are tied together, and the rules that tie them."""

    names: tuple[str, ...]
    rules: tuple[Rule, ...]


@dataclass(frozen=True, kw_only=True)
class Given:
    """The rows of a work: their keys as found, and their columns now (those that the effect reads
    and :func:`tied` names), by key."""

    keys: Mapping[KeyValues, Key]
    rows: Mapping[KeyValues, Row]


def choose(effect: Effect, given: Given, rules: Iterable[Rule], judge: Judge) -> Effect:
    """The effect with what was chosen. Raises StoreError where no candidate is let in, naming
    column and constraint."""
    choices: dict[KeyValues, dict[str, Scalar]] = {}
    contended: set[str] = set()
    for group in _groups(effect, rules):
        if any(rule.kind != "check" and not _is_safe(effect, rule) for rule in group.rules):
            contended.update(group.names)
        chooser = _Chooser(effect, group, given, judge)
        for key, vector in chooser.chosen():
            choices.setdefault(key, {}).update(zip(group.names, vector, strict=True))
    return replace(effect, choices=choices, contended=frozenset(contended))


def interim(
    effect: Effect, given: Given, rules: Iterable[Rule], judge: Judge
) -> dict[KeyValues, dict[str, Scalar]]:
    """Values for rows that hold what another row of the work is to get, until they have moved on.
    ``effect``: as chosen. Raises StoreError where there is no room."""
    found: dict[KeyValues, dict[str, Scalar]] = {}
    for group in _groups(effect, rules):
        chooser = _Chooser(effect, group, given, judge)
        for key, vector in chooser.parked():
            found.setdefault(key, {}).update(zip(group.names, vector, strict=True))
    return found


def tied(effect: Effect, rules: Iterable[Rule]) -> tuple[str, ...]:
    """Columns that stay as they are, but must be read: they are unique together with others."""
    names = {*effect.changing, *effect.rekeys}
    found = [
        rule.columns - names
        for rule in rules
        if rule.kind == "unique" and rule.columns & names and not _is_safe(effect, rule)
    ]
    return tuple(sorted(set().union(*found)))


def _groups(effect: Effect, rules: Iterable[Rule]) -> list[_Group]:
    """Those groups in which something must be judged."""
    names = (*effect.changing, *effect.rekeys)
    groups: list[_Group] = []
    for rule in rules:
        changed = rule.columns & set(names)
        if not changed:
            continue
        knit = [g for g in groups if changed & set(g.names)]
        every = changed.union(*(g.names for g in knit))
        joined = _Group(
            names=tuple(n for n in names if n in every),
            rules=(*(r for g in knit for r in g.rules), rule),
        )
        groups = [g for g in groups if g not in knit] + [joined]
    return [g for g in groups if not all(_is_safe(effect, rule) for rule in g.rules)]


class _Chooser:
    """One group of columns, over all rows."""

    def __init__(self, effect: Effect, group: _Group, given: Given, judge: Judge) -> None:
        self._effect, self._group, self._given, self._judge = effect, group, given, judge
        ordered = sorted(given.rows.items(), key=lambda pair: repr(pair[0]))
        self._rows = {
            values: tuple(self._now(values, row, name) for name in group.names)
            for values, row in ordered
        }
        self._mates = frozenset(self._rows)
        self._taken: dict[_Form, KeyValues] = {}
        self._refused_by: dict[KeyValues, set[Rule]] = {}

    def _now(self, values: KeyValues, row: Row, name: str) -> Scalar:
        return row[name] if name in row else values[self._effect.key.index(name)]

    def chosen(self) -> Iterator[tuple[KeyValues, Vector]]:
        """What each row gets."""
        # What is NULL, or random enough, need not be judged before something else is tried.
        rules = [r for r in self._group.rules if not _is_safe(self._effect, r)]
        offers = [
            (values, [tuple(next(c) for c in self._candidates(values, now))])
            for values, now in self._rows.items()
        ]
        settled = self._settle(rules, offers)
        yield from settled.items()
        yield from self._rounds([values for values in self._rows if values not in settled])

    def _rounds(self, unsettled: Sequence[KeyValues]) -> Iterator[tuple[KeyValues, Vector]]:
        """For rows that were refused: more and more, until each has something."""
        pending = {values: self._vectors(values) for values in unsettled}
        size = _FIRST_ROUND
        while pending:
            offers = [(v, list(islice(vectors, size))) for v, vectors in pending.items()]
            for values, vectors in offers:
                if not vectors:
                    raise self._refusal(values)
            settled = self._settle(self._group.rules, offers)
            yield from settled.items()
            pending = {v: vectors for v, vectors in pending.items() if v not in settled}
            size *= _GROWTH

    def _settle(
        self, rules: Sequence[Rule], offers: Sequence[tuple[KeyValues, list[Vector]]]
    ) -> dict[KeyValues, Vector]:
        """For each row the first of the vectors offered that nothing refuses."""
        proposals = [(values, vector) for values, vectors in offers for vector in vectors]
        verdicts = self._judge(rules, self._group.names, proposals)
        settled: dict[KeyValues, Vector] = {}
        for (values, vector), verdict in zip(proposals, verdicts, strict=True):
            if values in settled:
                continue
            refused = {
                rules[place]
                for place, holder in verdict.items()
                if not self._moves(rules[place], values, holder)
            }
            refused = refused or self._clashing(rules, values, vector)
            if refused:
                self._refused_by.setdefault(values, refused)
            else:
                settled[values] = vector
        return settled

    def _moves(self, rule: Rule, values: KeyValues, holder: KeyValues | None) -> bool:
        """True where what is in the way is the row itself, or one that gets something new."""
        if holder is None or holder == values:
            return holder is not None
        return holder in self._mates and not rule.columns & set(self._effect.rekeys)

    def _clashing(self, rules: Sequence[Rule], values: KeyValues, vector: Vector) -> set[Rule]:
        """The unique rules by which another row of the work was given the same already."""
        forms = self._forms(rules, values, vector)
        clashing = {form[0] for form in forms if self._taken.get(form, values) != values}
        if not clashing:
            self._taken.update(dict.fromkeys(forms, values))
        return clashing

    def _forms(self, rules: Sequence[Rule], values: KeyValues, vector: Vector) -> list[_Form]:
        """What the row would hold of each unique rule."""
        new = {**self._given.rows[values], **dict(zip(self._group.names, vector, strict=True))}
        forms = []
        for rule in rules:
            parts = [new[name] for name in sorted(rule.columns)] if rule.kind == "unique" else []
            if parts and (rule.nulls or None not in parts) and not self._is_loose(rule):
                forms.append((rule, tuple(map(_roughly, parts))))
        return forms

    def _is_loose(self, rule: Rule) -> bool:
        """The rows may be outside of it; and there is nothing else to choose."""
        return bool(rule.predicate) and any(self._effect.is_fixed(n) for n in rule.columns)

    def parked(self) -> Iterator[tuple[KeyValues, Vector]]:
        """Interim values of the rows that are in the way of others."""
        rules = [
            rule
            for rule in self._group.rules
            if rule.kind == "unique" and not rule.columns & set(self._effect.rekeys)
        ]
        old = {v: self._forms(rules, v, now) for v, now in self._rows.items()}
        new = {
            form: values
            for values, now in self._rows.items()
            for form in self._forms(rules, values, self._after(values, now))
        }
        moving = [v for v, forms in old.items() if any(new.get(f, v) != v for f in forms)]
        self._taken = dict.fromkeys((*new, *(f for forms in old.values() for f in forms)), _INTERIM)
        self._mates = frozenset()
        yield from self._rounds(moving)

    def _after(self, values: KeyValues, now: Vector) -> Vector:
        key = self._given.keys[values]
        pairs = zip(self._group.names, now, strict=True)
        return tuple(self._effect.after(key, name, value) for name, value in pairs)

    def _candidates(self, values: KeyValues, now: Vector) -> list[Iterator[Scalar]]:
        key = self._given.keys[values]
        pairs = zip(self._group.names, now, strict=True)
        return [self._effect.candidates(key, name, value) for name, value in pairs]

    def _vectors(self, values: KeyValues) -> Iterator[Vector]:
        columns = self._candidates(values, self._rows[values])
        return islice(_shells([_distinct(column) for column in columns]), VECTORS)

    def _refusal(self, values: KeyValues) -> StoreError:
        refused = self._refused_by[values]
        rule = next(rule for rule in self._group.rules if rule in refused)
        name = next(n for n in self._group.names if n in rule.columns)
        return StoreError(
            f"{self._effect.place}.{name}", f"{rule.words} {self._effect.refused(name)}"
        )


def _distinct(candidates: Iterator[Scalar]) -> Iterator[Scalar]:
    seen: set[str] = set()
    for candidate in islice(candidates, CANDIDATES):
        if (form := repr(candidate)) not in seen:
            seen.add(form)
            yield candidate


def _shells(columns: Sequence[Iterator[Scalar]]) -> Iterator[Vector]:
    """Every combination, those of early candidates first; no candidate is made before it is
    asked for."""
    made: list[list[Scalar]] = [[] for _ in columns]
    for reach in range(CANDIDATES):
        for known, column in zip(made, columns, strict=True):
            known.extend(islice(column, 1))
        if not any(len(known) > reach for known in made):
            return
        for places in product(*(range(len(known)) for known in made)):
            if max(places) == reach:
                yield tuple(known[i] for known, i in zip(made, places, strict=True))


def _is_safe(effect: Effect, rule: Rule) -> bool:
    """True where the first candidates cannot meet the rule: NULL, or so random that nobody else
    holds it."""
    changed = rule.columns & {*effect.changing, *effect.rekeys}
    if rule.kind == "check":
        return False
    if not rule.nulls and any(effect.clears(name) for name in changed):
        return True
    return rule.kind == "unique" and rule.plain and any(effect.spreads(n) for n in changed)


def _roughly(value: Scalar) -> str:
    """As the loosest collation compares: case, accents and blanks behind do not count."""
    text = unicodedata.normalize("NFD", fold("" if value is None else canonical(value)))
    return "".join(c for c in text if not unicodedata.combining(c)).rstrip()
