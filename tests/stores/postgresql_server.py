"""A PostgreSQL server of the tests' own: it does not wait for the disk, and may be killed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep

import psycopg
import pytest

from tests.processes import ends_with_us
from tests.stores.mariadb_server import free_port

# Who logs in as this user needs its password; everybody else is trusted.
GUARDED = "lethe_guarded"
_SETTINGS = (
    "listen_addresses = '127.0.0.1'",
    "unix_socket_directories = ''",
    "fsync = off",
    "full_page_writes = off",
    "dynamic_shared_memory_type = mmap",
    "shared_buffers = 16MB",
    "max_wal_size = 64MB",
    "wal_level = replica",
    "log_min_messages = fatal",
)


def program(name: str) -> str | None:
    """Where it is installed; of several versions the last."""
    places = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    return str(places[-1]) if places else shutil.which(name)


def _program(name: str) -> str:
    found = program(name)
    if found is None:
        stop = pytest.fail if os.environ.get("CI_GATE") else pytest.skip
        stop("PostgreSQL is not installed on this machine")
    return str(found)


# The server refuses to run as root.
_USER = "postgres" if os.geteuid() == 0 else None


def _run(*command: str) -> None:
    done = subprocess.run(
        command, user=_USER, cwd="/", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, command


class PostgresqlServer:
    """A cluster in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.data = folder / "data"
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        """Without a database name."""
        return f"postgresql://postgres@127.0.0.1:{self.port}"

    def make(self) -> None:
        """The first start."""
        _run(_program("initdb"), "--no-sync", "-A", "trust", "-U", "postgres", "-D", str(self.data))
        rules = self.data / "pg_hba.conf"
        guarded = f"host all {GUARDED} 127.0.0.1/32 scram-sha-256\n"
        rules.write_text(
            guarded
            + "host all all 127.0.0.1/32 trust\n"
            + "host replication all 127.0.0.1/32 trust\n"
        )
        with (self.data / "postgresql.conf").open("a") as settings:
            settings.writelines(f"{line}\n" for line in _SETTINGS)
        self.start()

    def copy(self, other: PostgresqlServer) -> None:
        """Become a standby of another server, which follows it and takes no writes."""
        _run(_program("pg_basebackup"), "-d", other.address, "-D", str(self.data), "-R",
             "-c", "fast", "--no-sync")  # fmt: skip
        self.start()

    def start(self) -> None:
        """Waits until it answers."""
        self._process = subprocess.Popen(
            [_program("postgres"), "-D", str(self.data), "-p", str(self.port)],
            user=_USER, cwd="/", preexec_fn=ends_with_us,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        deadline = monotonic() + 60
        while not self._answers():
            assert self.runs, "the server has not started"
            assert monotonic() < deadline, "the server does not answer"
            sleep(0.05)

    def _answers(self) -> bool:
        try:
            psycopg.connect(self.address, dbname="postgres", connect_timeout=5).close()
        except psycopg.OperationalError:
            return False
        return True

    def stop(self) -> None:
        """As if the power had failed."""
        assert self._process is not None
        self._process.send_signal(signal.SIGQUIT)
        self._process.wait(60)

    def promote(self) -> None:
        """A standby becomes a server that takes writes."""
        _run(_program("pg_ctl"), "promote", "-w", "-D", str(self.data))

    @property
    def runs(self) -> bool:
        """Whether it was started and not stopped since."""
        return self._process is not None and self._process.poll() is None


@contextmanager
def folder_of_the_server() -> Iterator[Path]:
    """A folder that the unprivileged user may enter; pytest's own are root's."""
    with tempfile.TemporaryDirectory(prefix="lethe-server-", ignore_cleanup_errors=True) as name:
        if os.geteuid() == 0:
            shutil.chown(name, "postgres", "postgres")
        yield Path(name)


def own_server() -> Iterator[PostgresqlServer]:
    """A new server; it and its files are gone afterwards."""
    with folder_of_the_server() as folder:
        server = PostgresqlServer(folder)
        server.make()
        yield server
        if server.runs:
            server.stop()
