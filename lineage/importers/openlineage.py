"""OpenLineage events (specification 2-0-2) as plain values. Pure.

Refuses structural errors only: no object, neither run nor job nor dataset, a run without runId, a
dataset without name. What a facet says wrongly is not heard. Run ids need not be UUIDs and times
need no zone: real producers leave both out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from lineage.errors import CatalogueError
from lineage.importers import facets
from lineage.importers.facets import Column, Facets, address_of, listed, mapping, text
from lineage.naming import canonical, job_address

LONGEST_NAME = 2_000
_MOST_DATASETS = 10_000
_SIDES = ("inputs", "outputs")
Role = Literal["input", "output", ""]


@dataclass(frozen=True, kw_only=True)
class Told:
    """One dataset as one event tells of it."""

    address: str
    namespace: str
    name: str
    role: Role
    facets: Facets


@dataclass(frozen=True, kw_only=True)
class Head:
    """What an event is about. ``key``: what is merged: ``run:ID``, ``job:ADDRESS`` or
    ``dataset:ADDRESS``. ``parent``: the run it is a part of; ``above``: the jobs it is a part of,
    the nearest first."""

    key: str
    kind: Literal["run", "job", "dataset"]
    at: datetime
    job: str = ""
    parent: str = ""
    state: str = ""
    above: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Event(Head):
    """One event with its facets.

    ``edges``: (upstream, downstream) of ``lineage`` facets, None where there is none: then every
    input leads to every output. ``columns``: (downstream, column) pairs. ``jobs``: addresses that
    are jobs.
    """

    datasets: tuple[Told, ...] = ()
    edges: tuple[tuple[str, str], ...] | None = None
    columns: tuple[tuple[str, Column], ...] = ()
    jobs: frozenset[str] = field(default_factory=frozenset)


def check(plain: Any) -> Head:
    """What the event in decoded JSON is about, once it is sound; facets are not read. Raises
    CatalogueError for a structural error."""
    if not isinstance(plain, dict):
        raise CatalogueError("event", "must be a JSON object")
    at = _time(plain.get("eventTime"))
    if "run" not in plain and "job" not in plain:
        if "dataset" not in plain:
            message = "has neither run, job nor dataset; send an OpenLineage event"
            raise CatalogueError("event", message)
        address = canonical(*_name(plain["dataset"], "dataset"))
        return Head(key=f"dataset:{address}", kind="dataset", at=at)
    run = _run(plain["run"]) if "run" in plain else None
    job = job_address(*_name(plain.get("job"), "job"))
    for side in _SIDES:
        for place, item in _listed(plain, side):
            _name(item, place)
    if run is None:
        return Head(key=job, kind="job", at=at, job=job)
    parent = mapping(mapping(plain["run"].get("facets")).get("parent"))
    return Head(
        key=f"run:{run}",
        kind="run",
        at=at,
        job=job,
        parent=text(mapping(parent.get("run")).get("runId")),
        state=text(plain.get("eventType")).upper(),
        above=_above(parent),
    )


def read(plain: Any) -> Event:
    """The whole event. Raises CatalogueError for a structural error."""
    head = check(plain)
    if head.kind == "dataset":
        made = Event(**vars(head), datasets=(_told(plain["dataset"], ""),))
        return _with_edges(made, _own_entries([plain["dataset"]], ""))
    inputs = [_told(item, "input") for _, item in _listed(plain, "inputs")]
    outputs = [_told(item, "output") for _, item in _listed(plain, "outputs")]
    made = Event(**vars(head), datasets=(*inputs, *outputs))
    entries = mapping(mapping(plain["job"].get("facets")).get("lineage")).get("entries")
    found = [_entry(entry, head.job) for entry in listed(entries)]
    for side in _SIDES:
        found += _own_entries((item for _, item in _listed(plain, side)), head.job)
    return _with_edges(made, found)


def _run(item: Any) -> str:
    identity = item.get("runId") if isinstance(item, dict) else None
    if not isinstance(identity, str) or not identity.strip():
        raise CatalogueError("run.runId", "is missing; every run event names its run")
    _short(identity, "run.runId")
    return text(identity)


def _above(parent: Mapping[str, Any]) -> tuple[str, ...]:
    """Addresses of the parent's job and of the one that everything is a part of, each once; none
    where the facet does not name them."""
    jobs = (mapping(part.get("job")) for part in (parent, mapping(parent.get("root"))))
    named = [(text(job.get("namespace")), text(job.get("name"))) for job in jobs]
    return tuple(dict.fromkeys(job_address(*pair) for pair in named if all(pair)))


def _listed(plain: Mapping[str, Any], side: str) -> Iterator[tuple[str, Any]]:
    items = plain.get(side)
    if items is None:
        return
    if not isinstance(items, list):
        raise CatalogueError(side, "must be an array of datasets")
    if len(items) > _MOST_DATASETS:
        raise CatalogueError(side, f"holds more than {_MOST_DATASETS} datasets; split the event")
    for number, item in enumerate(items):
        yield f"{side}[{number}]", item


def _told(item: Mapping[str, Any], role: Role) -> Told:
    namespace, name = text(item["namespace"]), text(item["name"])
    return Told(
        address=canonical(namespace, name),
        namespace=namespace,
        name=name,
        role=role,
        facets=facets.read(item.get("facets")),
    )


def _name(item: Any, place: str) -> tuple[str, str]:
    """Namespace and name of a dataset or a job."""
    one = item if isinstance(item, dict) else {}
    for key in ("namespace", "name"):
        value = one.get(key)
        if not isinstance(value, str) or not value.strip():
            raise CatalogueError(f"{place}.{key}", "is missing; namespace and name are both needed")
        _short(value, f"{place}.{key}")
    return text(one["namespace"]), text(one["name"])


def _short(value: str, place: str) -> None:
    if len(value) > LONGEST_NAME:
        raise CatalogueError(place, f"is longer than {LONGEST_NAME} characters")


def _time(value: Any) -> datetime:
    if not isinstance(value, str):
        raise CatalogueError("eventTime", "is missing; use ISO 8601")
    try:
        at = datetime.fromisoformat(value.strip())
    except ValueError:
        raise CatalogueError("eventTime", "is no time; use ISO 8601") from None
    # Old producers leave the zone out: theirs was UTC.
    aware = at if at.tzinfo else at.replace(tzinfo=UTC)
    try:
        return aware.astimezone(UTC)
    except OverflowError:
        raise CatalogueError("eventTime", "is out of range") from None


# --- the ``lineage`` facet ----------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class _Entry:
    """What one entry of a lineage facet says of its target."""

    target: str
    sources: tuple[str, ...] = ()
    columns: tuple[Column, ...] = ()
    jobs: frozenset[str] = frozenset()


def _own_entries(items: Iterable[Any], job: str) -> list[_Entry]:
    """The ``lineage`` facets of datasets: each says it of its own dataset."""
    found = []
    for item in items:
        facet = mapping(mapping(mapping(item).get("facets")).get("lineage"))
        if facet:
            named = {"namespace": item["namespace"], "name": item["name"], "type": "DATASET"}
            found.append(_entry({**facet, **named}, job))
    return found


def _entry(entry: Any, job: str) -> _Entry:
    """An entry; a job without a name is the event's own."""
    target, own = _end(entry, job)
    jobs = {target} if own else set()
    sources: list[str] = []
    columns: list[Column] = []
    inputs = [("", item) for item in listed(mapping(entry).get("inputs"))]
    for mine, made in mapping(mapping(entry).get("fields")).items():
        inputs += [(text(mine), item) for item in listed(mapping(made).get("inputs"))]
    for mine, item in inputs:
        source, is_job = _end(item, job)
        if not source or source == target:
            continue
        sources.append(source)
        jobs |= {source} if is_job else set()
        if mine or mapping(item).get("transformations"):
            columns += _columns(mine, item, source)
    return _Entry(
        target=target,
        sources=tuple(dict.fromkeys(sources)),
        columns=tuple(columns),
        jobs=frozenset(jobs),
    )


