"""Reads the whole catalogue, once per revision, as values that everybody shares and nobody changes.

What was read last is held by the process: whoever asks again pays one statement, which tells
whether it is still true. Texts and fields that are equal are one object, so that hundreds of
thousands of datasets fit.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import lru_cache
from operator import attrgetter
from threading import Lock
from types import MappingProxyType
from typing import Any

from django.db.models import F, QuerySet, TextField
from django.db.models.functions import Cast

from lineage import graph, models, overlay, revision
from lineage.errors import CatalogueError
from lineage.snapshot import Snapshot

_CHUNK = 10_000
# Writers that are faster than a reader, again and again: what was read then is used, and not held.
_TRIES = 5
_FIELD = (
    *("name", "data_type", "identity", "primary_key", "free_text", "personal_override"),
    "because",
)
_FIELD_JSON = ("categories", "method")
_DATASET_JSON = ("retention", "after", "model", "quasi_identifiers")
_DATASET = tuple(name for name in models.DATASET_COLUMNS if name not in _DATASET_JSON)
_ENDS = ("holder__dataset_id", "holder__name", "target__dataset_id", "target__name")


@dataclass(frozen=True, kw_only=True)
class _Held:
    """The catalogue as people wrote it and with what was heard, each with its revision."""

    written_at: str
    written: Snapshot
    heard_at: str = ""
    whole: Snapshot | None = None


_lock = Lock()
_held: _Held | None = None


def written() -> Snapshot:
    """The catalogue as people wrote it, of one moment."""
    return _current(heard=False)


def whole() -> Snapshot:
    """The catalogue, with what lineage events told of everything downstream of people's data."""
    return _current(heard=True)


@dataclass
class _Steady:
    """The revision that was asked for inside :func:`steady`; None before, and once it was read
    anew."""

    at: tuple[str, str] | None = None


_steady: ContextVar[_Steady | None] = ContextVar("steady", default=None)


@contextmanager
def steady() -> Iterator[None]:
    """Whether the catalogue has changed is asked once inside: for one short piece of work, which is
    done with the catalogue as it was when it first looked."""
    if _steady.get() is not None:
        yield
        return
    token = _steady.set(_Steady())
    try:
        yield
    finally:
        _steady.reset(token)


def _revision() -> tuple[str, str] | None:
    inside = _steady.get()
    if inside is None:
        return revision.current()
    inside.at = inside.at or revision.current()
    return inside.at


def steadily() -> Snapshot | None:
    """As people wrote it, inside :func:`steady`, where this process has read it."""
    return _known(_revision(), heard=False) if _steady.get() else None


def held() -> Snapshot | None:
    """The whole, where this process has read it and it is still true; one statement."""
    return _known(revision.current(), heard=True)


def _current(*, heard: bool) -> Snapshot:
    known = _known(_revision(), heard=heard)
    if known is not None:
        return known
    if inside := _steady.get():
        inside.at = None
    with _lock:  # one thread reads; the others find it
        return _read(heard=heard)


def _known(at: tuple[str, str] | None, *, heard: bool) -> Snapshot | None:
    held = _held
    if at is None or held is None or held.written_at != at[0]:
        return None
    if not heard:
        return held.written
    return held.whole if held.heard_at == at[1] else None


def _read(*, heard: bool) -> Snapshot:
    """Again until nobody wrote meanwhile: only what is of one moment is held."""
    found: Snapshot | None = None
    for _ in range(_TRIES):
        at = revision.current()
        known = _known(at, heard=heard)
        if known is not None:
            return known
        try:
            base = _known(at, heard=False) or _read_written()
            found = overlay.overlaid(base) if heard else base
        except KeyError:
            continue  # a row that refers to one that is not there yet, or any more
        after = revision.current()
        if at == after:
            break
        if at and after and at[0] == after[0]:
            _hold(at, base, None)
    if found is None:
        raise CatalogueError("catalogue", "it is being changed all the time; try again")
    if at == after:
        _hold(at, base, found if heard else None)
    return found


def _hold(at: tuple[str, str] | None, base: Snapshot, found: Snapshot | None) -> None:
    global _held
    if at is not None:
        _held = _Held(written_at=at[0], written=base, heard_at=at[1], whole=found)


