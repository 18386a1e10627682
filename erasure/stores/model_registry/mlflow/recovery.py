"""Trying to get a purged version back: by every name, URI and path it had, and by listing the
database and the disk."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from erasure.domain.errors import StoreError
from erasure.stores.model_registry.mlflow import aside, far, rows
from erasure.stores.model_registry.mlflow.client import code, translated, within
from erasure.stores.model_registry.mlflow.versions import RUN, Place, Registered, local


def attempts(of: Registered, place: Place) -> dict[str, str]:
    """Every way back, and what it answered. Raises StoreError for one that leads somewhere."""
    told = {}
    with translated(of.place):
        for what, attempt in _ways(of, place):
            try:
                answer = _answer(attempt)
            except Exception as error:  # whatever it was, it is no "gone"
                if isinstance(error, StoreError) or type(error).__module__.startswith("mlflow."):
                    raise
                why = f"could not be asked for its {what.split()[0]} ({type(error).__name__})"
                raise StoreError(of.place, f"version {place.version} {why}; try again") from None
            if answer is None:
                raise StoreError(
                    of.place, f"version {place.version} can still be had by its {what.split()[0]}"
                )
            told[what] = answer
    return told


def _answer(attempt: Callable[[], Any]) -> str | None:
    """Why nothing is there; None where something is. Whatever else goes wrong says nothing about
    that and is raised: a server that is away has not forgotten."""
    try:
        if attempt():
            return None
    except Exception as error:
        if not far.is_gone(error):
            raise
        return code(error)
    return "not there"


def _ways(of: Registered, place: Place) -> Iterator[tuple[str, Callable[[], Any]]]:
    client, uri = of.at.client, of.at.uri
    names = [(place.model, place.version), *place.copies]
    for model, version in names:
        if not version.startswith(RUN):
            yield f"name {model}/{version}", _bound(client.get_model_version, model, version)
            yield f"uri models:/{model}/{version}", _download(uri, f"models:/{model}/{version}")
    for alias in place.aliases:
        yield f"alias {alias}", _named(client, place, alias)
    for one in place.models:
        yield f"model {one}", _bound(client.get_logged_model, one)
        yield f"uri models:/{one}", _download(uri, f"models:/{one}")
    for run in place.runs:
        yield f"run {run}", _bound(client.get_run, run)
        yield f"uri runs:/{run}", _download(uri, f"runs:/{run}/model")
    for number, folder in enumerate(place.folders):
        path = local(folder)
        yield f"path {number}", path.exists if path else _bound(far.listed, of.at, folder)


def _bound(get: Callable[..., Any], *args: Any) -> Callable[[], Any]:
    return lambda: get(*args)


def _named(client: Any, place: Place, alias: str) -> Callable[[], bool]:
    """An alias may name another version by now; not this one."""

    def attempt() -> bool:
        version = client.get_model_version_by_alias(place.model, alias)
        return str(version.version) == place.version

    return attempt


def _download(tracking: str, uri: str) -> Callable[[], bool]:
    def attempt() -> bool:
        from mlflow.artifacts import download_artifacts

        with within(tracking), TemporaryDirectory() as folder:
            download_artifacts(artifact_uri=uri, dst_path=folder, tracking_uri=tracking)
            return any(Path(folder).iterdir())  # an empty answer is none

    return attempt


def listed(of: Registered, places: Sequence[Place]) -> list[str]:
    """What the database and the disk still hold of purged versions, in words; empty if nothing."""
    ids = [i for place in places for i in (*place.runs, *place.models)]
    told = [f"the database still names it in {where}" for where in rows.mentions(of.at.uri, ids)]
    for place in places:
        for folder in place.folders:
            path = local(folder)
            if path is not None and (path.exists() or aside.beside(path).exists()):
                told.append(f"files of version {place.version} are still there")
    return told
