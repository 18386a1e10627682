"""Envelope encryption, keyed pseudonyms and crypto-shredding.

Each case has data keys of its own (AES-256-GCM). A data key is wrapped by the installation's
master keys (MultiFernet, newest first) and lives as a file under ``LETHE_HOME/keys``: apart from
the control database and its backups, so that destroying the file destroys what it sealed.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings
from django.utils import timezone

from erasure.domain.errors import KeyDestroyed
from erasure.domain.values import Scalar, hashed
from erasure.models import DataKey
from lineage.prepared import Prepared, Slot, insert

_NONCE = 12
_LIVE = Prepared(
    lambda: DataKey.objects.filter(owner__in=Slot("owners"), destroyed_at=None).values_list(
        "id", "owner", "purpose"
    )
)
_LONGEST = 4096  # bytes of a wrapped key, which has some 140


def seal(key: bytes, plain: bytes, *, label: str) -> bytes:
    """AES-GCM with a fresh nonce; ``label`` binds the ciphertext to its place."""
    nonce = os.urandom(_NONCE)
    return nonce + AESGCM(key).encrypt(nonce, plain, label.encode())


def unseal(key: bytes, sealed: bytes | memoryview, *, label: str) -> bytes:
    """The inverse of :func:`seal`. Raises KeyDestroyed when the key does not open it."""
    sealed = bytes(sealed)
    try:
        return AESGCM(key).decrypt(sealed[:_NONCE], sealed[_NONCE:], label.encode())
    except InvalidTag:
        raise KeyDestroyed(f"{label}: the key does not open this; it was replaced") from None


@dataclass
class _Kept:
    """Data keys that were looked up: their ids by owner and purpose, and what they opened to."""

    ids: dict[UUID, dict[str, UUID]] = field(default_factory=dict)
    keys: dict[UUID, bytes] = field(default_factory=dict)


_kept: ContextVar[_Kept | None] = ContextVar("kept", default=None)


@contextmanager
def kept_open() -> Iterator[None]:
    """Data keys of an owner are looked up and opened once inside: for one short piece of work that
    needs them again and again. What another process destroys meanwhile stays open until its end."""
    if _kept.get() is not None:
        yield
        return
    token = _kept.set(_Kept())
    try:
        yield
    finally:
        _kept.reset(token)


def new_keys(owner: UUID, purposes: Sequence[str]) -> list[bytes]:
    """Data keys of an owner who has none for these purposes yet."""
    records = [DataKey(owner=owner, purpose=purpose) for purpose in purposes]
    insert(records)
    wrapper, made = _wrapper(), [AESGCM.generate_key(256) for _ in records]
    for record, key in zip(records, made, strict=True):
        _write_once(_path(record.id), wrapper.encrypt(key))
    _sync_folder(_path(records[0].id).parent)
    return made


def make_key(owner: UUID, purpose: str) -> bytes:
    """The data key of that owner and purpose, made on first use. Raises KeyDestroyed."""
    record, _ = DataKey.objects.get_or_create(owner=owner, purpose=purpose)
    if record.destroyed_at:
        raise KeyDestroyed(f"{purpose} key of {owner}: destroyed")
    wrapper, wrapped = _wrapper(), _read(record.id)
    if wrapped is None:
        path = _path(record.id)
        _write_once(path, wrapper.encrypt(AESGCM.generate_key(256)))
        _sync_folder(path.parent)
        wrapped = _read(record.id) or b""
    if (kept := _kept.get()) and owner in kept.ids:
        kept.ids[owner][purpose] = record.id
    return _unwrap(wrapper, wrapped, f"{purpose} key of {owner}")


def open_key(owner: UUID, purpose: str) -> bytes:
    """An existing data key. Raises KeyDestroyed when it is gone."""
    return open_keys([owner], purpose)[owner]


def open_keys(owners: Iterable[UUID], purpose: str) -> dict[UUID, bytes]:
    """Existing data keys of many owners, with one query. Raises KeyDestroyed if one is gone."""
    wanted = set(owners)
    kept = _kept.get() or _Kept()
    _look_up(kept, wanted)
    wrapper, keys = _wrapper(), {}
    for owner in wanted:
        key_id = kept.ids[owner].get(purpose)
        if key_id is None:
            continue
        if key_id not in kept.keys:
            wrapped = _read(key_id)
            if wrapped is None:
                continue
            kept.keys[key_id] = _unwrap(wrapper, wrapped, f"{purpose} key of {owner}")
        keys[owner] = kept.keys[key_id]
    for owner in wanted - keys.keys():
        raise KeyDestroyed(f"{purpose} key of {owner}: not there")
    return keys


def look_up(owners: Iterable[UUID]) -> None:
    """Ask for the keys of all of these in one query, inside :func:`kept_open`."""
    if (kept := _kept.get()) is not None:
        _look_up(kept, set(owners))


def _look_up(kept: _Kept, owners: set[UUID]) -> None:
    unknown = owners - kept.ids.keys()
    if not unknown:
        return
    kept.ids.update({owner: {} for owner in unknown})
    for key_id, owner, purpose in _LIVE.all(owners=unknown):
        kept.ids[owner][purpose] = key_id


def destroy_key(owner: UUID, purpose: str) -> bool:
    """Overwrite and remove the wrapped key, then record it. True when it was there."""
    return bool(destroy_keys([owner], purpose))


def destroy_keys(owners: Iterable[UUID], purpose: str) -> set[UUID]:
    """The same for many owners, with two queries; returns those who had one."""
    return {owner for owner, _ in destroy_all(owners, [purpose])}


def destroy_all(owners: Iterable[UUID], purposes: Iterable[str]) -> set[tuple[UUID, str]]:
    """The same for several purposes; returns each owner who had one, with its purpose."""
    live = DataKey.objects.filter(
        owner__in=set(owners), purpose__in=set(purposes), destroyed_at=None
    )
    found = {
        key_id: (owner, use) for key_id, owner, use in live.values_list("id", "owner", "purpose")
    }
    if not found:
        return set()
    for key_id in found:
        _shred(_path(key_id))
    _sync_folder(_path(next(iter(found))).parent)
    DataKey.objects.filter(pk__in=found).update(destroyed_at=timezone.now())
    if kept := _kept.get():
        for key_id, (owner, purpose) in found.items():
            kept.keys.pop(key_id, None)
            kept.ids.get(owner, {}).pop(purpose, None)
    return set(found.values())


class RowKeys:
    """A :class:`erasure.stores.keyring.Keyring`: keys of the training rows that are kept beside
    models' versions, each destroyed with its version."""

    _purpose = "model rows"

    def make(self, name: UUID) -> bytes:
        """A new key."""
        return make_key(name, self._purpose)

    def open(self, name: UUID) -> bytes | None:
        """The key, None where it is gone."""
        try:
            return open_key(name, self._purpose)
        except KeyDestroyed:
            return None

    def destroy(self, name: UUID) -> None:
        """For good."""
        destroy_key(name, self._purpose)


