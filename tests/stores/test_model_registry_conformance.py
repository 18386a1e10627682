"""The model registry in the suite that every store passes."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from erasure.domain.needles import Matcher, Needle
from erasure.stores.base import Declared, Found, Selector, Store, Work
from tests.stores.conformance import Planted, StoreConformance
from tests.stores.registry_cast import (
    AGNES,
    JONAS,
    MARA,
    dataset_of,
    erase,
    files_of,
    keys_of,
    make_root,
    open_registry,
    work_of,
)

EMAIL = "mara@example.com"


class PlantedModel(Planted):
    """Two versions that knew everybody; beside each lies a card that names the subject."""

    dataset = dataset_of()
    selector = Selector(dataset=dataset, fields=("customer_id",))
    values = (MARA,)
    spellings = (str(MARA), float(MARA))
    declared = (Declared(dataset=dataset),)
    needles = Matcher([Needle(text=EMAIL, category="email")])

    def __init__(self, folder: Path) -> None:
        self.root = make_root(folder)
        for version in ("1", "2"):
            (self.root / "churn" / version / "card.md").write_text(f"thanks to {EMAIL}")
        erase(self.root, MARA)

    def store(self) -> Store:
        return open_registry(self.root)

    def works(self, found: Sequence[Found]) -> list[Work]:
        return [work_of(tuple(f.key for f in found))]

    def neighbours(self) -> Any:
        """Everybody else's rows, in the version that serves."""
        current = (self.root / "churn" / "current").read_text().strip()
        keys = keys_of(self.root, JONAS, AGNES)
        return {(k.values[2], k.count) for k in keys if k.values[0] == current}

    def everything(self) -> Any:
        return files_of(self.root)


class TestModelRegistry(StoreConformance):
    """Membership is known by hash: there is nothing to gather from a manifest."""

    @pytest.fixture
    def planted(self, tmp_path: Path) -> PlantedModel:
        return PlantedModel(tmp_path)

    def test_needles_are_gathered_before_the_data_are_gone(
        self, planted: Planted, store: Store
    ) -> None:
        found = list(store.find(planted.selector, planted.values))
        assert found
        assert list(store.gather(planted.selector.dataset, [f.key for f in found])) == []

    def test_a_card_put_back_is_seen_by_the_scan(self, planted: Planted, tmp_path: Path) -> None:
        assert isinstance(planted, PlantedModel)
        shutil.copytree(planted.root / "churn" / "1", tmp_path / "aside")
        store = planted.store()
        works = planted.works(list(store.find(planted.selector, planted.values)))
        store.act(works, planted.secrets)
        shutil.copytree(tmp_path / "aside", planted.root / "churn" / "9")
        assert store.check(works, planted.secrets)
