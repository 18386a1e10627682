"""A catalogue draft from a live schema: a person reads it, decides where it says ``decide``, and
imports it.

What it takes for granted: a table with an email of its own is about people and is deleted with
them; so is a table that refers to such a table, except by a column that names who handled the
row; a table without anything personal is ignored. A draft never deletes on a guess: where the
owner of a row is unclear, the reference is cut and the draft asks.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import groupby

from lineage.graph import StoreEntry
from lineage.importers.guesses import Guess, guess, names_person
from lineage.importers.roles import Link, Role, Roles, single
from lineage.schema import Column, Inspection, Table

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
_DECIDE: dict[Role, str] = {
    "child": "goes with the person; retain with until and exception where a law demands it",
    "shared": "goes when nobody refers to it any more",
    "uncertain": "are these people? give a key or a login an identity, and add erasure.action",
    "linked": "whose rows are these? add erasure.action once it is clear",
}


def draft(inspection: Inspection, store: StoreEntry) -> str:
    """Catalogue YAML for a store; ``store.url`` is written as it is, so hand it in unresolved."""
    return "\n".join(_Draft(inspection, store).lines()) + "\n"


def _quoted(text: str) -> str:
    """A YAML scalar that reads back as that very text, also inside flow mappings."""
    if _PLAIN.fullmatch(text) and text.lower() not in _RESERVED:
        return text
    return json.dumps(text)


def fides_key(text: str) -> str:
    """The text as fideslang allows keys to be: letters, digits, ``_`` and ``-``."""
    return re.sub(r"[^A-Za-z0-9_-]+", "_", text).strip("_") or "store"


class _Draft:
    def __init__(self, inspection: Inspection, store: StoreEntry) -> None:
        self._tables = inspection.tables
        self._store = store
        self._roles = Roles(inspection)

    def lines(self) -> Iterator[str]:
        entry = self._store
        url = f", url: {_quoted(entry.url)}" if entry.url else ""
        options = f", options: {json.dumps(dict(entry.options))}" if entry.options else ""
        yield "store:"
        yield f"  - {{name: {_quoted(entry.name)}, kind: {entry.kind}{url}{options}}}"
        yield "dataset:"
        ordered = sorted(self._tables.items(), key=lambda pair: (pair[1].schema or "", pair[0]))
        for schema, tables in groupby(ordered, key=lambda pair: pair[1].schema):
            yield from self._dataset(schema, [name for name, _ in tables])

    def _dataset(self, schema: str | None, names: list[str]) -> Iterator[str]:
        placed = f", schema: {_quoted(schema)}" if schema else ""
        yield f"  - fides_key: {_quoted(self._key(schema))}"
        yield "    # decide: purpose, legal_basis and retention, here or per collection"
        yield f"    erasure: {{store: {_quoted(self._store.name)}{placed}}}"
        yield "    collections:"
        for name in names:
            yield from self._collection(name, self._tables[name])

    def _key(self, schema: str | None) -> str:
        return fides_key(f"{self._store.name}_{schema}" if schema else self._store.name)

    def _collection(self, name: str, table: Table) -> Iterator[str]:
        role = self._roles.role(name)
        rows = f"  # about {table.rows} rows" if table.rows is not None else ""
        yield f"      - name: {_quoted(table.name)}{rows}"
        if not table.primary_key:
            yield "        # decide: no primary key; nothing can be erased here without one"
        if role in _DECIDE:
            yield f"        # decide: {_DECIDE[role]}"
        if role in _ACTIONS:
            yield f"        {_ACTIONS[role]}"
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
        found = self._guess(column, role)
        parts = [f"name: {_quoted(column.name)}"]
        if found is not None:
            parts.append(f"data_categories: [{found.category}]")
        meta = self._meta(column, role, links)
        if meta:
            parts.append(f"fides_meta: {{{', '.join(meta)}}}")
        erasure, question = self._erasure(found, links)
        if erasure:
            parts.append(f"erasure: {{{erasure}}}")
        if question:
            yield _comment(f"          # decide: {question}")
        yield _comment(f"          - {{{', '.join(parts)}}}  # {_facts(column)}")

    @staticmethod
    def _guess(column: Column, role: Role) -> Guess | None:
        found = guess(column)
        if found is None or role == "plain":
            return None
        bare_name = found.category == "user.name" and not found.strong
        # what a table is called by is a person's name only where the table is about persons
        return None if bare_name and role not in ("person", "uncertain") else found

    def _meta(self, column: Column, role: Role, links: list[Link]) -> list[str]:
        meta = ["primary_key: true"] if column.primary_key else []
        if role == "person" and names_person(column):
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

    def _erasure(self, found: Guess | None, links: list[Link]) -> tuple[str, str]:
        """The erasure block of a field, and what is asked above it."""
        parts = ["free_text: true"] if found is not None and found.free_text else []
        question = ""
        cut = [link for link in links if self._roles.tie(link) == "cut"]
        if cut:
            parts.append(f"on_erase: {'shallow' if cut[0].nullable else '{shallow: ghost}'}")
            question = f"does the row belong to its {cut[0].target}? then on_erase: deep"
        return ", ".join(parts), question


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
