"""Schemas remembered within a process."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Barrier

from erasure.stores.sql.schema.memory import Remembered, address_key


class Clock:
    """Seconds, moved by hand."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_value_is_read_once_per_version() -> None:
    remembered = Remembered[str]()
    assert remembered.get("a", "1", lambda: "old") == "old"
    assert remembered.get("a", "1", lambda: "new") == "old"
    assert remembered.get("a", "2", lambda: "new") == "new"
    assert remembered.get("b", "2", lambda: "other") == "other"


def test_without_a_version_nothing_is_remembered() -> None:
    remembered = Remembered[str]()
    assert remembered.get("a", None, lambda: "old") == "old"
    assert remembered.get("a", None, lambda: "new") == "new"


def test_what_is_remembered_grows_old() -> None:
    clock = Clock()
    remembered = Remembered[str](age=300, clock=clock)
    remembered.get("a", "1", lambda: "old")
    clock.now = 299
    assert remembered.get("a", "1", lambda: "new") == "old"
    clock.now = 300
    assert remembered.get("a", "1", lambda: "new") == "new"


def test_the_oldest_gives_way() -> None:
    remembered = Remembered[int](size=2)
    for number, key in enumerate("abc"):
        remembered.get(key, "1", partial(int, number))
    assert remembered.get("b", "1", lambda: 7) == 1
    assert remembered.get("c", "1", lambda: 7) == 2
    assert remembered.get("a", "1", lambda: 7) == 7


def test_many_threads_may_ask_at_once() -> None:
    remembered = Remembered[int](size=3)
    gate = Barrier(8)

    def ask(start: int) -> bool:
        gate.wait()
        return all(
            remembered.get((start + i) % 5, str(i % 2), partial(int, i % 2)) == i % 2
            for i in range(2000)
        )

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(ask, range(8)))


def test_the_key_of_an_address_does_not_hold_its_password() -> None:
    assert "sesame" not in address_key("mysql://root:sesame@host/db")
    assert address_key("mysql://root:sesame@host/db") != address_key("mysql://root:x@host/db")
