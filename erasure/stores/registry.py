"""Store kinds by name, loaded when first asked for.

A kind is registered with the dotted path of its class, so that no driver is imported before a
catalogue needs it. The built-in kinds use the same door as everybody else; third parties add
theirs as entry points of the group ``lethe.stores`` (name = kind, value = ``module:Class``).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from threading import Lock
from typing import cast

from erasure.domain.errors import DriverMissing, StoreError
from erasure.stores.base import StoreFactory
from lineage.errors import suggestion

ENTRY_POINTS = "lethe.stores"


@dataclass(frozen=True)
class Entry:
    """Where a kind lives: ``path`` is ``module:Class``; ``extra`` brings its optional driver."""

    path: str
    extra: str = ""


_entries: dict[str, Entry] = {}
_lock = Lock()


def register(kind: str, path: str, *, extra: str = "") -> None:
    """Add a kind. Raises StoreError for a kind that is taken or a path that is none.

    Saying the very same thing twice changes nothing, so that a module may be loaded again.
    """
    place = f"store kind '{kind}'"
    module, _, name = path.partition(":")
    if not module or not name:
        raise StoreError(place, "its path must read 'module:Class'")
    entry = Entry(path=path, extra=extra)
    with _lock:
        if _entries.setdefault(kind, entry) != entry:
            raise StoreError(place, "is registered twice; remove one of the two packages")


def kinds() -> tuple[str, ...]:
    """Every known kind, sorted."""
    _load_entry_points()
    return tuple(sorted(_entries))


def get(kind: str) -> StoreFactory:
    """The class of that kind. Raises StoreError for an unknown kind, DriverMissing without its
    optional driver."""
    if kind not in kinds():
        raise StoreError(
            f"store kind '{kind}'",
            f"unknown; {suggestion(kind, kinds())} ({', '.join(kinds())})",
        )
    return _load(kind, _entries[kind])


def _load(kind: str, entry: Entry) -> StoreFactory:
    place = f"store kind '{kind}'"
    module, _, name = entry.path.partition(":")
    try:
        found = getattr(import_module(module), name, None)
    except ImportError as error:
        if entry.extra and not _ours(error.name, module):
            raise DriverMissing(place, entry.extra) from None
        raise StoreError(place, f"cannot load {entry.path}: {error.name or 'import'}") from None
    if found is None:
        raise StoreError(place, f"{module} has no {name}; correct the entry point")
    return cast(StoreFactory, found)


def _ours(missing: str | None, module: str) -> bool:
    """True when what could not be imported is the adapter itself and not its driver."""
    return missing is None or missing.split(".")[0] == module.split(".")[0]


@cache
def _load_entry_points() -> None:
    for point in entry_points(group=ENTRY_POINTS):
        register(point.name, point.value)


register("memory", "erasure.stores.memory:MemoryStore")
register("sql", "erasure.stores.sql:SqlStore")
register("files", "erasure.stores.files:FilesStore", extra="files")
register("logs", "erasure.stores.logs:LogsStore")
register("backups", "erasure.stores.backups:BackupsStore")
register("model_registry", "erasure.stores.model_registry:ModelRegistryStore", extra="models")
register("mlflow", "erasure.stores.model_registry.mlflow:MlflowStore", extra="mlflow")
register("manual", "erasure.stores.manual:ManualStore")
