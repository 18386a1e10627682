"""Objects as lines, compressed or not, in bounded memory. The codec is told by the first bytes,
never by the name: a rotated ``access.log.2`` may be gzip, an ``access.log.gz`` may not."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import re
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO, BinaryIO, cast

from erasure.stores.objects.faults import Fault

LINE_LIMIT = 64 << 20  # bytes; the most that is held of one line
_BUFFER = 1 << 20
_BLOCK = 1 << 16
_LINES = re.compile(rb"[^\n]*\n|[^\n]+")
_GZIP_LEVEL = 6  # what gzip and logrotate use
_MAGIC = {b"\x1f\x8b": "gzip", b"BZh": "bz2", b"\xfd7zXZ\x00": "xz"}
# Formats whose contents cannot be searched as lines. ZIP also covers .npz, .xlsx and .jar.
_OPAQUE = {
    b"\x28\xb5\x2f\xfd": "Zstandard",
    b"PK\x03\x04": "ZIP",
    b"7z\xbc\xaf\x27\x1c": "7-Zip",
    b"Rar!": "RAR",
    b"ORC": "ORC",
    b"Obj\x01": "Avro",
    b"\x04\x22\x4d\x18": "LZ4",
}
PARQUET_MAGIC = b"PAR1"
_WIDE = (b"\xff\xfe", b"\xfe\xff")


def head_of(source: BinaryIO) -> bytes:
    """The first bytes; leaves the position at the beginning."""
    source.seek(0)
    head = source.read(8)
    source.seek(0)
    return head


def codec_of(head: bytes) -> str:
    """``gzip``, ``bz2``, ``xz`` or ``none``. Raises Fault for what cannot be read as lines."""
    for magic, name in _OPAQUE.items():
        if head.startswith(magic):
            raise Fault(f"is {name}, which cannot be searched here; unpack it or move it away")
    return next((name for magic, name in _MAGIC.items() if head.startswith(magic)), "none")


def reader(source: BinaryIO) -> BinaryIO:
    """The uncompressed bytes, from the beginning. Closing it leaves ``source`` open."""
    codec = codec_of(head_of(source))
    if codec == "gzip":
        return io.BufferedReader(gzip.GzipFile(fileobj=source, mode="rb"), _BUFFER)
    if codec == "bz2":
        return cast(BinaryIO, bz2.BZ2File(source))
    if codec == "xz":
        return cast(BinaryIO, lzma.LZMAFile(source))
    return source


@contextmanager
def writer(sink: io.RawIOBase, like: BinaryIO) -> Iterator[IO[bytes]]:
    """Compresses as ``like`` is compressed; the header keeps its time and leaves out the name."""
    head = head_of(like)
    codec = codec_of(head)
    if codec == "none":
        with plain_writer(sink) as buffered:
            yield buffered
        return
    with io.BufferedWriter(_compressor(codec, sink, head), _BUFFER) as buffered:
        yield buffered


@contextmanager
def plain_writer(sink: io.RawIOBase) -> Iterator[IO[bytes]]:
    """A buffer over ``sink``, which stays open."""
    buffered = io.BufferedWriter(sink, _BUFFER)
    yield buffered
    buffered.flush()
    buffered.detach()


def _compressor(codec: str, sink: io.RawIOBase, head: bytes) -> io.RawIOBase:
    if codec == "gzip":
        stamp = int.from_bytes(head[4:8], "little")
        packed = gzip.GzipFile("", "wb", _GZIP_LEVEL, fileobj=cast(IO[bytes], sink), mtime=stamp)
        return cast(io.RawIOBase, packed)
    made = {"bz2": bz2.BZ2File, "xz": lzma.LZMAFile}[codec]
    return cast(io.RawIOBase, made(cast(IO[bytes], sink), "wb"))


class Lines:
    """Lines with their ends, and whole blocks of them for whoever can pass over many at once.

    ``end``: read no further than so many bytes from here. Raises Fault for a damaged archive or a
    line beyond ``longest``.
    """

    def __init__(
        self, stream: BinaryIO, *, end: int | None = None, longest: int = LINE_LIMIT
    ) -> None:
        self._stream = stream
        self._left = end
        self._longest = longest
        self._carry = b""
        self._rest: Iterator[bytes] = iter(())

    def blocks(self) -> Iterator[bytes]:
        """Blocks of whole lines; the last line may lack its end. After each, :meth:`lines` gives
        the lines of that block, where they are wanted."""
        while block := self._block():
            self._rest = iter(_LINES.findall(block))
            yield block

    def lines(self) -> Iterator[bytes]:
        """The lines of the block that was given last, and of those that were begun meanwhile by
        asking for the next line."""
        while (line := next(self._rest, None)) is not None:
            yield line

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        """The next line, from the next block where this one is used up."""
        for line in self._rest:
            return line
        if next(self.blocks(), None) is None:
            raise StopIteration
        return next(self._rest)

    def _block(self) -> bytes:
        pieces, size = [self._carry], len(self._carry)
        while data := self._read():
            cut = data.rfind(b"\n") + 1
            if cut:
                self._carry = data[cut:]
                return b"".join([*pieces, data[:cut]])
            pieces.append(data)
            size += len(data)
            if size > self._longest:
                raise Fault(f"a line is over {self._longest >> 20} MiB; is the format right?")
        self._carry = b""
        return b"".join(pieces)

    def _read(self) -> bytes:
        size = _BLOCK if self._left is None else min(_BLOCK, self._left)
        data = _guarded(self._stream.read, size)
        if self._left is not None:
            self._left -= len(data)
        return data


def pieces(stream: BinaryIO, *, limit: int = _BUFFER, overlap: int = 4096) -> Iterator[bytes]:
    """Blocks of lines, for searching only: a line beyond ``limit`` comes in parts that overlap by
    ``overlap`` bytes, so that nothing shorter can hide between two."""
    carry = b""
    while block := _guarded(stream.read, limit):
        block += _guarded(stream.readline, limit) if not block.endswith(b"\n") else b""
        yield carry + block
        carry = b"" if block.endswith(b"\n") else block[-overlap:]


def split(block: bytes) -> list[bytes]:
    """The lines of a block, with their ends."""
    return _LINES.findall(block)


def _guarded(read: Callable[[int], bytes], size: int) -> bytes:
    try:
        return read(size)
    except EOFError:
        raise Fault("the archive ends too early; restore it from its source") from None
    except (gzip.BadGzipFile, zlib.error, lzma.LZMAError):
        raise Fault("the archive is damaged; restore it from its source") from None


def refuse_wide(head: bytes) -> None:
    """Raise Fault for UTF-16 and UTF-32, in which no byte of a value would be found."""
    if head.startswith(_WIDE):
        raise Fault("is not UTF-8; convert it")


def decoded(raw: bytes) -> tuple[str, str]:
    """Text and the encoding that gives the same bytes back: UTF-8, else Latin-1."""
    try:
        return raw.decode(), "utf-8"
    except UnicodeDecodeError:
        return raw.decode("latin-1"), "latin-1"


def ending(raw: bytes) -> bytes:
    """The line end of a line: CR LF, LF or none."""
    if raw.endswith(b"\r\n"):
        return b"\r\n"
    return b"\n" if raw.endswith(b"\n") else b""
