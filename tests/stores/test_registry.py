"""Store kinds by name."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from erasure.domain.errors import DriverMissing, StoreError
from erasure.stores import registry
from erasure.stores.base import Store

BUILT_IN = ("backups", "files", "logs", "manual", "memory", "mlflow", "model_registry", "sql")


@pytest.fixture
def forgetting() -> Iterator[None]:
    """What a test registers is gone after it."""
    before = dict(registry._entries)
    yield
    registry._entries.clear()
    registry._entries.update(before)
    registry._load_entry_points.cache_clear()


def test_every_built_in_kind_is_known_and_loads() -> None:
    assert registry.kinds() == BUILT_IN
    for kind in BUILT_IN:
        factory = registry.get(kind)
        assert factory.kind == kind
        assert isinstance(factory.options, frozenset)


def test_a_factory_makes_a_store_that_connects_lazily(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/not-there.db"
    store = registry.get("sql")(name="shop", url=url, options={})
    assert isinstance(store, Store)
    assert store.name == "shop"
    store.close()


def test_an_unknown_kind_names_the_known_ones() -> None:
    with pytest.raises(StoreError, match=r"'sqll'.*did you mean 'sql'.*backups, files, logs"):
        registry.get("sqll")


def test_a_kind_cannot_be_taken_over(forgetting: None) -> None:
    with pytest.raises(StoreError, match="registered twice"):
        registry.register("sql", "acme.stores:Sql")
    registry.register("sql", "erasure.stores.sql:SqlStore")  # the very same is no contradiction


@pytest.mark.parametrize("path", ["acme", "acme:", ":Store"])
def test_a_path_must_name_module_and_class(forgetting: None, path: str) -> None:
    with pytest.raises(StoreError, match="module:Class"):
        registry.register("acme", path)


def test_a_missing_driver_names_its_extra(forgetting: None) -> None:
    registry.register("parchment", "a_driver_nobody_has:Store", extra="parchment")
    with pytest.raises(StoreError, match="cannot load a_driver_nobody_has"):
        registry.get("parchment")


def test_an_adapter_whose_driver_is_not_installed_names_the_extra(
    forgetting: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "acme_parchment.py").write_text("import a_driver_nobody_has\n")
    monkeypatch.syspath_prepend(tmp_path)
    registry.register("parchment", "acme_parchment:Store", extra="parchment")
    with pytest.raises(DriverMissing, match=r"lethe\[parchment\]"):
        registry.get("parchment")


def test_a_module_without_the_class_is_said_to_be_so(forgetting: None) -> None:
    registry.register("acme", "json:Store")
    with pytest.raises(StoreError, match="json has no Store"):
        registry.get("acme")


def test_an_installed_package_adds_its_kind(
    forgetting: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "acme_store.py").write_text(
        "class Acme:\n    kind = 'acme'\n    options = frozenset({'tint'})\n"
    )
    info = tmp_path / "acme-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[lethe.stores]\nacme = acme_store:Acme\n")
    monkeypatch.syspath_prepend(tmp_path)
    registry._load_entry_points.cache_clear()
    assert "acme" in registry.kinds()
    assert registry.get("acme").options == {"tint"}


def test_no_driver_is_imported_before_it_is_asked_for() -> None:
    code = (
        "import sys; from erasure.stores import registry; registry.kinds(); "
        "sys.exit(any(m in sys.modules for m in ('sqlalchemy', 'psycopg', 'pyarrow', 'sklearn')))"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, check=False)
    assert done.returncode == 0
