"""MariaDB servers of the tests' own: an ordinary one that does not wait for the disk, and one for
what is set for a whole server: its binary log, its modes, being read-only."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import pymysql
import pytest
from sqlalchemy.engine import make_url

from tests.processes import ends_with_us

_OPTIONS = (
    "--bind-address=127.0.0.1",
    "--skip-name-resolve",
    "--innodb-flush-log-at-trx-commit=2",
)
# As Debian sets it.
ORDINARY = ("--character-set-server=utf8mb4", "--collation-server=utf8mb4_general_ci")
# Nothing of this may change what the store does.
HOSTILE_MODES = "ANSI_QUOTES,NO_BACKSLASH_ESCAPES,PIPES_AS_CONCAT,PAD_CHAR_TO_FULL_LENGTH"
HOSTILE = (
    "--log-bin=log",
    "--binlog-format=ROW",
    "--binlog-expire-logs-seconds=864000",
    f"--sql-mode={HOSTILE_MODES}",
    "--innodb-log-file-size=4M",
)


def connect(url: str) -> pymysql.Connection[Any]:
    """A connection that takes the standard's quotes and commits at once."""
    address = make_url(url)
    return pymysql.connect(
        host=address.host,
        port=address.port or 3306,
        user=address.username,
        password=address.password or "",
        database=address.database,
        autocommit=True,
        connect_timeout=5,
        sql_mode="ANSI_QUOTES,STRICT_ALL_TABLES",
    )


def program(name: str) -> str | None:
    """Where it is installed."""
    return shutil.which(name) or shutil.which(name, path="/usr/sbin")


def _program(name: str) -> str:
    found = program(name)
    if found is None:
        stop = pytest.fail if os.environ.get("CI_GATE") else pytest.skip
        stop("MariaDB is not installed on this machine")
    return str(found)


class MariadbServer:
    """A server whose data stand in ``folder``."""

    def __init__(
        self, folder: Path, options: Sequence[str] = HOSTILE, layout: Sequence[str] = ()
    ) -> None:
        self.folder, self.port = folder, free_port()
        self.address = f"mysql://root@127.0.0.1:{self.port}"
        self.url = f"{self.address}/test"
        self._options = options
        user = ["--user=root"] if os.geteuid() == 0 else []
        # Of its own: a server that starts deletes whatever temporary tables lie there.
        scratch = folder / "tmp"
        scratch.mkdir()
        places = [f"--datadir={folder / 'data'}", f"--tmpdir={scratch}"]
        self._home = ["--no-defaults", *places, *user, *layout]
        self._process: subprocess.Popen[bytes] | None = None

    def make(self) -> None:
        """The first start."""
        how = ["--auth-root-authentication-method=normal", "--innodb-log-file-size=4M"]
        command = [_program("mariadb-install-db"), *self._home, *how]
        subprocess.run(command, check=True, capture_output=True)
        self.start()

    def start(self) -> None:
        """Waits until it answers."""
        folder = self.folder
        place = [f"--socket={folder / 'socket'}", f"--pid-file={folder / 'pid'}"]
        command = [_program("mariadbd"), *self._home, *place, f"--port={self.port}", *_OPTIONS]
        with (folder / "told").open("wb") as told:
            self._process = subprocess.Popen(
                [*command, *self._options], stdout=told, stderr=told, preexec_fn=ends_with_us
            )
        wait_for(self.url)

    def kill(self) -> None:
        """As if the power had failed."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(30)

    @property
    def runs(self) -> bool:
        """Whether it was started and not killed since."""
        return self._process is not None and self._process.poll() is None

    def stop(self) -> None:
        """In good order."""
        if self._process is not None and self.runs:
            self._process.terminate()
            self._process.wait(30)


def own_server(
    folder: Path, options: Sequence[str] = HOSTILE, layout: Sequence[str] = ()
) -> Iterator[MariadbServer]:
    """A new server in ``folder``; ``layout``: options that it must be made with as well. Skips
    where MariaDB is not installed, fails in the gate."""
    server = MariadbServer(folder, options, layout)
    server.make()
    try:
        yield server
    finally:
        server.stop()


def free_port() -> int:
    """A port that nobody listens at now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(url: str) -> None:
    """Until the server answers."""
    deadline = monotonic() + 120
    while True:
        try:
            connect(url).close()
        except pymysql.err.OperationalError:
            assert monotonic() < deadline, "the server has not started"
            sleep(0.1)
        else:
            return
