"""A small shop in a database that something befalls: what it holds, how its case goes, and that
nobody tells a value of it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any, Protocol

import pytest
import sqlalchemy as sa
from django.apps import apps
from django.db.models import Model

from erasure.flow import decide
from erasure.inline import run_inline
from erasure.models import Batch, Certificate, ErasureRequest, Event
from erasure.stores.sql.connection import WRITING
from lineage import catalog
from lineage.importers import fideslang
from tests.flow.cast import APPROVER, OFFICER
from tests.flow.deeds import identified, planned
from tests.scenarios.conftest import HERE
from tests.scenarios.small_shop import EMAIL, NAME, SCRIPT

Dump = dict[str, list[tuple[object, ...]]]
TABLES = ("address", "customer", "invoice", "message", "orders")
STATEMENTS = [part.strip() for part in SCRIPT.split(";") if part.strip()]
# What of the subject stands in rows, and may stand nowhere else.
VALUES = (NAME, EMAIL, "leave it with Ben", "Where is my order?")


class Database(Protocol):
    """A database of any kind, past the store."""

    url: str

    def execute(self, statement: str) -> list[tuple[object, ...]]:
        """A statement of its owner, committed."""


def describe(monkeypatch: pytest.MonkeyPatch, url: str, options: str = "") -> None:
    """Import the shop's catalogue; the store's url is read from the environment at every use."""
    text = (HERE / "small_shop.yml").read_text()
    if options:
        text = text.replace('url: "${SHOP_URL}"', f'url: "${{SHOP_URL}}", options: {{{options}}}')
    catalog.upsert(fideslang.read_text(text, "shop.yml"), prune=True)
    monkeypatch.setenv("SHOP_URL", url)


def fill(database: Database) -> None:
    """The shop as it begins."""
    for statement in STATEMENTS:
        database.execute(statement)


def dump(database: Database) -> Dump:
    """Every row of the shop, in order."""
    return {name: sorted(database.execute(f"SELECT * FROM {name}"), key=repr) for name in TABLES}


def approved(email: str = EMAIL) -> ErasureRequest:
    """A case whose plan was approved."""
    request = planned(email)
    plan = request.plans.get(state="draft")
    decide.approve_plan(request, digest=plan.digest, by=APPROVER)
    return request


def opened(email: str = EMAIL) -> ErasureRequest:
    """A case that was not planned yet."""
    return identified(("email", email))


def blocked(request: ErasureRequest, words: str) -> None:
    """The case goes as far as it can, and says in one line why no farther."""
    run_inline(request)
    assert request.state == "blocked"
    assert words in request.blocked_because, request.blocked_because
    assert "shop_db" in request.blocked_because
    assert len(request.blocked_because.splitlines()) == 1
    assert not Certificate.objects.filter(pk=f"lethe-{request.id}").exists()


def again(request: ErasureRequest) -> None:
    """Somebody has taken the cause away."""
    decide.retry_blocked(request, by=OFFICER)
    run_inline(request)
    assert request.state == "partly_granted", request.blocked_because
    assert Certificate.objects.filter(pk=f"lethe-{request.id}").exists()
    assert set(Batch.objects.filter(run=request.run).values_list("state", flat=True)) == {"done"}


def assert_forgotten(before: Dump, after: Dump) -> None:
    """The subject is gone but for the invoice that the law keeps, and nobody else has changed."""
    assert not [v for v in VALUES if v in json.dumps(after, default=str)]
    assert after["customer"][0][:1] == (0,)
    assert after["customer"][0][1:] == (None, None, None)
    assert after["customer"][1:] == before["customer"][1:]
    assert after["orders"] == [row for row in before["orders"] if row[1] != 0]
    assert after["invoice"] == before["invoice"]
    assert after["address"] == before["address"]
    kept = [row for row in before["message"] if row[1] != 0]
    assert [row[:2] for row in after["message"]] == [row[:2] for row in kept]


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, one in value.items():
            yield from (str(key), *_texts(one))
    elif isinstance(value, list | tuple | set):
        for one in value:
            yield from _texts(one)
    elif isinstance(value, bytes | memoryview):
        yield bytes(value).decode("utf-8", "replace")
    elif value is not None and not isinstance(value, bool | int | float | date | datetime):
        yield str(value)


def assert_untold(caplog: pytest.LogCaptureFixture, *more: str) -> None:
    """No value of the subject in any log, in any column of the control database, or in ``more``."""
    told = [caplog.text, *more]
    for model in apps.get_models():
        if issubclass(model, Model) and model._meta.managed:
            for row in model._default_manager.values():
                told += _texts(row)
    assert Event.objects.exists()
    folded = [text.casefold() for text in told]
    for value in VALUES:
        assert not [text for text in folded if value.casefold() in text], value


@contextmanager
def at_statement(words: str, deed: Callable[[], None]) -> Iterator[list[str]]:
    """Just before the first statement that begins so is sent, something happens; once."""
    met: list[str] = []

    def look(_c: object, _k: object, statement: str, *_: object) -> None:
        if not met and statement.lstrip().upper().startswith(words):
            met.append(statement)
            deed()

    sa.event.listen(sa.Engine, "before_cursor_execute", look)
    try:
        yield met
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", look)
    assert met, f"no statement began with {words}"


@contextmanager
def at_commit(deed: Callable[[], None], *, committed: bool) -> Iterator[None]:
    """Just before the first commit of a change is sent, or just after, something happens; once."""
    met: list[sa.Connection] = []

    def cut(connection: sa.Connection) -> None:
        if met or not connection.get_execution_options().get(WRITING):
            return
        met.append(connection)
        if committed:
            connection.connection.commit()
        deed()

    sa.event.listen(sa.Engine, "commit", cut)
    try:
        yield
    finally:
        sa.event.remove(sa.Engine, "commit", cut)
    assert met, "nothing was committed"


@dataclass(frozen=True)
class SmallDisk:
    """A file system of two megabytes."""

    place: Path

    def folder(self, name: str, owner: str) -> Path:
        """A folder on it that belongs to a server's user."""
        made = self.place / name
        made.mkdir()
        if os.geteuid() == 0:
            shutil.chown(made, owner, owner)
        return made

    def fill_up(self) -> None:
        """Nothing more can be written on it."""
        with (self.place / "ballast").open("wb", buffering=0) as file, suppress(OSError):
            while file.write(bytes(4096)):
                pass

    def make_room(self) -> None:
        """There is room again."""
        (self.place / "ballast").unlink()

    def remount(self, how: str) -> None:
        """``ro``: it takes no writes; ``rw``: it does again."""
        subprocess.run(["mount", "-o", f"remount,{how}", str(self.place)], check=True)


def small_disk() -> Iterator[SmallDisk]:
    """Mounted for as long as a test runs, where its user may mount."""
    place = Path(tempfile.mkdtemp(prefix="lethe-disk-"))
    options = ["-t", "tmpfs", "-o", "size=2m,mode=777", "none"]
    mounted = subprocess.run(["mount", *options, str(place)], capture_output=True, check=False)
    if mounted.returncode:
        place.rmdir()
        pytest.skip("needs leave to mount a small file system")
    yield SmallDisk(place)
    subprocess.run(["umount", "-l", str(place)], check=True)
    place.rmdir()
