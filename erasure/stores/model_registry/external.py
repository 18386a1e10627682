"""Recipes that run outside this process: a command, a pipeline behind an address, an MLflow
project. Each is handed a folder with what to train without whom, and leaves a model there.

``recipe`` of the catalogue is then a mapping:
``{command: [program, argument, …], seconds: 3600, memory: 2GB, env: [NAME, …]}``,
``{http: "https://…", seconds: 86400, poll: 30, secret: "${NAME}", delivers: "file:///shared"}`` or
``{project: "file:///…", entry_point: main, seconds: 3600, memory: 2GB}``.

In the folder lie ``request.json`` (model, source, seed, params, person_key, the model's own hash
key in hex) and ``excluded`` (one keyed hash a line, sorted). Its path is in ``LETHE_TRAINING``.
Expected there: ``model.skops``, ``training.manifest`` (:mod:`erasure.unlearning.manifest`) and,
where it has figures, ``metrics.json``.
"""

from __future__ import annotations

import json
import math
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from erasure.domain.errors import AtWork, DriverMissing, StoreError
from erasure.stores.trained import Caller

ARTIFACT, MANIFEST, METRICS = "model.skops", "training.manifest", "metrics.json"
REQUEST, EXCLUDED, VARIABLE = "request.json", "excluded", "LETHE_TRAINING"
_KINDS: Mapping[str, frozenset[str]] = {
    "command": frozenset({"seconds", "memory", "env", "repeat"}),
    "http": frozenset({"seconds", "poll", "secret", "delivers"}),
    "project": frozenset({"seconds", "memory", "env", "entry_point"}),
}
_SIZES = {"KB": 1 << 10, "MB": 1 << 20, "GB": 1 << 30}
_SECONDS, _MEMORY, _POLL = 3600.0, 4 << 30, 30.0
# What a program needs to run at all; nothing of ours, and no secret.
_ENVIRONMENT = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "VIRTUAL_ENV")


@dataclass(frozen=True, kw_only=True)
class Asked:
    """``job`` names the training: asked twice under one name, a pipeline runs it once. ``people``:
    keyed hashes of who must not be in it; ``key``: the model's own, for its manifest;
    ``tracking``: the address of the registry that a version is expected in, else the folder;
    ``begun``: ``since`` when a pipeline is at work on it, and where to ``ask``."""

    job: str
    model: str
    folder: str
    key: bytes
    people: frozenset[str]
    source: Mapping[str, str] = field(default_factory=dict)
    seed: int = 0
    params: Mapping[str, Any] = field(default_factory=dict)
    person_key: str = ""
    person_kind: str = ""
    tracking: str = ""
    begun: Mapping[str, str] = field(default_factory=dict)

    def plain(self) -> dict[str, Any]:
        """What every recipe is told; no secret and nobody's value."""
        return {
            "job": self.job, "model": self.model, "source": dict(self.source), "seed": self.seed,
            "params": dict(self.params), "person_key": self.person_key,
            "person_kind": self.person_kind,
        }  # fmt: skip


def is_external(recipe: object) -> bool:
    """Whether a recipe runs outside this process."""
    return isinstance(recipe, Mapping)


def kind_of(place: str, recipe: object) -> str:
    """command, http or project. Raises StoreError for anything else, and unknown words."""
    if not isinstance(recipe, Mapping):
        raise StoreError(place, "model.recipe must name a command, an http address or a project")
    kinds = [kind for kind in _KINDS if kind in recipe]
    if len(kinds) != 1:
        raise StoreError(place, f"model.recipe must name one of {', '.join(_KINDS)}")
    if unknown := sorted(set(recipe) - {kinds[0]} - _KINDS[kinds[0]]):
        raise StoreError(place, f"model.recipe: unknown words {', '.join(unknown)}")
    return kinds[0]


def deliver(place: str, recipe: object, asked: Asked, call: Caller | None) -> Path:
    """Have it trained; returns the folder in which the model lies. Raises StoreError: permanent
    where the recipe fails, hangs or uses too much memory, AtWork while a pipeline trains."""
    kind = kind_of(place, recipe)
    assert isinstance(recipe, Mapping)  # noqa: S101 - or it would have no kind
    _write(asked)
    if kind == "http":
        return _piped(place, recipe, asked, call)
    if kind == "command":
        _run(place, _argv(place, recipe["command"]), recipe, asked)
    else:
        _run(place, _project(place, recipe, asked), recipe, asked)
    return Path(asked.folder)


