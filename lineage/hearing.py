"""Learns from stored events: runs are merged, datasets named, flows added. Idempotent: what is
learnt twice is learnt once, in whatever order it comes."""

from __future__ import annotations

import logging
import zlib
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Q
from django.utils import timezone

from lineage import revision
from lineage.errors import CatalogueError
from lineage.event_models import (
    KEY,
    HeardDataset,
    HeardFlow,
    HeardRun,
    StoredEvent,
    Turn,
)
from lineage.importers import facets as facets_of
from lineage.importers import openlineage
from lineage.importers.openlineage import Event, Told
from lineage.intake import decoded
from lineage.naming import Aliases, short
from lineage.register import MOST_COLUMNS, Register, settle, take_in

BATCH = 500
# At most so many bytes of events, as sent, are held at once.
_BATCH_BYTES = 32 * 2**20
_PART = 500
_SLICE = 5_000
_GONE = frozenset(["DROP", "TRUNCATE"])
# Facts of a run that are sets, in the form of lists.
_SETS = ("inputs", "outputs", "columns", "jobs", "renames")
# What unforeseen shapes raise; the event is kept, with an error that a person sees.
_UNREADABLE = (TypeError, ValueError, KeyError, AttributeError, RecursionError, zlib.error)
_log = logging.getLogger(__name__)


def learn(most: int | None = None) -> int:
    """Learn from what is waiting, or from ``most`` of it; returns how many events were taken.
    Where somebody else is at it already, none: they will take what is there."""
    total = 0
    while most is None or total < most:
        with transaction.atomic():
            if not _my_turn():
                return total
            taken = _learn_batch(BATCH if most is None else min(BATCH, most - total))
        total += taken
        if not taken:
            return total
    return total


def forget() -> int:
    """Throw away what was learnt, keep events and decisions, and have everything learnt again, in
    the order of its own times; returns how many events will be. What events have told that have
    gone since (:func:`let_go`) stays as it was learnt."""
    with transaction.atomic():
        Turn.objects.get_or_create(pk=1)
        gone_until = Turn.objects.select_for_update().get(pk=1).gone_until
        again = {"first_at__gte": gone_until} if gone_until else {}
        for model in (HeardFlow, HeardDataset, HeardRun):
            model.objects.filter(**again).delete()
        total = StoredEvent.objects.update(processed_at=None, error="")
        revision.renew_heard()
    return total


def let_go() -> int:
    """Delete stored events that are older than the setting says and were learnt from; returns how
    many, a slice at most. The sweep goes on with the rest."""
    days = settings.LETHE_EVENT_DAYS
    until = timezone.now() - timedelta(days=days)
    old = StoredEvent.objects.filter(received_at__lt=until, event_time__lt=until)
    old = old.exclude(processed_at=None)
    if not days or not old.exists():
        return 0
    with transaction.atomic():
        if not _my_turn():
            return 0
        earlier = Q(gone_until=None) | Q(gone_until__lt=until)
        Turn.objects.filter(earlier, pk=1).update(gone_until=until)
        slice_ = list(old.order_by("received_at").values_list("pk", flat=True)[:_SLICE])
        return StoredEvent.objects.filter(pk__in=slice_).delete()[0]


def waiting() -> str | None:
    """The digest of an event nobody has learnt from yet, or None."""
    rows = StoredEvent.objects.filter(processed_at=None).order_by("id")
    return rows.values_list("digest", flat=True).first()


def _my_turn() -> bool:
    Turn.objects.get_or_create(pk=1)
    if not connection.features.has_select_for_update_skip_locked:
        return True  # SQLite: one writer at a time anyway
    return Turn.objects.select_for_update(skip_locked=True).filter(pk=1).first() is not None


def _learn_batch(most: int) -> int:
    rows = list(_rows(most))
    events = []
    for row in rows:
        try:
            events.append(openlineage.read(decoded(row)))
        except (CatalogueError, *_UNREADABLE) as error:
            said = str(error) if isinstance(error, CatalogueError) else type(error).__name__
            row.error = f"cannot be read: {said}"
            _log.warning("event %s: %s", row.digest[:12], row.error)
    if events:
        _Batch(sorted(events, key=lambda e: (e.at, e.key))).learn()
    now = timezone.now()
    StoredEvent.objects.filter(pk__in=[r.pk for r in rows if not r.error]).update(processed_at=now)
    for row in rows:
        if row.error:
            StoredEvent.objects.filter(pk=row.pk).update(processed_at=now, error=row.error)
    if events:
        revision.renew_heard()
    return len(rows)


def _rows(most: int) -> Iterator[StoredEvent]:
    size = 0
    waiting_rows = StoredEvent.objects.filter(processed_at=None).order_by("event_time", "id")
    for row in waiting_rows[:most].iterator(chunk_size=50):
        yield row
        size += 10 * len(row.body)
        if size > _BATCH_BYTES:
            return


