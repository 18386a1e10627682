"""Keeps the graph that a decision was made on, by its hash, and compares two of them."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lineage.errors import CatalogueError
from lineage.event_models import KeptGraph
from lineage.graph import plain
from lineage.part import Part
from lineage.snapshot import Snapshot

# What names an entry of each part; the rest of it can change.
_NAMES: Mapping[str, tuple[str, ...]] = {
    "stores": ("name",),
    "datasets": ("address",),
    "references": ("holder", "holder_field", "target", "target_field"),
    "derivations": ("upstream", "downstream", "kind"),
}
_WORDS = {
    "stores": "store",
    "datasets": "dataset",
    "references": "reference",
    "derivations": "derivation",
}
_JOINED = {"references": "{0}.{1} → {2}.{3}", "derivations": "{0} ⇒ {1} ({2})"}
_SHORTEST = 8
Graph = Mapping[str, Mapping[tuple[str, ...], Any]]


@dataclass(frozen=True, kw_only=True)
class Kept:
    """A graph that was kept, and whose: people known by these ``kinds``, in one ``store`` or in
    all (empty). ``kinds`` is None for a whole catalogue."""

    graph: Graph
    kinds: Sequence[str] | None = None
    store: str = ""


def keep(version: str, part: Part) -> None:
    """Keep what a plan was made on, once, under what it rests on. Addresses of stores are left out:
    some hold a password."""
    if not KeptGraph.objects.filter(version=version).exists():
        plain = {**_plain(part.catalogue), "kinds": part.kinds, "store": part.store}
        body = zlib.compress(json.dumps(plain, sort_keys=True).encode(), 6)
        KeptGraph.objects.get_or_create(version=version, defaults={"body": body})


def kept(version: str) -> Kept:
    """The graph of that hash, or of its first characters. Raises CatalogueError."""
    rows = KeptGraph.objects.filter(version__startswith=version)[:2]
    if len(version) < _SHORTEST or len(rows) != 1:
        raise CatalogueError(
            version[:64], f"no one graph is kept under this; give {_SHORTEST} or more characters"
        )
    plain = json.loads(zlib.decompress(bytes(rows[0].body)))
    return Kept(graph=_graph(plain), kinds=plain.get("kinds"), store=plain.get("store", ""))


def latest() -> str | None:
    """The hash of the graph that was kept last."""
    rows = KeptGraph.objects.order_by("-kept_at", "-id").values_list("version", flat=True)
    return rows.first()


def graph_of(snapshot: Snapshot) -> Graph:
    """A graph to compare with, of a snapshot that need not be kept."""
    return _graph(json.loads(json.dumps(_plain(snapshot))))


def compare(old: Graph, new: Graph) -> Iterator[str]:
    """What is new (+), gone (-) and changed (~), a line each."""
    for part, word in _WORDS.items():
        before, after = old.get(part, {}), new.get(part, {})
        for name in sorted({*before, *after}):
            if before.get(name) == after.get(name):
                continue
            sign = "+" if name not in before else "-" if name not in after else "~"
            said = _JOINED.get(part, "{0}").format(*name)
            fields = _fields(before[name], after[name]) if sign == "~" else ""
            yield f"{sign} {word} {said}{fields}"


def _fields(before: Any, after: Any) -> str:
    """Which properties changed; of fields of a dataset, which of them."""
    changed = sorted(key for key in {*before, *after} if before.get(key) != after.get(key))
    named = []
    for key in changed:
        if key != "fields":
            named.append(key)
            continue
        was, now = ({f["name"]: f for f in side["fields"]} for side in (before, after))
        named += [f"+{n}" for n in now if n not in was]
        named += [f"-{n}" for n in was if n not in now]
        named += [f"~{n}" for n in now if n in was and was[n] != now[n]]
    return f": {', '.join(named)}"


def _plain(snapshot: Snapshot) -> dict[str, list[Any]]:
    return {
        "stores": [{"name": s.name, "kind": s.kind, "role": s.role} for s in snapshot.stores],
        "datasets": [dataset.to_json() for dataset in snapshot.datasets.values()],
        "references": [plain(reference) for reference in snapshot.references],
        "derivations": [plain(derivation) for derivation in snapshot.derivations],
    }


def _graph(plain: Mapping[str, list[Any]]) -> Graph:
    return {
        part: {tuple(str(entry[n]) for n in names): entry for entry in plain.get(part, ())}
        for part, names in _NAMES.items()
    }
