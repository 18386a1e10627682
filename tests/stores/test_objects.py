"""Objects below a directory: which collection is whose, and swaps that crash, race and follow."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import pytest

from erasure.domain.errors import StoreError
from erasure.domain.needles import Matcher
from erasure.stores.base import Found, Secrets, Selector, Work
from erasure.stores.files import FilesStore
from erasure.stores.logs import LogsStore
from erasure.stores.objects import swap
from erasure.stores.objects.jsonlines import JSONL, JsonReader
from erasure.stores.objects.lines import LineEngine, Record
from erasure.stores.objects.streams import Lines
from erasure.stores.objects.tree import Tree
from lineage.graph import Dataset, Field
from tests.stores import object_cast as cast

DATA = Dataset(address="x.log", store="x", name="log", fields=(Field(name="id"),), action="delete")
BY_ID = Selector(dataset=DATA, fields=("id",))
SECRETS = Secrets(seed=bytes(32), needles=Matcher(()))


def store_at(folder: Path) -> FilesStore:
    return FilesStore(name="x", url=f"file://{folder}", options={"format": "jsonl"})


def write(path: Path, ids: Iterable[int]) -> Path:
    path.write_text("".join(f"{_line(i)}\n" for i in ids))
    return path


def _line(number: int) -> str:
    return json.dumps({"id": number, "pad": "x" * 40})


def ids_in(path: Path) -> list[int]:
    return [json.loads(line)["id"] for line in path.read_text().splitlines()]


def works_for(store: FilesStore, *values: int) -> list[Work]:
    return cast.work(list(store.find(BY_ID, values)), DATA)


def drafts_in(folder: Path) -> list[str]:
    return [n for n in os.listdir(folder) if n.endswith(swap.SUFFIX)]


@pytest.mark.parametrize(
    ("name", "belongs"),
    [
        ("orders", True),
        ("orders.csv", True),
        ("orders.log.2.gz", True),
        ("orders_2024.parquet", True),
        ("orders-20240101.log", True),
        ("orders/a.csv", True),
        ("orders/x/y=1/b.csv", True),
        ("orders_items.csv", False),
        ("orders2.csv", False),
        ("old/orders.csv", False),
        ("Orders.csv", False),
    ],
)
def test_a_collection_has_the_files_of_its_name_and_no_others(
    tmp_path: Path, name: str, belongs: bool
) -> None:
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("x")
    assert [o.name for o in Tree("x", tmp_path, None).of("orders")] == [name] * belongs


@pytest.mark.parametrize(
    ("glob", "names"),
    [
        ("{collection}/*.csv", ["o/a.csv"]),
        ("{collection}/**", ["o/a.csv", "o/deep/b.csv", "o/deep/c.gz"]),
        ("**/*.csv", ["o/a.csv", "o/deep/b.csv", "top.csv"]),
        ("o/deep/?.[cg][sz]*", ["o/deep/b.csv", "o/deep/c.gz"]),
        ("o/deep/[!b]*", ["o/deep/c.gz"]),
        ("{collection}/**/b.csv", ["o/deep/b.csv"]),
        ("a+b(c)", ["a+b(c)"]),
    ],
)
def test_a_glob_says_which_files_belong_to_a_collection(
    tmp_path: Path, glob: str, names: list[str]
) -> None:
    (tmp_path / "o" / "deep").mkdir(parents=True)
    for name in ("o/a.csv", "o/deep/b.csv", "o/deep/c.gz", "top.csv", "a+b(c)"):
        (tmp_path / name).write_text("x")
    assert [o.name for o in Tree("x", tmp_path, glob).of("o")] == sorted(names)


def test_a_link_that_leaves_the_directory_is_refused_and_one_inside_is_not(tmp_path: Path) -> None:
    outside = write(tmp_path / "outside.jsonl", [1])
    root = tmp_path / "root"
    root.mkdir()
    write(root / "log.jsonl", [1, 2])
    (root / "current").symlink_to("log.jsonl")
    (root / "dead").symlink_to("nowhere")
    store = store_at(root)
    assert store.act(works_for(store, 1), SECRETS)[0].done == 1
    assert (root / "current").is_symlink()
    (root / "log.2").symlink_to(outside)
    with pytest.raises(StoreError, match="leads out of the directory"):
        works_for(store, 1)


def test_other_names_of_a_replaced_object_are_told(tmp_path: Path) -> None:
    path = write(tmp_path / "log.jsonl", [1, 2])
    os.link(path, tmp_path / "backup")
    store = store_at(tmp_path)
    assert "hard links" in store.act(works_for(store, 1), SECRETS)[0].note
    assert ids_in(tmp_path / "backup") == [1, 2]


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a file to somebody else")
def test_owner_and_extended_attributes_stay(tmp_path: Path) -> None:
    path = write(tmp_path / "log.jsonl", [1, 2])
    os.chown(path, 12345, 23456)
    os.chmod(path, 0o604)
    os.setxattr(path, "user.origin", b"nightly")
    store = store_at(tmp_path)
    store.act(works_for(store, 1), SECRETS)
    after = path.stat()
    assert (after.st_uid, after.st_gid, after.st_mode & 0o777) == (12345, 23456, 0o604)
    assert os.getxattr(path, "user.origin") == b"nightly"
    assert ids_in(path) == [2]


OPERATIONS: dict[str, Callable[[FilesStore], object]] = {
    "find": lambda s: list(s.find(BY_ID, [1])),
    "act": lambda s: s.act(works_for(s, 1), SECRETS),
    "scan": lambda s: list(s.scan([], Matcher(()))),
    "purge": lambda s: s.purge([]),
}


@pytest.mark.parametrize("operation", OPERATIONS)
def test_what_a_dead_writer_left_is_removed(tmp_path: Path, operation: str) -> None:
    path = write(tmp_path / "log.jsonl", [1])
    with path.open("rb") as source:
        draft = swap.Draft(path, source)
        draft.sink.write(b"personal")
        draft._file.close()  # as the kernel closes the files of a dead process
    assert len(drafts_in(tmp_path)) == 1
    OPERATIONS[operation](store_at(tmp_path))
    assert drafts_in(tmp_path) == []


@pytest.mark.parametrize("operation", OPERATIONS)
def test_what_a_living_writer_writes_is_left_alone(tmp_path: Path, operation: str) -> None:
    path = write(tmp_path / "log.jsonl", [1])
    with path.open("rb") as source, swap.draft(path, source):
        OPERATIONS[operation](store_at(tmp_path))
        assert len(drafts_in(tmp_path)) == 1
    assert drafts_in(tmp_path) == []


def test_a_file_that_only_looks_like_a_draft_is_an_object(tmp_path: Path) -> None:
    stray = tmp_path / f".0123456789abcdef-0123456789abcdef{swap.SUFFIX}"
    stray.write_text("somebody's\n")
    assert [o.path for o in Tree("x", tmp_path, None).objects()] == [stray]
    assert stray.exists()


class _Meddling(JsonReader):
    """Does something once to the file after so many records of it were read."""

    done: ClassVar[bool] = False

    def __init__(self, after: int, meddle: Callable[[], object]) -> None:
        self._after, self._meddle = after, meddle

    def records(self, lines: Lines, maybe: Callable[[bytes], bool]) -> Iterator[Record]:
        """The records, and the deed in the middle of them."""
        for number, record in enumerate(super().records(lines, maybe)):
            if number == self._after and not _Meddling.done:
                _Meddling.done = True
                self._meddle()
            yield record


class _MeddledStore(FilesStore):
    """Only the rewrite is meddled with: the look before it is let pass."""

    def __init__(self, folder: Path, after: int, meddle: Callable[[], object]) -> None:
        super().__init__(name="x", url=f"file://{folder}", options={"format": "jsonl"})
        _Meddling.done = True
        made: list[int] = []

        def reader() -> JsonReader:
            made.append(1)
            _Meddling.done = len(made) != 2
            return JsonReader() if len(made) == 1 else _Meddling(after, meddle)

        self._engines = {"jsonl": LineEngine(replace(JSONL, reader=reader))}


def _meddled(path: Path, after: int, meddle: Callable[[], object]) -> FilesStore:
    return _MeddledStore(path.parent, after, meddle)


def _append(path: Path, text: str) -> None:
    with path.open("a") as file:
        file.write(text)


@pytest.mark.parametrize("after", [0, 5, 9])
def test_lines_that_are_appended_during_the_rewrite_follow(tmp_path: Path, after: int) -> None:
    path = write(tmp_path / "log.jsonl", [1, 2] * 5)
    works = works_for(store_at(tmp_path), 1)
    extra = f"{_line(3)}\n{_line(1)}\n{_line(4)}\n"
    _meddled(path, after, lambda: _append(path, extra)).act(works, SECRETS)
    assert ids_in(path) == [2] * 5 + [3, 4]
    assert drafts_in(tmp_path) == []


def test_a_line_that_is_appended_in_the_instant_of_the_swap_follows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "log.jsonl", [1, 2])
    works = works_for(store_at(tmp_path), 1)
    swapped = os.replace

    def replace_late(draft: Path, target: Path) -> None:
        _append(target, f"{_line(3)}\n{_line(1)}\n")  # after the last look, before the rename
        swapped(draft, target)

    monkeypatch.setattr(os, "replace", replace_late)
    store_at(tmp_path).act(works, SECRETS)
    assert ids_in(path) == [2, 3]


def test_a_half_written_line_makes_the_rewrite_begin_again(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text(f"{_line(1)}\n{_line(2)}\n{_line(1)[:9]}")
    found = [Found(key=f.key, matched=(1,)) for f in _found_elsewhere(tmp_path)]
    store = _meddled(path, 2, lambda: _append(path, f"{_line(1)[9:]}\n{_line(3)}\n"))
    store.act(cast.work(found, DATA), SECRETS)
    assert ids_in(path) == [2, 3]


def _found_elsewhere(folder: Path) -> list[Found]:
    """A key for ``log.jsonl`` from before its last line was there."""
    other = folder / "before"
    other.mkdir()
    write(other / "log.jsonl", [1])
    return list(store_at(other).find(BY_ID, [1]))


@pytest.mark.parametrize(
    "text", ["", f"{_line(1)}\n{_line(9)}\n", f"{_line(7)}\n" * 2 + f"{_line(1)}\n"]
)
def test_a_file_that_is_cut_or_changed_under_the_rewrite_is_read_anew(
    tmp_path: Path, text: str
) -> None:
    path = write(tmp_path / "log.jsonl", [1, 2, 1])
    works = works_for(store_at(tmp_path), 1)
    _meddled(path, 1, lambda: path.write_text(text)).act(works, SECRETS)
    assert ids_in(path) == [json.loads(x)["id"] for x in text.splitlines() if x != _line(1)]


def test_a_file_that_is_renamed_under_the_rewrite_is_not_overwritten(tmp_path: Path) -> None:
    path = write(tmp_path / "log.jsonl", [1, 2])
    works = works_for(store_at(tmp_path), 1)

    def rotate() -> None:
        path.rename(tmp_path / "log.1")
        write(path, [5])

    with pytest.raises(StoreError, match="was moved") as error:
        _meddled(path, 1, rotate).act(works, SECRETS)
    assert not error.value.permanent
    assert ids_in(path) == [5]
    assert ids_in(tmp_path / "log.1") == [1, 2]
    assert drafts_in(tmp_path) == []


def test_a_writer_killed_in_the_middle_leaves_the_old_version_and_a_draft_that_goes(
    tmp_path: Path,
) -> None:
    path = write(tmp_path / "log.jsonl", [1, 2] * 50_000)
    works = works_for(store_at(tmp_path), 1)
    store = _meddled(path, 90_000, lambda: os.kill(os.getpid(), signal.SIGKILL))
    child = multiprocessing.get_context("fork").Process(target=store.act, args=(works, SECRETS))
    child.start()
    child.join()
    assert child.exitcode == -signal.SIGKILL
    assert len(drafts_in(tmp_path)) == 1
    assert ids_in(path) == [1, 2] * 50_000
    store_at(tmp_path).act(works, SECRETS)
    assert ids_in(path) == [2] * 50_000
    assert drafts_in(tmp_path) == []


def test_two_workers_on_one_object_do_not_undo_each_other(tmp_path: Path) -> None:
    store = store_at(tmp_path)
    context = multiprocessing.get_context("fork")
    for _ in range(5):
        path = write(tmp_path / "log.jsonl", [1, 2, 3, 4] * 2_000)
        children = [
            context.Process(target=store.act, args=(works_for(store, value), SECRETS))
            for value in (1, 2, 3)
        ]
        for child in children:
            child.start()
        for child in children:
            child.join()
        assert [c.exitcode for c in children] == [0, 0, 0]
        assert ids_in(path) == [4] * 2_000


def test_no_line_of_a_live_log_is_lost(tmp_path: Path) -> None:
    path = write(tmp_path / "log.jsonl", [1, 2] * 2_000)
    store = LogsStore(name="x", url=f"file://{tmp_path}", options={"format": "jsonl"})
    stop = threading.Event()
    written: list[int] = []

    def log() -> None:
        while not stop.is_set():
            _append(path, f"{_line(10 + len(written))}\n")
            written.append(10 + len(written))

    writer = threading.Thread(target=log)
    works = cast.work(list(store.find(BY_ID, [1])), DATA)
    writer.start()
    try:
        store.act(works, SECRETS)
    finally:
        stop.set()
        writer.join()
    # What was written in the instant of the swap may stand after what was written next.
    assert ids_in(path)[:2_000] == [2] * 2_000
    assert sorted(ids_in(path)[2_000:]) == written


def test_importing_the_log_store_brings_no_arrow(tmp_path: Path) -> None:
    code = "import sys, erasure.stores.logs; sys.exit('pyarrow' in sys.modules)"
    root = Path(__file__).resolve().parents[2]
    assert subprocess.run([sys.executable, "-c", code], cwd=root).returncode == 0
