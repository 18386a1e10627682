"""Backup sets: whole copies of other stores, put beyond use until they expire.

A copy is not opened to take one person out. It goes when its retention ends, the date is told,
and a restored copy passes the restore gate, which replays every erasure since it was taken. So
``find`` names whole copies, ``act`` touches none of them, and ``scan`` does not look inside:
finding the person in a copy that has a known last day is no residue.
"""

from __future__ import annotations

import calendar
import hashlib
import re
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from erasure.domain.errors import StoreError, StoreUnreachable
from erasure.domain.needles import Matcher, Needle
from erasure.domain.values import Value
from erasure.stores.base import (
    Declared,
    Failure,
    Found,
    Hit,
    Key,
    Purged,
    Receipt,
    Residue,
    Searched,
    Secrets,
    Selector,
    Work,
)
from lineage.graph import Dataset
from lineage.schema import Column, Inspection, Table

_DURATION = re.compile(r"(\d+)([dwmy])")
_TWO_DIGITS = dict.fromkeys(("%y", "%m", "%d", "%H", "%M", "%S"), r"\d\d")
_DIRECTIVES = {"%Y": r"\d{4}", "%j": r"\d{3}", **_TWO_DIGITS}


@dataclass(frozen=True, kw_only=True)
class BackupCopy:
    """One copy: its path under the store's folder, its set, the day it was taken, the day its
    retention ends, and the day before which a lock forbids its removal."""

    object: str
    set: str
    taken_at: date
    expires_on: date
    immutable_until: date | None = None

    @property
    def last_day(self) -> date:
        """The day on which it goes: retention or lock, whichever ends later."""
        return max(self.expires_on, self.immutable_until or self.expires_on)


