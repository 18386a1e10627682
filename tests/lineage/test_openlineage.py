"""Events as real producers emitted them: datasets, edges and columns, by name."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

import pytest

from lineage.errors import CatalogueError
from lineage.importers import facets, openlineage
from lineage.importers.facets import Column
from lineage.importers.openlineage import Event, pairs, read
from tests.lineage.events import SAMPLES, dataset, run_event, sample

pytestmark = pytest.mark.shared

ONE, TWO = "file:/tmp/cll_test/cll_source1", "file:/tmp/cll_test/cll_source2"
TABLE = "file:/tmp/cll_test/tbl1"


def edges_of(event: Event) -> list[tuple[str, str]]:
    """Every edge the event tells of, those of its columns included."""
    inputs = [told.address for told in event.datasets if told.role == "input"]
    outputs = [told.address for told in event.datasets if told.role == "output"]
    found = pairs(event.edges, inputs, outputs, event.job)
    return sorted({*found, *((column.source, target) for target, column in event.columns)})


def fields_of(event: Event) -> dict[str, list[str]]:
    return {told.address: [name for name, _ in told.facets.fields] for told in event.datasets}


def test_spark_tells_of_a_table_made_by_identity_transformation_and_aggregation() -> None:
    event = read(sample("01_spark_cll_complete"))
    assert event.key == "run:019127df-0850-72bc-b214-b255290588a6"
    assert event.parent == "019127de-fd25-7707-bfa4-3ec02693a531"
    assert fields_of(event) == {ONE: ["a", "b"], TWO: ["a", "c"], TABLE: ["ident", "trans", "agg"]}
    assert edges_of(event) == [(ONE, TABLE), (TWO, TABLE)]
    assert sorted(c for _, c in event.columns if c.how != "INDIRECT") == [
        Column("agg", TWO, "c", "AGGREGATION"),
        Column("ident", ONE, "a", "IDENTITY"),
        Column("trans", ONE, "b", "TRANSFORMATION"),
    ]
    assert len([c for _, c in event.columns if c.how == "INDIRECT"]) == 9
    (made,) = [told for told in event.datasets if told.role == "output"]
    assert made.facets.aliases == ("file:/tmp/cll_test:default.tbl1",)
    assert (made.facets.state, made.facets.others) == ("CREATE", ("dataSource",))


@pytest.mark.parametrize("name", ["02_spark_application_start", "04_airflow_dag_start"])
def test_a_run_without_datasets_is_heard_and_changes_nothing(name: str) -> None:
    event = read(sample(name))
    assert (event.kind, event.state, edges_of(event)) == ("run", "START", [])


def test_airflow_tells_of_two_files_that_became_one_table() -> None:
    event = read(sample("03_airflow_task_complete_columnlineage"))
    sources = ["gs://mock-bucket/copied.csv", "gs://mock-bucket/test.csv"]
    made = "bigquery:mock-project.test.upload"
    assert edges_of(event) == [(source, made) for source in sources]
    assert sorted(c for _, c in event.columns) == sorted(
        Column(name, source, name, "IDENTITY") for name in "abcd" for source in sources
    )


def test_spark_on_bigquery_tells_identity_aggregation_and_influence_apart() -> None:
    event = read(sample("05_spark_bigquery_columnlineage"))
    source, made = (
        "bigquery:bigquery-public-data.samples.shakespeare",
        "file:/tmp/outputs",
    )
    assert fields_of(event) == {
        source: ["word", "word_count", "corpus", "corpus_date"],
        made: ["word", "sum(word_count)"],
    }
    assert edges_of(event) == [(source, made)]
    assert sorted(c for _, c in event.columns) == [
        Column("sum(word_count)", source, "word", "INDIRECT"),
        Column("sum(word_count)", source, "word_count", "AGGREGATION"),
        Column("sum(word_count)", source, "word_count", "INDIRECT"),
        Column("word", source, "word", "IDENTITY"),
        Column("word", source, "word", "INDIRECT"),
        Column("word", source, "word_count", "INDIRECT"),
    ]


def test_a_run_id_need_not_be_a_uuid() -> None:
    event = read(sample("06_simple_run_event_nonuuid"))
    assert event.key == "run:run_id"
    assert edges_of(event) == [("bigquery:test.table.input", "bigquery:test.table.output")]


def test_a_table_that_is_read_and_written_leads_nowhere() -> None:
    event = read(sample("07_python_client_full_event"))
    assert {t.address for t in event.datasets} == {"my-datasource-namespace:instance.schema.table"}
    assert edges_of(event) == []
    assert event.at == datetime(2020, 12, 28, 19, 51, 1, 641000, tzinfo=UTC)


def test_times_without_a_zone_are_utc_wherever_the_server_stands(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        event = read(sample("09_job_event_naive_time"))
    finally:
        monkeypatch.undo()
        time.tzset()
    assert event.at == datetime(2021, 11, 3, 10, 53, 52, 427343, tzinfo=UTC)


def test_dataset_and_job_events_tell_of_what_there_is() -> None:
    static, job = (
        read(sample("08_dataset_event_naive_time")),
        read(sample("09_job_event_naive_time")),
    )
    assert static.key == "dataset:openlineage:name"
    assert fields_of(static) == {"openlineage:name": ["a", "b"]}
    assert job.key == "job:openlineage:name"
    assert edges_of(job) == [("openlineage:dataset_a", "openlineage:dataset_b")]
    assert static.at == job.at == datetime(2021, 11, 3, 10, 53, 52, 427343, tzinfo=UTC)


def test_a_run_without_run_id_is_refused() -> None:
    with pytest.raises(CatalogueError, match=r"run.runId: is missing"):
        read(sample("10_invalid_no_run_id"))


# --- facets --------------------------------------------------------------------------------------


def facet(name: str) -> dict[str, Any]:
    return sample(f"facets/{name}")


def test_columns_of_snowflake_are_data_or_influence() -> None:
    columns = facets.read(facet("columnLineage-1")).columns
    customers, discounts = "SnowflakeOpenLineage:CUSTOMERS", "SnowflakeOpenLineage:DISCOUNTS"
    assert Column("NAME", customers, "NAME", "IDENTITY") in columns
    assert Column("NAME", discounts, "CUSTOMERS_ID", "INDIRECT") in columns
    assert {c.theirs for c in columns if c.mine == "NAME" and c.how != "INDIRECT"} == {"NAME"}


def test_influence_on_the_whole_dataset_names_no_column_of_it() -> None:
    columns = facets.read(facet("columnLineage-2")).columns
    people = "s3://test-bucket/iceberg_warehouse/some-database/people"
    assert [c.theirs for c in columns if not c.mine] == ["last_name", "first_name", "age"]
    assert {c.how for c in columns if not c.mine} == {"INDIRECT"}
    assert Column("firstName", people, "first_name", "IDENTITY") in columns
    assert Column("ageNextYear", people, "age", "TRANSFORMATION") in columns


def with_lineage(name: str) -> Event:
    """An event of a job that reads and writes other tables beside what the facet names."""
    plain = run_event(inputs=[dataset("in")], outputs=[dataset("out")])
    found = facet(name)
    if "entries" in found["lineage"]:
        plain["job"]["facets"] = found
    else:
        plain["outputs"][0]["facets"] = found
    return read(plain)


WAREHOUSE = "postgres://warehouse:5432/public"
JOB = "job:airflow://production:daily"
OWN = "job:jobs:job"


@pytest.mark.parametrize(
    ("name", "edges"),
    [
        ("dataset-to-dataset", [(f"{WAREHOUSE}.customers", "db:out")]),
        ("dataset-to-job", [(f"{WAREHOUSE}.staging_orders", f"{JOB}.load")]),
        ("job-to-dataset", [(f"{JOB}.extract", f"{WAREHOUSE}.daily_summary")]),
        ("job-to-job", [(f"{JOB}.transform", f"{JOB}.load")]),
        ("implicit-job", [("postgres://production:5432/public.transactions", OWN)]),
        ("generator", [(OWN, f"{WAREHOUSE}.extracted_data")]),
        (
            "mixed-sources",
            [
                (f"{JOB}.enrichment", f"{WAREHOUSE}.enriched_orders"),
                (f"{WAREHOUSE}.orders", f"{WAREHOUSE}.enriched_orders"),
            ],
        ),
    ],
)
def test_edges_of_the_lineage_facet_stand_for_all_inputs_and_outputs(
    name: str, edges: list[tuple[str, str]]
) -> None:
    event = with_lineage(name)
    assert edges_of(event) == edges
    assert event.jobs == {end for edge in edges for end in edge if end.startswith("job:")}


def test_the_lineage_facet_names_columns_too() -> None:
    assert with_lineage("dataset-to-dataset").columns == (
        ("db:out", Column("customer_id", f"{WAREHOUSE}.customers", "id", "IDENTITY")),
    )
    assert with_lineage("generator").columns == (
        (f"{WAREHOUSE}.extracted_data", Column("total", OWN, "", "AGGREGATION")),
    )


def test_small_facets_are_read() -> None:
    assert facets.read(facet("symlinks-1")).aliases == (
        "/tmp/alter_test:default.alter_table_test_new",
    )
    renamed = facets.read(facet("lifecycle-1"))
    assert (renamed.state, renamed.previous) == ("RENAME", "file:/tmp/alter_test/alter_table_test")
    assert facets.read(facet("datasetType-1")).kind == "VIEW"
    assert facets.read(facet("tagsDataset-1")).tags == (
        ("email", "test_tag", "test_value"),
        ("", "test_tag2", "test_value2"),
    )


# --- leniency -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "broken",
    [
        {"schema": "none"},
        {"schema": {"fields": {"a": 1}}},
        {"schema": {"fields": [None, 3, {"type": "x"}, {"name": 7}]}},
        {"symlinks": {"identifiers": [{"namespace": "x"}, "y"]}},
        {"columnLineage": {"fields": {"a": {"inputFields": [{"field": "x"}, 1]}, "b": []}}},
        {"columnLineage": {"fields": [1], "dataset": {"x": 1}}},
        {"lineage": {"inputs": "all", "fields": [1]}},
        {"tags": {"tags": [{"value": "x"}, 5]}},
        {"lifecycleStateChange": {"lifecycleStateChange": 3, "previousIdentifier": "x"}},
        {"ownership": {"owners": [{"type": "x"}, "me"]}},
        {"datasetType": [], "version": 3},
    ],
)
def test_a_facet_that_is_wrong_says_nothing_and_stops_nothing(broken: dict[str, Any]) -> None:
    plain = run_event(inputs=[dataset("in")], outputs=[dataset("out", **broken)])
    assert edges_of(read(plain)) in ([("db:in", "db:out")], [])


def test_facets_that_nobody_reads_are_kept_by_name_and_deleted_ones_are_not() -> None:
    found = facets.read({"myFacet": {"x": 1}, "gone": {"_deleted": True}, "schema": {"fields": []}})
    assert found.others == ("myFacet",)


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"run": {}}, "run.runId"),
        ({"run": None}, "run.runId"),
        ({"run": {"runId": 7}}, "run.runId"),
        ({"job": None}, "job.namespace"),
        ({"job": {"namespace": "x"}}, "job.name"),
        ({"eventTime": None}, "eventTime"),
        ({"eventTime": "yesterday"}, "eventTime"),
        ({"eventTime": "0001-01-01T00:00:00+14:00"}, "eventTime"),
        ({"inputs": {}}, "inputs"),
        ({"inputs": [{"name": "x"}]}, "inputs[0].namespace"),
        ({"outputs": [{"namespace": "x", "name": " "}]}, "outputs[0].name"),
        ({"outputs": [{"namespace": "x", "name": "y" * 10_000}]}, "outputs[0].name"),
    ],
)
def test_structural_errors_are_refused_with_their_place(change: dict[str, Any], place: str) -> None:
    with pytest.raises(CatalogueError) as caught:
        read({**run_event(inputs=[], outputs=[]), **change})
    assert caught.value.place == place
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("plain", [None, 3, [], "x", {}, {"eventTime": "2026-01-01T00:00:00Z"}])
def test_what_is_no_event_is_refused(plain: Any) -> None:
    with pytest.raises(CatalogueError):
        read(plain)


def test_a_job_of_very_many_datasets_stands_between_them() -> None:
    inputs, outputs = [f"i{n}" for n in range(200)], [f"o{n}" for n in range(200)]
    assert len(pairs(None, inputs, outputs, "job:x")) == 400
    assert len(pairs(None, inputs[:10], outputs[:10], "job:x")) == 100


def test_the_module_reads_every_sample_there_is() -> None:
    names = [p.stem for p in SAMPLES.glob("[0-9]*.json")]
    heard = [name for name in sorted(names) if "invalid" not in name and read(sample(name))]
    assert len(heard) == len(names) - 1
    assert openlineage.LONGEST_NAME == 2_000
