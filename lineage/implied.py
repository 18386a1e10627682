"""Derivations that follow from others and that no file says: what is made from a view, or from
whatever else nothing is done to, is made from its tables.

A walk goes on through a dataset that is ignored, but no row of it is ever looked for: keys have to
come from where it has them.
"""

from __future__ import annotations

from django.db.models import Q

from lineage import graph, models
from lineage.adjacency import led_back

_COLUMNS = models.DERIVATION_COLUMNS


def imply_through_ignored() -> tuple[list[graph.Derivation], list[graph.Derivation]]:
    """Bring the implied derivations up to date; those that are new, and those that have gone.

    One that a file declares is left alone, whatever it says of columns.
    """
    implied = models.Derivation.objects.filter(implied=True).exclude(kind="backed_up")
    before = {
        _key(one): one for one in map(models.derivation_entry, implied.values_list(*_COLUMNS))
    }
    after = {_key(one): one for one in _wanted()}
    gone = [one for key, one in before.items() if after.get(key) != one]
    fresh = [one for key, one in after.items() if before.get(key) != one]
    for one in gone:
        implied.filter(
            upstream__address=one.upstream, downstream__address=one.downstream, kind=one.kind
        ).delete()
    names = {address for one in fresh for address in (one.upstream, one.downstream)}
    rows = models.Dataset.objects.filter(address__in=names).values_list("address", "pk")
    keys = dict(rows) if fresh else {}
    models.Derivation.objects.bulk_create(
        models.Derivation(
            upstream_id=keys[one.upstream],
            downstream_id=keys[one.downstream],
            kind=one.kind,
            columns=dict(one.columns),
            implied=True,
        )
        for one in fresh
    )
    return fresh, gone


def _wanted() -> list[graph.Derivation]:
    """Only what touches an ignored dataset can lead through one."""
    ignored = Q(upstream__action="ignore") | Q(downstream__action="ignore")
    rows = models.Derivation.objects.filter(ignored, implied=False).order_by(*_COLUMNS[:3])
    passed = set(models.Dataset.objects.filter(action="ignore").values_list("address", flat=True))
    found = led_back(map(models.derivation_entry, rows.values_list(*_COLUMNS)), passed)
    declared = models.Derivation.objects.filter(implied=False)
    there = set(declared.values_list(*_COLUMNS[:3])) if found else set()
    return [one for one in found if _key(one) not in there]


def _key(one: graph.Derivation) -> tuple[str, str, str]:
    return (one.upstream, one.downstream, one.kind)
