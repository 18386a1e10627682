"""The whole way down: a version's aliases, itself, its traces, logged models, runs, inputs,
artifacts and copies of them; the registered model and the experiments that are left empty.

What a version consists of is written to a tag of its registered model before the first step, since
each step takes away what led to the next; a purge that was cut short goes on from there.
"""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from erasure.domain.errors import StoreError
from erasure.stores.model_registry import artifact
from erasure.stores.model_registry.mlflow import aside, far, rows
from erasure.stores.model_registry.mlflow.client import Opened, found, paged, translated
from erasure.stores.model_registry.mlflow.versions import (
    EXEMPT,
    RETIRING,
    RUN,
    Place,
    Registered,
    beneath,
    local,
    siblings,
    tagged,
    whole,
)

# Files that every version has alike, and that tell nothing of a training.
_GENERIC = {"MLmodel", "conda.yaml", "python_env.yaml", "requirements.txt", "pip-requirements.txt"}


def purge(of: Registered, places: Sequence[Place], caches: Sequence[str]) -> list[dict[str, Any]]:
    """Take versions out for good. Returns one receipt each. Raises StoreError where a run has also
    made another model that stays: passing, since it goes with the last of them."""
    for place in places:
        _require_apart(of, place)
        _require_alone(of, place)
    for place in places:
        _note(of, place)
    return [_purge_one(of, place, caches) for place in places]


def _require_alone(of: Registered, place: Place) -> None:
    """A run that has also made another model stays with that, and its artifacts with it: until
    then the version is gone by name alone, which is not called gone."""
    others = siblings(of.at, place)
    if others:
        _drop_aliases(of, place)
        _delete_version(of.at, place.model, place.version)
        raise StoreError(
            of.place,
            f"version {place.version} is out of the registry, but its run also made "
            f"{', '.join(others)}; retire that, and run this again",
        )


def _require_apart(of: Registered, place: Place) -> None:
    """Whoever registers a version says where it lies: that may be a folder of several."""
    if others := beneath(of.at, place):
        raise StoreError(
            of.place,
            f"version {place.version} lies in one folder with {', '.join(others)}; nothing was "
            "touched; give each a folder of its own, and run this again",
        )


def unfinished(of: Registered) -> list[Place]:
    """Versions whose purge was cut short."""
    record = of.record()
    tags = {} if record is None else record.tags
    return [Place.loads(text) for key, text in tags.items() if key.startswith(RETIRING)]


def _note(of: Registered, place: Place) -> None:
    if of.record() is not None:
        of.at.client.set_registered_model_tag(
            of.model, tagged(RETIRING, place.version), place.dumps()
        )


def _purge_one(of: Registered, place: Place, caches: Sequence[str]) -> dict[str, Any]:
    at, client = of.at, of.at.client
    with translated(of.place):
        elsewhere = [uri for uri in place.folders if local(uri) is None]
        # copies before what they are known by, and what may be refused before anything else
        cached = _remove_copies(caches, _own(place, at, elsewhere if caches else ()))
        for uri in elsewhere:
            far.remove(at, place.version, uri)
        _drop_aliases(of, place)
        for model, version in ((place.model, place.version), *place.copies):
            _delete_version(at, model, version)
        traces = rows.traces_of(at.uri, place.runs, place.models)
        spaces = _delete_traces(client, traces)
        files = sum(_remove(place, here) for uri in place.folders if (here := local(uri)))
        ids = [*place.runs, *place.models, *(t for t, _ in traces)]
        left = rows.forget(at.uri, ids, place.folders)
        spaces |= _collect(at, place)
        _drop_tags(of, place)
    return {
        "version": place.version, "runs": len(place.runs), "logged_models": len(place.models),
        "copies": [f"{m}/{v}" for m, v in place.copies], "aliases": list(place.aliases),
        "traces": len(traces), "files": files, "cached": cached, "rows": left,
        "experiments": sorted(spaces), "elsewhere": sorted({far.scheme(uri) for uri in elsewhere}),
    }  # fmt: skip


def _drop_aliases(of: Registered, place: Place) -> None:
    """Those that still lead to this version: one may have moved to its successor meanwhile."""
    record = of.record()
    for alias in place.aliases:
        if record is not None and str(record.aliases.get(alias)) == place.version:
            of.at.client.delete_registered_model_alias(place.model, alias)


def _drop_tags(of: Registered, place: Place) -> None:
    """That it is being retired, last: until then a purge that was cut short goes on."""
    record = of.record()
    for tag in (tagged(EXEMPT, place.version), tagged(RETIRING, place.version)):
        if record is not None and tag in record.tags:
            of.at.client.delete_registered_model_tag(of.model, tag)


def _delete_version(at: Opened, model: str, version: str) -> None:
    if version.startswith(RUN):
        return
    if found(at.client.get_model_version, model, version) is not None:
        at.client.delete_model_version(model, version)
    rows.forget_version(at.uri, model, version)


