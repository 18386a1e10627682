"""A walk through a large catalogue: what it costs to find every dataset of a person, with its path,
from the database (cold) and again (warm), the page of the map, and the whole catalogue as a process
holds it. Prints times and memory; asserts none.

``BENCHMARK_WALK=200000 python3 run.py test tests/benchmarks/test_walk.py -s`` for the table in the
documents: 200,000 datasets, 1,000,000 references and derivations, a reach of 17,000.
"""

from __future__ import annotations

import gc
import os
import resource
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client

from erasure.runs.basis import basis_of
from lineage import catalog, gate, selectors
from lineage.frontier import Frontier
from lineage.graph import walk
from lineage.importers import fideslang

R = TypeVar("R")

pytestmark = [pytest.mark.benchmark, pytest.mark.django_db]

DATASETS = int(os.environ.get("BENCHMARK_WALK", "2000"))
REACH = DATASETS * 17 // 200
# Datasets 1 to REACH hang together: each refers to one of an eighth of its number, so that the
# farthest is some steps away; and to four more before it. The others refer to each other.
_COUNT = f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {DATASETS}) "
_FIELD = (
    "INSERT INTO lineage_field (id, dataset_id, position, name, data_type, categories, identity, "
    "primary_key, free_text, method, because, personal) "
)
_REFERENCE = (
    "INSERT INTO lineage_reference (holder_id, target_id, direction, on_erase, ghost, also) "
)


ONE_FILE = """
dataset:
  - fides_key: more
    erasure: {store: db}
    collections:
      - name: visit
        erasure: {action: delete}
        fields:
          - {name: id, fides_meta: {primary_key: true}}
          - name: who
            fides_meta: {references: [{dataset: team_2, field: table_2.id, direction: from}]}
"""


def build() -> None:
    """The catalogue, by statements: nobody waits for a million objects."""
    no, yes = ("false", "true") if connection.vendor == "postgresql" else ("0", "1")
    with connection.cursor() as cursor:
        run = cursor.execute
        run(
            "INSERT INTO lineage_store (id, name, kind, url, role, options) "
            "VALUES (1, 'db', 'sql', '', 'controller', '{}')"
        )
        run(
            "INSERT INTO lineage_dataset (id, address, store_id, name, schema, action, because, "
            "owner, purpose, legal_basis, retention, until, exception, legal_reference, after, "
            f"model, quasi_identifiers) {_COUNT} SELECT i, 'team_' || (i % 97) || '.table_' || i, "
            "1, 'table_' || i, '', 'delete', '', '', '', '', '{}', '', '', '', '[]', '{}', '[]' "
            "FROM n"
        )
        run(
            f"{_FIELD} {_COUNT} SELECT i, i, 0, 'id', '', '[]', "
            f"CASE WHEN i <= 4 THEN 'email' ELSE '' END, {yes}, {no}, '{{}}', '', "
            f"i <= 4 FROM n"
        )
        run(
            f"{_FIELD} {_COUNT} SELECT i + {DATASETS}, i, 1, 'owner_id', '', '[]', '', {no}, {no}, "
            f"'{{}}', '', {no} FROM n"
        )
        for extra in range(6):
            where = "i > 4" if extra else f"i > 4 AND i <= {REACH}"
            # within the reach to one before, outside of it to one of the others
            inside = "1 + i / 8" if not extra else f"1 + (i % 10007 * {7919 + extra}) % (i - 1)"
            others = DATASETS - REACH
            outside = f"{REACH} + 1 + (i % 10007 * {104729 + extra * 31}) % {others}"
            target = f"CASE WHEN i <= {REACH} THEN {inside} ELSE {outside} END"
            run(
                f"{_REFERENCE} {_COUNT} SELECT i + {DATASETS}, {target}, 'from', '', "
                f"{no}, '[]' FROM n WHERE {where} ON CONFLICT DO NOTHING"
            )
        run(
            "INSERT INTO lineage_derivation (upstream_id, downstream_id, kind, columns, implied) "
            f"{_COUNT} SELECT 1 + (i * 31) % i, i, 'derived', '{{}}', {no} FROM n "
            f"WHERE i > 1 AND (i <= {REACH}) AND i % 5 = 0 AND 1 + (i * 31) % i <> i"
        )
        if connection.vendor == "postgresql":
            run("ANALYZE")
            for name in ("store", "dataset", "field"):  # their numbers were given, not drawn
                table = f"lineage_{name}"
                run(f"SELECT setval('{table}_id_seq', (SELECT max(id) FROM {table}))")


