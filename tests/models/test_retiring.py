"""A model is retired for another reason than a person: the record stays, nothing else."""

from __future__ import annotations

import io
import json
import shutil
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from erasure.domain.errors import StoreError, UsageError, WrongState
from erasure.flow import retire
from erasure.models import LedgerLeaf, ModelJob
from tests.flow.cast import OPERATOR
from tests.models.cast import SUBJECT, World


@pytest.fixture
def served(world: World) -> World:
    world.train("plain")
    world.train("ridge")
    world.describe(deployed=["https://scoring.example.com"])
    return world


def retired(*versions: str, because: str = "nobody asks it") -> dict[str, Any]:
    found = retire.assess("models.forecast", versions)
    return retire.retire_model(found, reason="obsolete", because=because, by=OPERATOR)


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
