"""What a person is given of their data (GDPR Arts. 15 and 20), and what is left out and why. Pure.

Only rows that are the person's own, or shared by them, are handed out. In such a row stands what
is others', too: a reference to somebody who is a person of their own, and one of several
identities that the person did not give, are left out; so are means of signing in. What is left
out is named, never silently missing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time
from typing import Any

from erasure.domain.values import Many, canonical, finite
from lineage.graph import Dataset, Edge, Field, Reference, in_category

Given = Mapping[str, Collection[str]]  # identity kind → canonical values that the person gave
SECRET = "a means of signing in"  # noqa: S105 - why a field is left out
SOMEBODY = "refers to another person"
OTHERS = "a value of another person"
_FORMULA = ("=", "@", "\t", "\r")
_SIGNED = ("+", "-")
_NUMBER = re.compile(r"[+-][0-9][0-9 ()/.,-]*")
_ODD = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass(frozen=True, kw_only=True)
class Handed:
    """A dataset in an export. ``withheld``: fields that are left out, and why; ``unknown``:
    columns that nobody has classified, which are left out as well; ``shared``: rows that others
    share; ``others``: rows of others in which the person stands, which are not handed out;
    ``lines``: at most so many rows that the format of their file does not explain; ``kept``: which
    earlier case keeps these rows, until when and why."""

    dataset: Dataset
    fields: tuple[str, ...]
    withheld: Mapping[str, str] = field(default_factory=dict)
    unknown: Sequence[str] = ()
    files: Sequence[str] = ()
    rows: int = 0
    shared: int = 0
    others: int = 0
    gone: int = 0
    lines: int = 0
    unread: str = ""
    kept: str = ""


def fields_of(
    dataset: Dataset,
    references: Iterable[Reference],
    edges: Iterable[Edge],
    datasets: Mapping[str, Dataset],
) -> tuple[tuple[str, ...], dict[str, str]]:
    """The fields that are handed out, and those that are not with the reason. ``references`` and
    ``edges``: of the catalogue, and those that the search follows."""
    led = {
        name
        for edge in edges
        if edge.destination == dataset.address and edge.effect != "shallow"
        for name in edge.destination_fields
    }
    persons = {
        name
        for reference in references
        if reference.holder == dataset.address and _is_person(datasets.get(reference.target))
        for name in reference.holder_fields
    }
    withheld = {f.name: why for f in dataset.fields if (why := _why(f, persons - led))}
    return tuple(f.name for f in dataset.fields if f.name not in withheld), withheld


def _is_person(dataset: Dataset | None) -> bool:
    return dataset is not None and bool(dataset.identities)


def _why(declared: Field, persons: Collection[str]) -> str:
    if in_category(declared.categories, ("user.authorization", "system.authentication")):
        return SECRET
    return SOMEBODY if declared.name in persons else ""


def unclassified(dataset: Dataset, columns: Iterable[str]) -> tuple[str, ...]:
    """Columns of the live table that no field of the catalogue is, or is inside of."""
    known = {f.name for f in dataset.fields}
    inside = {name.partition(".")[0] for name in known}
    return tuple(name for name in columns if name not in known | inside)


def doubtful(dataset: Dataset) -> dict[str, str]:
    """Identity fields, with their kind, of which a row has several: sender and receiver."""
    kinds = [f.identity for f in dataset.identities]
    return {f.name: str(f.identity) for f in dataset.identities if kinds.count(f.identity) > 1}


def theirs(row: Mapping[str, Any], doubt: Mapping[str, str], given: Given) -> dict[str, Any]:
    """The row as it is handed out: of several identities of one kind those that they gave."""
    found = {name: plain(value) for name, value in row.items()}
    for name, kind in doubt.items():
        if row.get(name) is not None and canonical(row[name], kind) not in given.get(kind, ()):
            found[name] = f"({OTHERS}, left out)"
    return found


def plain(value: Any) -> Any:
    """As JSON: days and times in ISO 8601, decimals as text, bytes as hex."""
    if isinstance(value, Many):
        return [plain(item) for item in value.items]
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if value is None or isinstance(value, bool | int | str):
        return value
    return value if isinstance(value, float) and finite(value) else str(value)


def cell(value: Any) -> str:
    """A value of :func:`plain` in a CSV. What a spreadsheet would take for a formula gets an
    apostrophe before it; a number and a telephone number are none."""
    text = "" if value is None else value if isinstance(value, str) else _json(value)
    signed = text.startswith(_SIGNED) and not _NUMBER.fullmatch(text)
    return f"'{text}" if signed or text.startswith(_FORMULA) else text


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def file_name(number: int, address: str) -> str:
    """A name inside the archive that no program can misread, whatever the table is called."""
    return f"data/{number:03}-{_ODD.sub('_', address)[:100]}"


@dataclass(frozen=True, kw_only=True)
class Head:
    """Whose export it is, from whom, and when it was gathered."""

    case: str
    controller: str
    at: datetime


def index(parts: Sequence[Handed], head: Head) -> dict[str, Any]:
    """What is in an export, for a machine."""
    return {
        "case": head.case,
        "controller": head.controller,
        "gathered_at": head.at.isoformat(),
        "datasets": [
            {
                "name": part.dataset.address,
                "files": list(part.files),
                "rows": part.rows,
                "shared_rows": part.shared,
                "rows_of_others": part.others,
                "rows_gone_meanwhile": part.gone,
                "not_exported": not_exported(part),
                "not_read": part.unread,
                "kept_by_law": part.kept,
                "purpose": part.dataset.purpose,
                "legal_basis": part.dataset.legal_basis,
                "retention": retention(part.dataset),
                "fields": {
                    name: list(found.categories) if (found := part.dataset.get(name)) else []
                    for name in part.fields
                },
                "left_out": {**part.withheld, **dict.fromkeys(part.unknown, "not classified")},
            }
            for part in parts
        ],
    }


def not_exported(part: Handed) -> str:
    """Which rows of a dataset are left out although they name the person, and why."""
    if not part.lines:
        return ""
    count = f"{part.lines} or fewer lines" if part.lines > 1 else "1 line"
    return (
        f"{count} with the person's data, not readable in the format of the file: nobody can tell "
        "whom else they name"
    )


def retention(dataset: Dataset) -> str:
    """How long it is kept, as the catalogue says it."""
    words = [f"{name}: {text}" for name, text in sorted(dataset.retention.items())]
    return "; ".join([*([f"until {dataset.until}"] if dataset.until else []), *words])


def readme(parts: Sequence[Handed], head: Head) -> str:
    """What is in an export, for a person."""
    lines = [
        f"Your data held by {head.controller}",
        f"Case {head.case}, gathered on {head.at:%d %B %Y}",
        "",
        "Every file stands for one place where your data are kept: as JSON, exactly, and as CSV "
        "for a spreadsheet. In the CSV a text that a program would take for a formula begins with "
        "an apostrophe. index.json says the same as this file to a machine.",
        "",
        "Only rows about you are in it. Rows of other people that mention you are counted and not "
        "copied, because they are about those people, too. A text that you or others wrote may "
        "name somebody else: think of them before you hand it on.",
        "",
    ]
    for part in parts:
        lines += _told(part)
    if not parts:
        lines.append("Nothing was found.")
    return "\r\n".join(lines) + "\r\n"


def _told(part: Handed) -> list[str]:
    dataset = part.dataset
    kinds = sorted({c for n in part.fields if (f := dataset.get(n)) for c in f.categories})
    free = [n for n in dataset.free_text if n in part.fields]
    said = [
        ("files", ", ".join(part.files)),
        ("rows", f"{part.rows}" if not part.unread else ""),
        ("kept by law", part.kept),
        ("of these shared with others", f"{part.shared}" if part.shared else ""),
        ("what for", dataset.purpose),
        ("on which legal basis", dataset.legal_basis),
        ("kept", retention(dataset)),
        ("kinds of data", ", ".join(kinds)),
        ("free text, as it was written", ", ".join(free)),
        ("left out", "; ".join(f"{name} ({why})" for name, why in part.withheld.items())),
        ("left out, not classified by the controller", ", ".join(part.unknown)),
        ("rows of others in which you stand, left out", f"{part.others}" if part.others else ""),
        ("rows that went while they were read", f"{part.gone}" if part.gone else ""),
        ("NOT EXPORTED", not_exported(part)),
        ("NOT READ", part.unread),
    ]
    return [dataset.address, *(f"  {name}: {text}" for name, text in said if text), ""]
