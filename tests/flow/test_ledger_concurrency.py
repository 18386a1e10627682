"""Many writers at once, and writers killed: the ledger neither loses nor forks."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from psycopg.sql import SQL, Identifier

from tests.servers import postgresql_server

ROOT = Path(__file__).resolve().parents[2]

WRITER = """
import sys, django
django.setup()
from erasure.evidence import ledger
for n in range(int(sys.argv[2])):
    ledger.append("x", {"writer": sys.argv[1], "n": n})
    if n == 0:
        print("writing", flush=True)
"""
MAKER = """
import django
django.setup()
from django.db import connection
from erasure.models.evidence import Certificate, LedgerHead, LedgerLeaf, LedgerTip
with connection.schema_editor() as editor:
    for model in (LedgerLeaf, LedgerHead, LedgerTip, Certificate):
        editor.create_model(model)
"""
JUDGE = """
import django
django.setup()
from erasure.evidence.audit import audit
from erasure.evidence.signing import pinned_keys
from erasure.models.evidence import LedgerLeaf
print(LedgerLeaf.objects.count())
for finding in audit(pinned_keys()):
    print(finding)
"""


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def apart(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[dict[str, str]]:
    """The environment of processes that share a database of their own."""
    home = tmp_path / "home"
    env = {**os.environ, "LETHE_HOME": str(home), "DJANGO_SETTINGS_MODULE": "config.settings"}
    if request.param == "sqlite":
        yield {**env, "DATABASE_URL": f"sqlite:///{tmp_path / 'control.sqlite3'}"}
        return
    name = f"lethe_ledger_{uuid4().hex[:12]}"
    address = postgresql_server()
    with psycopg.connect(address, dbname="postgres", autocommit=True) as postgres:
        postgres.execute(SQL("CREATE DATABASE {}").format(Identifier(name)))
        yield {**env, "DATABASE_URL": f"{address}/{name}"}
        postgres.execute(SQL("DROP DATABASE {} WITH (FORCE)").format(Identifier(name)))


def start(env: dict[str, str], script: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", script, *arguments],
        env=env,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen[str]) -> str:
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    return out


def test_processes_that_append_at_once_lose_and_fork_nothing(apart: dict[str, str]) -> None:
    finish(start(apart, MAKER))
    writers = [start(apart, WRITER, name, "40") for name in "abcd"]
    for writer in writers:
        finish(writer)
    assert finish(start(apart, JUDGE)).split() == ["160"]


def test_a_writer_killed_at_any_moment_leaves_a_whole_ledger(apart: dict[str, str]) -> None:
    finish(start(apart, MAKER))
    for attempt in range(3):
        writer = start(apart, WRITER, str(attempt), "100000")
        assert writer.stdout is not None
        assert writer.stdout.readline() == "writing\n"
        time.sleep(0.03 * attempt)
        writer.kill()
        writer.communicate()
    finish(start(apart, WRITER, "last", "5"))
    count, *wrong = finish(start(apart, JUDGE)).splitlines()
    assert int(count) > 5
    assert wrong == []
