"""A catalogue draft from a live schema: a person reads it, decides where it says ``decide``,
looks again where it says ``to confirm``, and imports it.

A suggestion of high and of medium confidence stands in the draft, with its reason in a comment;
a low one, and a reference that is not sure, is a comment and nothing more.

What it takes for granted: a table with an email of its own is about people and is deleted with
them; so is a table that refers to such a table, except by a column that names who handled the
row; a table without anything personal is ignored. A draft never deletes on a guess: where the
owner of a row is unclear, the reference is cut and the draft asks.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby

from lineage.graph import StoreEntry
from lineage.importers.discovery import Findings
from lineage.importers.overlaps import Suggested
from lineage.importers.roles import Link, single
from lineage.importers.suggestions import LEVELS, Confidence, Role, Suggestion
from lineage.importers.view_drafts import view_lines
from lineage.importers.views import Viewed
from lineage.importers.writing import flow, line, quoted
from lineage.schema import Column, Table, View

_TYPES = (
    (re.compile(r"char|text|clob|string|uuid", re.IGNORECASE), "string"),
    (re.compile(r"int|serial", re.IGNORECASE), "integer"),
    (re.compile(r"numeric|decimal|real|double|float|money", re.IGNORECASE), "float"),
    (re.compile(r"bool", re.IGNORECASE), "boolean"),
)
_ACTIONS: dict[Role, str] = {
    "person": "erasure: {action: delete}",
    "child": "erasure: {action: delete}",
    "shared": "erasure: {action: delete}",
}
# Roles of tables that lack an identity.
_ASKED: frozenset[Role] = frozenset(["uncertain", "linked"])
_DECIDE: dict[Role, str] = {
    "child": "goes with the person; retain with until and exception where a law demands it",
    "shared": "goes when nobody refers to it any more",
    "uncertain": "are these people? give a key or a login an identity, and add erasure.action",
    "linked": "whose rows are these? add erasure.action once it is clear",
}
_UNSEEN = "no row was looked at"

_HEAD = (
    "# A draft to finish. high: name or values tell. to confirm (medium): stands until somebody",
    "# says otherwise. to confirm (low), and references to confirm: comments only. decide: open.",
)


def draft(findings: Findings, store: StoreEntry, viewed: Viewed | None = None) -> str:
    """Catalogue YAML for a store; ``store.url`` is written as it is, so hand it in unresolved.
    ``viewed``: its views, with what they are made of."""
    lines = _Draft(findings, store, viewed or Viewed()).lines()
    return "".join(f"{line(one)}\n" for one in lines)


def summary(findings: Findings, text: str) -> list[str]:
    """What was found and what is left to decide, in lines of counts; ``text`` is the draft."""
    tables = findings.inspection.tables.values()
    columns = sum(len(table.columns) for table in tables)
    levels = Counter(one.confidence for one in findings.suggestions.values())
    references = Counter(one.confidence for group in findings.references.values() for one in group)
    nothing = columns - sum(levels.values())
    decide = sum("# decide:" in line for line in text.splitlines())
    confirm = sum((levels + references).values()) - (levels + references)["high"]
    return [
        f"tables: {len(tables)}, {findings.sampled} of them sampled; columns: {columns}",
        f"columns with a suggestion: {_levels(levels)}; without: {nothing}",
        f"references: {findings.declared} declared; by name and values: {_levels(references)}",
        f"left to a person: {decide} to decide, {confirm} to confirm",
        *(f"not sampled: {name}: {why}" for name, why in sorted(findings.unread.items())),
    ]


def _levels(counts: Mapping[Confidence, int]) -> str:
    return ", ".join(f"{counts.get(level, 0)} {level}" for level in LEVELS)


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def fides_key(text: str) -> str:
    """The text as fideslang allows keys to be: letters, digits, ``_`` and ``-``."""
    return re.sub(r"[^A-Za-z0-9_-]+", "_", text).strip("_") or "store"


class _Draft:
    def __init__(self, findings: Findings, store: StoreEntry, viewed: Viewed) -> None:
        self._tables = findings.inspection.tables
        self._viewed = viewed
        self._findings = findings
        self._store = store
        self._roles = findings.roles
        self._keys = _keys(store, [*self._tables.values(), *viewed.views.values()])

    def lines(self) -> Iterator[str]:
        entry = self._store
        yield from _HEAD
        url = f", url: {quoted(entry.url)}" if entry.url else ""
        options = f", options: {flow(dict(entry.options))}" if entry.options else ""
        yield "store:"
        yield f"  - {{name: {quoted(entry.name)}, kind: {entry.kind}{url}{options}}}"
        yield "dataset:"
        everything: dict[str, Table | View] = {**self._tables, **self._viewed.views}
        ordered = sorted(everything.items(), key=lambda pair: (pair[1].schema or "", pair[0]))
        for schema, tables in groupby(ordered, key=lambda pair: pair[1].schema):
            yield from self._dataset(schema, [name for name, _ in tables])

    def _dataset(self, schema: str | None, names: list[str]) -> Iterator[str]:
        placed = f", schema: {quoted(schema)}" if schema else ""
        yield f"  - fides_key: {quoted(self._key(schema))}"
        yield "    # decide: purpose, legal_basis and retention, here or per collection"
        yield f"    erasure: {{store: {quoted(self._store.name)}{placed}}}"
        yield "    collections:"
        for name in names:
            if name in self._tables:
                yield from self._collection(name, self._tables[name])
            else:
                hints = self._findings.suggestions
                yield from view_lines(name, self._viewed, hints, self._address)

    def _address(self, name: str) -> str:
        one = self._tables.get(name) or self._viewed.views[name]
        return f"{self._key(one.schema)}.{one.name}"

    def _key(self, schema: str | None) -> str:
        return self._keys[schema]

    def _collection(self, name: str, table: Table) -> Iterator[str]:
        role = self._roles.role(name)
        rows = f"  # about {table.rows} rows" if table.rows is not None else ""
        yield f"      - name: {quoted(table.name)}{rows}"
        if not table.primary_key:
            yield "        # decide: no primary key; nothing can be erased here without one"
        if role in _DECIDE:
            yield f"        # decide: {_DECIDE[role]}"
        if role in _ACTIONS:
            yield f"        {_ACTIONS[role]}"
        elif role == "plain":
            because = quoted(self._because(name, table))
            yield f"        erasure: {{action: ignore, because: {because}}}"
        yield from self._composite_keys(table)
        if not table.columns:
            yield "        fields: []"
            return
        yield "        fields:"
        for column in table.columns:
            yield from self._field(name, column, role)

    def _because(self, name: str, table: Table) -> str:
        """Why a table is suggested to be ignored: what was looked at, and that nobody else did."""
        doubts = any((name, c.name) in self._findings.suggestions for c in table.columns)
        but = " but what is to confirm below" if doubts else ""
        seen = self._findings.rows.get(name)
        rows = "the table was empty" if seen == 0 else f"and in {_count(seen or 0, 'sampled row')}"
        return (
            f"suggested by discover_lineage: nothing personal{but} in name and type of "
            f"{_count(len(table.columns), 'column')}, {rows if seen is not None else _UNSEEN}"
        )

    def _composite_keys(self, table: Table) -> Iterator[str]:
        for key in table.foreign_keys:
            if not single(key):
                pairs = ", ".join(key.columns)
                yield f"        # decide: reference of several columns ({pairs}) to {key.target}"

    def _field(self, name: str, column: Column, role: Role) -> Iterator[str]:
        links = [link for link in self._roles.links[name] if link.column == column.name]
        suggestion = self._findings.suggestions.get((name, column.name))
        references = self._findings.references.get((name, column.name), ())
        live = suggestion if suggestion and suggestion.confidence != "low" else None
        parts = [f"name: {quoted(column.name)}"]
        if live:
            parts.append(_categories(live))
        meta = self._meta(name, column, role, links)
        if meta:
            parts.append(f"fides_meta: {{{', '.join(meta)}}}")
        erasure, question = self._erasure(live, links)
        if erasure:
            parts.append(f"erasure: {{{erasure}}}")
        above = [f"decide: {question}"] if question else []
        if role in _ASKED and (name, column.name) in self._findings.logins:
            above.append("decide: does this say who the row is? then fides_meta.identity: email")
        above += self._asides(column, suggestion, references)
        yield from (f"          # {aside}" for aside in above)
        reasons = [_reason(live)] if live else []
        reasons += [f"high: reference, {r.reason}" for r in references if r.confidence == "high"]
        yield f"          - {{{', '.join(parts)}}}  # {'; '.join([*reasons, _facts(column)])}"

    def _asides(
        self, column: Column, suggestion: Suggestion | None, references: Sequence[Suggested]
    ) -> Iterator[str]:
        """What is only a comment: weak suggestions, unsure references, keys inside documents."""
        if suggestion and suggestion.confidence == "low":
            text = ", erasure: {free_text: true}" if suggestion.free_text else ""
            yield f"to confirm (low): {_categories(suggestion)}{text}: {suggestion.reason}"
        for unsure in references:
            if unsure.confidence != "high":
                reference = f"references: [{self._reference(unsure.link)}]"
                yield f"to confirm ({unsure.confidence}): {reference}: {unsure.reason}"
        # The column's categories are about the whole document; who wants the rest of it to stay
        # declares these paths instead.
        for path, one in suggestion.nested if suggestion else ():
            field = quoted(f"{column.name}.{path}")
            yield f"inside ({one.confidence}): {{name: {field}, {_categories(one)}}}: {one.reason}"

    def _meta(self, name: str, column: Column, role: Role, links: list[Link]) -> list[str]:
        meta = ["primary_key: true"] if column.primary_key else []
        if role == "person" and (name, column.name) in self._findings.identities:
            meta.append("identity: email")
        kind = next((word for pattern, word in _TYPES if pattern.search(column.data_type)), None)
        if kind:
            meta.append(f"data_type: {kind}")
        if links:
            meta.append(f"references: [{', '.join(self._reference(link) for link in links)}]")
        return meta

    def _reference(self, link: Link) -> str:
        target = self._tables[link.target]
        dataset = quoted(self._key(target.schema))
        field = quoted(f"{target.name}.{link.target_column}")
        direction = "to" if self._roles.tie(link) == "shared" else "from"
        return f"{{dataset: {dataset}, field: {field}, direction: {direction}}}"

    def _erasure(self, found: Suggestion | None, links: list[Link]) -> tuple[str, str]:
        """The erasure block of a field, and what is asked above it."""
        parts = ["free_text: true"] if found is not None and found.free_text else []
        question = ""
        cut = [link for link in links if self._roles.tie(link) == "cut"]
        if cut:
            parts.append(f"on_erase: {'shallow' if cut[0].nullable else '{shallow: ghost}'}")
            question = f"does the row belong to its {cut[0].target}? then on_erase: deep"
        return ", ".join(parts), question


def _keys(store: StoreEntry, tables: Iterable[Table | View]) -> dict[str | None, str]:
    """A key per schema, none twice: what tells ``a b`` from ``a_b`` may not stand in one."""
    found: dict[str | None, str] = {}
    for schema in sorted({one.schema for one in tables}, key=lambda name: name or ""):
        key = plain = fides_key(f"{store.name}_{schema}" if schema else store.name)
        number = 1
        while key in found.values():
            number += 1
            key = f"{plain}_{number}"
        found[schema] = key
    return found


def _categories(suggestion: Suggestion) -> str:
    return f"data_categories: [{', '.join(suggestion.categories)}]"


def _reason(suggestion: Suggestion) -> str:
    sure = suggestion.confidence == "high"
    return f"{'high' if sure else f'to confirm ({suggestion.confidence})'}: {suggestion.reason}"


def _facts(column: Column) -> str:
    """What the schema says of a column, for the reader."""
    facts = [column.data_type or "no type"]
    if not column.nullable and not column.primary_key:
        facts.append("not null")
    if column.unique and not column.primary_key:
        facts.append("unique")
    elif column.indexed and not column.primary_key:
        facts.append("indexed")
    if column.generated:
        facts.append("generated")
    return ", ".join(facts)
