"""A model is retired for another reason than a person: the record stays, nothing else."""

from __future__ import annotations

import io
import json
import shutil
from typing import Any

import pytest
from django.conf import LazySettings
from django.core.mail import EmailMessage
from django.core.management import CommandError, call_command

from erasure.connect import derived_key
from erasure.domain.errors import StoreError, UsageError, WrongState
from erasure.evidence import ledger
from erasure.flow import retire
from erasure.models import LedgerLeaf, ModelJob
from erasure.stores.model_registry import ModelRegistryStore, Training, publish
from lineage import catalog
from lineage.importers import fideslang
from tests.flow.cast import OPERATOR
from tests.models.cast import SUBJECT, World


@pytest.fixture
def served(world: World) -> World:
    world.train("plain")
    world.train("ridge")
    world.describe(deployed=["https://scoring.example.com"])
    return world


def retired(
    *versions: str, because: str = "nobody asks it", derived: dict[str, str] | None = None
) -> dict[str, Any]:
    found = retire.assess("models.forecast", versions)
    return retire.retire_model(
        found, reason="obsolete", because=because, by=OPERATOR, derived=derived
    )


TUNED = """      - name: tuned
        erasure:
          derived_from: [{dataset: models.forecast, kind: derived}]
          model: {person_key: customer_id, recipe: "tests.models.cast:forecast"}
        fields:
          - name: customer_id
            fides_meta: {references: [{dataset: shop, field: customer.id, direction: from}]}
"""
VAULT = """  - fides_key: backups
    erasure: {store: vault}
    collections:
      - name: models
        erasure: {derived_from: [{dataset: models.forecast, kind: backed_up}]}
        fields: [{name: object}]
"""


class Killed(BaseException):
    """The process dies here."""


@pytest.mark.parametrize("only", [(), ("1",)])
def test_killed_before_its_last_entry_a_second_call_finishes_what_was_begun(
    served: World, monkeypatch: pytest.MonkeyPatch, only: tuple[str, ...]
) -> None:
    record = ledger.record

    def dies(kind: str, payload: dict[str, Any]) -> None:
        if kind == "model_retired":
            raise Killed
        record(kind, payload)

    monkeypatch.setattr(ledger, "record", dies)
    with pytest.raises(Killed):
        retired(*only)
    assert served.versions() == (["2"] if only else [])
    monkeypatch.setattr(ledger, "record", record)
    proof = retired(*only)
    assert proof["versions"] == list(only or ("1", "2"))
    assert [one["version"] for one in proof["record"]] == proof["versions"]
    assert json.loads(LedgerLeaf.objects.get(kind="model_retired").payload) == proof
    with pytest.raises(UsageError, match=r"no version that could|there is no version 1"):
        retired("1") if only else retired()


