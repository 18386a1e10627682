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

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby

from lineage.graph import StoreEntry
from lineage.importers.discovery import Findings
from lineage.importers.overlaps import Suggested
from lineage.importers.roles import Link, single
from lineage.importers.suggestions import LEVELS, Confidence, Role, Suggestion
from lineage.importers.view_drafts import view_lines
from lineage.importers.views import Viewed
from lineage.schema import Column, Table, View

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
# Words that YAML 1.1 reads as something else than text.
_RESERVED = frozenset(["y", "n", "yes", "no", "on", "off", "true", "false", "null", "none"])
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
    "plain": 'erasure: {action: ignore, because: "no personal column"}',
}
_DOUBTED = 'erasure: {action: ignore, because: "nothing personal but what is to confirm below"}'
# Roles of tables that lack an identity.
_ASKED: frozenset[Role] = frozenset(["uncertain", "linked"])
_DECIDE: dict[Role, str] = {
    "child": "goes with the person; retain with until and exception where a law demands it",
    "shared": "goes when nobody refers to it any more",
    "uncertain": "are these people? give a key or a login an identity, and add erasure.action",
    "linked": "whose rows are these? add erasure.action once it is clear",
}


_HEAD = (
    "# A draft to finish. high: name or values tell. to confirm (medium): stands until somebody",
    "# says otherwise. to confirm (low), and references to confirm: comments only. decide: open.",
)


def draft(findings: Findings, store: StoreEntry, viewed: Viewed | None = None) -> str:
    """Catalogue YAML for a store; ``store.url`` is written as it is, so hand it in unresolved.
    ``viewed``: its views, with what they are made of."""
    return "\n".join(_Draft(findings, store, viewed or Viewed()).lines()) + "\n"


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


def _quoted(text: str) -> str:
    """A YAML scalar that reads back as that very text, also inside flow mappings."""
    if _PLAIN.fullmatch(text) and text.lower() not in _RESERVED:
        return text
    return json.dumps(text)


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

    def lines(self) -> Iterator[str]:
        entry = self._store
        yield from _HEAD
        url = f", url: {_quoted(entry.url)}" if entry.url else ""
        options = f", options: {json.dumps(dict(entry.options))}" if entry.options else ""
        yield "store:"
        yield f"  - {{name: {_quoted(entry.name)}, kind: {entry.kind}{url}{options}}}"
        yield "dataset:"
        everything: dict[str, Table | View] = {**self._tables, **self._viewed.views}
        ordered = sorted(everything.items(), key=lambda pair: (pair[1].schema or "", pair[0]))
        for schema, tables in groupby(ordered, key=lambda pair: pair[1].schema):
            yield from self._dataset(schema, [name for name, _ in tables])

    def _dataset(self, schema: str | None, names: list[str]) -> Iterator[str]:
        placed = f", schema: {_quoted(schema)}" if schema else ""
        yield f"  - fides_key: {_quoted(self._key(schema))}"
        yield "    # decide: purpose, legal_basis and retention, here or per collection"
        yield f"    erasure: {{store: {_quoted(self._store.name)}{placed}}}"
        yield "    collections:"
        for name in names:
            if name in self._tables:
                yield from self._collection(name, self._tables[name])
            else:
                hints = self._findings.suggestions
                yield from view_lines(name, self._viewed, hints, _quoted, self._address)

    def _address(self, name: str) -> str:
        one = self._tables.get(name) or self._viewed.views[name]
        return f"{self._key(one.schema)}.{one.name}"

    def _key(self, schema: str | None) -> str:
        return fides_key(f"{self._store.name}_{schema}" if schema else self._store.name)

    def _collection(self, name: str, table: Table) -> Iterator[str]:
        role, hints = self._roles.role(name), self._findings.suggestions
        rows = f"  # about {table.rows} rows" if table.rows is not None else ""
        yield f"      - name: {_quoted(table.name)}{rows}"
        if not table.primary_key:
            yield "        # decide: no primary key; nothing can be erased here without one"
        if role in _DECIDE:
            yield f"        # decide: {_DECIDE[role]}"
        if role in _ACTIONS:
            doubts = role == "plain" and any((name, c.name) in hints for c in table.columns)
            yield f"        {_DOUBTED if doubts else _ACTIONS[role]}"
        yield from self._composite_keys(table)
        if not table.columns:
            yield "        fields: []"
            return
        yield "        fields:"
        for column in table.columns:
            yield from self._field(name, column, role)

    def _composite_keys(self, table: Table) -> Iterator[str]:
        for key in table.foreign_keys:
            if not single(key):
                pairs = ", ".join(key.columns)
                yield _comment(
                    f"        # decide: reference of several columns ({pairs}) to {key.target}"
                )

    def _field(self, name: str, column: Column, role: Role) -> Iterator[str]:
        links = [link for link in self._roles.links[name] if link.column == column.name]
        suggestion = self._findings.suggestions.get((name, column.name))
        references = self._findings.references.get((name, column.name), ())
        live = suggestion if suggestion and suggestion.confidence != "low" else None
        parts = [f"name: {_quoted(column.name)}"]
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
        for line in above:
            yield _comment(f"          # {line}")
        reasons = [_reason(live)] if live else []
        reasons += [f"high: reference, {r.reason}" for r in references if r.confidence == "high"]
        yield _comment(
            f"          - {{{', '.join(parts)}}}  # {'; '.join([*reasons, _facts(column)])}"
        )

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
            field = _quoted(f"{column.name}.{path}")
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
        dataset = _quoted(self._key(target.schema))
        field = _quoted(f"{target.name}.{link.target_column}")
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


def _comment(line: str) -> str:
    """A line in which nothing of the schema's wording can end the comment."""
    return " ".join(line.splitlines())
