"""A person with many rows takes no more memory than one with few: planned, found, written down,
acted on and checked, searched again and re-scanned, as the peak of a child process of its own.

``BENCHMARK_KEYS`` is how many rows the largest has (a million for the table in the docs).
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml

from tests.scenarios.three_tables import CATALOGUE, SCHEMA
from tests.stores.postgresql import scratch_database

KEYS = int(os.environ.get("BENCHMARK_KEYS", "60000"))
FEW = 1_000
FLAT = 1.2
EMAIL = "mara.lindqvist@example.com"
ITEMS = 4  # per purchase
Collections = dict[str, dict[str, Any]]


def _deleted(_tables: Collections) -> None:
    """As the catalogue has it."""


def _anonymised(tables: Collections) -> None:
    """Nobody refers to the person any more, and every row stays."""
    for table in tables.values():
        table["erasure"] = {"action": "anonymize", "because": "sums are kept"}


def _kept(tables: Collections) -> None:
    """The law keeps what was bought."""
    tables["customer"]["erasure"] = {"action": "anonymize", "because": "purchases are kept"}
    for name in ("purchase", "item"):
        tables[name]["erasure"] = {
            "action": "retain",
            "until": "bought_on + 10y",
            "exception": "legal_obligation",
            "legal_reference": "tax law",
        }
        tables[name]["fields"].append({"name": "bought_on"})


def _two_ways(tables: Collections) -> None:
    """An item is found by its purchase, and by its customer."""
    reference = {"dataset": "shop", "field": "customer.id", "direction": "from"}
    tables["item"]["fields"].append(
        {"name": "customer_id", "fides_meta": {"references": [reference]}}
    )


SHAPES: dict[str, Callable[[Collections], None]] = {
    "deleted": _deleted,
    "anonymised in place": _anonymised,
    "kept by law": _kept,
    "found in two ways": _two_ways,
}
# What is left of the items: how many of them, and how many as they were.
LEFT = {
    "deleted": (0, 0),
    "anonymised in place": (1, 0),
    "kept by law": (1, 1),
    "found in two ways": (0, 0),
}


def catalogue(shape: str) -> str:
    """The three tables, dealt with in that way."""
    plain = yaml.safe_load(CATALOGUE.replace("name: no,", 'name: "no",'))
    (dataset,) = plain["dataset"]
    tables = {table["name"]: table for table in dataset["collections"]}
    tables["item"]["fields"].append({"name": "title", "data_categories": ["user.content"]})
    SHAPES[shape](tables)
    plain["store"][0] |= {"url": "${SHOP_URL}", "options": {"purge": "none"}}
    return yaml.safe_dump(plain)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """A database with the tables."""
    for url in scratch_database("memory"):
        with psycopg.connect(url) as target:
            target.execute(SCHEMA)
            target.execute("ALTER TABLE purchase ADD bought_on date DEFAULT current_date")
            target.execute("ALTER TABLE item ADD bought_on date DEFAULT current_date")
            target.execute("ALTER TABLE item ADD customer_id bigint DEFAULT 1")
            target.execute("CREATE INDEX ON item (customer_id)")
        yield url


def fill(url: str, keys: int) -> None:
    """One customer with so many purchases and items."""
    purchases = keys // (ITEMS + 1)
    with psycopg.connect(url, autocommit=True) as target:
        target.execute("TRUNCATE customer, purchase, item")
        target.execute("INSERT INTO customer VALUES (1, %s)", [EMAIL])
        target.execute(
            "INSERT INTO purchase SELECT n, 1 FROM generate_series(1, %s) n", [purchases]
        )
        target.execute(
            "INSERT INTO item SELECT p, n, 'tea' FROM generate_series(1, %s) p, "
            "generate_series(1, %s) n",
            [purchases, ITEMS],
        )
        target.execute("VACUUM ANALYZE")


def forget(catalogue: Path) -> None:
    """What a worker does for one person, printing its peak after each part."""
    import django

    django.setup()
    from django.core.management import call_command

    from erasure import inline
    from erasure.flow import execute, verify
    from erasure.models import ErasureRequest
    from erasure.runs.lease import lease
    from tests.flow.cast import CONSOLE

    call_command("migrate", verbosity=0)
    call_command("import_lineage", str(catalogue), verbosity=0)
    case = inline.open_case([("email", EMAIL)], by=CONSOLE, method="console")
    peaks = [_peak()]
    inline.approve(case, by=CONSOLE, because="asked")
    run = execute.start_run(ErasureRequest.objects.get(pk=case.pk))
    assert run is not None
    peaks.append(_peak())
    execute.act_on_store(run.id, "shop")
    peaks.append(_peak())
    assert run.stores.get(store="shop").state == "done"
    assert execute.settle_run(run).state == "verifying"
    peaks.append(_peak())
    with lease(run.id) as fence:
        verify.rescan_run(run, fence)
    assert not run.scan_results.filter(verdict="residue").exists()
    assert run.scans.filter(store="shop").exists()
    peaks.append(_peak())
    sys.stdout.write(f"peaks {' '.join(map(str, peaks))}\n")


def _peak() -> int:
    """The most bytes this process has held. ``getrusage`` would count the parent's before exec."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024


def measured(url: str, shape: str, keys: int, folder: Path) -> list[int]:
    """Peaks in bytes: once planned, once found and written down, once acted on and checked, once
    searched again, once re-scanned."""
    fill(url, keys)
    folder.mkdir()
    path = folder / "shop.yml"
    path.write_text(catalogue(shape))
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "DATABASE_URL": f"sqlite:///{folder}/control.sqlite3",
        "LETHE_HOME": str(folder),
        "LETHE_MOST_ROWS": str(10 * keys),
        "SHOP_URL": url,
    }
    command = [sys.executable, "-m", "tests.benchmarks.test_rows_memory", str(path)]
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    items, (there, whole) = keys // (ITEMS + 1) * ITEMS, LEFT[shape]
    with psycopg.connect(url) as target:
        left = target.execute("SELECT count(*), count(*) FILTER (WHERE title = 'tea') FROM item")
        assert left.fetchone() == (items * there, items * whole)
    return [int(peak) for peak in done.stdout.rpartition("peaks ")[2].split()]


@pytest.mark.benchmark
@pytest.mark.postgres
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("shape", SHAPES)
def test_a_person_with_many_rows_takes_no_more_memory(
    url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], shape: str
) -> None:
    few, many = (measured(url, shape, keys, tmp_path / str(keys)) for keys in (FEW, KEYS))
    with capsys.disabled():
        for keys, peaks in ((FEW, few), (KEYS, many)):
            told = ", ".join(f"{peak >> 20}" for peak in peaks)
            parts = "planned, written down, acted on, searched again, re-scanned"
            sys.stdout.write(f"\n{shape}, {keys:,} keys: peak {parts}: {told} MiB")
        sys.stdout.write(f"\nmemory ratio {many[-1] / few[-1]:.2f}\n")
    assert many[-1] <= FLAT * few[-1]


if __name__ == "__main__":
    forget(Path(sys.argv[1]))