def test_what_is_about_to_be_retired_is_on_record_before_anything_is_touched(
    served: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dies(*_: Any) -> None:
        raise Killed

    monkeypatch.setattr(ModelRegistryStore, "retire", dies)
    with pytest.raises(Killed):
        retired()
    assert served.versions() == ["1", "2"]
    begun = json.loads(LedgerLeaf.objects.get(kind="model_retirement").payload)
    assert (begun["model"], begun["versions"]) == ("models.forecast", ["1", "2"])
    assert (begun["by"], begun["because"]) == (OPERATOR, "nobody asks it")
    assert [one["version"] for one in begun["record"]["models.forecast"]] == ["1", "2"]


def tuned(world: World) -> None:
    """A model that was made from it, and a backup of the registry."""
    vault = world.folder / "vault"
    vault.mkdir()
    (vault / "models-20260901.tar").write_bytes(b"a copy")
    path = world.folder / "catalogue.yml"
    text = path.read_text() + TUNED + VAULT
    store = f"  - {{name: vault, kind: backups, url: '{vault.as_uri()}', "
    store += "options: {covers: [models], retention: 1y}}\n"
    path.write_text(text.replace("dataset:\n", f"{store}dataset:\n", 1))
    catalog.upsert(fideslang.read([str(path)]), prune=True)
    how = Training(
        recipe="tests.models.cast:forecast", source={"shop": "../shop.sqlite3"}, seed=1,
        person_key="customer_id", params={"kind": "neighbours"},
    )  # fmt: skip
    publish(world.models, "tuned", how, hash_key=derived_key("models"))


@pytest.mark.parametrize(
    "derived",
    [
        {},
        {"models.tuned": ""},
        {"models.tuned": "burn"},
        {"models.tuned": "keep"},
        {"models.tuned": "keep: "},
        {"models.tuned": "retire: x"},
        {"models.tuned": "retire", "shop.visit": "retire"},
    ],
)
def test_without_a_decision_about_what_was_made_from_it_nothing_happens(
    served: World, derived: dict[str, str]
) -> None:
    tuned(served)
    with pytest.raises(UsageError, match=r"tuned|visit"):
        retired(derived=derived)
    assert served.versions() == ["1", "2"]
    assert served.store().load("tuned") is not None
    assert not LedgerLeaf.objects.filter(kind="model_retired").exists()


def test_what_was_made_from_it_is_retired_too_where_that_is_decided(served: World) -> None:
    tuned(served)
    (handled,) = retired(derived={"models.tuned": "retire"})["derived_models"]
    assert (handled["model"], handled["decided"], handled["left"]) == ("models.tuned", "retire", [])
    assert handled["record"][0]["version"] == "1"
    with pytest.raises(StoreError):
        served.store().load("tuned", "1")
    assert served.versions() == []


def test_what_is_to_be_trained_again_is_served_only_after_that(
    served: World, mailoutbox: list[EmailMessage], settings: LazySettings
) -> None:
    settings.LETHE_DIGEST_TO = ["officers@example.com"]
    tuned(served)
    (handled,) = retired(derived={"models.tuned": "retrain"})["derived_models"]
    assert handled["out_of_service"] == ["1"]
    with pytest.raises(StoreError):
        served.store().load("tuned")
    assert "train it again without it" in str([m.body for m in mailoutbox])


def test_what_is_kept_is_kept_with_its_reason(served: World) -> None:
    tuned(served)
    proof = retired(derived={"models.tuned": "keep: learnt nothing from it: frozen layers only"})
    (handled,) = proof["derived_models"]
    assert handled["because"] == "learnt nothing from it: frozen layers only"
    assert served.store().load("tuned") is not None
    assert served.versions() == []
    leaf = LedgerLeaf.objects.get(kind="model_retired")
    assert "frozen layers only" in json.dumps(leaf.payload)


def test_copies_of_the_registry_in_backups_are_named_with_their_last_day(served: World) -> None:
    tuned(served)
    out = io.StringIO()
    given = ["models.forecast", "--reason", "security", "--because", "leaked"]
    call_command("retire_model", *given, "--dry-run", stdout=out)
    assert "stays in backups: vault, models of 2026-09-01 until 2027-09-01" in out.getvalue()
    assert "to be decided on: models.tuned" in out.getvalue()
    with pytest.raises(CommandError, match="decide what becomes of") as error:
        call_command("retire_model", *given, "--yes", stdout=out)
    assert error.value.returncode == 2
    call_command("retire_model", *given, "--yes", "--derived", "models.tuned=retire", stdout=out)
    proof = json.loads(LedgerLeaf.objects.get(kind="model_retired").payload)
    assert proof["backups"] == [
        {"store": "vault", "set": "models", "taken_at": "2026-09-01", "expires_on": "2027-09-01"}
    ]
    assert proof["derived_models"][0]["backups"] == proof["backups"]


def test_a_vault_that_is_away_is_named_in_the_proof(served: World) -> None:
    tuned(served)
    shutil.rmtree(served.folder / "vault")
    (told,) = retired(derived={"models.tuned": "retire"})["backups"]
    assert told["store"] == "vault"
    assert "the backup folder is not there" in told["not_known"]


def test_a_job_at_work_on_what_was_made_from_it_is_waited_for(served: World) -> None:
    tuned(served)
    ModelJob.objects.create(store="models", dataset="models.tuned", state="running")
    with pytest.raises(WrongState, match=r"models\.tuned: a job is at work"):
        retired(derived={"models.tuned": "retire"})
    assert served.versions() == ["1", "2"]


def test_all_versions_go_and_do_not_come_back(served: World) -> None:
    proof = retired()
    assert served.versions() == []
    assert set(proof["recovery"]) == {"1", "2"}
    assert proof["left"] == []
    assert proof["deployed"] == ["https://scoring.example.com"]
    for version in ("1", "2", None):
        with pytest.raises(StoreError):
            served.store().load("forecast", version)
    names = {p.name for p in (served.models / "forecast").iterdir()}
    assert names <= {"retired.jsonl", ".lock"}
    leaf = LedgerLeaf.objects.get(kind="model_retired")
    assert "nobody asks it" in json.dumps(leaf.payload)


def test_the_record_holds_figures_and_nobody(served: World) -> None:
    record = retired()["record"][0]
    assert record["people"] == 60
    assert float(record["metrics"]["score"]) > 0.5
    assert served.hasher()(SUBJECT) not in json.dumps(record)


def test_one_version_goes_and_the_served_one_stays(served: World) -> None:
    assert retired("1")["left"] == ["2"]
    assert served.store().load("forecast") is not None
    with pytest.raises(UsageError, match="there is no version 1; there is: 2"):
        retire.assess("models.forecast", ["1"])


def test_a_copy_elsewhere_in_the_store_is_found(served: World) -> None:
    shutil.copy(served.models / "forecast" / "1" / "model.skops", served.models / "live.bin")
    with pytest.raises(StoreError, match=r"a copy of a removed version lies at live\.bin"):
        retired()
    assert not LedgerLeaf.objects.filter(kind="model_retired").exists()


def test_nothing_happens_without_a_reason_or_while_a_job_is_at_work(served: World) -> None:
    with pytest.raises(UsageError, match="say why"):
        retired(because=" ")
    ModelJob.objects.create(store="models", dataset="models.forecast", state="running")
    with pytest.raises(WrongState, match="a job is at work"):
        retired()
    with pytest.raises(UsageError, match="is no model"):
        retire.assess("shop.customer")
    assert served.versions() == ["1", "2"]


def test_the_command_says_what_would_go_and_writes_the_record(served: World) -> None:
    out, archive = io.StringIO(), served.folder / "record.json"
    given = ["models.forecast", "--reason", "security", "--because", "leaked"]
    call_command("retire_model", *given, "--dry-run", stdout=out)
    assert "version 2 is served; nothing takes its place" in out.getvalue()
    assert served.versions() == ["1", "2"]
    with pytest.raises(CommandError, match="say --yes"):
        call_command("retire_model", *given, stdout=out)
    assert served.versions() == ["1", "2"]
    call_command("retire_model", *given, "--yes", "--archive", str(archive), stdout=out)
    assert served.versions() == []
    assert json.loads(archive.read_text())["reason"] == "security"
    assert "version 2 is gone: not by name, not by path" in out.getvalue()
