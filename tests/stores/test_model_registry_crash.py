"""The model registry, killed: the process dies before each of its changes to the disk in turn."""

from __future__ import annotations

import os
import shutil
import signal
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest
from sklearn.naive_bayes import GaussianNB

from tests.stores.registry_cast import (
    CALLS,
    JONAS,
    MARA,
    SECRETS,
    dataset_of,
    erase,
    keys_of,
    make_root,
    open_registry,
    work_of,
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two versions of one model."""
    return make_root(tmp_path)


_CHANGES = ("fsync", "rename", "replace", "mkdir", "unlink", "rmdir")


def _killed_at(number: int, run: Callable[[], object]) -> bool:
    """True when ``run``, in a process of its own, was killed at its ``number``-th change; False
    when it came to its end before."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # forking is the point here
        pid = os.fork()
    if pid == 0:
        _run_and_die(number, run)
    _, status = os.waitpid(pid, 0)
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return True
    assert os.WEXITSTATUS(status) == 0
    return False


def _run_and_die(number: int, run: Callable[[], object]) -> NoReturn:
    left = iter(range(number - 1, -1, -1))

    def dying(change: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            if next(left) == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return change(*args, **kwargs)

        return call

    for name in _CHANGES:
        setattr(os, name, dying(getattr(os, name)))
    try:
        run()
    except StopIteration:
        pass
    except BaseException:  # noqa: BLE001 - a child must never return into pytest
        os._exit(1)
    os._exit(0)


def _crash_points(
    root: Path, tmp_path: Path, run: Callable[[Path], object]
) -> Iterator[tuple[int, Path]]:
    """A fresh copy of the registry for every change, killed there."""
    for number in range(1, 200):
        copy = tmp_path / f"crash{number}" / "models"
        shutil.copytree(root, copy)
        shutil.copy(root.parent / "rows.csv", copy.parent)
        if not _killed_at(number, lambda here=copy: run(here)):  # type: ignore[misc]
            assert number > len(_CHANGES)
            return
        yield number, copy
    raise AssertionError("never came to its end")


def test_killed_anywhere_the_retraining_ends_in_the_same_state(root: Path, tmp_path: Path) -> None:
    keys = keys_of(root, MARA)
    erase(root, MARA)

    def act(here: Path) -> object:
        return open_registry(here).act([work_of(keys)], SECRETS)

    seen = set()
    for number, here in _crash_points(root, tmp_path, act):
        store = open_registry(here)
        seen.add((here / "churn" / "current").read_text())
        assert isinstance(store.load("churn"), GaussianNB), number  # something always serves
        act(here)
        assert store.check([work_of(keys)], SECRETS) == [], number
        assert keys_of(here, MARA) == (), number
        assert len(keys_of(here, JONAS)) == 1, number
        assert store.report(dataset_of())["removed"] == ["1", "2"], number
        assert not [n for n in os.listdir(here / "churn") if n[0] == "." and n != ".lock"], number
    assert len(seen) == 2  # before and after the pointer was swapped


def test_a_finished_replacement_is_used_after_a_crash_not_made_again(
    root: Path, tmp_path: Path
) -> None:
    keys = keys_of(root, MARA)
    erase(root, MARA)
    for _, here in _crash_points(
        root, tmp_path, lambda h: open_registry(h).act([work_of(keys)], SECRETS)
    ):
        if (here / "churn" / "3").exists() and (here / "churn" / "current").read_text() == "2\n":
            CALLS.clear()
            open_registry(here).act([work_of(keys)], SECRETS)
            assert CALLS["bayes"] == 0
            assert (here / "churn" / "current").read_text() == "3\n"
            return
    raise AssertionError("no crash between the new version and the pointer")


def test_a_damaged_replacement_is_not_used(root: Path, tmp_path: Path) -> None:
    keys = keys_of(root, MARA)
    erase(root, MARA)
    for _, here in _crash_points(
        root, tmp_path, lambda h: open_registry(h).act([work_of(keys)], SECRETS)
    ):
        if (here / "churn" / "3").exists() and (here / "churn" / "current").read_text() == "2\n":
            (here / "churn" / "3" / "model.skops").write_bytes(b"half a file")
            open_registry(here).act([work_of(keys)], SECRETS)
            assert (here / "churn" / "current").read_text() == "4\n"
            return
    raise AssertionError("no crash between the new version and the pointer")


def test_killed_anywhere_retiring_ends_in_the_same_state(root: Path, tmp_path: Path) -> None:
    keys = keys_of(root, MARA)
    work = work_of(keys, action="retire")
    for number, here in _crash_points(
        root, tmp_path, lambda h: open_registry(h).act([work], SECRETS)
    ):
        open_registry(here).act([work], SECRETS)
        assert open_registry(here).check([work], SECRETS) == [], number
        assert not (here / "churn" / "current").exists(), number
