"""What a retention counts from: a field of its dataset, or a day that only people know; and where
nothing will ever go by it. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches

from lineage.errors import suggestion
from lineage.graph import Dataset
from lineage.importers.entries import Placed
from lineage.snapshot import Snapshot

# (code, place, reason, remedy), as the gate has them.
Open = tuple[str, str, str, str]
# Nobody writes a day in words like this: it was meant to be a field.
_NAME = re.compile(r"\w*_\w*|\w+(?:\.\w+)+")

# Kinds of stores whose records have no key of their own.
_KEYLESS = frozenset({"files", "logs"})
_BY_AGE = ("delete", "retain", "anonymize")


def in_words(dataset: Dataset) -> str:
    """Why no column tells when its rows are over: its retention starts with an event, in words, or
    with nothing. Empty where a field of it does, and where it has no retention."""
    starts = str(dataset.retention.get("starts", ""))
    if not dataset.retention or dataset.get(starts) is not None:
        return ""
    return f"its retention starts with '{starts or 'nothing'}', which is no column of it"


def undated(catalogue: Snapshot, decided_by_kind: frozenset[str]) -> Iterator[Open]:
    """Datasets of which nobody looks for what is over. Those in stores of the kinds named are left
    out: no column could tell."""
    kinds = {store.name: store.kind for store in catalogue.stores}
    for address, dataset in catalogue.datasets.items():
        asked = dataset.has_personal_fields and dataset.action != "ignore" and not dataset.heard
        reason = in_words(dataset)
        if asked and reason and kinds[dataset.store] not in decided_by_kind:
            yield _undated(address, dataset, reason)


def _undated(address: str, dataset: Dataset, reason: str) -> Open:
    names = [f.name for f in dataset.fields]
    period, starts = (str(dataset.retention.get(n, "")) for n in ("period", "starts"))
    if _is_name(starts, names):
        near = get_close_matches(starts, names, n=1)
        meant = near[0] if near else "…"
        remedy = f"erasure: {{retention: {{period: {period}, starts: {meant}}}}}"
        return "retention-start", address, reason, f"{remedy}  # {suggestion(starts, names)}"
    remedy = (
        f"somebody looks for what is over by hand; or erasure: {{retention: {{period: {period}, "
        "starts: …}}  # a column of it that holds a date"
    )
    return "retention-by-hand", address, reason, remedy


def unheeded(datasets: Iterable[Placed[Dataset]], kinds: Mapping[str, str]) -> Iterator[str]:
    """Retentions by which nothing will ever go, each with its place and remedy: told when they are
    written, and not first by the sweep of a night. ``kinds``: of all stores, by name."""
    for placed in datasets:
        if why := _why_not(placed.value, kinds.get(placed.value.store, "")):
            about = f"nothing of {placed.value.address} goes by its age"
            yield f"{placed.place}: retention: {about}: {why}"


def _why_not(dataset: Dataset, kind: str) -> str:
    """With the remedy; empty where its rows can go, or nobody has said from which day."""
    starts = dataset.retention.get("starts", "")
    if not starts or not dataset.has_personal_fields or dataset.action in ("", "ignore"):
        return ""
    if dataset.get(starts) is None:
        names = [f.name for f in dataset.fields]
        named = _is_name(starts, names)  # else it is a day in words, for somebody to look at
        return f"'{starts}' is no field of it; {suggestion(starts, names)}" if named else ""
    if dataset.action not in _BY_AGE:
        return f"'{dataset.action}' is nothing that is done by age; use action: delete"
    if dataset.action == "anonymize" and kind in _KEYLESS:
        return (
            "its records have no key, and cannot be told from others once they are anonymized; use "
            "action: delete, or anonymize them where they are made"
        )
    return ""


def _is_name(starts: str, fields: Sequence[str]) -> bool:
    alike = 0.8 if " " in starts else 0.6  # "the mailing" is no "email"
    return bool(_NAME.fullmatch(starts) or get_close_matches(starts, fields, 1, alike))
