"""What ``meta`` and ``tags`` of a dbt project say about people. Pure.

There is no standard; these words are in use: tags ``pii``, ``personal``, ``gdpr``, ``sensitive``;
``meta: {pii: true}``, ``contains_pii``, ``data_categories`` (fideslang's own); and ours:
``identity``, and on a node ``erasure: {action: …, because: …}``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from lineage.graph import Field
from lineage.importers.dbt_manifest import ColumnNode, Node, Said
from lineage.importers.guesses import guess
from lineage.schema import Column

_FLAGS = ("pii", "contains_pii", "is_pii", "personal", "personal_data", "gdpr", "sensitive", "phi")
# What a node may decide in a line; `retain` needs a date and a ground, and so the catalogue file.
_ACTIONS = frozenset({"delete", "anonymize", "redact", "rebuild", "restrict", "ignore"})
_ANYTHING = "user"


def personal(said: Said) -> bool | None:
    """True or False as it says; None where it says nothing."""
    for name in _FLAGS:
        value = said.meta.get(name)
        if isinstance(value, bool):
            return value
        if isinstance(value, str) and value.lower() in ("true", "yes", "high", "medium", "low"):
            return True
    tags = {tag.lower().replace("-", "_").partition(":")[0] for tag in said.tags}
    return True if tags & set(_FLAGS) else None


def fields_of(node: Node) -> Iterator[Field]:
    """The fields of a node. Where the node is said to be about people and no column is, those are
    that look like it, else all of them: too much can be corrected, too little is not noticed."""
    flagged = [c for c in node.columns if personal(c.said) or _listed(c.said)]
    candidates: list[ColumnNode] = list(flagged)
    if personal(node.said) and not flagged:
        candidates = [c for c in node.columns if _guessed(c)] or list(node.columns)
    keys = {name.lower() for name in node.keys}
    for column in node.columns:
        identity = column.said.meta.get("identity")
        yield Field(
            name=column.name,
            data_type=None,
            categories=_categories(column) if column in candidates else (),
            identity=identity if isinstance(identity, str) else None,
            primary_key=column.name.lower() in keys,
        )
    there = {c.name.lower() for c in node.columns}
    for name in node.keys:
        if name.lower() not in there:
            yield Field(name=name, primary_key=True)


def _categories(column: ColumnNode) -> tuple[str, ...]:
    listed = _listed(column.said)
    return listed or (_guessed(column) or _ANYTHING,)


def _listed(said: Said) -> tuple[str, ...]:
    fides = said.meta.get("fides")
    inner = fides.get("data_categories") if isinstance(fides, Mapping) else None
    given = said.meta.get("data_categories") or inner
    texts = [given] if isinstance(given, str) else given if isinstance(given, list) else []
    return tuple(text for text in texts if isinstance(text, str))


def _guessed(column: ColumnNode) -> str:
    found = guess(Column(name=column.name, data_type=column.data_type or ""))
    return found.category if found else ""


def decided(node: Node, *, because: str) -> dict[str, Any]:
    """``action`` and ``because`` of a node; a view's is that nothing is done to it."""
    said = node.said.meta.get("erasure")
    block = said if isinstance(said, Mapping) else {}
    action, words = block.get("action"), block.get("because")
    reason = words if isinstance(words, str) else ""
    if action in _ACTIONS and (reason or action != "ignore"):
        return {"action": action, "because": reason}
    return {"action": "ignore", "because": because} if node.is_view else {}


def doubts(node: Node) -> Iterator[str]:
    """What somebody should look at again."""
    said = node.said.meta.get("erasure")
    if isinstance(said, Mapping) and said.get("action") not in _ACTIONS:
        yield f"{node.id}: meta.erasure.action is none of {', '.join(sorted(_ACTIONS))}"
    if personal(node.said) and not any(personal(c.said) for c in node.columns):
        yield f"{node.id}: is said to hold personal data, and no column is; tag the columns"
    if personal(node.said) is None:
        names = [c.name for c in node.columns if personal(c.said) is None and _guessed(c)]
        if names:
            yield f"{node.id}: by their names these are about people: {', '.join(names)}; tag them"
    if personal(node.said) is False and any(_guessed(c) for c in node.columns):
        names = [c.name for c in node.columns if _guessed(c)]
        yield f"{node.id}: is said to hold no personal data, but has {', '.join(names)}"