class BackupsStore:
    """A folder of dated backup files. A file belongs to the set named before its date:
    ``shop-20261120.sqlite3`` is a copy of the set (the collection) ``shop``.

    Options: ``glob`` (default ``*``), ``taken_at`` (a strptime pattern found in the file name,
    default ``%Y%m%d``), ``retention`` (required: a number with y, m, w or d), ``immutable_for``
    (the same), ``covers`` (names of stores), ``format`` (``sqlite`` can be restored from here).
    """

    kind = "backups"
    options = frozenset({"covers", "glob", "taken_at", "retention", "immutable_for", "format"})

    def __init__(
        self,
        *,
        name: str,
        url: str,
        options: Mapping[str, Any],
        today: Callable[[], date] = lambda: datetime.now(UTC).date(),
    ) -> None:
        self.name = name
        self._folder = _folder(name, url)
        self._glob = str(options.get("glob", "*"))
        self._pattern = str(options.get("taken_at", "%Y%m%d"))
        self._dated = _dated(name, self._pattern)
        self._retention = _duration(name, "retention", options.get("retention"))
        immutable = options.get("immutable_for")
        self._immutable = _duration(name, "immutable_for", immutable) if immutable else None
        self._format = str(options.get("format", ""))
        self._today = today
        covers = options.get("covers", ())
        self.covers: tuple[str, ...] = (covers,) if isinstance(covers, str) else tuple(covers)

    def copies(self) -> list[BackupCopy]:
        """Every copy present now, oldest first. Raises StoreError for a file without a date:
        nobody could say when it goes."""
        if not self._folder.is_dir():
            raise StoreUnreachable(self.name, "the backup folder is not there; check its url")
        files = (p for p in self._folder.glob(self._glob) if p.is_file())
        found = [self._copy(path) for path in files]
        undated = sum(1 for copy in found if copy is None)
        if undated:
            raise StoreError(
                self.name,
                f"{undated} of the files that match '{self._glob}' have no date in their name; "
                "correct options.taken_at or options.glob",
            )
        known = [copy for copy in found if copy is not None]
        return sorted(known, key=lambda c: (c.taken_at, c.object))

    def _copy(self, path: Path) -> BackupCopy | None:
        for match in self._dated.finditer(path.name):
            try:
                taken = datetime.strptime(match[0], self._pattern).date()  # noqa: DTZ007 - a day
            except ValueError:
                continue
            lock = _later(taken, self._immutable) if self._immutable else None
            return BackupCopy(
                object=path.relative_to(self._folder).as_posix(),
                set=path.name[: match.start()].strip("-_.") or path.suffix.strip("."),
                taken_at=taken,
                expires_on=_later(taken, self._retention),
                immutable_until=lock,
            )
        return None

    def inspect(self) -> Inspection:
        """The sets present; every file is a row with the object's name as its key."""
        rows: dict[str, int] = {}
        for copy in self.copies():
            rows[copy.set] = rows.get(copy.set, 0) + 1
        column = Column(name="object", data_type="file", nullable=False, primary_key=True)
        tables = {s: Table(name=s, columns=(column,), rows=n) for s, n in sorted(rows.items())}
        # Copies come and go every night; what a plan relies on is how their last day is reckoned.
        shape = f"{self._glob} {self._pattern} {self._retention} {self._immutable}"
        return Inspection(tables=tables, fingerprint=hashlib.sha256(shape.encode()).hexdigest())

    def _set(self, dataset: Dataset) -> list[BackupCopy]:
        """The copies of one set. A set that nothing matches while others are there is a
        misnamed collection, not a backup that has expired."""
        present = self.copies()
        mine = [copy for copy in present if copy.set == dataset.name]
        if present and not mine:
            names = ", ".join(sorted({copy.set for copy in present}))
            raise StoreError(
                f"{self.name}, {dataset.address}",
                f"no copy belongs to the set '{dataset.name}'; the folder holds: {names}",
            )
        return mine

    def find(self, selector: Selector, values: Sequence[Value]) -> Iterator[Found]:
        """Every copy of the set taken up to today, whoever is asked for, also for no value at
        all: a copy is whole, so it holds everybody who was in the store then."""
        if selector.mode == "text":
            return
        for copy in self._set(selector.dataset):
            if copy.taken_at <= self._today():
                yield Found(key=Key(values=(copy.object,)), matched=tuple(values))

    def gather(self, dataset: Dataset, keys: Sequence[Key]) -> Iterator[tuple[Key, list[Needle]]]:
        """Copies are not opened; the stores they cover give the needles."""
        return iter(())

    def act(self, works: Sequence[Work], secrets: Secrets) -> list[Receipt]:
        """Touches nothing; says until when the last copy of each set stays."""
        for work in works:
            if work.step.action != "expire":
                raise StoreError(
                    f"{self.name}, {work.step.dataset.address}",
                    f"'{work.step.action}' is not possible in a backup; let the action be 'expire'",
                )
        return [self._receipt(work) for work in works]

    def _receipt(self, work: Work) -> Receipt:
        copies = self._set(work.step.dataset)
        residue, until = self._state(copies)
        return Receipt(
            dataset=work.step.dataset.address,
            action="expire",
            done=len(copies),
            residue=residue,
            until=until,
            note=self._note(copies),
        )

    def _state(self, copies: Sequence[BackupCopy]) -> tuple[Residue, date | None]:
        if not copies:
            return "clean", None
        last = max(copies, key=lambda c: c.last_day)
        if last.last_day < self._today():
            return "present", last.last_day  # a date that has passed promises nothing
        locked = last.immutable_until is not None and last.immutable_until > last.expires_on
        return ("blocked_until" if locked else "expires_on"), last.last_day

    def _note(self, copies: Sequence[BackupCopy]) -> str:
        words = [f"{len(copies)} copies" if len(copies) != 1 else "1 copy"]
        locks = [c.immutable_until for c in copies if c.immutable_until]
        if locks and max(locks) > self._today():
            words.append(f"locked until {max(locks).isoformat()}")
        overdue = self._overdue(copies)
        if overdue:
            words.append(f"{len(overdue)} overdue: past retention and still there")
        return "; ".join(words)

    def _overdue(self, copies: Sequence[BackupCopy]) -> list[BackupCopy]:
        return [copy for copy in copies if copy.last_day < self._today()]

    def check(self, works: Sequence[Work], secrets: Secrets) -> list[Failure]:
        """A copy named by a key must be gone once its last day has passed."""
        failures = []
        for work in works:
            named = {value for key in work.keys for value in key.values}
            late = [c for c in self._overdue(self.copies()) if c.object in named]
            if late:
                why = "copies are past their retention and still there; remove them"
                address = work.step.dataset.address
                failures.append(Failure(dataset=address, why=why, count=len(late)))
        return failures

    def scan(self, declared: Sequence[Declared], needles: Matcher) -> Iterator[Hit | Searched]:
        """Nothing, not even a count: copies are beyond use and are not read."""
        return iter(())

    def purge(self, datasets: Sequence[Dataset]) -> Purged:
        """Copies go by their retention, not by a run."""
        copies = [copy for dataset in datasets for copy in self._set(dataset)]
        residue, until = self._state(copies)
        return Purged(residue=residue, until=until, note=self._note(copies))

    def restore(self, obj: str, target: Path) -> None:
        """Copy the backup ``obj`` over the SQLite database at ``target``, through SQLite itself,
        so that whoever has it open sees either the old or the restored state.

        Raises StoreError for an unknown copy, another format or a damaged copy.
        """
        if self._format != "sqlite":
            raise StoreError(self.name, "only options.format 'sqlite' can be restored from here")
        if obj not in {copy.object for copy in self.copies()}:
            raise StoreError(self.name, "that copy is not in this store")
        source = f"file:{quote(str(self._folder / obj))}?mode=ro&immutable=1"
        try:
            with (
                closing(sqlite3.connect(source, uri=True)) as copy,
                closing(sqlite3.connect(target)) as live,
            ):
                if copy.execute("PRAGMA quick_check").fetchone() != ("ok",):
                    raise StoreError(self.name, "the copy is damaged; restore another one")
                copy.backup(live)
        except sqlite3.DatabaseError as error:
            reason = getattr(error, "sqlite_errorname", "not a database")
            raise StoreError(self.name, f"restoring failed ({reason})") from None

    def close(self) -> None:
        """Nothing stays open between calls."""


