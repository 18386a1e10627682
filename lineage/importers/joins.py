"""Which columns may refer to which keys, where no foreign key says so: by their names, or by
values that look alike. What comes out is to be measured; see overlaps.py for what that tells.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal
from uuid import UUID

from lineage.importers.guesses import names_actor, names_people
from lineage.importers.roles import Link
from lineage.importers.terms import pattern
from lineage.importers.words import column_words, same_word, stems, words
from lineage.schema import Column, Table

How = Literal["named", "hinted", "found"]
_ORDER: tuple[How, ...] = ("named", "hinted", "found")
_PER_COLUMN = 3
_FEW, _ENOUGH, _PEEK = 3, 10, 20
_MOST_UNINDEXED = 1_000_000
# No key that counts from one comes as far.
_HUGE = 10**12
# How near a name is; what lies beyond the key's may belong to something else: product_line_id.
_TABLE, _KEY, _TAIL, _PREFIXED, _LOOSE = range(5)
_BEFORE = re.compile(r"^(?:(?:fk|ref|id|key|cod|code|num|nr|no|sk|pk) |id(?=[a-z]{4}))")
_AFTER = re.compile(
    r" ?(?:id|ids|key|no|nr|num|number|nummer|code|ref|fk|sk|pk|uuid|guid|numero|codigo|cod|kod|"
    r"kennung|email|mail)$"
)
_SELF = pattern(
    "parent,reports to,manager,boss,supervisor,superior,referred by,recruited by,invited by,"
    "mentor,vorgesetzte,vorgesetzter,übergeordnet,übergeordnete,eltern,geworben von,chef,parrain,"
    "superieur,jefe,padre,referido por,capo,superiore,leidinggevende,przelozony,rodzic"
)
_FAMILIES = (
    (re.compile(r"uuid|uniqueidentifier", re.IGNORECASE), "uuid"),
    (re.compile(r"char|text|clob|string|^$", re.IGNORECASE), "text"),
    (re.compile(r"interval|point", re.IGNORECASE), ""),
    (re.compile(r"int|serial|(numeric|decimal|number)(\(\d+(, ?0)?\))?$", re.IGNORECASE), "number"),
)
_PIECE = re.compile(r"[^\W_]+")
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class KeySample:
    """Different sampled values of a column that may be a key or refer to one. In memory only.
    ``repeated``: some value stood there twice."""

    values: tuple[object, ...] = field(default=(), repr=False)
    repeated: bool = False

    @cached_property
    def scattered(self) -> bool:
        """To find them elsewhere means something: they are no small numbers."""
        return bool(self.values) and all(map(_scattered, self.values))

    @cached_property
    def form(self) -> str:
        """What most values look like: ``K-10023`` is ``A-9``, ``7f3a`` is ``X``."""
        some = Counter(map(_form, self.values[:_PEEK]))
        return some.most_common(1)[0][0] if some else ""


Keys = Mapping[tuple[str, str], KeySample]


def _scattered(value: object) -> bool:
    if isinstance(value, int):
        return value >= _HUGE
    return isinstance(value, UUID) or (isinstance(value, str) and not value.isdigit())


def _form(value: object) -> str:
    text = str(value)
    return "uuid" if _UUID.fullmatch(text) else _PIECE.sub(_piece, text)


def _piece(match: re.Match[str]) -> str:
    text = match[0]
    return "9" if text.isdigit() else "A" if text.isalpha() else "X"


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A reference that may be one. ``rank``: 0 for the nearest name; ``sound``: near enough to
    trust small numbers, or the values are none."""

    link: Link
    how: How
    rank: int = 0
    sound: bool = True


@dataclass(frozen=True, kw_only=True)
class _Parent:
    """A column that can be referred to, and the words of it and of its table."""

    collection: str
    schema: str | None
    key: Column
    key_words: str
    forms: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class _Child:
    """A column that may refer to something. ``core``: its words without those that only say that
    it is a number of something; ``own``: the words of its table; ``alone``: it is a key itself."""

    collection: str
    schema: str | None
    column: Column
    words: str
    core: str
    own: tuple[str, ...]
    alone: bool

    @property
    def marked(self) -> bool:
        """``customer_id``, not ``customer``."""
        return self.core != self.words

    @property
    def full(self) -> _Child:
        """With the first word that all columns share: in a table of ``customer_id`` and
        ``customer_type_id`` it was none to leave out."""
        text = words(self.column.name)
        return replace(self, words=text, core=core_of(text))

    @property
    def itself(self) -> bool:
        """The key of its own table."""
        cores = {_joined(one.core) for one in (self, self.full)}
        return bool(self.own) and any(core and same_word(core, self.own[0]) for core in cores)


