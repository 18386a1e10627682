"""The model registry: who was in which training, and training them out."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sklearn.naive_bayes import GaussianNB

from erasure.domain.errors import DriverMissing, StoreError, StoreUnreachable
from erasure.stores import registry
from erasure.stores.base import (
    Action,
    ReportsModels,
    Selector,
    Store,
)
from erasure.stores.model_registry import ModelRegistryStore
from erasure.stores.model_registry.artifact import dumps
from erasure.stores.model_registry.manifest import Hasher
from tests.stores.registry_cast import (
    AGNES,
    CALLS,
    HASH_KEY,
    HERE,
    JONAS,
    MARA,
    NEEDLES,
    ROWS,
    SECRETS,
    bayes,
    dataset_of,
    erase,
    files_of,
    keys_of,
    make_root,
    open_registry,
    train,
    work_of,
    write_rows,
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two versions of one model."""
    return make_root(tmp_path)


def test_it_is_a_store_under_its_kind(root: Path) -> None:
    factory = registry.get("model_registry")
    assert "hash_key" in factory.options
    made = factory(name="models", url=f"file://{root}", options={"hash_key": HASH_KEY})
    assert isinstance(made, Store)
    assert isinstance(made, ReportsModels)
    assert isinstance(made, ModelRegistryStore)


def test_models_are_listed_with_the_key_they_know_people_by(root: Path) -> None:
    inspection = open_registry(root).inspect()
    table = inspection.tables["churn"]
    assert [c.name for c in table.columns] == ["customer_id"]
    assert table.rows == 2 * len(ROWS)
    train(root)
    assert open_registry(root).inspect().fingerprint == inspection.fingerprint


def test_membership_is_known_of_every_version_with_row_counts(root: Path) -> None:
    selector = Selector(dataset=dataset_of(), fields=("customer_id",))
    found = list(open_registry(root).find(selector, [MARA, str(MARA), 999, None]))
    assert [(f.key.values[0], f.key.count, f.matched) for f in found] == [
        ("1", 2, (MARA, str(MARA))),
        ("2", 2, (MARA, str(MARA))),
    ]


def test_an_email_is_one_person_however_it_is_written(root: Path) -> None:
    def of(text: str) -> str:
        return Hasher(HASH_KEY, "churn")(text, "email")

    assert of("Mara@Example.COM") == of("mara@example.com") != of("mara@example.org")


def test_two_models_know_one_person_by_two_hashes(root: Path) -> None:
    train(root, "fraud")
    people = [
        set(json.loads((root / model / "1" / "manifest.json").read_text())["people"])
        for model in ("churn", "fraud")
    ]
    assert len(people[0]) == len(people[1]) == len(ROWS)
    assert not people[0] & people[1]


def test_a_manifest_holds_no_person_key(root: Path) -> None:
    manifest = json.loads((root / "churn" / "1" / "manifest.json").read_text())
    assert all(len(h) == 64 and h not in map(str, ROWS) for h in manifest["people"])
    assert sum(manifest["people"].values()) == sum(ROWS.values())
    assert HASH_KEY not in json.dumps(manifest)


def test_a_field_that_manifests_do_not_know_is_refused_not_answered_with_nobody(root: Path) -> None:
    with pytest.raises(StoreError, match="knows people by 'customer_id' only"):
        list(open_registry(root).find(Selector(dataset=dataset_of(), fields=("email",)), [MARA]))


def test_a_model_that_is_not_there_is_refused_not_answered_with_nobody(root: Path) -> None:
    with pytest.raises(StoreError, match="models, chum: there is no such model"):
        keys_of(root, MARA, dataset=dataset_of("chum"))


@pytest.mark.parametrize("model", ["../churn", ".hidden", "", "a/b"])
def test_a_model_name_never_leaves_the_registry(root: Path, model: str) -> None:
    with pytest.raises(StoreError, match="a model's name is made of"):
        keys_of(root, MARA, dataset=dataset_of(model))


