"""A keeper for tests: images go through JSON, as they do in the control database."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from erasure.domain.values import Scalar, all_from_json, all_to_json, from_json, to_json
from erasure.stores.base import Captures, Image, Left, Secrets, Standing, Store, Work


@dataclass
class Album:
    """Keeps images; ``failing`` stands for a control database that is away."""

    failing: bool = False
    kept: list[str] = field(default_factory=list)
    images: list[Image] = field(default_factory=list)
    sealed: bool = False

    def keep(self, image: Image) -> None:
        values = {name: to_json(value) for name, value in image.values.items()}
        self.kept.append(json.dumps([all_to_json(image.key), values]))
        self.images.append(image)

    def seal(self, left: Iterable[Left]) -> None:
        found = {(one.collection, one.key): one for one in left}
        if self.failing:
            raise ConnectionError("the control database is away")
        self.images = [self._read(i, n, found) for n, i in enumerate(self.images)]
        self.sealed = True

    def _read(
        self, image: Image, number: int, found: Mapping[tuple[str, tuple[Scalar, ...]], Left]
    ) -> Image:
        key, values = json.loads(self.kept[number])
        left = found.get((image.collection, image.key))
        return replace(
            image,
            key=all_from_json(key),
            values={name: from_json(plain) for name, plain in values.items()},
            left=left.digest if left else None,
        )

    @property
    def latest_first(self) -> list[Image]:
        """The images in the order in which they are put back."""
        return self.images[::-1]


def captured(store: Store, works: Sequence[Work], secrets: Secrets) -> Album:
    """Act with images."""
    album = Album()
    assert isinstance(store, Captures)
    store.capture(works, secrets, album)
    assert album.sealed
    return album


def standings(store: Store, album: Album) -> list[Standing]:
    """What stands now in the place of each image."""
    assert isinstance(store, Captures)
    return list(store.compare(album.latest_first))


def put_back(store: Store, album: Album) -> None:
    """Restore everything."""
    assert isinstance(store, Captures)
    store.restore(album.latest_first)
