"""The model registry's recipes: what a new version must prove before it is used."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from erasure.domain.errors import StoreError
from tests.stores.registry_cast import (
    AGNES,
    JONAS,
    MARA,
    SECRETS,
    dataset_of,
    erase,
    files_of,
    keys_of,
    make_root,
    open_registry,
    work_of,
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two versions of one model."""
    return make_root(tmp_path)


def test_data_that_still_hold_the_person_are_not_trained_on(root: Path) -> None:
    keys = keys_of(root, MARA, JONAS)
    erase(root, JONAS)
    before = files_of(root)
    with pytest.raises(StoreError, match="models, churn: the training data still hold 1 of") as e:
        open_registry(root).act([work_of(keys)], SECRETS)
    assert str(MARA) not in str(e.value)
    assert files_of(root) == before
    assert len(open_registry(root).check([work_of(keys)], SECRETS)) == 2


@pytest.mark.parametrize(
    ("recipe", "words"),
    [
        ("restless", "training twice gave two models"),
        ("careless", r"the recipe tests\.\S+:careless failed \(ValueError\)"),
        ("stranded", r"the recipe tests\.\S+:stranded failed \(SourceError\)"),
        ("miscounted", r"the recipe's score failed \(SourceError\)"),
        ("boundless", "no finite figure for: accuracy"),
        ("useless", "must return a Trained"),
        ("missing", "there is no recipe"),
    ],
)
def test_a_recipe_that_cannot_be_relied_on_leaves_the_current_version(
    root: Path, recipe: str, words: str
) -> None:
    keys = keys_of(root, MARA)
    erase(root, MARA)
    before = files_of(root)
    with pytest.raises(StoreError, match=words) as error:
        open_registry(root).act([work_of(keys, dataset_of(recipe=recipe))], SECRETS)
    assert "mara" not in str(error.value)
    assert error.value.__suppress_context__ or error.value.__context__ is None
    assert files_of(root) == before


@pytest.mark.parametrize(
    ("recipe", "words"),
    [(None, "no recipe"), ("recipes", "must read"), ("no.such.module:f", "the recipe needs no")],
)
def test_a_recipe_is_named_by_the_catalogue(root: Path, recipe: str | None, words: str) -> None:
    keys = keys_of(root, MARA)
    with pytest.raises(StoreError, match=words):
        open_registry(root).act(
            [work_of(keys, replace(dataset_of(), model={"recipe": recipe}))], SECRETS
        )


@pytest.mark.parametrize(
    ("utility", "words"),
    [
        ({"min": 0.95}, "below the minimum of 0.95"),
        ({"max_drop": 0.05}, "fall by 0.1000, more than 0.05"),
    ],
)
def test_a_model_that_got_worse_than_allowed_is_not_promoted(
    root: Path, utility: dict[str, Any], words: str
) -> None:
    keys = keys_of(root, AGNES)
    erase(root, AGNES)  # leaves nine rows: the recipe's figure falls to 0.9
    dataset = dataset_of(utility={"metric": "accuracy", **utility})
    with pytest.raises(StoreError, match=words):
        open_registry(root).act([work_of(keys, dataset)], SECRETS)
    assert (root / "churn" / "current").read_text() == "2\n"
    open_registry(root).act(
        [work_of(keys, dataset_of(utility={"metric": "accuracy", "min": 0.9}))], SECRETS
    )
    assert (root / "churn" / "current").read_text() == "3\n"


def test_a_figure_that_nobody_gives_is_not_taken_for_good(root: Path) -> None:
    keys = keys_of(root, MARA)
    erase(root, MARA)
    with pytest.raises(StoreError, match=r"no figure for .* 'auc'"):
        open_registry(root).act([work_of(keys, dataset_of(utility={"metric": "auc"}))], SECRETS)
