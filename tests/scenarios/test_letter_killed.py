"""A letter's sender may die at any statement: the person gets it, as one, or it was never begun."""

from __future__ import annotations

import hashlib
import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.flow.inbox import Inbox, free_port, serving
from tests.scenarios.conftest import Installation
from tests.scenarios.crashing import dying
from tests.scenarios.small_shop import EMAIL, make_shop

SWEEP = "from erasure.advance import due_jobs, perform; [perform(job) for job in due_jobs()]"


class Mailbox(Inbox):
    """What came is a file each in ``folder``: who reads it later finds it as it was at a crash."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder
        folder.mkdir()

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        """SMTP's DATA."""
        number = len(self.letters())
        (self.folder / f"{number}.eml").write_bytes(envelope.original_content)
        return "250 OK"

    def letters(self) -> list[bytes]:
        """What came until now."""
        return [path.read_bytes() for path in sorted(self.folder.iterdir())]


def letter_of(made: Installation, statement: str) -> list[tuple[str, str]]:
    with closing(sqlite3.connect(made.home / "control.sqlite3")) as control:
        found = control.execute(statement).fetchall()
        control.commit()
    return found


@pytest.mark.timeout(1200)
def test_whoever_sends_a_letter_may_be_killed_at_any_statement(
    tmp_path: Path, catalogued: Callable[[str], Path]
) -> None:
    folder, port = tmp_path / "installation", free_port()
    shutil.copytree(catalogued("small_shop.yml"), folder / "home")
    shop = make_shop(folder / "shop.sqlite3")
    made = Installation(
        home=folder / "home",
        environment={
            "SHOP_URL": f"sqlite:///{shop}",
            "LETHE_MAIL_URL": f"smtp+plain://127.0.0.1:{port}",
        },
    )
    case = str(made.erase(f"email={EMAIL}")["request"])
    send = ("letters", case, "partial", "--to", "somebody@example.net", "--send")
    sweep = ("shell", "--no-imports", "-v", "0", "-c", SWEEP)
    seen = set()
    with serving(port, Mailbox(folder / "mail")) as inbox, dying(made, send, sweep) as crashes:
        assert (crashes.code, crashes.statements > 50, len(crashes) > 3) == (0, True, True)
        assert len(inbox.letters()) == 1
        for crash in crashes:
            before = len(inbox.letters())
            states = letter_of(made, "select state, sha256 from erasure_letter")
            # The sweep comes by when the dead sender's time is over.
            letter_of(made, "update erasure_letter set again_at = '2026-01-01 00:00:00'")
            assert crash.go_on() == [0], crash
            assert_one(made, inbox, begun=states[0][0] != "drafted" if states else False)
            seen.add((states[0][0] if states else "none", before))
    assert ("sending", 1) in seen, seen  # the mail server had it, and nobody had written that down
    assert {number for _, number in seen} == {0, 1}, seen


def assert_one(made: Installation, inbox: Mailbox, *, begun: bool) -> None:
    ((state, sha256),) = letter_of(made, "select state, sha256 from erasure_letter") or [("", "")]
    if not begun:
        assert inbox.letters() == []
        assert state in ("drafted", "")
        return
    assert state == "sent"
    assert {hashlib.sha256(raw).hexdigest() for raw in inbox.letters()} == {sha256}
    ledger = "select payload, '' from erasure_ledgerleaf where kind = 'letter'"
    ((payload, _),) = letter_of(made, ledger)
    assert json.loads(payload)["sha256"] == sha256
