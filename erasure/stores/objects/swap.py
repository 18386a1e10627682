"""A new version of an object takes the place of the old one, whole or not at all.

The new version is written beside the old one under a draft name, flushed to disk, read back and
compared by checksum, and renamed over the old one; the directory is flushed too. A crash at any
moment leaves the old or the new version under the object's name, and perhaps a draft. Drafts hold
personal data: :func:`sweep` removes those whose writer is dead. A draft is provably ours, because
its name carries a check over its own random part, and its writer is provably dead, because a
living one holds a lock on it.

Two workers cannot undo each other: each locks the object it rewrites and then makes sure that the
locked file is still the one under that name.

A file that grows while it is rewritten (a live log) loses no line: what was appended is copied
before the rename, and :func:`late` hands back what went to the replaced version after it, until
nobody has that open any more (such a line may come to stand after the next one). A process that
keeps the file open for writing would go on writing to the removed version: that is seen (a lease
cannot be had) and refused as a passing fault; rotate the log, or let its writer reopen it, and run
again. What remains: file systems and owners without leases, where such a writer cannot be seen.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import io
import os
import secrets
import shutil
import signal
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from erasure.stores.objects.faults import Fault, Moved

if TYPE_CHECKING:
    from typing_extensions import Buffer

SUFFIX = ".lethe-rewrite"
LOCK_SECONDS = 60.0
WRITER_SECONDS = 0.5
LATE_SECONDS = 5.0
_TOKEN = 16


def checksum(source: BinaryIO) -> str:
    """Hex SHA-256 from the beginning; leaves the position at the end."""
    source.seek(0)
    digest = hashlib.sha256()
    while block := source.read(1 << 20):
        digest.update(block)
    return digest.hexdigest()


def _check(token: str) -> str:
    return hashlib.sha256(f"lethe draft {token}".encode()).hexdigest()[:_TOKEN]


def is_draft_name(name: str) -> bool:
    """True for a name that only :class:`Draft` gives."""
    if not (name.startswith(".") and name.endswith(SUFFIX)):
        return False
    token, _, check = name[1 : -len(SUFFIX)].partition("-")
    return len(token) == _TOKEN and check == _check(token)


def sweep(directory: Path) -> int:
    """Remove the drafts that dead writers left in one directory; returns how many."""
    try:
        names = [name for name in os.listdir(directory) if is_draft_name(name)]
    except FileNotFoundError:
        return 0
    return sum(discard(directory / name) for name in names)


def discard(path: Path) -> bool:
    """Remove one draft unless its writer lives."""
    with suppress(FileNotFoundError), path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        path.unlink()
        return True
    return False


@contextmanager
def claimed(path: Path) -> Iterator[BinaryIO]:
    """The object, open for reading and locked against other workers. Raises Fault, Moved."""
    deadline = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            file = path.open("rb")
        except FileNotFoundError:
            raise Moved from None
        with file:
            if _locked(file, deadline) and same_file(file, path):
                yield file
                return


def _locked(file: BinaryIO, deadline: float) -> bool:
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise Fault("another worker holds it; run again later", permanent=False) from None
            time.sleep(0.02)
        else:
            return True


def same_file(file: BinaryIO, path: Path) -> bool:
    """True while ``path`` still names the file that is open."""
    try:
        there = path.stat(follow_symlinks=False)
    except FileNotFoundError:
        return False
    here = os.fstat(file.fileno())
    return (here.st_dev, here.st_ino) == (there.st_dev, there.st_ino)


def has_writer(source: BinaryIO) -> bool:
    """True when some process has the object open for writing.

    The kernel grants a read lease only on a file that nobody has open for writing; it is given
    back at once. SIGURG is the notice asked for, because its default is to be ignored. False
    where the file system or the file's owner grants no leases.
    """
    number = source.fileno()
    try:
        fcntl.fcntl(number, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(number, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(number, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except OSError as error:
        return error.errno == errno.EAGAIN
    return False


def refuse_writer(source: BinaryIO) -> None:
    """Raise a passing Fault when a process keeps the object open for writing; one that only
    adds a line and closes it is waited for."""
    deadline = time.monotonic() + WRITER_SECONDS
    while has_writer(source):
        if time.monotonic() > deadline:
            raise Fault(
                "a process has it open for writing; rotate it or let the writer reopen it, "
                "run again",
                permanent=False,
            )
        time.sleep(0.0005)


def state_of(stat_: os.stat_result) -> tuple[int, int]:
    """What changes when a file is written to: size and modification time."""
    return stat_.st_size, stat_.st_mtime_ns


class Sink(io.RawIOBase):
    """A file that is only written forwards, and the checksum of what went into it."""

    def __init__(self, file: BinaryIO) -> None:
        super().__init__()
        self._file = file
        self._hash = hashlib.sha256()

    def writable(self) -> bool:
        """Always."""
        return True

    def write(self, data: Buffer) -> int:
        """Write all of ``data``."""
        self._hash.update(data)
        return self._file.write(data)

    def tell(self) -> int:
        """Bytes written so far."""
        return self._file.tell()

    @property
    def checksum(self) -> str:
        """Hex SHA-256 of everything written."""
        return self._hash.hexdigest()


class Draft:
    """The next version of one object while it is written."""

    def __init__(self, target: Path, source: BinaryIO) -> None:
        self._target = target
        self._source = source
        self.path, self._file = _created(target.parent)
        self.sink = Sink(self._file)
        self._committed = False

    def restart(self) -> None:
        """Throw away what was written; the source has changed under it."""
        self._file.seek(0)
        self._file.truncate()
        self.sink = Sink(self._file)

    def verify(self) -> None:
        """Flush to disk and compare what is there with the checksum of what was written."""
        self._file.flush()
        os.fsync(self._file.fileno())
        with self.path.open("rb") as again:
            if checksum(again) != self.sink.checksum:
                raise Fault("the disk returns other bytes than were written; check the device")

    def flush(self) -> None:
        """Flush to disk what was added after :meth:`verify`."""
        self._file.flush()
        os.fsync(self._file.fileno())

    def commit(self, *, preserve_times: bool, seen: os.stat_result, may_grow: bool = False) -> bool:
        """Rename over the object; False when it is no longer as ``seen``: begin anew.

        ``seen`` is the source's state up to which it was read. With ``may_grow`` the caller
        copies what came after it from :func:`late`. Raises Fault and Moved.
        """
        now = os.fstat(self._source.fileno())
        if state_of(now) != state_of(seen) and not (may_grow and now.st_size > seen.st_size):
            return False
        if not same_file(self._source, self._target):
            raise Moved
        refuse_writer(self._source)
        self._dress(now, preserve_times=preserve_times)
        os.replace(self.path, self._target)
        self._committed = True
        flush_directory(self._target.parent)
        return True

    def _dress(self, like: os.stat_result, *, preserve_times: bool) -> None:
        """Owner, mode, extended attributes and times of the version that goes."""
        made = os.fstat(self._file.fileno())
        if (made.st_uid, made.st_gid) != (like.st_uid, like.st_gid):
            try:
                os.fchown(self._file.fileno(), like.st_uid, like.st_gid)
            except PermissionError:
                raise Fault("its owner cannot be kept; run as that user or as root") from None
        shutil.copystat(self._target, self.path)
        os.fchmod(self._file.fileno(), stat.S_IMODE(like.st_mode))
        if preserve_times:
            os.utime(self.path, ns=(like.st_atime_ns, like.st_mtime_ns))
        else:
            os.utime(self.path)
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Remove the draft unless it took the object's place."""
        if not self._committed:
            with suppress(FileNotFoundError):
                self.path.unlink()
        self._file.close()


