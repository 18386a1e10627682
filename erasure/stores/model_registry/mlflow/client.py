"""MLflow's client, opened quietly, with its errors translated and without values."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import RLock
from typing import Any

from erasure.domain.errors import DriverMissing, StoreError, StoreUnreachable

PAGE = 200
_REGISTRY = "MLFLOW_REGISTRY_URI"
_lock = RLock()
GONE = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")


@dataclass(frozen=True)
class Opened:
    """A registry whose database is in reach at ``uri``; ``place`` names it in errors;
    ``artifacts``: whom MLflow asks for artifacts that a tracking server keeps."""

    client: Any
    uri: str
    place: str
    artifacts: str

    @property
    def tracking(self) -> Any:
        """MLflow's store behind the client: it alone can delete for good."""
        return self.client._tracking_client.store


def opened(name: str, uri: str, artifacts: str = "") -> Opened:
    """Raises StoreError where only a server is in reach: it has no way to delete for good."""
    if uri.startswith(("http://", "https://", "databricks")):
        raise StoreError(
            name,
            "a tracking server cannot delete for good; give the url of its database, or let its "
            "administrator run 'mlflow gc --backend-store-uri …' and retire the versions there",
        )
    with translated(name):
        try:
            from mlflow import MlflowClient
        except ImportError:
            raise DriverMissing(name, "mlflow") from None
        return Opened(MlflowClient(uri, registry_uri=uri), uri, name, artifacts or uri)


@contextmanager
def translated(place: str) -> Iterator[None]:
    """MLflow's errors as ours, without their text: it may hold names of people."""
    from sqlalchemy.exc import SQLAlchemyError

    for noisy in ("mlflow", "alembic"):
        logging.getLogger(noisy).setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its own libraries' futures
        try:
            yield
        except StoreError:
            raise
        except SQLAlchemyError as error:
            kind = type(error).__name__
            raise StoreUnreachable(place, f"its database cannot be used ({kind})") from None
        except Exception as error:
            if type(error).__module__.partition(".")[0] != "mlflow":
                raise
            raise StoreError(place, f"MLflow refuses: {code(error)}") from None


@contextmanager
def within(uri: str) -> Iterator[None]:
    """Parts of MLflow ask for the address of the process, not for that of the client: while it is
    open that is ``uri``, for one thread at a time."""
    import mlflow.tracking

    process: Any = mlflow.tracking
    with _lock:
        before = process.get_tracking_uri() if process.is_tracking_uri_set() else None
        other = os.environ.pop(_REGISTRY, None)
        try:
            process.set_tracking_uri(uri)
            yield
        finally:
            process.set_tracking_uri(before)
            if other is not None:
                os.environ[_REGISTRY] = other


def code(error: Exception) -> str:
    """MLflow's word for what went wrong."""
    return str(getattr(error, "error_code", "") or type(error).__name__)


def found(get: Callable[..., Any], *args: Any, **words: Any) -> Any:
    """What ``get`` gives, None where MLflow says that it is not there."""
    from mlflow.exceptions import MlflowException

    try:
        return get(*args, **words)
    except MlflowException as error:
        if error.error_code in GONE:
            return None
        raise


def paged(search: Callable[..., Any], **words: Any) -> Iterator[Any]:
    """Everything a search finds, page by page."""
    token = None
    while True:
        page = search(max_results=PAGE, page_token=token, **words)
        yield from page
        token = getattr(page, "token", None)
        if not token:
            return
