"""What MLflow has no call for: rows that its deletions leave in the database, and their bytes.

The tables are MLflow's (3.x) and are looked up by name: one that is not there holds nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa

from erasure.stores.model_registry.mlflow.client import translated

_BATCH = 500
_TEXT = (sa.String, sa.Text, sa.JSON)


@contextmanager
def _connection(uri: str, *names: str) -> Iterator[tuple[sa.Connection, sa.MetaData]]:
    """A transaction on the registry's database, and its tables as they are; all without
    ``names``."""
    engine = sa.create_engine(uri, poolclass=sa.NullPool)
    try:
        with engine.begin() as connection:
            if connection.dialect.name == "sqlite":
                # what is deleted is overwritten, not only unlinked
                connection.exec_driver_sql("PRAGMA secure_delete=ON")
            tables = sa.MetaData()
            there = frozenset(sa.inspect(connection).get_table_names())
            tables.reflect(connection, only=sorted(there & set(names)) if names else None,
                           resolve_fks=False)  # fmt: skip
            yield connection, tables
    finally:
        engine.dispose()


def models_of(uri: str, runs: Sequence[str]) -> list[str]:
    """Ids of the logged models that these runs made, in whatever state."""
    return [r[0] for r in _rows_where(uri, "logged_models", "model_id", "source_run_id", runs)]


def locations(uri: str, models: Sequence[str]) -> list[str]:
    """Where the artifacts of logged models lie."""
    return [
        r[0] for r in _rows_where(uri, "logged_models", "artifact_location", "model_id", models)
    ]


def traces_of(uri: str, runs: Sequence[str], models: Sequence[str]) -> list[tuple[str, str]]:
    """(trace, experiment) of every trace that a run or a model left: inputs and answers."""
    with (
        translated("MLflow"),
        _connection(uri, "trace_info", "trace_request_metadata") as (connection, tables),
    ):
        info, said = tables.tables.get("trace_info"), tables.tables.get("trace_request_metadata")
        if info is None or said is None or not (runs or models):
            return []
        query = (
            sa.select(info.c.request_id, info.c.experiment_id)
            .join(said, said.c.request_id == info.c.request_id)
            .where(said.c.value.in_([*runs, *models]))
        )
        return [(str(a), str(b)) for a, b in connection.execute(query.distinct())]


def _rows_where(
    uri: str, table: str, wanted: str, by: str, values: Sequence[str]
) -> list[tuple[Any, ...]]:
    with translated("MLflow"), _connection(uri, table) as (connection, tables):
        found = tables.tables.get(table)
        if found is None or not values:
            return []
        query = sa.select(found.c[wanted]).where(found.c[by].in_(list(values)))
        return [tuple(row) for row in connection.execute(query)]


def forget(uri: str, ids: Sequence[str], folders: Sequence[str]) -> dict[str, int]:
    """Remove, in one transaction, the inputs and outputs of runs, models and traces, the tags of
    these, the datasets that nothing else names any more, and associations; counts by table. Rows
    of versions that were deleted no longer say in which of ``folders`` they lay."""
    done: dict[str, int] = {}
    if not ids:
        return done
    names = ("inputs", "input_tags", "datasets", "entity_associations", "model_versions",
             "model_version_tags")  # fmt: skip
    with translated("MLflow"), _connection(uri, *names) as (connection, tables):
        _forget_emptied(connection, tables, folders, done)
        if "inputs" in tables.tables:
            _forget_inputs(connection, tables, ids, done)
        links = tables.tables.get("entity_associations")
        if links is not None:
            ours = sa.or_(links.c.source_id.in_(ids), links.c.destination_id.in_(ids))
            _delete(connection, done, links, ours)
    return done


def _forget_inputs(
    connection: sa.Connection, tables: sa.MetaData, ids: Sequence[str], done: dict[str, int]
) -> None:
    inputs, tags = tables.tables["inputs"], tables.tables.get("input_tags")
    here = sa.or_(inputs.c.source_id.in_(ids), inputs.c.destination_id.in_(ids))
    gone = connection.execute(sa.select(inputs).where(here)).mappings().all()
    if tags is not None:
        uuids = [row["input_uuid"] for row in gone]
        _delete(connection, done, tags, tags.c.input_uuid.in_(uuids))
    _delete(connection, done, inputs, here)
    datasets = tables.tables.get("datasets")
    if datasets is not None:
        sources = [r["source_id"] for r in gone if r["source_type"] == "DATASET"]
        named = sa.select(inputs.c.source_id).where(inputs.c.source_type == "DATASET")
        mine = datasets.c.dataset_uuid.in_(sources)
        _delete(connection, done, datasets, mine & datasets.c.dataset_uuid.not_in(named))


def _forget_emptied(
    connection: sa.Connection, tables: sa.MetaData, folders: Sequence[str], done: dict[str, int]
) -> None:
    """Of versions that MLflow deleted and that lay in these folders: where, and their tags."""
    versions, tags = (tables.tables.get(n) for n in ("model_versions", "model_version_tags"))
    if versions is None or "storage_location" not in versions.c:
        return
    here = versions.c.storage_location.in_(folders) & (
        versions.c.current_stage == "Deleted_Internal"
    )
    for name, version in connection.execute(sa.select(versions.c.name, versions.c.version)
                                            .where(here)).all():  # fmt: skip
        if tags is not None:
            _delete(connection, done, tags, (tags.c.name == name) & (tags.c.version == version))
    connection.execute(sa.update(versions).where(here).values(storage_location=None))


def forget_version(uri: str, model: str, version: str) -> dict[str, int]:
    """Remove the tags of a deleted version, which MLflow keeps. Its row stays, emptied by MLflow,
    so that the number is not given again."""
    done: dict[str, int] = {}
    with translated("MLflow"), _connection(uri, "model_version_tags") as (connection, tables):
        tags = tables.tables.get("model_version_tags")
        if tags is not None:
            one = sa.and_(tags.c.name == model, tags.c.version == int(version))
            _delete(connection, done, tags, one)
    return done


def _delete(connection: sa.Connection, done: dict[str, int], table: sa.Table, where: Any) -> None:
    gone = connection.execute(sa.delete(table).where(where)).rowcount
    if gone:
        done[table.name] = done.get(table.name, 0) + gone


def mentions(uri: str, ids: Sequence[str]) -> list[str]:
    """Tables and columns in which an id still stands, as the database is listed anew."""
    told = []
    with translated("MLflow"), _connection(uri) as (connection, tables):
        for table in tables.sorted_tables:
            for column in table.columns:
                if not isinstance(column.type, _TEXT):
                    continue
                text = sa.cast(column, sa.Text)
                for one in ids:
                    where = text.contains(one, autoescape=True)
                    if connection.execute(sa.select(sa.literal(1)).where(where).limit(1)).first():
                        told.append(f"{table.name}.{column.name}")
                        break
    return told


def texts(uri: str) -> Iterator[tuple[str, str, str, str]]:
    """Every text in the database, streamed: table, column, row, text."""
    with translated("MLflow"), _connection(uri) as (connection, tables):
        for table in tables.sorted_tables:
            columns = [c for c in table.columns if isinstance(c.type, _TEXT)]
            keys = list(table.primary_key.columns)
            chosen = [sa.cast(c, sa.Text) for c in (*keys, *columns)]
            if not columns:
                continue
            query = sa.select(*chosen).execution_options(yield_per=_BATCH)
            for row in connection.execute(query):
                key = "/".join(str(v) for v in row[: len(keys)])
                for column, text in zip(columns, row[len(keys) :], strict=True):
                    if text:
                        yield table.name, column.name, key, text


def compact(uri: str) -> bool:
    """Overwrite what deletion has left in free pages (SQLite). Returns whether it was done; other
    databases have ways of their own, which are their administrator's."""
    engine = sa.create_engine(uri, poolclass=sa.NullPool, isolation_level="AUTOCOMMIT")
    try:
        if engine.dialect.name != "sqlite":
            return False
        with translated("MLflow"), engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
            connection.exec_driver_sql("VACUUM")
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        return True
    finally:
        engine.dispose()