def _write(asked: Asked) -> None:
    """The request, for this user's eyes alone: it holds the model's key."""
    folder = Path(asked.folder)
    folder.chmod(0o700)
    told = {**asked.plain(), "key": asked.key.hex(), "tracking": asked.tracking}
    for name, text in (
        (REQUEST, json.dumps(told, indent=1, sort_keys=True)),
        (EXCLUDED, "".join(f"{h}\n" for h in sorted(asked.people))),
    ):
        path = folder / name
        path.unlink(missing_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(text)


def _argv(place: str, command: object) -> list[str]:
    if not isinstance(command, list) or not command or not all(isinstance(a, str) for a in command):
        raise StoreError(place, "model.recipe.command must be a list of texts; no shell reads it")
    return [sys.executable if a == "python" else a for a in command]


def _project(place: str, recipe: Mapping[str, Any], asked: Asked) -> list[str]:
    try:
        import mlflow.projects  # noqa: F401
    except ImportError:
        raise DriverMissing(place, "mlflow") from None
    parameters = [f"{k}={v}" for k, v in sorted(asked.params.items())]
    given = [item for p in parameters for item in ("-P", p)]
    entry = str(recipe.get("entry_point", "main"))
    parts = urlsplit(str(recipe["project"]))
    place_of = unquote(parts.path) if parts.scheme == "file" else str(recipe["project"])
    return [sys.executable, "-m", "mlflow", "run", place_of, "-e", entry, "--env-manager", "local",
            *given]  # fmt: skip


def _run(place: str, argv: list[str], recipe: Mapping[str, Any], asked: Asked) -> None:
    """No shell, no input, a process group of its own that ends with it; its output is not kept:
    it may hold values."""
    seconds, memory = _number(place, recipe, "seconds", _SECONDS), _bytes(place, recipe)
    # by its path: as a module it would import the whole registry first
    limited = [sys.executable, "-P", str(Path(__file__).with_name("limited.py"))]
    names = (*_ENVIRONMENT, *(str(n) for n in recipe.get("env") or ()))
    environment = {n: os.environ[n] for n in names if n in os.environ}
    environment |= {VARIABLE: asked.folder}
    if "project" in recipe:  # what it calls python is this one: it is not given an environment
        path = (str(Path(sys.executable).parent), environment.get("PATH"))
        environment["PATH"] = os.pathsep.join(filter(None, path))
    if asked.tracking:
        environment |= {
            "MLFLOW_TRACKING_URI": asked.tracking,
            "MLFLOW_REGISTRY_URI": asked.tracking,
        }
    root = str(Path(__file__).resolve().parents[3])
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))
    child = subprocess.Popen(  # noqa: S603 - the catalogue says what runs
        [*limited, str(memory), str(int(seconds) + 1), "--", *argv],
        cwd=asked.folder, env=environment, start_new_session=True, close_fds=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        code = child.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        told = f"the recipe was still running after {seconds:g} seconds and was ended"
        raise StoreError(place, told) from None
    finally:
        _end(child)
    if code == 127:
        raise StoreError(place, "the recipe's program is not there; correct model.recipe.command")
    if code:
        how = f"by signal {-code}" if code < 0 else f"with exit code {code}"
        raise StoreError(place, f"the recipe ended {how}; it may use {memory >> 20} MB of memory")


def _end(child: subprocess.Popen[bytes]) -> None:
    """Kill the whole group and wait, a second at most, until none of it is left: a signal is only
    on its way when the call returns, and what still runs may still write."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()
        until = time.monotonic() + 1
        while time.monotonic() < until:
            os.killpg(child.pid, signal.SIGKILL)
            time.sleep(0.01)
    child.wait()


def _bytes(place: str, recipe: Mapping[str, Any]) -> int:
    given = recipe.get("memory")
    if given is None:
        return _MEMORY
    match = re.fullmatch(r"(\d+)\s*(KB|MB|GB)", str(given))
    if match is None:
        raise StoreError(place, "model.recipe.memory must read like 512MB or 2GB")
    return int(match[1]) * _SIZES[match[2]]


def _number(place: str, recipe: Mapping[str, Any], name: str, usual: float) -> float:
    value = recipe.get(name, usual)
    if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
        raise StoreError(place, f"model.recipe.{name} must be a number of seconds above zero")
    return float(value)


def _piped(place: str, recipe: Mapping[str, Any], asked: Asked, call: Caller | None) -> Path:
    """Trigger it, or ask once how far it is: nobody waits for a pipeline. The trigger may be
    repeated: its job's name is the idempotency key, so that a crash begins nothing twice."""
    if call is None:
        raise StoreError(place, "a recipe behind an address is carried out by a model job only")
    seconds, poll = (_number(place, recipe, "seconds", 24 * _SECONDS),
                     _number(place, recipe, "poll", _POLL))  # fmt: skip
    address = str(recipe["http"])
    since = asked.begun.get("since") or datetime.now(UTC).isoformat(timespec="seconds")
    ask = asked.begun.get("ask") or address
    over = (datetime.now(UTC) - datetime.fromisoformat(since)).total_seconds() > seconds
    try:
        said = _said(place, _answer(recipe, asked, call, ask))
    except StoreError as error:
        if error.permanent or over or not asked.begun:
            raise
        said = {"state": "running", "poll": ask}  # away: it may be training all the same
    if said["state"] == "done":
        return _delivered(place, recipe, asked)
    if said["state"] == "failed":
        raise StoreError(place, "the pipeline says that the training failed; look there")
    if over:
        raise StoreError(place, f"the pipeline was not done after {seconds:g} seconds")
    raise AtWork(place, since=since, ask=str(said.get("poll") or address), seconds=poll)


def _answer(recipe: Mapping[str, Any], asked: Asked, call: Caller, ask: str) -> bytes:
    secret = str(recipe.get("secret", ""))
    if asked.begun:
        return call.get(ask, secret=secret, key=asked.job)
    body = json.dumps({**asked.plain(), "excluded": sorted(asked.people)}).encode()
    return call.post(str(recipe["http"]), body, secret=secret, key=asked.job)


def _said(place: str, answer: bytes) -> dict[str, Any]:
    try:
        plain = json.loads(answer)
        if plain["state"] in ("running", "done", "failed"):
            return dict(plain)
    except (ValueError, KeyError, TypeError):
        pass
    raise StoreError(place, "the pipeline must answer {state: running | done | failed}")


def _delivered(place: str, recipe: Mapping[str, Any], asked: Asked) -> Path:
    """``delivers`` of the recipe, below which each job has a folder of its name."""
    if asked.tracking:
        return Path(asked.folder)
    where = delivers(recipe)
    if where is None:
        raise StoreError(place, "model.recipe.delivers must be file:///absolute/folder")
    return where / asked.job


def delivers(recipe: object) -> Path | None:
    """The folder that a pipeline shares with this installation; None without one."""
    given = recipe.get("delivers", "") if isinstance(recipe, Mapping) else ""
    parts = urlsplit(str(given))
    return Path(unquote(parts.path)) if parts.scheme == "file" else None


def clear(recipe: object, job: str) -> None:
    """Remove what a pipeline has delivered for a job, in every round of it: the version stands.
    Where it may not be removed, it is found as a copy when the version goes."""
    where, name = delivers(recipe), job.partition(".")[0]
    if where is not None and name:
        for folder in where.glob(f"{name}.*"):
            shutil.rmtree(folder, ignore_errors=True)


def metrics(place: str, folder: Path) -> dict[str, float]:
    """The figures that a recipe left, all of them finite. Raises StoreError."""
    try:
        plain = json.loads((folder / METRICS).read_text())
        told = {str(name): float(value) for name, value in plain.items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, AttributeError):
        raise StoreError(place, f"the recipe's {METRICS} is not a mapping of figures") from None
    if bad := sorted(name for name, value in told.items() if not math.isfinite(value)):
        raise StoreError(place, f"the recipe gave no finite figure for: {', '.join(bad)}")
    return told
