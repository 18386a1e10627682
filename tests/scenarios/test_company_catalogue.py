"""The demo company's catalogue: it names everything, and the walk over it is the one meant."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from django.core.management import call_command

from erasure.demo import company as demo
from erasure.demo.company import Company
from erasure.runs.expiring import expired
from lineage.adjacency import neighbours_in
from lineage.graph import Reach, walk
from lineage.importers.entries import Catalogue
from lineage.importers.fideslang import read
from tests.scenarios.company_cast import (
    TODAY,
    build_company,
    datasets_of,
    rows,
    text_of,
)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Company:
    """For reading only."""
    return build_company(tmp_path_factory.mktemp("company"))


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return read([str(demo.CATALOGUE)])


def test_the_catalogue_is_read_without_a_warning(catalogue: Catalogue) -> None:
    assert catalogue.warnings == ()
    actions = {d.action for d in datasets_of(catalogue).values()}
    assert actions >= {"delete", "anonymize", "redact", "retain", "ignore"}


def test_the_catalogue_names_every_table_and_column(built: Company, catalogue: Catalogue) -> None:
    live = {
        (str(table), str(column))
        for table, column in rows(
            built.database,
            "SELECT m.name, c.name FROM sqlite_schema m JOIN pragma_table_info(m.name) c "
            "WHERE m.type = 'table'",
        )
    }
    declared = {
        (d.name, f.name)
        for d in datasets_of(catalogue).values()
        for f in d.fields
        if d.store == "shop_db"
    }
    assert declared == live


def test_the_catalogue_names_every_column_of_the_lake_and_the_access_log(
    built: Company, catalogue: Catalogue
) -> None:
    known = datasets_of(catalogue)
    first = next(iter(sorted(built.lake.iterdir())))
    assert [f.name for f in known["lake.orders"].fields] == pq.read_schema(first).names
    line = text_of(built.logs / "access" / "access.log").splitlines()[0]
    assert [f.name for f in known["access.access"].fields] == list(json.loads(line))


BY_HAND = {"app.app", "mail_house.recipients", "models.churn", "shop.address", "shop.order_line"}


@pytest.mark.django_db
def test_the_gate_finds_no_fault_and_every_other_retention_can_be_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    company = build_company(tmp_path / "company")
    for name, value in company.environment.items():
        monkeypatch.setenv(name, value)
    call_command("import_lineage", str(demo.CATALOGUE))
    call_command("check_lineage")
    assert "nothing to mend" in capsys.readouterr().out
    told = {one.dataset: one for one in expired(TODAY)}
    assert {address for address, one in told.items() if one.why_not} == BY_HAND
    assert told["shop.customer"].looked_at >= 400
    # Something to decide on, for whoever looks at the page.
    assert 0 < told["lake.orders"].rows < told["lake.orders"].looked_at / 2


def _reach(catalogue: Catalogue) -> Reach:
    known = datasets_of(catalogue)
    references = []
    for placed in catalogue.references:
        collection, _, name = placed.value.target_field.partition(".")
        target = f"{placed.value.target}.{collection}"
        references.append(replace(placed.value, target=target, target_field=name))
    derivations = [placed.value for placed in catalogue.derivations]
    return walk({"shop.customer": ["email"]}, neighbours_in(references, derivations, known))


def test_the_walk_from_an_email_reaches_everything_but_the_goods(catalogue: Catalogue) -> None:
    reach = _reach(catalogue)
    missed = datasets_of(catalogue).keys() - {stop.address for stop in reach.stops}
    assert missed == {"shop.product"}
    effects = {stop.address: stop.effect for stop in reach.stops}
    assert effects["shop.address"] == "refcount"
    assert effects["shop.ticket_message"] == effects["access.access"] == "deep"
    assert effects["backups.shop"] is None


def test_a_conversation_takes_nobody_elses_message_with_it(catalogue: Catalogue) -> None:
    edges = {(e.origin, e.destination) for e in _reach(catalogue).edges}
    assert ("shop.ticket", "shop.ticket_message") not in edges
    assert ("shop.ticket_message", "shop.ticket") not in edges


def test_rows_that_stay_refer_to_nothing_that_goes(built: Company, catalogue: Catalogue) -> None:
    """Foreign keys from a table that stays to one that goes must be able to become NULL."""
    action = {d.name: d.action for d in datasets_of(catalogue).values() if d.store == "shop_db"}
    staying = {t for t, a in action.items() if a in ("anonymize", "retain")}
    for table in staying:
        columns = {
            str(r[0]): bool(r[1])
            for r in rows(
                built.database, f"SELECT name, \"notnull\" FROM pragma_table_info('{table}')"
            )
        }
        for target, column in rows(
            built.database, f'SELECT "table", "from" FROM pragma_foreign_key_list(\'{table}\')'
        ):
            if action[str(target)] == "delete":
                assert not columns[str(column)], (table, column)
                assert action[table] == "anonymize", table
