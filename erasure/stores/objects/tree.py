"""The objects below a root directory, and which collection each belongs to.

A dataset's ``name`` is its collection. Its objects are the files whose path relative to the root
matches the store's ``glob`` (``*`` and ``?`` stop at ``/``, ``**`` does not, ``[…]`` as in a
shell, ``{collection}`` stands for the name). Without a ``glob`` these belong to ``orders``:

* ``orders`` itself, ``orders.`` and anything (``orders.csv``, ``orders.log.2.gz``),
* ``orders`` with ``-`` or ``_`` and a digit (``orders_2024.parquet``, ``orders-20240101.log``),
* everything below the directory ``orders/``.

So ``order_items.csv`` is none of ``order``: rows of another collection are never touched because
their file happens to begin alike. What belongs to nobody is still scanned by value.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from erasure.domain.errors import StoreError, StoreUnreachable
from erasure.stores.objects.faults import Fault
from erasure.stores.objects.swap import discard, is_draft_name

PLACEHOLDER = "{collection}"
_DEFAULT = r"{collection}(?:[-_]\d[^/]*|\.[^/]*)?|{collection}/.*"
_NULL_PARTITION = "__HIVE_DEFAULT_PARTITION__"


@dataclass(frozen=True, slots=True)
class Obj:
    """One file. ``name`` is its path relative to the root, with ``/``."""

    path: Path
    name: str
    ordinal: int

    @property
    def shown(self) -> str:
        """How errors name it: a path that may hold an identifier becomes its place in order."""
        if "=" in self.name or "@" in self.name:
            return f"object {self.ordinal} in name order"
        return self.name

    @property
    def partitions(self) -> dict[str, str | None]:
        """Values that the path itself holds (``user_id=42/``), by field."""
        pairs = (part.partition("=") for part in self.name.split("/")[:-1] if "=" in part)
        return {
            unquote(key): None if value == _NULL_PARTITION else unquote(value)
            for key, _, value in pairs
        }


def root_of(name: str, url: str) -> Path:
    """The directory of a ``file:///abs/dir`` address. Raises StoreError for any other."""
    parts = urlsplit(url)
    path = Path(unquote(parts.path))
    if parts.scheme != "file" or parts.netloc not in ("", "localhost") or not path.is_absolute():
        raise StoreError(name, "the url must read file:///absolute/directory")
    return path


