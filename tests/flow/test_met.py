"""What was met already: known again beyond what memory holds, and readable by nobody."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from erasure.runs import met
from erasure.runs.met import Met


@pytest.fixture(params=[1, 7, 50_000])
def few(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """So many are kept in memory."""
    monkeypatch.setattr(met, "FEW", request.param)
    return int(request.param)


@pytest.mark.usefixtures("few")
def test_what_was_met_is_new_once_also_within_one_question() -> None:
    seen = Met()
    some = [seen.digest("shop.order", str(n % 1500)) for n in range(3000)]
    assert seen.first(some) == [True] * 1500 + [False] * 1500
    assert not any(seen.first(some))
    assert seen.first([seen.digest("shop.line", "1")]) == [True]


@pytest.mark.usefixtures("few")
def test_the_latest_number_of_each_counts() -> None:
    seen = Met()
    digests = [seen.digest(str(n)) for n in range(20)]
    seen.put((one, n) for n, one in enumerate(digests))
    seen.put([(digests[3], 99)])
    assert seen.numbers([digests[3], digests[4], seen.digest("20")]) == [99, 4, None]


def test_texts_that_are_parted_otherwise_are_not_the_same() -> None:
    seen = Met()
    told = [("a", "b"), ("a\x1fb",), ("ab",), ("a', 'b",), ("a", "b", "")]
    assert len({seen.digest(*about) for about in told}) == len(told)


def test_nothing_that_is_written_can_be_read_and_the_file_has_no_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(met, "FEW", 1_000)
    monkeypatch.setattr(met, "_CACHE", 16)
    before, seen, other = _files(), Met(), Met()
    seen.first([seen.digest("customer", f"mara.lindqvist{n}") for n in range(5_000)])
    assert seen.digest("customer", "mara") != other.digest("customer", "mara")
    assert seen._file is not None
    assert b"mara" not in seen._file.serialize()
    (file,) = _files() - before
    assert file.endswith("(deleted)")


def _files() -> set[str]:
    """What this process has opened."""
    links = [fd for fd in Path("/proc/self/fd").iterdir() if fd.is_symlink()]
    return {os.readlink(fd) for fd in links if "etilqs" in os.readlink(fd)}
