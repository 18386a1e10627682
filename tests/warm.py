"""Commands without the time to load libraries: each is a fork of a process that has loaded them.

Nothing of the product that knows its settings is loaded before: the first command of an
installation reads its environment and makes its models as if it had been started anew, in a process
of which the others of the same installation, with the same settings and secrets, are forks. A
request is a connection to the listening socket: one JSON object (the program with its arguments,
its environment) to the end, with the descriptors it writes to; the answer is its exit code, or
minus the signal that killed it.
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
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

from tests.processes import ends_with_us, until_the_end

ROOT = Path(__file__).resolve().parents[1]
KEPT = 2  # installations that are set up at a time
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
    """A process per request, for ever: of the installation's own where it has one, else of this."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    ready: dict[str, socket.socket] = {}
    while True:
        asked, _ = listening.accept()
        message, descriptors, _, _ = socket.recv_fds(asked, 1 << 16, 2)
        while more := asked.recv(1 << 16):
            message += more
        request = json.loads(message)
        if installation := _installation(request):
            if installation not in ready:
                for old in [*ready][: len(ready) + 1 - KEPT]:
                    ready.pop(old).close()
                made = _set_up(request["environment"])
                ready[installation := _installation(request)] = made  # its secrets are made now
            with suppress(OSError):  # it could not be set up: the command itself tells why
                socket.send_fds(ready[installation], [message], [asked.fileno(), *descriptors])
                _close(asked, descriptors)
                continue
            ready.pop(installation).close()
        answer(asked, message, descriptors)
        _close(asked, descriptors)


def _close(asked: socket.socket, descriptors: Iterable[int]) -> None:
    asked.close()
    for descriptor in descriptors:
        os.close(descriptor)


def _installation(request: Mapping[str, Any]) -> str:
    """What a process that was set up depends on; empty for what is set up in another way."""
    program, *arguments = request["arguments"]
    home = Path(request["environment"].get("LETHE_HOME", "."))
    if Path(program).name != "manage.py" or arguments[:1] in (["demo"], []) or not home.is_dir():
        return ""
    secrets = [(p.name, p.stat().st_ino, p.stat().st_mtime_ns) for p in home.glob("secrets/*")]
    return json.dumps([request["environment"], sorted(secrets)], sort_keys=True)


def _set_up(environment: Mapping[str, str]) -> socket.socket:
    """A process with Django set up in that environment; it ends when the socket is closed."""
    ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    if os.fork():
        its.close()
        ours.recv(1)
        return ours
    try:
        ends_with_us()
        os.closerange(3, its.fileno())  # others', to whom an end must show
        os.closerange(its.fileno() + 1, 1 << 12)
        os.environ.clear()
        os.environ.update(environment)
        _carry_out_for(its)
    finally:
        os._exit(0)


def _carry_out_for(its: socket.socket) -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    with suppress(BaseException):  # what is wrong, the command itself will find and tell
        import django

        django.setup()
        importlib.import_module("config.urls")
        gc.collect()
        gc.freeze()
        its.send(b".")
        while (told := socket.recv_fds(its, 1 << 20, 3))[0]:
            message, (asked, *descriptors), _, _ = told
            with socket.socket(fileno=asked) as asking:
                answer(asking, message, descriptors)
                _close(asking, descriptors)


def answer(asked: socket.socket, message: bytes, descriptors: list[int]) -> None:
    """In a process of its own: start the program, wait for it, and tell how it ended."""
    if os.fork():
        return
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    child = os.fork()
    if child == 0:
        asked.close()
        become(**json.loads(message), descriptors=descriptors)
    _, status = os.waitpid(child, 0)
    with suppress(BrokenPipeError):  # whoever asked has given up
        asked.sendall(str(os.waitstatus_to_exitcode(status)).encode())
    os._exit(0)


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