def _folder(place: str, url: str) -> Path:
    parts = urlsplit(url)
    path = Path(unquote(parts.path))
    if parts.scheme != "file" or parts.netloc or not path.is_absolute():
        raise StoreError(place, "the url must be file:///absolute/folder")
    return path


def _dated(place: str, pattern: str) -> re.Pattern[str]:
    """A regular expression for what a strptime pattern of digits matches."""
    pieces = re.split(r"(%.)", pattern)
    unknown = [p for p in pieces if p.startswith("%") and p not in _DIRECTIVES]
    if unknown or not any(p.startswith("%") for p in pieces):
        allowed = " ".join(_DIRECTIVES)
        raise StoreError(place, f"options.taken_at must be made of {allowed}")
    body = "".join(_DIRECTIVES.get(p, re.escape(p)) for p in pieces)
    return re.compile(rf"(?<!\d){body}(?!\d)")


def _duration(place: str, option: str, text: object) -> tuple[int, str]:
    match = _DURATION.fullmatch(str(text))
    if match is None:
        raise StoreError(place, f"options.{option} must be a number with y, m, w or d, like 35d")
    return int(match[1]), match[2]


def _later(day: date, duration: tuple[int, str]) -> date:
    """``day`` plus a duration; the end of a shorter month stands for a missing day."""
    number, unit = duration
    if unit in "dw":
        return day + timedelta(days=number * (7 if unit == "w" else 1))
    months = day.year * 12 + day.month - 1 + number * (12 if unit == "y" else 1)
    year, month = divmod(months, 12)
    return date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))
