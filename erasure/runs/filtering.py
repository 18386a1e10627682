"""The output filter of a model that is still served though people wait to be forgotten in it.

It holds answers back and erases nothing: whoever waits, waits on. The file has keyed hashes alone,
and is made anew from what the open runs keep sealed; nothing of it is stored here.
"""

from __future__ import annotations

from datetime import date, datetime, time, timedelta

from django.utils import timezone

from erasure.connect import open_store
from erasure.domain.errors import StoreError, UsageError
from erasure.models import ModelJob
from erasure.runs import case, journal, modelling
from erasure.stores.trained import TrainsModels


def ends(last: date, deadline: datetime | None, margin: timedelta, now: datetime) -> datetime:
    """The end of the day ``last``, but no later than ``margin`` before the first deadline, while
    that is to come: by then somebody has to be forgotten."""
    end = timezone.make_aware(datetime.combine(last, time.max))
    bound = deadline - margin if deadline is not None else None
    return min(end, bound) if bound is not None and bound > now else end


def file_of(model: str) -> tuple[bytes, bytes]:
    """The filter of a model, by its address, and the key under which it knows people. Raises
    UsageError where no filter was decided, StoreError where the store is away."""
    # Every process loads this module, also where the extra ``models`` is not installed.
    from erasure.unlearning import output_filter

    jobs = ModelJob.objects.filter(dataset=model, state__in=modelling.OPEN)
    filtered = jobs.exclude(filtered_until=None).order_by("filtered_until").first()
    if filtered is None or filtered.filtered_until is None:
        raise UsageError(f"{model}: no filter was decided for it; overrule its job with 'filter'")
    people: set[str] = set()
    texts: set[str] = set()
    dataset = None
    for job in jobs:  # whoever has come since waits behind the same filter
        hashes, models = modelling.people_of(job)
        people |= hashes
        for run in job.runs.all():
            if (wanted := models.get(str(run.id))) is None:
                continue
            dataset = modelling.dataset_of(job, wanted.dataset)
            opened = journal.open_needles(run, wanted.cases & case.people_of(run))
            texts |= {n.text for owned in opened.values() for n in owned if not n.coarse}
    if dataset is None:
        raise UsageError(f"{model}: nobody waits any more; serve it without the filter")
    with open_store(dataset.store) as store:
        if not isinstance(store, TrainsModels):
            raise StoreError(model, "its store trains no models")
        key = store.key_of(dataset)
    made = output_filter.made(
        model=model, until=filtered.filtered_until, people=people, texts=texts, key=key
    )
    return made, key
