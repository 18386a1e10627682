"""Reads a model registry over MLflow's own client: registered models, versions, runs and what they
logged as inputs. No parameter, metric or name of a user is kept.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from lineage.errors import CatalogueError
from lineage.graph import Dataset, StoreEntry
from lineage.importers.entries import Catalogue
from lineage.importers.mlflow_models import (
    Input,
    Trained,
    catalogue,
    columns_of,
    merged,
    named_models,
    source_of,
)

PAGE = 100
_HISTORY = "mlflow.log-model.history"


def read(
    uri: str,
    *,
    store: str = "mlflow",
    stores: tuple[StoreEntry, ...] = (),
    datasets: Mapping[str, Dataset] | None = None,
) -> Catalogue:
    """Everything registered at a tracking address. Raises CatalogueError: without the driver, and
    where the registry cannot be read."""
    place = _place(uri)
    client, failure = _client(uri, place)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of its own libraries' futures
            found = merged([*_versions(client), *_runs(client)])
    except failure as error:
        code = getattr(error, "error_code", "") or type(error).__name__
        raise CatalogueError(place, f"the registry cannot be read: {code}") from None
    return catalogue(found, place=place, store=store, stores=stores, datasets=dict(datasets or {}))


def _place(uri: str) -> str:
    """The address without a login."""
    scheme, mark, rest = uri.partition("://")
    return f"{scheme}{mark}{rest.rpartition('@')[2]}" if mark else uri


def _client(uri: str, place: str) -> tuple[Any, type[Exception]]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            from mlflow import MlflowClient
            from mlflow.exceptions import MlflowException
        except ImportError:
            message = "needs MLflow's client, which is not installed; install lethe[mlflow]"
            raise CatalogueError(place, message) from None
        logging.getLogger("mlflow").setLevel(logging.ERROR)
        logging.getLogger("alembic").setLevel(logging.ERROR)
        try:
            return MlflowClient(uri, registry_uri=uri), MlflowException
        except (MlflowException, OSError) as error:
            kind = type(error).__name__
            raise CatalogueError(place, f"the registry cannot be opened: {kind}") from None


def _paged(search: Callable[..., Any], **words: Any) -> Iterator[Any]:
    token = None
    while True:
        page = search(max_results=PAGE, page_token=token, **words)
        yield from page
        token = getattr(page, "token", None)
        if not token:
            return


def _versions(client: Any) -> Iterator[Trained]:
    for version in _paged(client.search_model_versions):
        run = _run(client, version.run_id) if version.run_id else None
        source = version.source or ""
        copied = source.startswith("models:/")
        origin = [*named_models([source]), *_by_id(source)] if copied else []
        # a copy keeps its original's tags, which speak of that
        said = [] if _is_copy(origin) else named_models((version.tags or {}).values())
        mine = f"{version.name}/{version.version}"
        model = getattr(version, "model_id", None) or (_by_id(source) or [""])[0]
        made = [] if run is None or _is_copy(origin) else _made_from(run)
        yield Trained(
            name=mine,
            run=version.run_id or "",
            model=model,
            inputs=() if _is_copy(origin) or run is None else tuple(_inputs(run)),
            made_from=tuple(n for n in (*origin, *said, *made) if n not in (mine, model)),
            copied=_is_copy(origin),
        )


def _by_id(source: str) -> list[str]:
    """``models:/m-…`` names a logged model by its id."""
    rest = source.removeprefix("models:/")
    return [rest] if source.startswith("models:/m-") and "/" not in rest else []


def _is_copy(origin: list[str]) -> bool:
    """A version copied from a version: what that was trained on is said there."""
    return any("/" in name for name in origin)


def _run(client: Any, run_id: str) -> Any:
    from mlflow.exceptions import MlflowException

    try:
        return client.get_run(run_id)
    except MlflowException as error:
        if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            return None  # purged: the version stays, and says nothing of its data
        raise


def _runs(client: Any) -> Iterator[Trained]:
    """Runs that logged a model or read data; failed ones too, since a model may be there."""
    experiments = [e.experiment_id for e in _paged(client.search_experiments)]
    for start in range(0, len(experiments), PAGE):
        part = experiments[start : start + PAGE]
        for run in _paged(client.search_runs, experiment_ids=part):
            models = _outputs(run)
            if models or _HISTORY in run.data.tags:
                yield Trained(
                    name=f"run/{run.info.run_id}",
                    run=run.info.run_id,
                    model=models[0] if models else "",
                    inputs=tuple(_inputs(run)),
                    made_from=tuple(_made_from(run)),
                )


def _outputs(run: Any) -> list[str]:
    outputs = getattr(getattr(run, "outputs", None), "model_outputs", None) or []
    return [output.model_id for output in outputs]


def _made_from(run: Any) -> list[str]:
    """What a run began with: models it logged as inputs, and those its tags and parameters name."""
    inputs = getattr(run.inputs, "model_inputs", None) or []
    named = named_models([*run.data.tags.values(), *run.data.params.values()])
    return [*(one.model_id for one in inputs), *named]


def _inputs(run: Any) -> Iterator[Input]:
    for logged in getattr(run.inputs, "dataset_inputs", None) or []:
        dataset = logged.dataset
        yield Input(
            name=dataset.name,
            source_type=dataset.source_type or "",
            source=source_of(dataset.source or ""),
            columns=columns_of(dataset.schema or ""),
        )