class _Batch:
    """Some events, sorted by their own times."""

    def __init__(self, events: list[Event]) -> None:
        self._events = events
        self._register = Register()
        self._flows: dict[tuple[int, int], HeardFlow] = {}
        self._renamed: dict[datetime, list[tuple[str, str]]] = {}
        self._renamed_by: dict[str, list[tuple[datetime, tuple[str, str]]]] = {}

    def learn(self) -> None:
        """Everything these events tell, written."""
        runs = self._merge_runs()
        self._gather_rings()
        aliases = Aliases(
            (told.address, alias)
            for event in self._events
            for told in event.datasets
            for alias in told.facets.aliases
        )
        addresses = {a for run in runs for a in _addresses(run.facts)}
        heard = [told for event in self._events for told in event.datasets]
        addresses |= {a for told in heard for a in (told.address, told.facets.previous) if a}
        self._register.know(addresses, aliases, self._events[0].at)
        for at, together in groupby(self._events, key=lambda e: e.at):
            self._register.rename(self._renamed.get(at, ()), at)
            for event in together:
                for told in event.datasets:
                    self._hear(told, at)
        for run in runs:
            for address in run.facts.get("jobs", ()):
                self._kind(address, run.last_at)
            self._flow(run)
        self._doubt()
        self._write_flows()
        self._register.write()

    def _merge_runs(self) -> list[HeardRun]:
        keys = {short(e.key)[:KEY] for e in self._events}
        known: dict[str, HeardRun] = {}
        for part in _parts(sorted(keys)):
            known |= {r.key: r for r in HeardRun.objects.filter(key__in=part)}
        fresh: dict[str, HeardRun] = {}
        for event in self._events:
            key = short(event.key)[:KEY]
            run = known.get(key) or fresh.get(key)
            if run is None:
                run = fresh[key] = HeardRun(key=key, first_at=event.at, last_at=event.at, facts={})
            self._note_renames(key, run, event)
            _merge(run, event)
        HeardRun.objects.bulk_create(fresh.values(), batch_size=_PART)
        HeardRun.objects.bulk_update(known.values(), _RUN_COLUMNS, batch_size=_PART)
        return [*known.values(), *fresh.values()]

    def _note_renames(self, key: str, run: HeardRun, event: Event) -> None:
        """A run tells the same renames when it begins and when it ends: they happened once."""
        heard = run.facts.get("renames", ()) if event.kind == "run" else ()
        fresh = [(old, new) for old, new in _renames(event) if [old, new] not in heard]
        self._renamed.setdefault(event.at, []).extend(fresh)
        if event.kind == "run":
            self._renamed_by.setdefault(key, []).extend((event.at, pair) for pair in fresh)

    def _gather_rings(self) -> None:
        """What a run tells one by one and what goes round happened at once: no table can take a
        name that another still has."""
        for told in self._renamed_by.values():
            pairs = [pair for _, pair in told]
            last = max((at for at, _ in told), default=None)
            if last is None or {old for old, _ in pairs} != {new for _, new in pairs}:
                continue
            for at, pair in told:
                self._renamed[at].remove(pair)
            self._renamed[last] = [*pairs, *self._renamed[last]]

    def _hear(self, told: Told, at: datetime) -> None:
        facets = told.facets
        row = self._register.at(told.address, at)
        self._register.heard_of(row)
        before = _told_of(row)
        latest = at >= row.last_at
        if facets.fields and (latest or not row.fields):
            row.fields = [list(one) for one in facets.fields]
        if facets.kind and (latest or not row.kind):
            row.kind = facets.kind[:50]
        if facets.version and (latest or not row.version):
            row.version = facets.version
        row.tags = _united(row.tags, facets.tags)
        row.personal = any(facets_of.is_personal(key, value) for _, key, value in row.tags)
        row.owners = sorted({*row.owners, *facets.owners})
        row.others = sorted({*row.others, *facets.others})
        if facets.state in _GONE and (row.emptied_at is None or row.emptied_at < at):
            row.emptied_at, row.emptied_how = at, facets.state
        row.first_at, row.last_at = min(row.first_at, at), max(row.last_at, at)
        if before != _told_of(row):
            self._register.changed(row)

    def _kind(self, address: str, at: datetime) -> None:
        row = self._register.at(address, at)
        if row.kind != "JOB":
            row.kind = "JOB"
            self._register.changed(row)

    def _flow(self, run: HeardRun) -> None:
        """The flows of a run. Where an output's columns are known, an input that only decided
        which rows is no source of its data."""
        facts = run.facts
        edges = facts.get("edges")
        columns: dict[tuple[str, str], list[list[Any]]] = {}
        for target, mine, source, theirs, how, masking in facts.get("columns", ()):
            columns.setdefault((source, target), []).append([mine, theirs, how, masking])
        pairs = openlineage.pairs(
            None if edges is None else [(up, down) for up, down in edges],
            facts.get("inputs", ()),
            facts.get("outputs", ()),
            run.job,
        )
        for up, down in dict.fromkeys([*pairs, *columns]):
            self._add(run, up, down, columns.get((up, down), []))

    def _add(self, run: HeardRun, up: str, down: str, columns: list[list[Any]]) -> None:
        upstream = self._register.at(up, run.last_at)
        downstream = self._register.at(down, run.last_at)
        for row, address in ((upstream, up), (downstream, down)):
            if address == run.job and run.job:
                self._kind(row.address, run.last_at)
        if upstream.pk == downstream.pk:
            return
        flow = HeardFlow(
            upstream=upstream,
            downstream=downstream,
            columns=sorted(columns, key=lambda c: c[2] == "INDIRECT")[:MOST_COLUMNS],
            jobs={run.job: bool(columns)},
            first_at=run.first_at,
            last_at=run.last_at,
        )
        settle(flow)
        pair = (upstream.pk, downstream.pk)
        if pair in self._flows:
            take_in(self._flows[pair], flow)
        else:
            self._flows[pair] = flow

    def _doubt(self) -> None:
        """What a rename may have taken elsewhere is followed there as well."""
        at = self._events[-1].at
        for up, down in self._register.doubtful:
            if up != down:
                ends = {"upstream_id": up, "downstream_id": down}
                flow = HeardFlow(**ends, jobs={"rename": False}, first_at=at, last_at=at)
                self._flows.setdefault((up, down), flow)

    def _write_flows(self) -> None:
        known: dict[tuple[int, int], HeardFlow] = {}
        for part in _parts(sorted({up for up, _ in self._flows})):
            downs = {down for up, down in self._flows if up in set(part)}
            for some in _parts(sorted(downs)):
                rows = HeardFlow.objects.filter(upstream__in=part, downstream__in=some)
                known |= {(r.upstream_id, r.downstream_id): r for r in rows}
        fresh = [flow for pair, flow in self._flows.items() if pair not in known]
        changed = [
            row
            for pair, row in known.items()
            if pair in self._flows and take_in(row, self._flows[pair])
        ]
        HeardFlow.objects.bulk_create(fresh, batch_size=_PART)
        HeardFlow.objects.bulk_update(changed, _FLOW_COLUMNS, batch_size=_PART)