def _read_written() -> Snapshot:
    stores = list(models.Store.objects.order_by("name"))
    addresses, datasets = _datasets({row.pk: row.name for row in stores})
    return Snapshot(
        stores=[row.entry() for row in stores],
        datasets=MappingProxyType(datasets),
        references=_references(addresses),
        derivations=_derivations(addresses),
    )


def _datasets(
    stores: Mapping[int, str],
) -> tuple[Mapping[int, str], dict[str, graph.Dataset]]:
    """Addresses by primary key, and datasets by address, in their order."""
    fields = _fields()
    columns = ("pk", "store_id", *_DATASET)
    rows = _rows(models.Dataset.objects.order_by("address"), columns, _DATASET_JSON)
    addresses: dict[int, str] = {}
    found: dict[str, graph.Dataset] = {}
    for pk, store, *told in rows:
        plain = dict(zip(_DATASET + _DATASET_JSON, told, strict=True))
        for name in ("schema", "action", "until", "exception"):
            plain[name] = plain[name] or None
        for name in _DATASET_JSON:
            plain[name] = _plain(plain[name])
        for name in ("after", "quasi_identifiers"):
            plain[name] = tuple(plain[name])
        one = graph.Dataset(store=stores[store], fields=fields.get(pk, ()), **plain)
        addresses[pk] = one.address
        found[one.address] = one
    return addresses, found


def _fields() -> Mapping[int, tuple[graph.Field, ...]]:
    """By the primary key of their dataset, in their order."""
    rows = _rows(
        models.Field.objects.order_by("dataset_id", "position", "id"),
        ("dataset_id", *_FIELD),
        _FIELD_JSON,
    )
    shared: dict[tuple[Any, ...], graph.Field] = {}
    found: dict[int, tuple[graph.Field, ...]] = {}
    for pk, *told in rows:
        key = tuple(told)
        one = shared.get(key)
        if one is None:
            one = shared[key] = _field(*told)
        found[pk] = (*found.get(pk, ()), one)
    return found


def _field(
    name: str,
    data_type: str,
    identity: str,
    key: bool,
    text: bool,
    override: bool | None,
    because: str,
    categories: str,
    method: str,
) -> graph.Field:
    filled = _plain(method)
    return graph.Field(
        name=name,
        data_type=data_type or None,
        categories=tuple(_plain(categories)),
        identity=identity or None,
        primary_key=key,
        free_text=text,
        method=graph.Method(**filled) if filled else None,
        personal_override=override,
        because=because,
    )


def _references(addresses: Mapping[int, str]) -> list[graph.Reference]:
    """By holder and target."""
    names: dict[str, str] = {}
    rows = _rows(
        models.Reference.objects.order_by(), (*_ENDS, "direction", "on_erase", "ghost"), ("also",)
    )
    found = [
        graph.Reference(
            holder=addresses[holder],
            holder_field=names.setdefault(mine, mine),
            target=addresses[target],
            target_field=names.setdefault(theirs, theirs),
            direction=direction or None,
            on_erase=on_erase or None,
            ghost=ghost,
            also=tuple((one, other) for one, other in _plain(also)),
        )
        for holder, mine, target, theirs, direction, on_erase, ghost, also in rows
    ]
    found.sort(key=attrgetter("holder", "holder_field", "target", "target_field"))
    return found


def _derivations(addresses: Mapping[int, str]) -> list[graph.Derivation]:
    """Those implied by backups and views included, by upstream and downstream."""
    rows = _rows(
        models.Derivation.objects.order_by(), ("upstream_id", "downstream_id", "kind"), ("columns",)
    )
    found = [
        graph.Derivation(
            upstream=addresses[up], downstream=addresses[down], kind=kind, columns=_plain(columns)
        )
        for up, down, kind, columns in rows
    ]
    found.sort(key=attrgetter("upstream", "downstream", "kind"))
    return found


def _rows(
    rows: QuerySet[Any], columns: Sequence[str], texts: Sequence[str]
) -> Iterator[tuple[Any, ...]]:
    """Rows as ``columns``, then ``texts``: JSON that is not read yet, since most of it is alike."""
    said = {f"{name}_said": Cast(F(name), TextField()) for name in texts}
    yield from rows.annotate(**said).values_list(*columns, *said).iterator(chunk_size=_CHUNK)


@lru_cache(maxsize=_CHUNK)
def _plain(text: str) -> Any:
    """The same object for the same text: not to be changed."""
    return json.loads(text)
