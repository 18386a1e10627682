"""Leases are renewed by one thread, each for as long as it is held and no longer."""

from __future__ import annotations

import os
import threading
from collections import Counter

import pytest

from erasure.runs.heart import Heart

SECONDS = 0.01
PATIENCE = 30.0


class Patients:
    """What is held, how often each was renewed, and by which threads."""

    def __init__(self) -> None:
        self.renewed: Counter[str] = Counter()
        self.threads: set[int] = set()
        self.fails = False
        self._told = threading.Condition()
        self.heart = Heart(self.renew, lambda: SECONDS)

    def renew(self, held: str) -> None:
        with self._told:
            self.renewed[held] += 1
            self.threads.add(threading.get_ident())
            self._told.notify_all()
        if self.fails:
            self.fails = False
            raise RuntimeError("one beat failed")

    def wait_for(self, *held: str, times: int = 2) -> None:
        """Until each was renewed so often from now on."""
        with self._told:
            before = Counter(self.renewed)
            assert self._told.wait_for(
                lambda: all(self.renewed[h] - before[h] >= times for h in held), PATIENCE
            )


@pytest.fixture
def patients() -> Patients:
    return Patients()


def test_everything_held_is_renewed_again_and_again_by_one_thread(patients: Patients) -> None:
    with patients.heart.beating("one"), patients.heart.beating("other"):
        patients.wait_for("one", "other")
    assert len(patients.threads) == 1
    assert threading.get_ident() not in patients.threads


def test_what_is_held_no_longer_is_left_alone_and_the_rest_goes_on(patients: Patients) -> None:
    with patients.heart.beating("rest"):
        with patients.heart.beating("over"):
            patients.wait_for("over")
        then = patients.renewed["over"]
        patients.wait_for("rest", times=5)
        assert patients.renewed["over"] == then


def test_a_renewal_that_has_begun_is_waited_for() -> None:
    begun, go_on = threading.Event(), threading.Event()
    finished: list[str] = []

    def renew(held: str) -> None:
        begun.set()
        go_on.wait(PATIENCE)
        finished.append(held)

    heart = Heart(renew, lambda: SECONDS)
    with heart.beating("slow"):
        assert begun.wait(PATIENCE)
        threading.Timer(0.05, go_on.set).start()
    assert finished == ["slow"]


def test_one_that_is_due_sooner_is_not_kept_waiting(patients: Patients) -> None:
    seconds = [3600.0]
    heart = Heart(patients.renew, lambda: seconds[0])
    with heart.beating("later"):
        seconds[0] = SECONDS
        with heart.beating("soon"):
            patients.wait_for("soon")
    assert not patients.renewed["later"]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_that_has_failed_is_replaced(patients: Patients) -> None:
    patients.fails = True
    with patients.heart.beating("first"):
        patients.wait_for("first", times=1)
        thread = patients.heart._thread
        assert thread is not None
        thread.join(PATIENCE)
    with patients.heart.beating("second"):
        patients.wait_for("second")


def test_a_forked_process_has_a_thread_of_its_own() -> None:
    seconds, parent = [3600.0], os.getpid()

    def renew(held: str) -> None:
        os._exit(0 if os.getpid() != parent and held == "after" else 1)

    heart = Heart(renew, lambda: seconds[0])
    with heart.beating("before"):
        pid = os.fork()
        if not pid:  # in the child, which ends with its first renewal
            seconds[0] = SECONDS
            with heart.beating("after"):
                threading.Event().wait(PATIENCE)
            os._exit(1)
        assert os.waitpid(pid, 0)[1] == 0


def test_short_jobs_in_a_row_are_one_thread_even_if_it_comes_late(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The first job is over before the thread looks for the first time."""
    beat, over = Heart._beat, threading.Event()

    def late(heart: Heart[str]) -> None:
        assert over.wait(PATIENCE)
        beat(heart)

    monkeypatch.setattr(Heart, "_beat", late)
    heart = Heart[str](lambda _: None, lambda: 3600.0)
    threads = set()
    for _ in range(5):
        with heart.beating("job"):
            threads.add(heart._thread)
        over.set()
        if heart._thread is not None:
            heart._thread.join(0.05)  # it has time to end, and does not
    assert len(threads) == 1
