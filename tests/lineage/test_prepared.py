"""Prepared statements say what the ORM would say, with the values of each call."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from django.db import IntegrityError, connection
from django.db.models import Exists, OuterRef, QuerySet

from erasure.models import Batch, Run, StoreRun
from lineage.prepared import Prepared, Slot, attach, insert, update

pytestmark = pytest.mark.django_db


@pytest.fixture
def runs() -> list[Run]:
    """Two runs, with three batches and two."""
    runs = [Run(sealed_seed=b"\0seed", steps=[{"dataset": "100 %s"}]) for _ in range(2)]
    insert(runs)
    for run, batches in zip(runs, (3, 2), strict=True):
        insert(
            [
                Batch(run=run, store="shop", ordinal=n, directory={"a": [n]}, sealed=b"\0\xff")
                for n in range(batches)
            ]
        )
    return runs


def of_run() -> QuerySet[Batch]:
    later = Batch.objects.filter(run=OuterRef("run"), ordinal__gt=OuterRef("ordinal"))
    found = Batch.objects.filter(run=Slot("run"), state=Slot("state"))
    return found.select_related("run").annotate(more=Exists(later))


def test_a_query_is_made_once_and_asked_with_the_values_of_each_call(runs: list[Run]) -> None:
    made: list[None] = []

    def make() -> QuerySet[Batch]:
        made.append(None)
        return of_run()

    query = Prepared(make)
    assert [len(query.all(run=run.pk, state="found")) for run in runs] == [3, 2]
    assert query.all(run=uuid4(), state="found") == query.all(run=runs[0].pk, state="done") == []
    assert len(made) == 1


def test_objects_are_those_of_the_orm(runs: list[Run], django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(1):
        found = Prepared(of_run).all(run=runs[0].pk, state="found")
        assert [vars(batch)["more"] for batch in found] == [True, True, False]
        assert {batch.run for batch in found} == {runs[0]}
        assert found[0].run.steps == [{"dataset": "100 %s"}]
        assert (found[1].directory, bytes(found[1].sealed)) == ({"a": [1]}, b"\0\xff")
    found[0].round = 7
    found[0].save()
    assert Batch.objects.get(pk=found[0].pk).round == 7


def test_tuples_and_lists_of_values(runs: list[Run]) -> None:
    query = Prepared(
        lambda: Batch.objects.filter(run__in=Slot("runs"), store="shop").values_list(
            "run", "directory"
        )
    )
    assert len(query.all(runs={run.pk for run in runs})) == 5
    assert query.all(runs=[runs[1].pk]) == [(runs[1].pk, {"a": [n]}) for n in range(2)]
    assert query.all(runs=[]) == []


def test_the_first_is_none_without_any(runs: list[Run]) -> None:
    query = Prepared(lambda: of_run().order_by("-ordinal")[:1])
    first = query.first(run=runs[0].pk, state="found")
    assert first is not None
    assert first.ordinal == 2
    assert query.first(run=runs[0].pk, state="done") is None


def test_an_update_changes_what_its_tests_name_and_tells_how_many(runs: list[Run]) -> None:
    receipts = {"receipts": {"person": [1]}, "state": "done"}
    mine = [batch.pk for batch in Batch.objects.filter(run=runs[0])]
    assert update(Batch, {"pk": mine, "state": "found"}, receipts) == 3
    assert update(Batch, {"pk": mine, "state": "found"}, receipts) == 0
    assert Batch.objects.filter(run=runs[0], receipts={"person": [1]}).count() == 3
    assert Batch.objects.filter(run=runs[1], state="found").count() == 2


def test_nothing_is_told_from_something(runs: list[Run]) -> None:
    insert([StoreRun(run=run, store="shop", kind="sql") for run in runs])
    now = runs[0].started_at
    assert update(StoreRun, {"run": runs[0], "started_at": None}, {"started_at": now}) == 1
    assert update(StoreRun, {"started_at": None}, {"run": runs[1], "error": "x"}) == 1
    assert [part.started_at for part in StoreRun.objects.order_by("error")] == [now, None]


@pytest.mark.django_db(transaction=True)
def test_rows_are_added_all_or_none(runs: list[Run]) -> None:
    again = [Batch(run=runs[1], store="shop", ordinal=n, sealed=b"") for n in (2, 1)]
    with pytest.raises(IntegrityError):
        insert(again)
    assert Batch.objects.filter(run=runs[1]).count() == 2
    assert not connection.in_atomic_block


def test_related_objects_that_were_read_are_not_read_again(
    runs: list[Run], django_assert_num_queries: Any
) -> None:
    attach(runs[0], "batches", list(runs[0].batches.all()[:1]))
    with django_assert_num_queries(0):
        assert [batch.ordinal for batch in runs[0].batches.all()] == [0]
    assert runs[0].batches.filter(store="shop").count() == 3
