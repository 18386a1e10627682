"""What is learnt from events: merged by run, joined by alias, right after drops."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from lineage import hearing, intake
from lineage.event_models import HeardDataset, HeardFlow, HeardName, HeardRun, StoredEvent
from lineage.importers import openlineage
from tests.lineage.events import SAMPLES, columns, dataset, run_event, sample, schema

pytestmark = pytest.mark.django_db


def hear(*events: dict[str, Any]) -> None:
    """Store these events, and learn from them together."""
    taken = intake.take(events)
    assert taken.refused == []
    hearing.learn()


def flows() -> set[tuple[str, str]]:
    rows = HeardFlow.objects.values_list("upstream__address", "downstream__address")
    return set(rows)


def everything() -> tuple[Any, ...]:
    """What was learnt, without the numbers of rows."""
    found = HeardFlow.objects.values_list(
        "upstream__address", "downstream__address", "direct", "columns", "first_at", "last_at"
    )
    names = HeardName.objects.values_list("address", "dataset__address", "until")
    rows = HeardDataset.objects.values_list("address", "kind", "fields", "tags", "emptied_at")
    return tuple(sorted(map(repr, part)) for part in (found, names, rows))


def renamed(old: str, new: str, at: str) -> dict[str, Any]:
    change = {
        "lifecycleStateChange": "RENAME",
        "previousIdentifier": {"namespace": "db", "name": old},
    }
    return run_event(inputs=[], outputs=[dataset(new, lifecycleStateChange=change)], at=at)


def test_start_and_complete_of_a_run_are_one() -> None:
    start = run_event(inputs=[dataset("a")], outputs=[], run="r", state="START")
    hear(start)
    assert flows() == set()
    hear(run_event(inputs=[], outputs=[dataset("b")], run="r", at="2026-11-20T10:05:00Z"))
    assert flows() == {("db:a", "db:b")}
    run = HeardRun.objects.get()
    assert (run.state, run.job) == ("COMPLETE", "job:jobs:job")


@pytest.mark.parametrize("state", ["FAIL", "ABORT", "RUNNING", "OTHER", "START"])
def test_a_run_that_failed_or_never_ended_may_have_left_data(state: str) -> None:
    hear(run_event(inputs=[dataset("a")], outputs=[dataset("b")], state=state))
    assert flows() == {("db:a", "db:b")}


def test_an_event_that_is_sent_twice_is_stored_once_whatever_the_order_of_its_keys() -> None:
    event = run_event(inputs=[dataset("a")], outputs=[dataset("b")])
    hear(event, event, dict(reversed(event.items())))
    assert StoredEvent.objects.count() == 1


def test_learning_again_from_nothing_new_changes_nothing() -> None:
    hear(run_event(inputs=[dataset("a")], outputs=[dataset("b")]))
    before = everything()
    assert hearing.learn() == 0
    StoredEvent.objects.update(processed_at=None)
    assert hearing.learn() == 1
    assert everything() == before


def test_aliases_join_what_two_producers_call_differently() -> None:
    link = {"identifiers": [{"namespace": "hive", "name": "default.b", "type": "TABLE"}]}
    hear(run_event(inputs=[dataset("a")], outputs=[dataset("b", symlinks=link)]))
    hear(run_event(inputs=[dataset("default.b", namespace="hive")], outputs=[dataset("c")]))
    assert flows() == {("db:a", "db:b"), ("db:b", "db:c")}


def test_an_alias_heard_late_joins_two_halves_of_the_graph() -> None:
    hear(run_event(inputs=[dataset("a")], outputs=[dataset("b")]))
    hear(run_event(inputs=[dataset("default.b", namespace="hive")], outputs=[dataset("c")]))
    hear(run_event(inputs=[dataset("b")], outputs=[dataset("d")]))
    assert ("hive:default.b", "db:c") in flows()
    link = {"identifiers": [{"namespace": "hive", "name": "default.b", "type": "TABLE"}]}
    hear(run_event(inputs=[], outputs=[dataset("b", symlinks=link)]))
    assert flows() == {("db:a", "db:b"), ("db:b", "db:c"), ("db:b", "db:d")}
    assert HeardDataset.objects.filter(names__address="hive:default.b").get().address == "db:b"


@pytest.mark.parametrize("how", ["DROP", "TRUNCATE"])
def test_dropping_and_truncating_is_remembered_with_its_time(how: str) -> None:
    change = {"lifecycleStateChange": how}
    hear(run_event(inputs=[dataset("a")], outputs=[dataset("b")], at="2026-11-20T10:00:00Z"))
    hear(
        run_event(
            inputs=[],
            outputs=[dataset("b", lifecycleStateChange=change)],
            at="2026-11-20T11:00:00Z",
        )
    )
    row = HeardDataset.objects.get(address="db:b")
    assert (row.emptied_how, row.emptied_at and row.emptied_at.hour) == (how, 11)
    assert HeardFlow.objects.get().last_at < row.emptied_at  # type: ignore[operator]


def test_columns_tell_data_from_influence() -> None:
    made = dataset("c", columnLineage=columns("a", ("x", "x", "IDENTITY"), ("x", "y", "INDIRECT")))
    made["facets"]["columnLineage"]["dataset"] = [
        {
            "namespace": "db",
            "name": "b",
            "field": "z",
            "transformations": [{"type": "INDIRECT", "subtype": "FILTER"}],
        }
    ]
    hear(run_event(inputs=[dataset("a"), dataset("b"), dataset("n")], outputs=[made]))
    direct = dict(HeardFlow.objects.values_list("upstream__address", "direct"))
    assert direct == {"db:a": True, "db:b": False, "db:n": True}
    flow = HeardFlow.objects.get(upstream__address="db:a")
    assert ["x", "x", "IDENTITY", False] in flow.columns


def test_a_job_that_tells_its_columns_late_is_believed_and_another_is_not_concerned() -> None:
    made = dataset("c", columnLineage=columns("a", ("x", "x", "INDIRECT")))
    hear(run_event(inputs=[dataset("a")], outputs=[dataset("c")], run="r", state="START"))
    assert HeardFlow.objects.get().direct
    hear(run_event(inputs=[dataset("a")], outputs=[made], run="r", at="2026-11-20T11:00:00Z"))
    assert not HeardFlow.objects.get().direct
    hear(run_event(inputs=[dataset("a")], outputs=[dataset("c")], job="another"))
    assert HeardFlow.objects.get().direct


def test_what_is_known_of_a_dataset_is_the_latest_and_tags_are_all() -> None:
    tag = {"tags": [{"key": "pii", "value": "true", "field": "mail"}]}
    hear(
        run_event(
            inputs=[],
            outputs=[dataset("b", schema=schema("id", "mail"), tags=tag)],
            at="2026-11-20T12:00:00Z",
        )
    )
    owned = {"owners": [{"name": "team:crm", "type": "MAINTAINER"}]}
    hear(
        run_event(
            inputs=[],
            outputs=[
                dataset(
                    "b",
                    schema=schema("id"),
                    ownership=owned,
                    mine={"x": 1},
                    datasetType={"datasetType": "model"},
                )
            ],
            at="2026-11-20T11:00:00Z",
        )
    )
    row = HeardDataset.objects.get()
    assert [name for name, _ in row.fields] == ["id", "mail"]
    assert row.tags == [["mail", "pii", "true"]]
    assert row.owners == ["team:crm (MAINTAINER)"]
    assert (row.kind, row.others) == ("MODEL", ["mine"])


def test_an_event_that_cannot_be_read_stops_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    bad = run_event(inputs=[dataset("bad")], outputs=[])
    good = run_event(inputs=[dataset("a")], outputs=[dataset("b")])
    intake.take([bad, good])
    read = openlineage.read

    def fails(plain: Any) -> Any:
        if plain["inputs"][0]["name"] == "bad":
            raise TypeError("secret@example.com")
        return read(plain)

    monkeypatch.setattr(openlineage, "read", fails)
    assert hearing.learn() == 2
    assert flows() == {("db:a", "db:b")}
    (row,) = StoredEvent.objects.exclude(error="")
    assert row.error == "cannot be read: TypeError"


def test_very_many_inputs_and_outputs_meet_in_their_job() -> None:
    inputs = [dataset(f"i{n}") for n in range(150)]
    hear(run_event(inputs=inputs, outputs=[dataset(f"o{n}") for n in range(150)]))
    assert HeardFlow.objects.count() == 300
    assert ("db:i7", "job:jobs:job") in flows()
    assert HeardDataset.objects.get(address="job:jobs:job").kind == "JOB"


@pytest.mark.shared
def test_every_sample_is_learnt_and_learnt_again_in_any_order() -> None:
    names = [p.stem for p in sorted(SAMPLES.glob("0*.json"))]
    events = [sample(name) for name in names]
    hear(*events)
    assert flows() == {
        ("bigquery:bigquery-public-data.samples.shakespeare", "file:/tmp/outputs"),
        ("bigquery:test.table.input", "bigquery:test.table.output"),
        ("file:/tmp/cll_test/cll_source1", "file:/tmp/cll_test/tbl1"),
        ("file:/tmp/cll_test/cll_source2", "file:/tmp/cll_test/tbl1"),
        ("gs://mock-bucket/copied.csv", "bigquery:mock-project.test.upload"),
        ("gs://mock-bucket/test.csv", "bigquery:mock-project.test.upload"),
        ("openlineage:dataset_a", "openlineage:dataset_b"),
    }
    before = everything()
    for seed in range(3):
        hearing.forget()
        StoredEvent.objects.all().delete()
        random.Random(seed).shuffle(events)
        for event in events:
            hear(event)
        assert everything() == before


def test_replaying_the_stored_events_gives_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    hear(run_event(inputs=[dataset("a")], outputs=[dataset("b")], at="2026-11-20T10:00:00Z"))
    hear(renamed("b", "c", "2026-11-20T11:00:00Z"))
    hear(run_event(inputs=[dataset("b")], outputs=[dataset("d")], at="2026-11-20T12:00:00Z"))
    before = everything()
    HeardFlow.objects.all().delete()
    call_command("replay_lineage")
    assert everything() == before
    assert "3 events" in capsys.readouterr().out


def test_stored_events_go_after_a_while_and_what_they_told_outlives_a_replay(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    hear(run_event(inputs=[dataset("a")], outputs=[dataset("b")], at="2020-01-01T10:00:00Z"))
    hear(renamed("b", "c", "2020-01-02T10:00:00Z"))
    hear(run_event(inputs=[dataset("c")], outputs=[dataset("d")], at="2026-11-20T12:00:00Z"))
    waits = run_event(inputs=[dataset("x")], outputs=[dataset("y")], at="2020-01-01T10:00:00Z")
    StoredEvent.objects.update(received_at=datetime(2020, 1, 2, tzinfo=UTC))
    assert intake.take([waits]).refused == []
    StoredEvent.objects.filter(processed_at=None).update(
        received_at=datetime(2020, 1, 2, tzinfo=UTC)
    )
    before = everything()
    settings.LETHE_EVENT_DAYS = 0
    assert hearing.let_go() == 0
    settings.LETHE_EVENT_DAYS = 400
    monkeypatch.setattr(hearing, "_SLICE", 1)
    assert [hearing.let_go() for _ in range(3)] == [1, 1, 0]
    # What was told lately is there still, and what nobody has learnt from yet.
    assert StoredEvent.objects.count() == 2
    StoredEvent.objects.filter(processed_at=None).delete()
    assert hearing.forget() == 1
    assert flows() == {("db:a", "db:c")}
    hearing.learn()
    assert everything() == before
    assert flows() == {("db:a", "db:c"), ("db:c", "db:d")}


def test_texts_in_which_values_may_stand_are_not_stored() -> None:
    said = "WHERE email = 'ann.archer@example.com'"
    event = run_event(inputs=[dataset("a")], outputs=[dataset("b")])
    event["job"]["facets"] = {
        "sql": {"query": f"SELECT 1 {said}", "dialect": "postgres"},
        "sourceCode": {"language": "python", "sourceCode": said},
        "other": {"kept": "as it came"},
    }
    event["run"]["facets"] = {
        "errorMessage": {"message": said, "stackTrace": said, "programmingLanguage": "JVM"},
        "extractionError": {"totalTasks": 1, "errors": [{"errorMessage": said}]},
    }
    event["inputs"][0]["inputFacets"] = {
        "dataQualityMetrics": {"rowCount": 3, "columnMetrics": {"email": {"min": said}}}
    }
    event["outputs"][0]["facets"]["dataQualityAssertions"] = {"assertions": [{"actual": said}]}
    hear(event)
    stored = intake.decoded(StoredEvent.objects.get())
    assert stored["inputs"][0]["inputFacets"]["dataQualityMetrics"] == {"rowCount": 3}
    assert said not in json.dumps(stored)
    assert stored["job"]["facets"]["sql"] == {"dialect": "postgres"}
    assert stored["job"]["facets"]["other"] == {"kept": "as it came"}
    assert flows() == {("db:a", "db:b")}


@pytest.mark.parametrize("form", ["one", "array", "lines"])
def test_events_come_from_files_too_and_a_bad_one_is_named_by_its_place(
    form: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = [run_event(inputs=[dataset("a")], outputs=[dataset(f"b{n}")]) for n in range(2)]
    path = tmp_path / "events.json"
    texts = {
        "one": json.dumps(made[0]),
        "array": json.dumps(made),
        "lines": "\n\n".join(map(json.dumps, made)) + "\n",
    }
    path.write_text(texts[form])
    for _ in range(2):
        call_command("import_lineage", str(path), format="openlineage")
    assert capsys.readouterr().out == ("1 events\n" if form == "one" else "2 events\n") * 2
    assert len(flows()) == (1 if form == "one" else 2)
    bad = {"one": "{}", "array": "[{}]", "lines": "{}\n{}"}[form]
    path.write_text(bad)
    place = {"one": "", "array": "[0]", "lines": ":1"}[form]
    with pytest.raises(CommandError) as caught:
        call_command("import_lineage", str(path), format="openlineage")
    assert str(caught.value).startswith(f"{path}{place}: eventTime: is missing")
    path.write_text("{}\nnot json")
    with pytest.raises(CommandError):
        call_command("import_lineage", str(path), format="openlineage")
    with pytest.raises(CommandError, match="cannot be read"):
        call_command("import_lineage", str(tmp_path / "absent"), format="openlineage")
