"""A whole pass over an object (find, gather, act, check, scan) takes as much memory for ten times
the data: measured as the peak of a child process of its own."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from erasure.domain.needles import Matcher, Needle
from erasure.stores.base import Declared, Secrets, Selector, Step, Work
from erasure.stores.files import FilesStore
from lineage.graph import Dataset, Field

EMAIL = "mara.lindqvist@example.com"
DATA = Dataset(
    address="lake.events",
    store="lake",
    name="events",
    fields=(
        Field(name="customer_id", categories=("user.unique_id",)),
        Field(name="email", categories=("user.contact.email",), identity="email"),
    ),
)
SMALL, TIMES = 40_000, 10
ROW_GROUP = 4_000
FLAT = 1.2


def _rows(count: int) -> Iterator[dict[str, object]]:
    for i in range(count):
        mine = i % 1000 == 0
        yield {
            "customer_id": 0 if mine else i + 1,
            "email": EMAIL if mine else f"person{i}@example.org",
            "agent": f"browser {i * 7919 % 10_007} " + "x" * (i % 1200),
        }


def _write(path: Path, count: int) -> int:
    """Write the object; returns its bytes uncompressed."""
    if path.name.endswith(".gz"):
        with gzip.open(path, "wt", compresslevel=1) as file:
            return sum(file.write(json.dumps(row) + "\n") for row in _rows(count))
    size, rows = 0, _rows(count)
    schema = pa.Table.from_pylist(list(_rows(1))).schema
    with pq.ParquetWriter(path, schema) as writer:
        while group := list(islice(rows, ROW_GROUP)):
            table = pa.Table.from_pylist(group, schema=schema)
            writer.write_table(table)
            size += table.nbytes
    return size


def _pass_over(folder: Path) -> None:
    """What a run does with one store, printing the peak, the seconds and what came of it."""
    started = time.perf_counter()
    store = FilesStore(name="lake", url=f"file://{folder}", options={})
    needles = Matcher([Needle(text=EMAIL, category="email")])
    secrets = Secrets(seed=bytes(32), needles=needles)
    selector = Selector(dataset=DATA, fields=("customer_id",), guard=("email",))
    keys = tuple(found.key for found in store.find(selector, [0]))
    gathered = list(store.gather(DATA, keys))
    works = [Work(step=Step(dataset=DATA, action="delete", guard=("email",)), keys=keys)]
    done = sum(receipt.done for receipt in store.act(works, secrets))
    left = store.check(works, secrets)
    hits = list(store.scan([Declared(dataset=DATA, owners=("email",))], needles))
    seconds = time.perf_counter() - started
    sys.stdout.write(f"{_peak()} {seconds:.2f} {done} {len(gathered)} {len(left)} {len(hits)}\n")


def _peak() -> int:
    """The most bytes this process has held. ``getrusage`` would count the parent's before exec."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024


def _measured(folder: Path) -> tuple[int, float, int]:
    """Peak bytes, seconds and erased rows of a pass in a child process."""
    root = Path(__file__).resolve().parents[2]
    command = [sys.executable, "-m", "tests.benchmarks.test_files_memory", str(folder)]
    out = subprocess.run(command, cwd=root, check=True, capture_output=True, text=True).stdout
    peak, seconds, done, gathered, left, answers = out.split()
    assert (gathered, left, answers) == ("1", "0", "1"), "found, erased, and nothing seen again"
    return int(peak), float(seconds), int(done)


@pytest.mark.benchmark
@pytest.mark.parametrize("name", ["events.jsonl.gz", "events.parquet"])
def test_ten_times_the_data_take_no_more_memory(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    peaks, lines = [], []
    for times in (1, TIMES):
        folder = tmp_path / str(times)
        folder.mkdir()
        size = _write(folder / name, SMALL * times)
        peak, seconds, done = _measured(folder)
        assert done == SMALL * times // 1000
        peaks.append(peak)
        lines.append(f"{size >> 20} MiB of data, peak {peak >> 20} MiB, {seconds:.1f} s")
    ratio = peaks[1] / peaks[0]
    with capsys.disabled():
        sys.stdout.write(f"\n{name}: {'; '.join(lines)}; memory ratio {ratio:.2f}\n")
    assert size > 0.7 * peaks[0], "so little data that holding all of it would not show"
    assert 1 / FLAT <= ratio <= FLAT


if __name__ == "__main__":
    _pass_over(Path(sys.argv[1]))
