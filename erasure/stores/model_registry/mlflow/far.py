"""Artifacts that do not lie on this machine: reached through MLflow's own repositories, with the
credentials that MLflow takes from the environment, and called gone when a listing shows it only.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from erasure.domain.errors import StoreError
from erasure.stores.model_registry.mlflow.client import GONE, Opened, code, within

_NOT_FOUND = 404
_PROXIED = "mlflow-artifacts"
_AWAY = {"ConnectionError", "ConnectTimeout", "ReadTimeout", "Timeout", "EndpointConnectionError"}


def remove(at: Opened, version: str, uri: str) -> None:
    """Delete everything below ``uri``, and look whether it has gone. A second call goes on.

    Raises StoreError where it could not be deleted, or not be seen to be gone: a passing one where
    nobody answers.
    """
    with _reached(at, uri, f"of version {version} could not be deleted") as repository:
        try:
            repository.delete_artifacts()
        except Exception as error:  # each storage has errors of its own
            if not _answered(error):
                raise
    if listed(at, uri):
        told = f"the artifacts of version {version} on {scheme(uri)} storage are still listed there"
        raise StoreError(at.place, f"{told} after they were deleted; {_remedy(at, uri)}")


def listed(at: Opened, uri: str, path: str | None = None) -> list[str]:
    """The names below ``uri`` and ``path``, as that storage tells them now; empty where nothing
    is. Raises StoreError where that cannot be told."""
    with _reached(at, uri, "cannot be listed") as repository:
        try:
            return [str(each.path) for each in repository.list_artifacts(path)]
        except Exception as error:  # each storage has errors of its own
            if not _answered(error):
                raise
            return []


def fetched(at: Opened, uri: str, path: str, folder: Path) -> Path | None:
    """What lies below ``uri`` and ``path``, brought into ``folder``; None where nothing does.
    Raises StoreError where that cannot be told."""
    above = path.rpartition("/")[0]
    if not (path in listed(at, uri, above) if path else listed(at, uri)):
        return None
    with _reached(at, uri, "cannot be read") as repository:
        return Path(repository.download_artifacts(path, str(folder)))


def scheme(uri: str) -> str:
    """The kind of storage. Nothing else of an address is told: it may hold a password."""
    return urlsplit(uri).scheme or "file"


def is_gone(error: Exception) -> bool:
    """Whether an error says that nothing is there, rather than that it could not be asked."""
    return code(error) in GONE or _answered(error)


def _answered(error: Exception) -> bool:
    gone = isinstance(error, FileNotFoundError | NotADirectoryError)
    return gone or _status(error) == _NOT_FOUND


def _status(error: Exception) -> int | None:
    return getattr(getattr(error, "response", None), "status_code", None)


@contextmanager
def _reached(at: Opened, uri: str, what: str) -> Iterator[Any]:
    """MLflow's repository for ``uri``. Each storage's library has errors of its own, none of which
    may pass for an answer."""
    try:
        with within(at.artifacts):
            from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

            yield get_artifact_repository(uri)
    except Exception as error:
        if isinstance(error, MemoryError):
            raise
        why = _status(error) or code(error)
        told = f"artifacts on {scheme(uri)} storage {what} ({why}); {_remedy(at, uri)}"
        raise StoreError(at.place, told, permanent=not _is_away(error)) from None


def _is_away(error: Exception) -> bool:
    """Nobody answers, which may pass; MLflow wraps what requests says of that."""
    kinds = {type(e).__name__ for e in (error, error.__cause__, error.__context__) if e}
    return bool(kinds & _AWAY)


def _remedy(at: Opened, uri: str) -> str:
    if scheme(uri) == _PROXIED and at.artifacts == at.uri:
        return "name the server that keeps them in the store's option artifacts: https://…"
    return "give this process what MLflow needs to reach them, or delete them there, and try again"
