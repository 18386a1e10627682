"""What has to be built anew by somebody else's job, since no store here can do it. Pure."""

from __future__ import annotations

from erasure.domain.errors import UsageError
from lineage.graph import Dataset, StoreEntry
from lineage.schema import Inspection

# Stores of third parties may be able to.
_CANNOT = frozenset(
    {"sql", "memory", "files", "logs", "manual", "backups", "model_registry", "mlflow"}
)


def refuse_rebuild(dataset: Dataset, store: StoreEntry, inspection: Inspection) -> None:
    """Raises UsageError for the action ``rebuild`` where nothing would carry it out: found while
    planning, not with half of the case done. What was said instead is looked after: the search
    after the deletes reads copies as well, and a case is not finished while one holds a value."""
    if dataset.action != "rebuild" or store.kind not in _CANNOT:
        return
    names = (f"{dataset.schema}.{dataset.name}", dataset.name)
    kind = next((inspection.views[n] for n in names if n in inspection.views), "")
    if kind:
        raise UsageError(
            f"{dataset.address}: 'rebuild' cannot be carried out, it is a {kind}; name it in the "
            "store's option `refresh`, which builds it anew after the deletes, and declare "
            "`action: ignore` with `because`: it is searched by value after that"
        )
    raise UsageError(
        f"{dataset.address}: 'rebuild' cannot be carried out, nothing here builds it; declare "
        "`action: ignore` with `because` naming the job that does: it is searched by value after "
        "the deletes, and the case waits until the job ran and it is tried again"
    )
