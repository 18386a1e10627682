"""Commands without the time to load libraries: each is a fork of a process that has loaded them.

Nothing of the product that knows its settings is loaded before: a command reads its environment,
makes its models and is checked as if it had been started anew. A request is a connection to the
listening socket: one JSON object (the program with its arguments, its environment) to the end, with
the descriptors it writes to; the answer is its exit code, or minus the signal that killed it.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

from tests.processes import ends_with_us, until_the_end

ROOT = Path(__file__).resolve().parents[1]
# What every command loads; none of these may ask for settings.
LIBRARIES = """
    ahocorasick celery.app.base celery.app.builtins celery.fixups.django cryptography.fernet
    cryptography.hazmat.primitives.ciphers.aead cryptography.x509 dateutil.rrule
    django.contrib.admin.checks django.contrib.postgres.fields django.core.cache.backends.locmem
    django.core.management django.core.paginator django.db.backends.sqlite3.base
    django.db.migrations.autodetector django.db.migrations.executor django.db.models
    django.forms.models django.template.loader django.test.signals django.urls
    django.views.generic faker fideslang holidays inflection jsonschema jwt kombu.pools phonenumbers
    psycopg pygments.lexers pyzipper requests rest_framework.settings rfc8785 rich.console
    rich.progress rich.table smtplib sqlalchemy.dialects.sqlite sqlglot.expressions stdnum.iban
    tzlocal uritemplate yaml
""".split()  # noqa: SIM905 - to be read
# Rooms of the product that know no framework.
PURE = """
    erasure.domain.finding erasure.domain.plan erasure.stores.base erasure.stores.documents
    erasure.stores.registry erasure.stores.sql lineage.adjacency lineage.columns lineage.graph
    lineage.importers.fideslang lineage.naming lineage.schema
""".split()  # noqa: SIM905 - to be read


def carry_out(
    arguments: Sequence[str], environment: Mapping[str, str], timeout: float
) -> subprocess.CompletedProcess[str]:
    """The Python program ``arguments[0]`` in that environment, and in no other."""
    request = {"arguments": list(arguments), "environment": dict(environment)}
    with (
        socket.socket(socket.AF_UNIX) as asking,
        tempfile.TemporaryFile("w+") as out,
        tempfile.TemporaryFile("w+") as err,
    ):
        asking.settimeout(timeout)
        asking.connect(_address())
        message = json.dumps(request).encode()
        sent = socket.send_fds(asking, [message], [out.fileno(), err.fileno()])
        asking.sendall(message[sent:])
        asking.shutdown(socket.SHUT_WR)
        code = int(asking.recv(16))
        out.seek(0)
        err.seek(0)
        return subprocess.CompletedProcess(list(arguments), code, out.read(), err.read())


@cache
def _address() -> str:
    return until_the_end(_loaded())


@contextmanager
def _loaded() -> Iterator[str]:
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as listening:
        address = f"{folder}/socket"
        listening.bind(address)
        listening.listen()
        number = listening.fileno()
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.warm", str(number)],
            cwd=ROOT,
            env={n: v for n, v in os.environ.items() if not n.startswith(("DJANGO_", "LETHE_"))},
            stdin=subprocess.DEVNULL,
            pass_fds=[number],
            preexec_fn=ends_with_us,
        )
        try:
            yield address
        finally:
            process.kill()
            process.wait()


def load() -> None:
    """Everything that is known before the settings are."""
    for name in (*LIBRARIES, *PURE):
        importlib.import_module(name)
    from django.conf import settings

    assert not settings.configured
    gc.collect()
    gc.freeze()


def serve(listening: socket.socket) -> None:
    """A process per request, for ever."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        asked, _ = listening.accept()
        if os.fork() == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            listening.close()
            answer(asked)
            os._exit(0)
        asked.close()


def answer(asked: socket.socket) -> None:
    """Start the program, wait for it, and tell how it ended."""
    message, descriptors, _, _ = socket.recv_fds(asked, 1 << 16, 2)
    while more := asked.recv(1 << 16):
        message += more
    child = os.fork()
    if child == 0:
        asked.close()
        become(**json.loads(message), descriptors=descriptors)
    _, status = os.waitpid(child, 0)
    with suppress(BrokenPipeError):  # whoever asked has given up
        asked.sendall(str(os.waitstatus_to_exitcode(status)).encode())


def become(arguments: list[str], environment: dict[str, str], descriptors: list[int]) -> None:
    """Run the program to its end, as the interpreter would."""
    code = 1
    try:
        for number, descriptor in enumerate(descriptors, start=1):
            os.dup2(descriptor, number)
            os.close(descriptor)
        os.environ.clear()
        os.environ.update(environment)
        sys.argv = arguments
        runpy.run_path(arguments[0], run_name="__main__")
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(bool(end.code))
    except BaseException:  # noqa: BLE001 - shown, as the interpreter does
        traceback.print_exc()
    finally:
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    load()
    with socket.socket(fileno=int(sys.argv[1])) as ours:
        serve(ours)
