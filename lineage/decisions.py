"""Records what a person decided for a dataset that only lineage events know."""

from __future__ import annotations

from datetime import date

from django.db import transaction

from lineage import revision
from lineage.errors import CatalogueError, suggestion
from lineage.event_models import CHOICES, Decision, HeardDataset, HeardName


def decide(address: str, *, choice: str, because: str, by: str, on: date) -> Decision:
    """Rebuild it without the person, it was assessed anonymous on that day, or drop it. The newest
    decision stands. Raises CatalogueError for an unknown dataset or without a reason."""
    name = HeardName.objects.filter(address=address, until=None).select_related("dataset").first()
    if name is None:
        known = HeardDataset.objects.exclude(kind="JOB").values_list("address", flat=True)
        raise CatalogueError(
            address[:300], f"no lineage event told of it; {suggestion(address, known[:10_000])}"
        )
    if choice not in CHOICES:
        raise CatalogueError(address, f"cannot be '{choice[:50]}'; choose {', '.join(CHOICES)}")
    if not because.strip() or not by.strip():
        raise CatalogueError(address, "a decision needs a reason, and who took it")
    values = {"choice": choice, "because": because, "by": by[:150], "decided_on": on}
    with transaction.atomic():
        row, _ = Decision.objects.update_or_create(address=name.dataset.address, defaults=values)
        revision.renew_heard()
    return row
