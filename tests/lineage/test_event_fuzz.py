"""Whatever is sent is either refused with a place, or stored, learnt from and walked over."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lineage import hearing, intake, selectors
from lineage.errors import CatalogueError
from lineage.event_models import StoredEvent
from lineage.importers import openlineage
from tests.lineage.events import SAMPLES, columns, dataset, run_event, sample, schema

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)
RICH = run_event(
    inputs=[dataset("a", schema=schema("id")), dataset("b")],
    outputs=[
        dataset(
            "c",
            schema=schema("id", "n"),
            columnLineage=columns("a", ("id", "id", "IDENTITY"), ("n", "id", "AGGREGATION")),
            symlinks={"identifiers": [{"namespace": "hive", "name": "c", "type": "TABLE"}]},
            tags={"tags": [{"key": "pii", "value": "true", "field": "id"}]},
            ownership={"owners": [{"name": "x"}]},
            datasetType={"datasetType": "TABLE"},
            version={"datasetVersion": "1"},
            lifecycleStateChange={
                "lifecycleStateChange": "RENAME",
                "previousIdentifier": {"namespace": "db", "name": "old"},
            },
            lineage={
                "inputs": [{"namespace": "db", "name": "a", "type": "DATASET"}],
                "fields": {"id": {"inputs": [{"type": "JOB"}]}},
            },
        )
    ],
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place inside a JSON value."""
    found = [path] if path else []
    if isinstance(value, str) or not hasattr(value, "__len__"):
        return found
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
        found += places(inner, (*path, key))
    return found


def put(plain: Any, path: tuple[Any, ...], value: Any) -> Any:
    """A copy with another value in one place."""
    made = copy.deepcopy(plain)
    inner = made
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return made


def heard_or_refused(plain: Any) -> tuple[openlineage.Event | None, CatalogueError | None]:
    try:
        return openlineage.read(plain), None
    except CatalogueError as error:
        return None, error


CHANGED = st.builds(put, st.just(RICH), st.sampled_from(places(RICH)), JSON)


@given(plain=JSON | CHANGED)
@settings(max_examples=400, deadline=None)
def test_whatever_is_read_is_refused_with_a_place_or_heard(plain: Any) -> None:
    event, refused = heard_or_refused(plain)
    if event is None:
        assert refused is not None
        assert refused.place
        assert "\n" not in str(refused)
        return
    assert openlineage.check(plain).key == event.key
    for told in event.datasets:
        told.address.encode()


@pytest.mark.django_db
@given(events=st.lists(CHANGED, min_size=1, max_size=3))
@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_whatever_is_stored_is_learnt_from_without_an_error(events: list[Any]) -> None:
    StoredEvent.objects.all().delete()
    taken = intake.take(json.loads(json.dumps(events)))
    hearing.learn()
    assert StoredEvent.objects.count() == len(set(taken.digests))
    assert not StoredEvent.objects.exclude(error="").exists()
    assert selectors.snapshot().version


@pytest.mark.shared
@pytest.mark.django_db
def test_no_sample_with_any_value_taken_away_breaks_anything() -> None:
    made = []
    for path in sorted(SAMPLES.glob("0*.json")):
        plain = sample(path.stem)
        if path.stem.startswith("01"):
            del plain["run"]["facets"]  # a long plan of Spark's, which nobody reads
        made += [put(plain, place, None) for place in places(plain)]
    taken = intake.take(made)
    assert len(taken.digests) + len(taken.refused) == len(made)
    hearing.learn()
    assert not StoredEvent.objects.exclude(error="").exists()
