"""A MariaDB server of the tests' own, for what is set for a whole server: its binary log, its
modes, being read-only."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from time import monotonic, sleep

import pymysql
import pytest

from tests.stores.mariadb import connect

# Nothing of this may change what the store does.
HOSTILE_MODES = "ANSI_QUOTES,NO_BACKSLASH_ESCAPES,PIPES_AS_CONCAT,PAD_CHAR_TO_FULL_LENGTH"
OPTIONS = (
    "--bind-address=127.0.0.1",
    "--skip-name-resolve",
    "--log-bin=log",
    "--binlog-format=ROW",
    "--binlog-expire-logs-seconds=864000",
    f"--sql-mode={HOSTILE_MODES}",
    "--innodb-log-file-size=4M",
    "--innodb-flush-log-at-trx-commit=0",
)


def own_server(folder: Path) -> Iterator[str]:
    """The url of the database ``test`` of a new server in ``folder``. Skips where MariaDB is not
    installed, fails in the gate."""
    programs = [shutil.which(name) for name in ("mariadb-install-db", "mariadbd")]
    if programs[1] is None and Path("/usr/sbin/mariadbd").exists():
        programs[1] = "/usr/sbin/mariadbd"
    if None in programs:
        stop = pytest.fail if os.environ.get("CI_GATE") else pytest.skip
        stop("MariaDB is not installed on this machine")
    install, server = (str(program) for program in programs)
    user = ["--user=root"] if os.geteuid() == 0 else []
    home = ["--no-defaults", f"--datadir={folder / 'data'}", *user]
    subprocess.run(
        [install, *home, "--auth-root-authentication-method=normal", "--innodb-log-file-size=4M"],
        check=True,
        capture_output=True,
    )
    port = free_port()
    place = [f"--socket={folder / 'socket'}", f"--pid-file={folder / 'pid'}", f"--port={port}"]
    with (folder / "told").open("wb") as told:
        process = subprocess.Popen([server, *home, *place, *OPTIONS], stdout=told, stderr=told)
    try:
        url = f"mysql://root@127.0.0.1:{port}/test"
        wait_for(url)
        yield url
    finally:
        process.terminate()
        process.wait(30)


def free_port() -> int:
    """A port that nobody listens at now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(url: str) -> None:
    """Until the server answers."""
    deadline = monotonic() + 30
    while True:
        try:
            connect(url).close()
        except pymysql.err.OperationalError:
            assert monotonic() < deadline, "the server has not started"
            sleep(0.1)
        else:
            return
