"""A version of a model that was taken out of service comes back: somebody has decided that it may
be used after all."""

from __future__ import annotations

from django.db.models import QuerySet

from erasure.connect import open_store
from erasure.domain.errors import UsageError, WrongState
from erasure.domain.roles import Actor, deed
from erasure.domain.saying import said
from erasure.domain.states import SETTLED
from erasure.evidence import ledger
from erasure.models import ErasureRequest, ModelWait
from erasure.runs import owners, promoting, quarantining
from erasure.stores.trained import TrainsModels
from lineage import selectors


@deed("overrule")
def release(address: str, version: str, *, by: Actor, because: str) -> None:
    """It can be loaded again, and is served where nothing else is. Raises UsageError without a
    reason or a model, WrongState while somebody waits to be forgotten in it, StoreError where it
    is not out of service or holds somebody who was forgotten."""
    because = said(because, f"{address}: say why it may be used again")
    dataset = selectors.dataset(address)
    if _is_waited_for(address):
        raise WrongState(f"{address}: people wait to be forgotten in it; decide about them first")
    with open_store(dataset.store) as store:
        if not isinstance(store, TrainsModels):
            raise UsageError(f"{address}: is no model of a registry")
        store.release(dataset, version)
        promoting.back(store, dataset, version)
    told = {"model": address, "version": version, "by": by, "because": because}
    ledger.record("model_released", told)
    words = f"{address}: version {version} may be used again: {because}"
    owners.tell(dataset, "is back in service", words)


def _is_waited_for(address: str) -> bool:
    """Whether a case is open whose person is in the model, or in one that it derives from."""
    waits = ModelWait.objects.filter(run__requests__in=_open())
    origins = set(waits.values_list("dataset", flat=True))
    return address in origins or any(
        address == dataset.address
        for origin in origins
        for dataset in quarantining.downstream(origin)
    )


def _open() -> QuerySet[ErasureRequest]:
    return ErasureRequest.objects.exclude(state__in=SETTLED)
