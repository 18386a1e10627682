"""Whoever gathers an export may be killed in the middle: done again there is one, and it opens."""

from __future__ import annotations

import json
import shutil
import signal
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
import pyzipper

from tests.scenarios.conftest import Installation
from tests.scenarios.small_shop import EMAIL, NAME, make_shop

# Pieces are small, so that some are on the disk by then. The process dies at that function.
_KILLED = f"""
import os, signal, sys, django
django.setup()
from django.core.management import call_command
from erasure.flow import export
from erasure.inline import open_case
from erasure.management.console import operator
from erasure.runs import archive, gathering
case = open_case([("email", {EMAIL!r})], by=operator(), method="by its account")
print(case.id, flush=True)
archive.PIECE = 64
where, name = {{"middle": (gathering.exports, "index"), "end": (export, "_expires")}}[sys.argv[1]]
setattr(where, name, lambda *_: os.kill(os.getpid(), signal.SIGKILL))
call_command("export_data", str(case.id), "--out", sys.argv[2])
"""


@pytest.mark.parametrize("where", ["middle", "end"])
def test_an_export_killed_at_gathering_is_one_that_opens_when_done_again(
    tmp_path: Path, catalogued: Callable[[str], Path], where: str
) -> None:
    home, out = tmp_path / "home", tmp_path / "ann.zip"
    shutil.copytree(catalogued("small_shop.yml"), home)
    shop = make_shop(tmp_path / "shop.sqlite3")
    with closing(sqlite3.connect(shop)) as rows, rows:  # more than waits in memory
        rows.execute("update orders set wish = hex(randomblob(40000)) where customer_id = 0")
    settings = {"SHOP_URL": f"sqlite:///{shop}", "DJANGO_SETTINGS_MODULE": "config.settings"}
    made = Installation(home=home, environment=settings)
    killed = made.python("-c", _KILLED, where, str(out))
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    (half,) = (home / "exports").iterdir()
    assert half.stat().st_size > 0
    assert not out.exists()
    assert made.bytes_holding(EMAIL, NAME) == []
    told = made.must("export_data", killed.stdout.strip(), "--out", str(out))
    (whole,) = (home / "exports").iterdir()
    assert whole.name != half.name
    with closing(sqlite3.connect(home / "control.sqlite3")) as control:
        exports = control.execute("select state, file from erasure_export").fetchall()
        keys = "select count(*) from erasure_datakey where purpose = 'export'"
        assert exports == [("ready", whole.name)]
        assert control.execute(keys).fetchone() == (1,)
    with pyzipper.AESZipFile(out) as found:
        found.setpassword(told.split("passphrase, shown this once: ")[1].split()[0].encode())
        name = next(n for n in found.namelist() if n.endswith("shop.customer.json"))
        (customer,) = json.loads(found.read(name))
    assert customer["name"] == NAME
    assert made.bytes_holding(EMAIL, NAME) == []