def _damage(key: str, value: Any) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        path.write_text(json.dumps({**json.loads(path.read_text()), key: value}))

    return damage


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda p: p.write_text("{"), "the manifest is damaged"),
        (lambda p: p.write_text("[]"), "the manifest is damaged"),
        (lambda p: p.write_bytes(b"\xff\xfe"), "the manifest is damaged"),
        (_damage("people", {}), "was altered"),
        (_damage("people", None), "the manifest is damaged"),
        (_damage("format", 99), "was altered or is of another format"),
    ],
)
def test_without_a_sound_manifest_nobody_can_tell_who_is_in_a_version(
    root: Path, damage: Callable[[Path], None], words: str
) -> None:
    damage(root / "churn" / "1" / "manifest.json")
    with pytest.raises(StoreError, match=rf"models, churn, version 1: .*{words}"):
        keys_of(root, MARA)


def test_a_person_is_trained_out_and_every_version_that_knew_them_goes(root: Path) -> None:
    keys = keys_of(root, MARA)
    erase(root, MARA)
    store = open_registry(root)
    (receipt,) = store.act([work_of(keys)], SECRETS)
    assert (receipt.residue, receipt.done, receipt.note) == ("purged", 4, "version 1, 2 → 3")
    assert store.check([work_of(keys)], SECRETS) == []
    assert keys_of(root, MARA) == ()
    assert [k.values[0] for k in keys_of(root, JONAS)] == ["3"]
    assert sorted(p.name for p in (root / "churn").iterdir() if p.name[0] != ".") == [
        "3",
        "current",
        "forgotten.json",
        "retired.jsonl",
    ]


def test_the_new_model_is_the_one_that_never_knew_them(root: Path, tmp_path: Path) -> None:
    old = open_registry(root).load("churn")
    keys = keys_of(root, MARA)
    erase(root, MARA)
    open_registry(root).act([work_of(keys)], SECRETS)
    trained = bayes({"rows": str(tmp_path / "rows.csv")}, seed=7, params={})
    digest = hashlib.sha256(dumps("x", trained.estimator)).hexdigest()
    assert open_registry(root).report(dataset_of())["new_artifact"] == digest
    new = open_registry(root).load("churn")
    assert isinstance(old, GaussianNB)
    assert isinstance(new, GaussianNB)
    assert (new.theta_ == trained.estimator.theta_).all()
    assert not (new.theta_ == old.theta_).all()


def test_a_removed_version_does_not_come_back_by_any_name(root: Path) -> None:
    keys = keys_of(root, MARA)
    erase(root, MARA)
    store = open_registry(root)
    store.act([work_of(keys)], SECRETS)
    for version in ("1", "2", "current", ".gone-1", "../churn/1"):
        with pytest.raises(StoreError):
            store.load("churn", version)
    assert isinstance(store.load("churn", "3"), GaussianNB)


def test_the_report_tells_what_replaced_what_in_json_without_floats(root: Path) -> None:
    keys = keys_of(root, MARA)
    before = json.loads((root / "churn" / "2" / "manifest.json").read_text())
    erase(root, MARA)
    dataset = dataset_of(utility={"metric": "accuracy", "min": 0.5, "max_drop": 0.2})
    assert open_registry(root).report(dataset) == {}
    open_registry(root).act([work_of(keys, dataset)], SECRETS)
    report = open_registry(root).report(dataset)
    assert (report["old"], report["new"], report["removed"]) == ("2", "3", ["1", "2"])
    assert (report["old_people"], report["new_people"]) == (len(ROWS), len(ROWS) - 1)
    assert report["old_artifact"] == before["artifact"] != report["new_artifact"]
    assert report["old_people_root"] == before["people_root"] != report["new_people_root"]
    assert report["guarantee"] == "bit-exact"
    assert report["reexecution_matched"] is True
    assert (report["utility_before"], report["utility_after"]) == ("1.000000", "1.000000")
    assert not any(isinstance(value, float) for value in report.values())