def _delete_traces(client: Any, traces: Iterable[tuple[str, str]]) -> set[str]:
    spaces: dict[str, list[str]] = {}
    for trace, space in traces:
        spaces.setdefault(space, []).append(trace)
    for space, ids in spaces.items():
        for start in range(0, len(ids), 100):  # MLflow takes no more at once
            client.delete_traces(experiment_id=space, trace_ids=ids[start : start + 100])
    return set(spaces)


def _collect(at: Opened, place: Place) -> set[str]:
    """Delete these runs and models, and then do what ``mlflow gc`` does, to them alone: the
    command, told some ids of one kind, takes everything of the other kinds that anybody has ever
    deleted. Returns the experiments they were in."""
    client, store, spaces = at.client, at.tracking, set()
    for model in place.models:
        if found(client.get_logged_model, model) is not None:
            client.delete_logged_model(model)
        if rows.locations(at.uri, [model]):
            store._hard_delete_logged_model(model)
    for run in place.runs:
        one = found(client.get_run, run)
        if one is not None:
            spaces.add(str(one.info.experiment_id))
            if one.info.lifecycle_stage != "deleted":
                client.delete_run(run)
            store._hard_delete_run(run)
    return spaces


def _remove(place: Place, folder: Path) -> int:
    """Artifacts on this machine; returns how many files there were."""
    files = 0
    for path in (whole(place, folder), aside.beside(folder)):
        files += len(list(_files(path)))
        if path.is_symlink() or path.is_file():
            path.unlink()
        elif path.is_dir():
            shutil.rmtree(path)
    return files


def _files(folder: Path) -> Iterator[Path]:
    if folder.is_file():
        yield folder
    elif folder.is_dir():
        yield from (p for p in sorted(folder.rglob("*")) if p.is_file() and not p.is_symlink())


def _own(place: Place, at: Opened, elsewhere: Iterable[str]) -> dict[str, int]:
    """Digest → size of the files that are this version's alone; ``elsewhere``: addresses whose
    files are brought here to be known."""
    inside = [f for uri in place.folders if (own := local(uri)) for f in (own, aside.beside(own))]
    said = _digests(inside)
    for uri in elsewhere:
        with TemporaryDirectory() as folder:
            far.fetched(at, uri, "", Path(folder))
            said |= _digests([Path(folder)])
    for root in roots(at):
        for path in _alike(root, said):
            if not any(path.is_relative_to(f) for f in inside):
                said.pop(artifact.sha256(path), None)
    return said


def _digests(folders: Iterable[Path]) -> dict[str, int]:
    mine = [p for folder in folders for p in _files(folder)]
    return {artifact.sha256(p): p.stat().st_size for p in mine
            if p.name not in _GENERIC and p.stat().st_size}  # fmt: skip


def _alike(root: Path, digests: dict[str, int]) -> list[Path]:
    """Files below ``root`` with the content of one of them; only those of like size are read."""
    sizes = set(digests.values())
    near = [p for p in _files(root) if p.stat().st_size in sizes]
    return [p for p in near if artifact.sha256(p) in digests]


def _remove_copies(caches: Iterable[str], digests: dict[str, int]) -> int:
    done = 0
    for cache in caches:
        folder = local(cache)
        for path in _alike(folder, digests) if folder and digests else ():
            path.unlink()
            done += 1
    return done


def roots(at: Opened) -> list[Path]:
    """The folders of all experiments, deleted ones too."""
    from mlflow.entities import ViewType

    spaces = paged(at.client.search_experiments, view_type=ViewType.ALL)
    return list(dict.fromkeys(f for s in spaces if (f := local(s.artifact_location))))


def clear(of: Registered, spaces: Collection[str]) -> list[str]:
    """A registered model without versions goes, and with it the experiments that its purge left
    empty (never MLflow's own, ``0``). Returns what went."""
    at, client, told = of.at, of.at.client, []
    with translated(of.place):
        if of.all():
            return []
        if of.record() is not None:
            client.delete_registered_model(of.model)
            told.append(of.model)
        for space in sorted(spaces):
            if space != "0" and _is_empty(client, space):
                told.append(f"experiment {space}")
                _delete_experiment(at, space)
    return told


def _is_empty(client: Any, space: str) -> bool:
    from mlflow.entities import ViewType

    runs = client.search_runs([space], max_results=1, run_view_type=ViewType.ALL)
    models = client.search_logged_models(experiment_ids=[space], max_results=1)
    traces = client.search_traces(locations=[space], max_results=1)
    return not (runs or list(models) or traces)


def _delete_experiment(at: Opened, space: str) -> None:
    one = found(at.client.get_experiment, space)
    if one is None:
        return
    if one.lifecycle_stage != "deleted":
        at.client.delete_experiment(space)
    at.tracking._hard_delete_experiment(space)