def _created(directory: Path) -> tuple[Path, BinaryIO]:
    """A new draft file, locked before anything personal is in it."""
    while True:
        token = secrets.token_hex(_TOKEN // 2)
        path = directory / f".{token}-{_check(token)}{SUFFIX}"
        file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600), "w+b")
        # A sweep can meet the file before the lock does; then it is gone, and another is made.
        with suppress(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if same_file(file, path):
                return path, file
        file.close()


@contextmanager
def draft(target: Path, source: BinaryIO) -> Iterator[Draft]:
    """A draft that is removed on the way out unless it was committed."""
    made = Draft(target, source)
    try:
        yield made
    finally:
        made.close()


def late(source: BinaryIO) -> Iterator[bytes]:
    """What was appended to the replaced version since it was read, until nobody can add more.

    Nobody can open it by name any more, so once no process has it open for writing it is at its
    end. Raises a passing Fault when one keeps it open for longer than ``LATE_SECONDS``.
    """
    deadline = time.monotonic() + LATE_SECONDS
    while True:
        open_for_writing = has_writer(source)
        if extra := source.read():
            yield extra
        if not open_for_writing:
            return
        if time.monotonic() > deadline:
            raise Fault(
                "was replaced while a process had just opened it; let that process reopen it",
                permanent=False,
            )
        time.sleep(0.001)


def append(path: Path, extra: bytes) -> None:
    """Add whole lines to the version now in place, and flush them."""
    with path.open("ab") as file:
        file.write(extra)
        file.flush()
        os.fsync(file.fileno())


def remove(path: Path, root: Path) -> None:
    """Unlink an object whose own name holds an identifier, and the partition directories it
    leaves empty."""
    path.unlink()
    flush_directory(path.parent)
    for parent in path.parents:
        if parent == root or "=" not in parent.name:
            return
        try:
            parent.rmdir()
        except OSError:
            return
        flush_directory(parent.parent)


def flush_directory(directory: Path) -> None:
    """Make renames and removals in a directory outlast a power cut."""
    number = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