def test_everybody_who_waits_is_trained_out_at_once(root: Path) -> None:
    mara, jonas = keys_of(root, MARA), keys_of(root, JONAS)
    erase(root, MARA, JONAS)
    CALLS.clear()
    receipts = open_registry(root).act([work_of(mara), work_of(jonas)], SECRETS)
    assert [r.done for r in receipts] == [4, 6]
    assert CALLS["bayes"] == 2  # trained, and trained again to compare
    assert keys_of(root, MARA, JONAS) == ()


def test_a_second_execution_changes_nothing(root: Path) -> None:
    keys = keys_of(root, MARA)
    erase(root, MARA)
    receipts = open_registry(root).act([work_of(keys)], SECRETS)
    after = files_of(root)
    assert open_registry(root).act([work_of(keys)], SECRETS) == receipts
    assert files_of(root) == after


def test_a_person_no_version_knows_costs_nothing(root: Path) -> None:
    before = files_of(root)
    (receipt,) = open_registry(root).act([work_of(keys_of(root, 999))], SECRETS)
    assert (receipt.done, receipt.note) == (0, "nobody of this request was in its training")
    assert files_of(root) == before


def test_an_old_version_goes_without_training_where_the_current_never_knew_them(
    root: Path,
) -> None:
    erase(root, MARA)
    train(root)
    CALLS.clear()
    keys = keys_of(root, MARA)
    (receipt,) = open_registry(root).act([work_of(keys)], SECRETS)
    assert CALLS["bayes"] == 0
    assert receipt.residue == "purged"
    assert open_registry(root).report(dataset_of()) == {"removed": ["1", "2"]}
    assert [k.values[0] for k in keys_of(root, JONAS)] == ["3"]


def test_a_version_that_never_knew_them_stays(root: Path) -> None:
    erase(root, AGNES)
    train(root)
    write_rows(root.parent / "rows.csv")
    train(root)
    keys = keys_of(root, AGNES)
    assert [k.values[0] for k in keys] == ["1", "2", "4"]
    erase(root, AGNES)
    open_registry(root).act([work_of(keys)], SECRETS)
    assert [k.values[0] for k in keys_of(root, MARA)] == ["3", "5"]


def test_retiring_removes_the_versions_and_puts_nothing_in_their_place(root: Path) -> None:
    keys = keys_of(root, MARA)
    store = open_registry(root)
    (receipt,) = store.act([work_of(keys, action="retire")], SECRETS)
    assert (receipt.residue, receipt.note) == ("purged", "version 1, 2 removed")
    with pytest.raises(StoreError, match="has no current version"):
        store.load("churn")
    assert store.check([work_of(keys, action="retire")], SECRETS) == []
    assert keys_of(root, MARA) == ()


@pytest.mark.parametrize("action", ["delete", "unlearn", "anonymize"])
def test_what_is_not_offered_is_refused_before_anything_happens(root: Path, action: Action) -> None:
    keys = keys_of(root, MARA)
    erase(root, MARA)
    before = files_of(root)
    with pytest.raises(StoreError, match=f"'{action}' is not offered"):
        open_registry(root).act([work_of(keys), work_of(keys, action=action)], SECRETS)
    assert files_of(root) == before


def test_a_copy_of_a_removed_version_is_found_wherever_it_lies(root: Path) -> None:
    aside = root / "serving" / "live.bin"
    aside.parent.mkdir()
    shutil.copy(root / "churn" / "1" / "model.skops", aside)
    keys = keys_of(root, MARA)
    erase(root, MARA)
    (receipt,) = open_registry(root).act([work_of(keys)], SECRETS)
    assert receipt.residue == "present"
    (failure,) = open_registry(root).check([work_of(keys)], SECRETS)
    assert failure.why == "a copy of a removed version lies at serving/live.bin"
    aside.unlink()
    assert open_registry(root).check([work_of(keys)], SECRETS) == []


