"""A person with many rows takes no more memory than one with few: planned, found, written down,
acted on and checked, as the peak of a child process of its own.

``BENCHMARK_KEYS`` is how many rows the largest has (a million for the table in the docs).
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.stores.postgresql import scratch_database

KEYS = int(os.environ.get("BENCHMARK_KEYS", "100000"))
FEW = 1_000
FLAT = 1.2
EMAIL = "mara.lindqvist@example.com"
SCHEMA = """
CREATE TABLE customer (id bigint PRIMARY KEY, email text NOT NULL UNIQUE);
CREATE TABLE visit (id bigint PRIMARY KEY, customer_id bigint NOT NULL REFERENCES customer);
CREATE TABLE click (
    visit_id bigint REFERENCES visit, no int, page text, PRIMARY KEY (visit_id, no)
);
CREATE INDEX ON visit (customer_id);
"""
CATALOGUE = """
store:
  - {name: site, kind: sql, url: "${SITE_URL}", options: {purge: none}}
dataset:
  - fides_key: site
    erasure: {store: site}
    collections:
      - name: customer
        erasure: {action: delete}
        fields:
          - {name: id, fides_meta: {primary_key: true}}
          - {name: email, data_categories: [user.contact.email], fides_meta: {identity: email}}
      - name: visit
        erasure: {action: delete}
        fields:
          - {name: id, fides_meta: {primary_key: true}}
          - name: customer_id
            fides_meta: {references: [{dataset: site, field: customer.id, direction: from}]}
      - name: click
        erasure: {action: delete}
        fields:
          - {name: no, fides_meta: {primary_key: true}}
          - name: visit_id
            fides_meta:
              primary_key: true
              references: [{dataset: site, field: visit.id, direction: from}]
"""
CLICKS = 4  # per visit


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """A database with the tables."""
    for url in scratch_database("memory"):
        with psycopg.connect(url) as target:
            target.execute(SCHEMA)
        yield url


def fill(url: str, keys: int) -> None:
    """One customer with so many visits and clicks."""
    visits = keys // (CLICKS + 1)
    with psycopg.connect(url, autocommit=True) as target:
        target.execute("TRUNCATE customer, visit, click")
        target.execute("INSERT INTO customer VALUES (1, %s)", [EMAIL])
        target.execute("INSERT INTO visit SELECT n, 1 FROM generate_series(1, %s) n", [visits])
        target.execute(
            "INSERT INTO click SELECT v, n, 'home' FROM generate_series(1, %s) v, "
            "generate_series(1, %s) n",
            [visits, CLICKS],
        )
        target.execute("VACUUM ANALYZE")


def forget(catalogue: Path) -> None:
    """What a worker does for one person, printing its peak after each part."""
    import django

    django.setup()
    from django.core.management import call_command

    from erasure import inline
    from erasure.flow import execute
    from erasure.models import ErasureRequest
    from tests.flow.cast import CONSOLE

    call_command("migrate", verbosity=0)
    call_command("import_lineage", str(catalogue), verbosity=0)
    case = inline.open_case([("email", EMAIL)], by=CONSOLE, method="console")
    peaks = [_peak()]
    inline.approve(case, by=CONSOLE, because="asked")
    run = execute.start_run(ErasureRequest.objects.get(pk=case.pk))
    assert run is not None
    peaks.append(_peak())
    execute.act_on_store(run.id, "site")
    peaks.append(_peak())
    assert run.stores.get(store="site").state == "done"
    sys.stdout.write(f"peaks {' '.join(map(str, peaks))}\n")


def _peak() -> int:
    """The most bytes this process has held. ``getrusage`` would count the parent's before exec."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024


def measured(url: str, keys: int, folder: Path) -> list[int]:
    """Peaks in bytes: once planned, once found and written down, once acted on and checked."""
    fill(url, keys)
    folder.mkdir()
    catalogue = folder / "site.yml"
    catalogue.write_text(CATALOGUE)
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "DATABASE_URL": f"sqlite:///{folder}/control.sqlite3",
        "LETHE_HOME": str(folder),
        "LETHE_MOST_ROWS": str(10 * keys),
        "SITE_URL": url,
    }
    command = [sys.executable, "-m", "tests.benchmarks.test_rows_memory", str(catalogue)]
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    with psycopg.connect(url) as target:
        assert target.execute("SELECT count(*) FROM click").fetchone() == (0,)
    return [int(peak) for peak in done.stdout.rpartition("peaks ")[2].split()]


@pytest.mark.benchmark
@pytest.mark.postgres
@pytest.mark.timeout(1800)
def test_a_person_with_many_rows_takes_no_more_memory(
    url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    few, many = (measured(url, keys, tmp_path / str(keys)) for keys in (FEW, KEYS))
    with capsys.disabled():
        for keys, peaks in ((FEW, few), (KEYS, many)):
            told = ", ".join(f"{peak >> 20}" for peak in peaks)
            sys.stdout.write(f"\n{keys:,} keys: peak planned, written down, acted on: {told} MiB")
        sys.stdout.write(f"\nmemory ratio {many[-1] / few[-1]:.2f}\n")
    assert many[-1] <= FLAT * few[-1]


if __name__ == "__main__":
    forget(Path(sys.argv[1]))
