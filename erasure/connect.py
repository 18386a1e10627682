"""From a store of the catalogue to an open adapter: secrets are resolved here, at the moment of
use, and never stored or shown."""

from __future__ import annotations

import hashlib
import hmac
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.conf import settings

from erasure.domain.errors import StoreError
from erasure.stores import registry
from erasure.stores.base import Store
from lineage import selectors
from lineage.graph import StoreEntry

_PLACEHOLDER = re.compile(r"\$\{(file:)?([^}]+)\}")


def resolve(text: str, place: str) -> str:
    """``text`` with every ``${NAME}`` and ``${file:PATH}`` read now. Raises StoreError."""

    def read(match: re.Match[str]) -> str:
        is_file, name = match.groups()
        if is_file:
            try:
                return Path(name).read_text().strip()
            except OSError:
                raise StoreError(place, f"cannot read the secret file {name}") from None
        if name not in os.environ:
            raise StoreError(place, f"the environment variable {name} is not set")
        return os.environ[name]

    return _PLACEHOLDER.sub(read, text)


def _resolved(options: Mapping[str, Any], place: str) -> dict[str, Any]:
    return {k: resolve(v, place) if isinstance(v, str) else v for k, v in options.items()}


def derived_key(store: str) -> str:
    """The key under which one store hashes people: derived, so that none sees the master's."""
    key = settings.LETHE_HASH_KEY.encode()
    return hmac.new(key, f"store:{store}".encode(), hashlib.sha256).hexdigest()


def make_store(entry: StoreEntry) -> Store:
    """The adapter of a catalogue entry; connects lazily."""
    factory = registry.get(entry.kind)
    options = _resolved(entry.options, entry.name)
    options.pop("lineage", None)  # what events call it is nothing to the adapter
    if "hash_key" in factory.options:
        options["hash_key"] = derived_key(entry.name)
    return factory(name=entry.name, url=resolve(entry.url, entry.name), options=options)


@contextmanager
def open_store(name: str) -> Iterator[Store]:
    """The adapter of the store of that name, closed afterwards."""
    store = make_store(selectors.store(name))
    try:
        yield store
    finally:
        store.close()