def renew_key(owner: UUID, purpose: str) -> bytes:
    """A new data key in place of one that was destroyed; what that one sealed stays unreadable.
    One that is there stays."""
    DataKey.objects.filter(owner=owner, purpose=purpose).exclude(destroyed_at=None).delete()
    return make_key(owner, purpose)


def pseudonym(kind: str, value: Scalar) -> str:
    """Keyed hash (HMAC-SHA-256, hex) of one identity value, stable for this installation."""
    return keyed_hash(f"identity:{kind}:{hashed(value, kind)}")


def keyed_hash(text: str) -> str:
    """HMAC-SHA-256 under the installation's hash key, as hex; also of broken text."""
    told = text.encode(errors="surrogatepass")
    return hmac.new(settings.LETHE_HASH_KEY.encode(), told, hashlib.sha256).hexdigest()


def hash_key_id() -> str:
    """Names the hash key in use without telling it."""
    return hashlib.sha256(settings.LETHE_HASH_KEY.encode()).hexdigest()[:16]


def _wrapper() -> MultiFernet:
    return _wrapping(tuple(settings.LETHE_MASTER_KEYS))


@lru_cache(maxsize=1)
def _wrapping(keys: Sequence[str]) -> MultiFernet:
    return MultiFernet([Fernet(key) for key in keys])


def _path(key_id: UUID) -> Path:
    return Path(f"{settings.LETHE_HOME}/keys/{key_id}.key")


def _shred(path: Path) -> None:
    """Overwritten and removed; that it is gone is certain once its folder is forced to the disk."""
    if path.exists():
        with path.open("r+b") as file:
            file.write(os.urandom(path.stat().st_size))
            file.flush()
            os.fsync(file.fileno())
        path.unlink()


def _read(key_id: UUID) -> bytes | None:
    # A thousand of these are read for one run, and Python's own files take ten times as long.
    try:
        descriptor = os.open(f"{settings.LETHE_HOME}/keys/{key_id}.key", os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        return os.read(descriptor, _LONGEST)
    finally:
        os.close(descriptor)


def _unwrap(wrapper: MultiFernet, wrapped: bytes, what: str) -> bytes:
    try:
        return wrapper.decrypt(wrapped)
    except InvalidToken:
        raise KeyDestroyed(f"{what}: no master key in LETHE_MASTER_KEYS opens it") from None


def _write_once(path: Path, content: bytes) -> None:
    """Write through a temporary file and a hard link, so that two makers agree on one key."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = path.with_suffix(f".{os.getpid()}.{os.urandom(4).hex()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(temporary, path)
    except FileExistsError:
        pass  # the other maker was first; its key is the key
    finally:
        temporary.unlink()


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