def timed(deed: Callable[[], R]) -> tuple[str, R]:
    """Seconds by the clock, and of this process: the machine is shared."""
    gc.collect()
    started, worked = time.perf_counter(), time.process_time()
    found = deed()
    clock, own = time.perf_counter() - started, time.process_time() - worked
    return f"{clock:.2f} s ({own:.2f} s of its own)", found


def resident() -> float:
    """Megabytes of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def most() -> float:
    """The most megabytes that this process ever had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10


def walked() -> str:
    """The walk alone, from the database: what it found is forgotten again."""
    start, before = selectors.identity_start(["email"]), resident()
    frontier = Frontier()
    cold, reach = timed(lambda: walk(start, frontier))
    warm, again = timed(lambda: walk(start, frontier))
    assert again == reach
    assert len(reach.stops) == REACH
    assert all(stop.path for stop in reach.stops)
    used = resident() - before
    return (
        f"{len(reach.stops)} reached over {len(reach.edges)} edges, cold {cold}, warm {warm}, "
        f"{used:.0f} MB more than before ({resident():.0f} MB in all)"
    )


def planned() -> list[str]:
    """What planning takes from the catalogue for one person."""
    read, part = timed(lambda: selectors.part(["email"]))
    told = [f"what a plan rests on, read: {read} ({resident():.0f} MB in all)"]
    told.append(f"drafted, and its digest: {timed(lambda: basis_of(part))[0]}")
    told.append(f"found unchanged: {timed(lambda: selectors.part(['email']))[0]}")
    return [*told, f"then {resident():.0f} MB in all, at most {most():.0f} MB"]


def shown(capsys: pytest.CaptureFixture[str], told: Iterable[str]) -> None:
    """Each as soon as it is known."""
    for line in told:
        with capsys.disabled():
            sys.stdout.write(f"\n{line}")
            sys.stdout.flush()


def test_a_walk_through_a_large_catalogue(capsys: pytest.CaptureFixture[str]) -> None:
    build()
    shown(capsys, _of_one_person())


def _of_one_person() -> Iterator[str]:
    edges = sum(_count(name) for name in ("reference", "derivation"))
    yield f"{DATASETS} datasets, {edges} edges on {connection.vendor}"
    yield walked()
    yield from planned()
    file = fideslang.read_text(ONE_FILE, "more.yml")
    yield f"a file of one dataset imported: {timed(lambda: catalog.upsert(file))[0]}"
    yield f"then at most {most():.0f} MB"
    client = Client()
    client.force_login(User.objects.create_superuser("o"))
    yield f"the map of that: {timed(lambda: client.get('/admin/map/'))[0]}"


def test_a_large_catalogue_as_a_whole(capsys: pytest.CaptureFixture[str]) -> None:
    build()
    shown(capsys, _of_the_whole())


def _of_the_whole() -> Iterator[str]:
    read, whole = timed(selectors.snapshot)
    yield f"read whole, once per revision: {read} ({resident():.0f} MB in all)"
    yield f"found unchanged: {timed(selectors.snapshot)[0]}"
    start = selectors.identity_start(["email"])
    yield f"a walk through it: {timed(lambda: walk(start, whole.neighbours))[0]}"
    yield f"again: {timed(lambda: walk(start, whole.neighbours))[0]}"
    client = Client()
    client.force_login(User.objects.create_superuser("o"))
    yield f"the map out of it: {timed(lambda: client.get('/admin/map/'))[0]}"
    yield f"the gate over it: {timed(lambda: gate.findings(whole, {}))[0]}"
    yield f"at most {most():.0f} MB\n"


def _count(name: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM lineage_{name}")
        return int(cursor.fetchone()[0])
