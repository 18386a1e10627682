"""A PostgreSQL server of the tests' own: for what befalls a whole server."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.stores.mariadb_server import free_port

# Who logs in as this user needs its password; everybody else is trusted.
GUARDED = "lethe_guarded"
_SETTINGS = (
    "listen_addresses = '127.0.0.1'",
    "unix_socket_directories = ''",
    "fsync = off",
    "shared_buffers = 16MB",
    "max_wal_size = 64MB",
    "wal_level = replica",
    "log_min_messages = fatal",
)


def _program(name: str) -> str:
    places = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    found = str(places[-1]) if places else shutil.which(name)
    if found is None:
        stop = pytest.fail if os.environ.get("CI_GATE") else pytest.skip
        stop("PostgreSQL is not installed on this machine")
    return str(found)


def _run(*command: str) -> None:
    """As an unprivileged user: the server refuses to run as root."""
    user = "postgres" if os.geteuid() == 0 else None
    done = subprocess.run(
        command, user=user, cwd="/", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, command


class PostgresqlServer:
    """A cluster in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.data = folder / "data"
        self.port = free_port()

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
        _run(_program("pg_ctl"), "start", "-w", "-D", str(self.data), "-l", "/dev/null",
             "-o", f"-p {self.port}")  # fmt: skip

    def stop(self, mode: str = "immediate") -> None:
        """``immediate``: as if the power had failed."""
        _run(_program("pg_ctl"), "stop", "-w", "-m", mode, "-D", str(self.data))

    def promote(self) -> None:
        """A standby becomes a server that takes writes."""
        _run(_program("pg_ctl"), "promote", "-w", "-D", str(self.data))

    @property
    def runs(self) -> bool:
        """Whether it was started and not stopped since."""
        return (self.data / "postmaster.pid").exists()


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