def test_a_version_put_back_by_hand_fails_the_check(root: Path, tmp_path: Path) -> None:
    shutil.copytree(root / "churn" / "1", tmp_path / "aside")
    keys = keys_of(root, MARA)
    erase(root, MARA)
    open_registry(root).act([work_of(keys)], SECRETS)
    shutil.copytree(tmp_path / "aside", root / "churn" / "1")
    why = {f.why for f in open_registry(root).check([work_of(keys)], SECRETS)}
    assert "version 1 still has them in its training" in why
    assert "version 1 can still be loaded" in why


def test_an_altered_artifact_is_not_loaded(root: Path) -> None:
    path = root / "churn" / "2" / "model.skops"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(StoreError, match="is not the one its manifest names"):
        open_registry(root).load("churn")


def test_a_type_that_could_run_code_is_not_loaded(root: Path) -> None:
    path = root / "churn" / "2" / "model.skops"
    path.write_bytes(dumps("x", GaussianNB(priors=Untrusted())))
    manifest = root / "churn" / "2" / "manifest.json"
    _damage("artifact", hashlib.sha256(path.read_bytes()).hexdigest())(manifest)
    with pytest.raises(StoreError, match=r"holds untrusted types: .*Untrusted"):
        open_registry(root).load("churn")


class Untrusted:
    """A type of nobody's."""


def test_equal_models_are_equal_files_in_another_process(root: Path, tmp_path: Path) -> None:
    code = (
        f"from {HERE} import train; from pathlib import Path; "
        f"root = Path({str(tmp_path / 'other')!r}) / 'models'; root.mkdir(parents=True); "
        f"rows = Path({str(tmp_path / 'rows.csv')!r}).read_bytes(); "
        "(root.parent / 'rows.csv').write_bytes(rows); train(root)"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "12345", "PYTHONPATH": os.getcwd()}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment, timeout=120)
    other = tmp_path / "other" / "models" / "churn" / "1" / "model.skops"
    assert other.read_bytes() == (root / "churn" / "1" / "model.skops").read_bytes()


def test_another_run_on_the_same_model_waits(root: Path) -> None:
    keys = keys_of(root, MARA)
    erase(root, MARA)
    store = open_registry(root)
    with store._model(dataset_of()).locked(), pytest.raises(StoreError, match="try again") as error:
        store.act([work_of(keys)], SECRETS)
    assert not error.value.permanent


@pytest.mark.parametrize("url", ["s3://bucket/models", "file://host/x", "models", ""])
def test_an_address_that_is_no_folder_is_refused(url: str) -> None:
    with pytest.raises(StoreError, match="file:///absolute/folder"):
        ModelRegistryStore(name="models", url=url, options={"hash_key": HASH_KEY})


def test_without_a_hash_key_nobody_would_be_known(root: Path) -> None:
    with pytest.raises(StoreError, match="hash_key is missing"):
        ModelRegistryStore(name="models", url=f"file://{root}", options={})


def test_a_folder_that_is_away_may_come_back(tmp_path: Path) -> None:
    store = open_registry(tmp_path / "gone")
    for run in (store.inspect, lambda: list(store.scan([], NEEDLES)), lambda: store.load("churn")):
        with pytest.raises(StoreUnreachable) as error:
            run()  # type: ignore[no-untyped-call]
        assert not error.value.permanent


@pytest.mark.parametrize("missing", ["skops.io", "threadpoolctl"])
def test_a_missing_driver_names_its_extra(
    root: Path, missing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = keys_of(root, MARA)  # asking who is in a model needs no driver
    erase(root, MARA)
    monkeypatch.setitem(sys.modules, missing, None)
    monkeypatch.delattr("skops.io", raising=False)
    with pytest.raises(DriverMissing, match=r"lethe\[models\]"):
        open_registry(root).act([work_of(keys)], SECRETS)