def family(column: Column) -> str:
    """``text``, ``number``, ``uuid``, or empty for what identifies nothing."""
    return next((name for found, name in _FAMILIES if found.search(column.data_type)), "")


def core_of(text: str) -> str:
    """``customer`` of ``fk customer id``, ``cust`` of ``custkey``; empty for ``id`` alone."""
    inner = _AFTER.sub("", _BEFORE.sub("", text))
    return inner if len(inner) > 1 else ""


def candidates(tables: Mapping[str, Table], keys: Keys) -> list[Candidate]:
    """What is worth measuring, the nearest names first. Without sampled ``keys``, names alone
    speak."""
    index = _Index([p for name, table in tables.items() for p in _parents(name, table, keys)], keys)
    found: list[Candidate] = []
    for name, table in tables.items():
        for child in _children(name, table):
            sample = keys.get((name, child.column.name), KeySample())
            own = list(_named(child, index, sample)) or list(_named(child.full, index, sample))
            if not own and not child.alone:
                own = list(_hinted(child, index)) or list(_found(child, index, sample))
            own.sort(key=lambda c: (c.rank, c.link.target, c.link.target_column))
            found += [c for c in own if c.rank == own[0].rank][:_PER_COLUMN]
    return sorted(found, key=lambda c: _ORDER.index(c.how))


class _Index:
    """The parents by what a column may call them, and by what their values look like."""

    def __init__(self, parents: Sequence[_Parent], keys: Keys) -> None:
        self.chiefs = [p for p in parents if p.key.primary_key]
        self._by_word: dict[str, list[_Parent]] = {}
        self._by_form: dict[str, list[_Parent]] = {}
        for parent in parents:
            table = parent.forms[0]
            called = {stem for form in parent.forms for stem in stems(form)}
            called |= {table[:end] for end in range(_FEW, len(table))}
            for word in {*called, _joined(parent.key_words)}:
                self._by_word.setdefault(word, []).append(parent)
            sample = keys.get((parent.collection, parent.key.name), KeySample())
            if sample.scattered:
                self._by_form.setdefault(sample.form, []).append(parent)

    def called(self, child: _Child) -> list[_Parent]:
        """Those whose table or key may be meant by the column's name."""
        near = {_joined(child.words)} | {s for tail in _tails(child.core) for s in stems(tail)}
        found = (p for word in sorted(near) for p in self._by_word.get(word, ()))
        return list(dict.fromkeys(found))

    def looking(self, sample: KeySample) -> list[_Parent]:
        """Those whose values look like these."""
        return self._by_form.get(sample.form, [])


def _parents(name: str, table: Table, keys: Keys) -> Iterator[_Parent]:
    split = column_words(table)
    for column in _key_columns(name, table, split, keys):
        yield _Parent(
            collection=name,
            schema=table.schema,
            key=column,
            key_words=split[column.name],
            forms=tuple(_tails(words(table.name))) or ("",),
        )


def _key_columns(name: str, table: Table, split: Mapping[str, str], keys: Keys) -> Iterator[Column]:
    """What is unique; where a table has no key at all and is not too large to be searched without
    one, its first column, if that is called like its key and no sampled value repeats."""
    single = len(table.primary_key) == 1
    unique = [c for c in table.columns if (c.primary_key and single) or c.unique]
    yield from (c for c in unique if family(c))
    small = (table.rows or 0) <= _MOST_UNINDEXED
    if not unique and not table.primary_key and table.columns and small:
        first = table.columns[0]
        text, sample = split[first.name], keys.get((name, first.name))
        core = _joined(core_of(text))
        own = not core or _joined(words(table.name)).startswith(core[:-1])
        differ = own if sample is None else len(sample.values) >= _FEW and not sample.repeated
        if core != _joined(text) and family(first) and differ:
            yield first


