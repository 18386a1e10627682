"""YAML with the line of every key and value; duplicate keys are refused.

Scalars are read as YAML 1.1 reads them, except dates: those stay text, because the catalogue
has no dates of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from typing import Any

import yaml

from lineage.errors import CatalogueError

# libyaml's parser is some ten times faster; wheels carry it, a source build may not.
_Loader: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
# Aliases share nodes: a small file can stand for a huge document.
_MAX_ITEMS = 2_000_000
_MAX_DEPTH = 100
_TEXT_KEYS = frozenset({"name", "fides_key"})
_CONSTRUCTED = frozenset(f"tag:yaml.org,2002:{t}" for t in ("int", "float", "bool", "null"))
Value = str | int | float | bool | None


@dataclass(frozen=True, kw_only=True)
class Item:
    """A scalar, a sequence or a mapping, with its ``file:line``.

    ``value`` is a scalar, a list of items or a mapping of items; ``text`` a scalar as written;
    ``keys`` the place of each key of a mapping.
    """

    place: str
    value: Value | Sequence[Item] | Mapping[str, Item]
    text: str = ""
    keys: Mapping[str, str] = field(default_factory=dict)

    @property
    def scalar(self) -> bool:
        """True for a single value."""
        return not isinstance(self.value, list | dict)

    def mapping(self, what: str) -> Mapping[str, Item]:
        """The entries of a mapping. Raises CatalogueError where it is something else."""
        if not isinstance(self.value, dict):
            raise CatalogueError(self.place, f"{what} must be a mapping of keys to values")
        return self.value

    def sequence(self, what: str) -> Sequence[Item]:
        """The entries of a list. Raises CatalogueError where it is something else."""
        if not isinstance(self.value, list):
            raise CatalogueError(self.place, f"{what} must be a list")
        return self.value

    def plain(self, *, without: str = "") -> Any:
        """Plain Python values. Names stay text whatever they look like; the key ``without`` is
        left out at every depth."""
        if isinstance(self.value, dict):
            return {
                key: item.text
                if key in _TEXT_KEYS and item.scalar and item.value is not None
                else item.plain(without=without)
                for key, item in self.value.items()
                if key != without
            }
        if isinstance(self.value, list):
            return [item.plain(without=without) for item in self.value]
        return self.value


def read_file(path: str) -> str:
    """The text of a file. Raises CatalogueError where it cannot be read as UTF-8."""
    try:
        return Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise CatalogueError(path, f"cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise CatalogueError(path, "is not UTF-8 text; save it as UTF-8") from None


def parse(text: str, file: str) -> Item | None:
    """The document in ``text``, None when it is empty. ``file`` names it in places.

    Raises CatalogueError with ``file:line`` for anything that is not one well-formed document.
    """
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        return None if node is None else _Items(file, loader).item(node)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"{file}:{mark.line + 1}" if mark else file
        raise CatalogueError(place, f"not valid YAML: {error.problem}") from None
    except yaml.YAMLError:
        raise CatalogueError(file, "not valid YAML: it holds characters YAML forbids") from None
    except RecursionError:
        raise CatalogueError(file, "is nested too deeply") from None
    finally:
        loader.dispose()


class _Items:
    """Composed nodes to items."""

    def __init__(self, file: str, loader: yaml.SafeLoader) -> None:
        self._file = file
        self._loader = loader
        self._count = 0
        self._depth = 0
        self._flat: set[int] = set()

    def item(self, node: yaml.Node) -> Item:
        self._count += 1
        self._depth += 1
        # The depth also ends an alias that holds itself.
        if self._count > _MAX_ITEMS or self._depth > _MAX_DEPTH:
            raise CatalogueError(self._place(node), "is nested too deeply or is too large")
        try:
            return self._item(node)
        finally:
            self._depth -= 1

    def _item(self, node: yaml.Node) -> Item:
        place = self._place(node)
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, place)
        if isinstance(node, yaml.SequenceNode):
            return Item(place=place, value=[self.item(child) for child in node.value])
        if "\0" in node.value:  # PostgreSQL has no such text
            raise CatalogueError(place, "must not hold a NUL character")
        return Item(place=place, value=self._scalar(node, place), text=str(node.value))

    def _mapping(self, node: yaml.MappingNode, place: str) -> Item:
        if id(node) not in self._flat:  # an alias comes here again
            self._refuse_duplicates(node)
            # Takes the entries of << in, before our own ones, which win.
            self._loader.flatten_mapping(node)
            self._flat.add(id(node))
        return Item(
            place=place,
            value={self._key(key): self.item(value) for key, value in node.value},
            keys={self._key(key): self._place(key) for key, _ in node.value},
        )

    def _refuse_duplicates(self, node: yaml.MappingNode) -> None:
        seen: set[str] = set()
        for key, _ in node.value:
            name = self._key(key)
            if name in seen:
                raise CatalogueError(self._place(key), f"the key '{name}' stands here twice")
            seen.add(name)

    def _key(self, node: yaml.Node) -> str:
        if not isinstance(node, yaml.ScalarNode):
            raise CatalogueError(self._place(node), "a key must be a word")
        return str(node.value)

    def _scalar(self, node: yaml.Node, place: str) -> Value:
        if node.tag not in _CONSTRUCTED:
            return str(node.value)
        try:
            value: Value = self._loader.construct_object(node)
        except ValueError:
            raise CatalogueError(place, "is not a number that can be read") from None
        if isinstance(value, float) and not isfinite(value):
            raise CatalogueError(place, "must be a finite number")
        return value

    def _place(self, node: yaml.Node) -> str:
        return f"{self._file}:{node.start_mark.line + 1}"