def _end(item: Any, job: str) -> tuple[str, bool]:
    """The address of one end, and whether it is a job."""
    one = mapping(item)
    if text(one.get("type")).upper() == "JOB":
        namespace, name = text(one.get("namespace")), text(one.get("name"))
        return (job_address(namespace, name) if namespace and name else job), True
    return address_of(one), False


def _columns(mine: str, item: Any, source: str) -> Iterator[Column]:
    # Named as a dataset for the moment: a job has no canonical name of its own.
    named = {**mapping(item), "namespace": "x", "name": "x"}
    for column in facets.columns_from(mine, named):
        yield column._replace(source=source)


def _with_edges(event: Event, entries: Sequence[_Entry]) -> Event:
    """The event with its columns, and with edges where a ``lineage`` facet names them."""
    columns = [(told.address, column) for told in event.datasets for column in told.facets.columns]
    edges = [
        (source, entry.target) for entry in entries if entry.target for source in entry.sources
    ]
    columns += [
        (entry.target, column) for entry in entries if entry.target for column in entry.columns
    ]
    return Event(
        **{
            **vars(event),
            "columns": tuple((target, one) for target, one in columns if one.source != target),
            "edges": tuple(dict.fromkeys(edges)) if entries else None,
            "jobs": frozenset(job for entry in entries for job in entry.jobs),
        }
    )


def pairs(
    edges: Iterable[tuple[str, str]] | None,
    inputs: Sequence[str],
    outputs: Sequence[str],
    job: str,
    most: int = 10_000,
) -> list[tuple[str, str]]:
    """The edges of a run: those its facets name, else every input to every output, by way of the
    job where those would be more than ``most``."""
    if edges is not None:
        return list(dict.fromkeys(edges))
    if len(inputs) * len(outputs) > most:
        return [(one, job) for one in inputs] + [(job, one) for one in outputs]
    return [(one, other) for one in inputs for other in outputs if one != other]