def _children(name: str, table: Table) -> Iterator[_Child]:
    declared = {c for key in table.foreign_keys for c in key.columns}
    split = column_words(table)
    for column in table.columns:
        child = _Child(
            collection=name,
            schema=table.schema,
            column=column,
            words=split[column.name],
            core=core_of(split[column.name]),
            own=tuple(_tails(words(table.name))),
            alone=table.primary_key == (column.name,),
        )
        if column.name not in declared and family(column) and not child.itself:
            yield child


def _tails(text: str) -> list[str]:
    """``billing customer``: the whole, and what is left without its first words."""
    parts = text.split()
    return ["".join(parts[i:]) for i in range(len(parts))]


def _joined(text: str) -> str:
    return text.replace(" ", "")


def _link(child: _Child, parent: _Parent) -> Link:
    return Link(
        holder=child.collection,
        column=child.column.name,
        target=parent.collection,
        target_column=parent.key.name,
        in_key=child.column.primary_key,
        nullable=child.column.nullable,
    )


def _compatible(child: _Child, parent: _Parent, *, named: bool = False) -> bool:
    if (child.collection, child.column.name) == (parent.collection, parent.key.name):
        return False
    pair = {family(child.column), family(parent.key)}
    return len(pair) == 1 or pair == {"text", "uuid"} or (named and "text" in pair)


def _named(child: _Child, index: _Index, sample: KeySample) -> Iterator[Candidate]:
    """Called like the table or its key, and saying that it is a number of something."""
    if not child.marked or not child.core:
        return
    for parent in index.called(child):
        distance = _distance(child, parent)
        if distance is None or not _compatible(child, parent, named=distance <= _KEY):
            continue
        sound = distance <= _TAIL or sample.scattered
        rank = 10 * distance + _fit(child, parent)
        yield Candidate(link=_link(child, parent), how="named", rank=rank, sound=sound)


def _fit(child: _Child, parent: _Parent) -> int:
    """Of tables that are called alike, the own schema's is meant; of the keys of one table, the
    one that the column ends in (``customer_email``), else the primary key."""
    ends = child.words.endswith(parent.key_words)
    return 3 * (child.schema != parent.schema) + (0 if ends else 1 if parent.key.primary_key else 2)


def _distance(child: _Child, parent: _Parent) -> int | None:
    (core, *tails), (table, *shorter) = _tails(child.core), parent.forms
    if same_word(core, table):
        return _TABLE
    if child.words == parent.key_words and not child.alone:
        return _KEY
    if any(same_word(core, form) for form in shorter):
        return _TAIL
    if any(same_word(tail, table) for tail in tails):
        return _PREFIXED
    loose = any(same_word(tail, form) for tail in tails for form in shorter)
    return _LOOSE if loose else None


def _hinted(child: _Child, index: _Index) -> Iterator[Candidate]:
    """An abbreviation (``cust_id``), a bare name (``user``), a chief, or who handled the row."""
    core = _joined(child.core)
    for parent in index.called(child):
        table = parent.forms[0]
        short = child.marked and len(core) >= _FEW and table.startswith(core)
        if _compatible(child, parent) and (short or (core and same_word(core, table))):
            yield Candidate(link=_link(child, parent), how="hinted")
    # a superior is a row of the same table, who handled a row one of people
    superior = _SELF.search(child.words) is not None
    actor = names_actor(child.column.name)
    for parent in index.chiefs if superior or actor else ():
        here = parent.collection == child.collection
        if _compatible(child, parent) and (here if superior else names_people(parent.collection)):
            yield Candidate(link=_link(child, parent), how="hinted")


def _found(child: _Child, index: _Index, sample: KeySample) -> Iterator[Candidate]:
    """No name, but values that look like the keys of another table, and are no small numbers."""
    if len(sample.values) < _ENOUGH or not sample.scattered:
        return
    for parent in index.looking(sample):
        if parent.collection != child.collection and _compatible(child, parent):
            yield Candidate(link=_link(child, parent), how="found")
