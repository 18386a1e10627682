"""The demo company's model and backup."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pytest

from erasure.demo import company as demo
from erasure.demo.company import Company
from erasure.demo.snapshot import snapshots
from erasure.demo.training import coefficients, train_independently
from erasure.stores.backups import BackupsStore
from erasure.stores.base import Selector, Step, Work
from lineage.importers.entries import Catalogue
from lineage.importers.fideslang import read
from tests.scenarios.company_cast import (
    SECRETS,
    TODAY,
    build_company,
    datasets_of,
    erase_from_lake,
    registry_of,
    rows,
    write,
)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Company:
    """For reading only."""
    return build_company(tmp_path_factory.mktemp("company"))


@pytest.fixture
def own(tmp_path: Path) -> Company:
    """To be changed."""
    return build_company(tmp_path / "own")


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return read([str(demo.CATALOGUE)])


def test_the_retrained_model_equals_one_that_never_knew_the_leaver(
    own: Company, catalogue: Catalogue
) -> None:
    churn = datasets_of(catalogue)["models.churn"]
    store = registry_of(own)
    selector = Selector(dataset=churn, fields=("customer_id",))
    keys = tuple(f.key for f in store.find(selector, [own.leaver.id]))
    before = snapshots(own)["models"]
    old = coefficients(store.load("churn"))
    erase_from_lake(own)
    work = Work(step=Step(dataset=churn, action="retrain"), keys=keys)
    (receipt,) = store.act([work], SECRETS)
    assert (receipt.residue, receipt.note) == ("purged", "version 1 → 2")
    assert store.check([work], SECRETS) == []
    independent = train_independently(
        own.backup, without=[own.leaver.id], seed=own.seed, cutoff=own.cutoff
    )
    assert store.report(churn)["new_artifact"] == independent.artifact
    assert coefficients(store.load("churn")) == independent.coefficients != old
    assert snapshots(own)["models"] == before


def test_the_independent_training_knows_the_leaver_where_nobody_is_left_out(
    built: Company,
) -> None:
    independent = train_independently(
        built.backup, without=(), seed=built.seed, cutoff=built.cutoff
    )
    manifest = json.loads((built.models / "churn" / "1" / "manifest.json").read_text())
    assert manifest["artifact"] == independent.artifact


def test_the_backup_brings_the_leaver_back(own: Company, catalogue: Catalogue) -> None:
    entry = next(s.value for s in catalogue.stores if s.value.name == "vault")
    url = entry.url.replace("${LETHE_DEMO_DIR}", own.environment["LETHE_DEMO_DIR"])
    vault = BackupsStore(name="vault", url=url, options=entry.options, today=lambda: TODAY)
    (night,) = vault.copies()
    assert (night.object, night.expires_on) == (own.backup.name, date(2026, 12, 25))
    assert night.set == datasets_of(catalogue)["backups.shop"].name
    write(own.database, "DELETE FROM ticket_message")
    vault.restore(night.object, own.database)
    assert rows(own.database, "SELECT count(*) FROM ticket_message WHERE author_id = 42") == [(2,)]