class Tree:
    """The files below a root, by collection."""

    def __init__(self, store: str, root: Path, glob: str | None) -> None:
        self._store = store
        self._root = root
        self._glob = glob

    def objects(self) -> Iterator[Obj]:
        """Every file in name order, directory by directory; drafts of dead writers are removed on
        the way. Raises StoreError for links that
        lead out of the root, since what they point at would be missed."""
        root = self._root.resolve()
        if not root.is_dir():
            raise StoreUnreachable(self._store, "the directory is not there; mount or create it")
        for ordinal, path in enumerate(self._files(root), 1):
            name = path.relative_to(root).as_posix()
            obj = Obj(path=path, name=name, ordinal=ordinal)
            if not name.isascii():
                self._refuse_undecodable(obj)
            yield obj

    def _files(self, directory: Path) -> Iterator[Path]:
        with os.scandir(directory) as entries:
            ordered = sorted(entries, key=lambda e: e.name)
        for entry in ordered:
            if entry.is_symlink():
                self._refuse_leaving(Path(entry.path))
            elif entry.is_dir(follow_symlinks=False):
                yield from self._files(Path(entry.path))
            elif is_draft_name(entry.name):
                discard(Path(entry.path))
            elif _regular(entry):
                yield Path(entry.path)

    def _refuse_leaving(self, link: Path) -> None:
        """A link inside the root leads to what is walked anyway; a dead one holds nothing."""
        target = link.resolve()
        if target.exists() and not target.is_relative_to(self._root.resolve()):
            raise StoreError(
                self._store, "a link leads out of the directory; declare its target as a store"
            )

    def _refuse_undecodable(self, obj: Obj) -> None:
        """A key must survive a trip through UTF-8 text."""
        try:
            obj.name.encode()
        except UnicodeEncodeError:
            place = f"{self._store} [object {obj.ordinal} in name order]"
            raise StoreError(place, "its name is not UTF-8; rename it") from None

    def of(self, collection: str) -> Iterator[Obj]:
        """The objects of one collection, in name order; without those of no bytes, which other
        tools leave as marks."""
        matches = re.compile(self._pattern(re.escape(collection))).fullmatch
        return (o for o in self.objects() if matches(o.name) and not _empty(o.path))

    def named(self, name: str) -> Obj:
        """The object of that relative name, there or not."""
        return Obj(path=self._root.resolve() / name, name=name, ordinal=0)

    def shown(self, obj: Obj) -> str:
        """How errors name an object, also one that came by its name."""
        if obj.ordinal:
            return obj.shown
        return next((o.shown for o in self.objects() if o.name == obj.name), "a removed object")

    def grouped(self, collections: Sequence[str]) -> dict[str, list[Obj]]:
        """All objects by declared collection (the longest name wins); the rest by own name."""
        longest = sorted(collections, key=lambda c: (-len(c), c))
        patterns = [(c, re.compile(self._pattern(re.escape(c)))) for c in longest]
        groups: dict[str, list[Obj]] = {}
        for obj in self.objects():
            owner = next((c for c, p in patterns if p.fullmatch(obj.name)), obj.name)
            groups.setdefault(owner, []).append(obj)
        return groups

    def guessed(self) -> dict[str, list[Obj]]:
        """All objects by the collection that their path suggests; for inspection."""
        groups: dict[str, list[Obj]] = {}
        for obj in self.objects():
            guess = self._guess(obj.name)
            if guess is not None:
                groups.setdefault(guess, []).append(obj)
        return groups

    def _guess(self, name: str) -> str | None:
        if self._glob is None:
            return _stem(name)
        known = self._pattern("(?P<collection>[^/]+?)", again="(?P=collection)")
        match = re.fullmatch(known, name)
        if match is None:
            return None
        return match["collection"] if PLACEHOLDER in self._glob else _stem(name)

    def _pattern(self, collection: str, again: str | None = None) -> str:
        """The names of a collection's objects; ``again`` from the second placeholder on."""
        if self._glob is None:
            return _DEFAULT.replace(PLACEHOLDER, collection)
        first, *rest = (_translated(piece) for piece in self._glob.split(PLACEHOLDER))
        return first + collection + (again or collection).join(rest) if rest else first


def _regular(entry: os.DirEntry[str]) -> bool:
    try:
        return stat.S_ISREG(entry.stat(follow_symlinks=False).st_mode)
    except FileNotFoundError:
        return False  # rotated away between listing and looking; its new name is listed too


def _empty(path: Path) -> bool:
    return path.exists() and path.stat().st_size == 0


def _stem(name: str) -> str:
    first, _, below = name.partition("/")
    return first if below else re.split(r"(?<=.)\.|[-_]\d", first, maxsplit=1)[0]


def _translated(glob: str) -> str:
    """A shell pattern as a regular expression over ``/``-separated names."""
    tokens = re.split(r"(\*\*/|\*\*|\*|\?|\[[^\]]+\])", glob)
    plain = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    return "".join(plain.get(t) or _class_or_text(t) for t in tokens)


def _class_or_text(token: str) -> str:
    if not re.fullmatch(r"\[[^\]]+\]", token):
        return re.escape(token)
    body = token[1:-1].replace("\\", r"\\")
    return f"[^{body[1:]}]" if body[0] in "!^" else f"[{body}]"


def checked_name(name: object) -> str:
    """The object name inside a key. Raises Fault for a key of another shape or a way out."""
    if not isinstance(name, str) or name.startswith("/") or ".." in name.split("/"):
        raise Fault("the key does not name an object below the directory")
    return name
