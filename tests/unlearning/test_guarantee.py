"""Certificates, keyed hashes and the optional libraries."""

from __future__ import annotations

import math
import os
import subprocess
import sys

import numpy as np
import pytest

from erasure.domain.errors import UsageError
from erasure.stores.model_registry.manifest import Hasher
from erasure.unlearning import people
from erasure.unlearning.guarantee import Certificate, Guarantee
from erasure.unlearning.keyed import keyed
from erasure.unlearning.moments import moments, without
from tests.unlearning.cast import KEY, SUBJECT


def certificate(bound: float) -> Certificate:
    return Certificate(
        method="m", guarantee=Guarantee.NONE, measure="d", bound=bound, tolerance=1e-8, left=1
    )


@pytest.mark.parametrize(
    ("bound", "holds"),
    [(0.0, True), (1e-8, True), (1.1e-8, False), (math.nan, False), (math.inf, False)],
)
def test_a_certificate_holds_within_its_tolerance_only(bound: float, holds: bool) -> None:
    assert certificate(bound).holds is holds
    assert certificate(bound).plain()["holds"] is holds


def test_the_guarantees_are_those_of_the_evidence() -> None:
    assert [each.value for each in Guarantee] == [
        "bit-exact", "exact in distribution", "exact to tolerance", "(ε,δ)", "empirical",
        "deleted", "filtered", "none",
    ]  # fmt: skip


def test_a_person_is_hashed_as_in_the_manifests_of_the_registry() -> None:
    hasher = Hasher("secret", "churn")
    for person in (42, "42", "ann@example.com"):
        assert people.pseudonym(person, keyed(hasher._key)) == hasher(person)


def test_one_person_is_one_whatever_the_type_of_their_key() -> None:
    mixed = [42, "42", 42.0, True, 1]
    names = people.pseudonyms(mixed, 5, KEY)
    assert len(set(names[:3])) == 1
    assert names[3] != names[4]  # true is not the first customer
    assert names[4] == people.pseudonyms(np.array([1]), 1, KEY)[0]


def test_nobody_is_no_person() -> None:
    for nobody in (None, math.nan):
        with pytest.raises(UsageError, match="belongs to nobody"):
            people.pseudonyms([SUBJECT, nobody], 2, KEY)


def test_a_seal_is_of_all_rows_in_any_order_and_of_one_person_under_one_key() -> None:
    rows = np.array([[1.0, 2.0], [1.0, 2.0], [3.0, 0.0]])
    names = people.pseudonyms([SUBJECT] * 3, 3, KEY)
    seal = people.sealed(names, rows, KEY)
    assert people.sealed(names, rows[::-1], KEY) == seal
    negative = np.array([[1.0, 2.0], [1.0, 2.0], [3.0, -0.0]])
    table = people.table_of(negative[:, :1], negative[:, 1], labels=False)
    assert people.sealed(names, table, KEY) == seal
    assert people.sealed(names[:2], rows[:2], KEY) != seal
    for place in range(3):
        assert people.sealed(names, rows + np.eye(3)[place][:, None], KEY) != seal
    assert people.sealed(names, rows, b"another key") != seal
    assert people.sealed(["somebody else"] * 3, rows, KEY).popitem()[1] != seal.popitem()[1]


def test_moments_stay_right_through_blocks_and_many_removals() -> None:
    rows = np.random.default_rng(0).normal(5.0, 3.0, (10_000, 3))
    held = moments(rows)
    start = 0
    for size in (1, 2, 3, 500, 4_000):
        held = without(held, moments(rows[start : start + size]))
        start += size
    left = rows[start:]
    apart = left - left.mean(axis=0)
    limit = np.sqrt(np.outer(held.noise, held.noise))
    assert (np.abs(held.scatter - apart.T @ apart) <= limit).all()
    assert held.noise.max() < 1e-9 * np.diagonal(held.scatter).min()
    np.testing.assert_allclose(held.mean, left.mean(axis=0), rtol=1e-13)


def test_the_rounding_that_is_kept_tells_no_sum_of_squares() -> None:
    rows = np.random.default_rng(0).normal(size=(100, 3))
    held = without(moments(rows), moments(rows[:5]))
    for kept in (held.fitted, held.step):
        assert (np.frexp(kept)[0] == 0.5).all()


@pytest.mark.parametrize("missing", ["numpy", "sklearn"])
def test_without_the_libraries_the_extra_is_named(missing: str) -> None:
    code = (
        f"import sys; sys.modules[{missing!r}] = None\n"
        "from erasure.domain.errors import DriverMissing\n"
        "try:\n    import erasure.unlearning.linear\n"
        "except DriverMissing as error:\n    print(error)"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "lethe[models]" in told.stdout


def test_whatever_trains_no_model_is_loaded_without_the_libraries() -> None:
    """All that workers, commands and pages load; a model's own libraries are an extra."""
    code = (
        "import django, sys; sys.modules['numpy'] = sys.modules['sklearn'] = None\n"
        "django.setup()\n"
        "import config.urls, config.celery, erasure.tasks, lineage.tasks\n"
        "from django.core.management import get_commands, load_command_class\n"
        "for name, app in get_commands().items():\n"
        "    if app in ('erasure', 'lineage') and name != 'demo':\n"
        "        load_command_class(app, name)\n"
    )
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "config.settings"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
