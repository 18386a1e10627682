"""A letter's sender may die at any statement: the person gets it, as one, or it was never begun."""

from __future__ import annotations

import hashlib
import json
import shutil
import signal
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from tests.flow.inbox import Inbox, free_port, serving
from tests.scenarios.conftest import Installation
from tests.scenarios.small_shop import EMAIL, make_shop

# From before it is begun until after it is written down that it was sent.
LAST, EVERY = 36, 5
_SWEEP = """
import django
django.setup()
from erasure.advance import due_jobs, perform
for job in due_jobs():
    perform(job)
"""


def letter_of(made: Installation, statement: str) -> list[tuple[str, str]]:
    with closing(sqlite3.connect(made.home / "control.sqlite3")) as control:
        found = control.execute(statement).fetchall()
        control.commit()
    return found


def swept(made: Installation) -> None:
    """The sweep comes by when the dead sender's time is over."""
    letter_of(made, "update erasure_letter set again_at = '2026-01-01 00:00:00'")
    made.environment["DJANGO_SETTINGS_MODULE"] = "config.settings"
    done = made.python("-c", _SWEEP)
    assert done.returncode == 0, done.stderr


def test_whoever_sends_a_letter_may_be_killed_at_any_statement(
    tmp_path: Path, catalogued: Callable[[str], Path]
) -> None:
    home = tmp_path / "home"
    shutil.copytree(catalogued("small_shop.yml"), home)
    shop = make_shop(tmp_path / "shop.sqlite3")
    port = free_port()
    first = Installation(
        home=home,
        environment={
            "SHOP_URL": f"sqlite:///{shop}",
            "LETHE_MAIL_URL": f"smtp+plain://127.0.0.1:{port}",
        },
    )
    case = str(first.erase(f"email={EMAIL}")["request"])
    seen = set()
    with serving(port) as inbox:
        statements = sent_until(copied(first, tmp_path / "whole"), case, 0)
        assert len(inbox.raw) == 1
        for point in range(statements - LAST, statements + 1, EVERY):
            inbox.raw.clear()
            made = copied(first, tmp_path / f"at-{point}")
            sent_until(made, case, point)
            before = len(inbox.raw)
            states = letter_of(made, "select state, sha256 from erasure_letter")
            swept(made)
            assert_one(made, inbox, begun=states[0][0] != "drafted" if states else False)
            seen.add((states[0][0] if states else "none", before))
    assert ("sending", 1) in seen, seen  # the mail server had it, and nobody had written that down
    assert {number for _, number in seen} == {0, 1}, seen


def copied(first: Installation, folder: Path) -> Installation:
    shutil.copytree(first.home, folder)
    return Installation(home=folder, environment=dict(first.environment))


def sent_until(made: Installation, case: str, statement: int) -> int:
    """Send the letter and die at that statement; returns how many there are."""
    command = ("letters", case, "partial", "--to", "somebody@example.net", "--send")
    done = made.python("-m", "tests.crash", str(statement), *command)
    assert done.returncode == (-signal.SIGKILL if statement else 0), done.stderr
    return 0 if statement else int(done.stderr.rpartition("statements: ")[2])


def assert_one(made: Installation, inbox: Inbox, *, begun: bool) -> None:
    ((state, sha256),) = letter_of(made, "select state, sha256 from erasure_letter") or [("", "")]
    if not begun:
        assert inbox.raw == []
        assert state in ("drafted", "")
        return
    assert state == "sent"
    assert {hashlib.sha256(raw).hexdigest() for raw in inbox.raw} == {sha256}
    ledger = "select payload, '' from erasure_ledgerleaf where kind = 'letter'"
    ((payload, _),) = letter_of(made, ledger)
    assert json.loads(payload)["sha256"] == sha256
