"""The demo company's logs: rotated once a day, the older ones compressed."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Iterator
from datetime import date, timedelta
from pathlib import Path

from erasure.demo.lake import stamp
from erasure.demo.people import LEAVER, NEIGHBOUR, Dice, Person, Population


def write(folder: Path, population: Population, dice: Dice, last_day: date) -> None:
    """``access/access.log``, ``.1``, ``.2.gz`` (JSON lines), ``app/app.log``, ``.1.gz`` (text)."""
    for part in ("access", "app"):
        (folder / part).mkdir(parents=True)
    for back, name in enumerate(("access.log", "access.log.1", "access.log.2.gz")):
        day = last_day - timedelta(days=back)
        _write(folder / "access" / name, _access(population, dice, day), day)
    for back, name in enumerate(("app.log", "app.log.1.gz")):
        day = last_day - timedelta(days=back)
        _write(folder / "app" / name, _app(population, dice, day), day)


def _write(path: Path, lines: Iterable[str], day: date) -> None:
    content = "".join(f"{line}\n" for line in lines).encode()
    if path.suffix == ".gz":
        content = gzip.compress(content, mtime=0)
    path.write_bytes(content)
    stamp(path, day)


def _visitors(population: Population, dice: Dice, day: date) -> Iterator[Person]:
    """A third of the people a day; the two come every day, in the middle of the others."""
    for person in population.people:
        known = person.id in (LEAVER, NEIGHBOUR)
        if known or dice.below(3, f"visit{day.toordinal()}", person.id) == 0:
            yield person


def _access(population: Population, dice: Dice, day: date) -> Iterator[str]:
    leaver = population.leaver
    for number, person in enumerate(_visitors(population, dice, day)):
        if person.id == LEAVER:
            yield line(day, number, None, leaver.email, leaver.ip, "/login")
        yield line(day, number, person.id, person.email, person.ip, f"/orders?page={number % 7}")
        if person.id == NEIGHBOUR:
            gift = f"/gift/for/{leaver.email}"
            yield line(day, number, person.id, person.email, person.ip, gift)


def line(
    day: date, number: int, customer: int | None, email: str | None, ip: str, path: str
) -> str:
    """One line of the access log."""
    plain = {
        "ts": f"{day.isoformat()}T{_clock(number)}Z",
        "customer_id": customer,
        "email": email,
        "ip": ip,
        "method": "GET",
        "path": path,
        "status": 200,
    }
    return json.dumps(plain)


def _app(population: Population, dice: Dice, day: date) -> Iterator[str]:
    leaver, neighbour = population.leaver, population.neighbour
    for number, person in enumerate(_visitors(population, dice, day)):
        start = f"{day.isoformat()} {_clock(number)} INFO"
        yield f"{start} mailer: newsletter sent to {person.email}"
        if person.id == NEIGHBOUR:
            yield (
                f"{start} parcels: handed to {neighbour.name} <{neighbour.email}> "
                f"for {leaver.name} <{leaver.email}>"
            )


def _clock(number: int) -> str:
    return f"{number // 3600 % 24:02d}:{number // 60 % 60:02d}:{number % 60:02d}"
