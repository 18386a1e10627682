"""A model's folder: versions, the pointer to the current one, and changes that survive a crash.

A version appears and disappears by one rename. Names that begin with a dot are work in progress:
``.new-*`` not yet a version, ``.gone-*`` no longer one; both are swept by the next run.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

from erasure.domain.errors import StoreError, StoreUnreachable
from erasure.stores import keyring
from erasure.stores.model_registry import artifact, manifest
from erasure.stores.model_registry.manifest import Manifest

ARTIFACT = "model.skops"
MANIFEST = "manifest.json"
CURRENT = "current"
RETIRED = "retired.jsonl"
ROWS = "rows.sealed"
QUARANTINE = "quarantine.json"
EXEMPT = "exempt.json"
FORGOTTEN = "forgotten.json"
KEPT = "kept.json"
PROVENANCE = "provenance.json"
_LOCK = ".lock"
_NAME = re.compile(r"[A-Za-z0-9][\w.-]*")


class ModelFolder:
    """One model under the registry's root. ``place`` names store and model in errors;
    ``elsewhere``: a folder outside the root in which copies of a version may lie."""

    def __init__(self, root: Path, model: str, store: str, elsewhere: Path | None = None) -> None:
        self.place = f"{store}, {model}"
        if not _NAME.fullmatch(model):
            raise StoreError(store, "a model's name is made of letters, digits, '.', '_' and '-'")
        if not root.is_dir():
            raise StoreUnreachable(store, "the registry's folder is not there; check its url")
        self.root = root
        self.elsewhere = elsewhere
        self.model = model
        self.path = root / model

    def versions(self) -> list[str]:
        """Names of the versions present, oldest first."""
        if not self.path.is_dir():
            return []
        names = [p.name for p in self.path.iterdir() if p.is_dir() and p.name[0] != "."]
        return sorted(names, key=_age)

    def manifest(self, version: str) -> Manifest:
        """One that says that anybody may be in it where there is none. Raises StoreError where it
        is damaged."""
        path = self.path / version / MANIFEST
        if not path.exists():
            model = self.path / version / ARTIFACT
            known = artifact.sha256(model) if model.is_file() else ""
            return manifest.unknown(self.model, version, known)
        return manifest.read(f"{self.place}, version {version}", path)

    def manifests(self) -> dict[str, Manifest]:
        """Of all versions present, oldest first."""
        return {v: self.manifest(v) for v in self.versions()}

    def current(self) -> str | None:
        """The version the pointer names, None without a pointer. Raises StoreError where it
        cannot be read."""
        try:
            return (self.path / CURRENT).read_text().strip() or None
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError):
            raise StoreError(self.place, f"the pointer '{CURRENT}' cannot be read") from None

    def load(self, version: str) -> object:
        """The estimator of a version. Raises StoreError."""
        place = f"{self.place}, version {version}"
        found = self.manifest(version)
        if found.inferred:
            raise StoreError(place, "has no manifest, so nobody can tell what it is")
        if version in self.quarantined():
            raise StoreError(place, "is out of service; decide what becomes of it at the desk")
        if version in self.kept() and version != self.current():
            raise StoreError(place, "was replaced; it is kept for its owner and not served")
        return artifact.load(place, self.path / version / ARTIFACT, found.artifact)

    def quarantined(self) -> dict[str, str]:
        """Versions that are out of service, and why."""
        return self._noted(QUARANTINE)

    def kept(self) -> dict[str, str]:
        """Versions that were replaced and are kept, and until when (ISO)."""
        return self._noted(KEPT)

    def exempt(self) -> dict[str, str]:
        """Versions that were assessed as anonymous, and the last day (ISO) on which they count
        as that."""
        return self._noted(EXEMPT)

    def forgotten(self) -> dict[str, str]:
        """Keyed hashes of people who were taken out of this model, and the day (ISO)."""
        return self._noted(FORGOTTEN)

    def in_place(self) -> str | None:
        """The current version, else the latest that would be if it were not out of service."""
        present, out = self.versions(), self.quarantined()
        return self.current() or next((v for v in reversed(present) if v in out), None)

    def _noted(self, name: str) -> dict[str, str]:
        try:
            plain = json.loads((self.path / name).read_text())
            return {str(k): str(v) for k, v in plain.items()}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, AttributeError):
            raise StoreError(self.place, f"{name} is damaged; restore it") from None

    def note(self, name: str, lines: Mapping[str, str]) -> None:
        """Write one of the notes, or remove it where nothing is to be said."""
        if lines:
            draft = self.path / f".tmp-{name}"
            _write(draft, json.dumps(dict(lines), indent=1, sort_keys=True).encode())
            draft.replace(self.path / name)
        else:
            (self.path / name).unlink(missing_ok=True)
        sync(self.path)

    def next_version(self) -> str:
        """One more than every version that is or was."""
        known = {*self.versions(), *self.retired()}
        return str(max((int(v) for v in known if v.isdecimal()), default=0) + 1)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """One run at a time. Raises StoreError(permanent=False) while another one works here."""
        self.path.mkdir(exist_ok=True)
        with (self.path / _LOCK).open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise StoreError(
                    self.place, "another run works on this model; try again", permanent=False
                ) from None
            yield

    def sweep(self) -> None:
        """Remove what a crash left half-made or half-removed."""
        for path in sorted(self.path.glob(".*")):
            if path.is_dir() and path.name.startswith((".new-", ".gone-")):
                _destroy_key(path)
                shutil.rmtree(path)
            elif path.name.startswith(".tmp-"):
                path.unlink()

    def leftovers(self) -> int:
        """How many unfinished or half-removed versions lie here."""
        return len([*self.path.glob(".new-*"), *self.path.glob(".gone-*")])

    def add(self, found: Manifest, model: bytes, rows: bytes | None = None) -> None:
        """Write a version, with the sealed training rows that are kept for it; it is there
        completely or not at all."""
        draft = self.path / f".new-{found.version}"
        draft.mkdir()
        _write(draft / ARTIFACT, model)
        _write(draft / MANIFEST, found.dumps())
        if rows is not None:
            _write(draft / ROWS, rows)
        sync(draft)
        draft.rename(self.path / found.version)
        sync(self.path)

    def sign(self, version: str, signed: Mapping[str, object]) -> None:
        """Write beside a version where it came from."""
        draft = self.path / version / f".tmp-{PROVENANCE}"
        _write(draft, json.dumps(signed, indent=1, sort_keys=True).encode())
        draft.replace(self.path / version / PROVENANCE)
        sync(self.path / version)

    def is_signed(self, version: str) -> bool:
        """Whether it says where it came from."""
        return (self.path / version / PROVENANCE).is_file()

    def point(self, version: str | None) -> None:
        """Swap the pointer, atomically; None removes it."""
        pointer = self.path / CURRENT
        if version is None:
            pointer.unlink(missing_ok=True)
        else:
            draft = self.path / f".tmp-{CURRENT}"
            _write(draft, f"{version}\n".encode())
            draft.replace(pointer)
        sync(self.path)

    def retired(self) -> Mapping[str, str]:
        """Versions that were removed for good, with the digest of their artifact."""
        try:
            lines = (self.path / RETIRED).read_text().splitlines()
            return {str(r["version"]): str(r["artifact"]) for r in map(json.loads, lines)}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, KeyError, TypeError):
            raise StoreError(self.place, f"{RETIRED} is damaged; restore it") from None

    def remove(self, gone: Mapping[str, Manifest]) -> None:
        """Remove versions for good. Their digests are written down first, so that a copy can be
        recognised afterwards, also after a crash."""
        known = {**self.retired(), **{v: m.artifact for v, m in gone.items()}}
        lines = [json.dumps({"version": v, "artifact": a}) + "\n" for v, a in known.items()]
        draft = self.path / f".tmp-{RETIRED}"
        _write(draft, "".join(lines).encode())
        draft.replace(self.path / RETIRED)
        sync(self.path)
        for version in gone:
            _destroy_key(self.path / version)
            hidden = self.path / f".gone-{version}"
            (self.path / version).rename(hidden)
            sync(self.path)
            shutil.rmtree(hidden)
        sync(self.path)


def _age(version: str) -> tuple[int, str]:
    return (int(version), "") if version.isdecimal() else (-1, version)


def _destroy_key(folder: Path) -> None:
    """Of the rows that are kept beside a version which goes; nothing where there are none."""
    try:
        with (folder / ROWS).open("rb") as file:
            name = json.loads(file.readline()).get("key")
    except (OSError, ValueError, AttributeError):
        return
    ring = keyring.held()
    if name and ring is not None:
        ring.destroy(UUID(name))


def _write(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def sync(folder: Path) -> None:
    """Make renames in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