_RUN_COLUMNS = ("job", "parent", "state", "first_at", "last_at", "facts")
_FLOW_COLUMNS = ("direct", "columns", "jobs", "first_at", "last_at")


def _merge(run: HeardRun, event: Event) -> None:
    """The facts of a run with those of one more of its events."""
    if event.at >= run.last_at:
        run.state = event.state[:20] or run.state
    run.job = run.job or event.job
    run.parent = run.parent or short(event.parent)
    run.first_at, run.last_at = min(run.first_at, event.at), max(run.last_at, event.at)
    if event.above:
        run.facts["above"] = list(event.above)
    told: Mapping[str, list[Any]] = {
        "inputs": [d.address for d in event.datasets if d.role == "input"],
        "outputs": [d.address for d in event.datasets if d.role == "output"],
        "columns": [[target, *column] for target, column in event.columns],
        "jobs": sorted(event.jobs),
        "renames": _renames(event),
    }
    for name in _SETS:
        run.facts[name] = _united(run.facts.get(name, []), told[name])
    if event.edges is not None:
        run.facts["edges"] = _united(run.facts.get("edges") or [], event.edges)


def _renames(event: Event) -> list[list[str]]:
    """[former, new] names."""
    told = [(d.facets.previous, d.address) for d in event.datasets if d.facets.state == "RENAME"]
    return [[old, new] for old, new in dict.fromkeys(told) if old]


def _united(old: Iterable[Any], new: Iterable[Any]) -> list[Any]:
    """Both, each thing once, in order, in the form JSON gives back."""
    plain = [list(one) if isinstance(one, tuple) else one for one in (*old, *new)]
    return list({repr(one): one for one in plain}.values())


def _addresses(facts: Mapping[str, Any]) -> Iterator[str]:
    yield from facts.get("inputs", ())
    yield from facts.get("outputs", ())
    yield from facts.get("jobs", ())
    for up, down in facts.get("edges") or ():
        yield from (up, down)
    for target, _, source, *_ in facts.get("columns", ()):
        yield from (target, source)


def _told_of(row: HeardDataset) -> tuple[Any, ...]:
    """What is compared to see whether a row must be written; its last sign of life to the hour."""
    seen = row.last_at.replace(minute=0, second=0, microsecond=0)
    return (
        row.fields,
        row.kind,
        row.version,
        row.tags,
        row.owners,
        row.others,
        row.emptied_at,
        row.emptied_how,
        row.first_at,
        seen,
    )


def _parts(items: list[Any]) -> Iterator[list[Any]]:
    for start in range(0, len(items), _PART):
        yield items[start : start + _PART]
