"""What the facets of an OpenLineage dataset say, read leniently: a facet that is not what it should
be says nothing, and never stops the event. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from lineage.naming import canonical

# A field tagged with one of these is personal, whatever else is known of it.
PERSONAL_TAGS = frozenset(
    ["pii", "personal", "personal_data", "personaldata", "gdpr", "sensitive", "phi", "spi"]
)
_NO = frozenset(["false", "no", "0", "none"])
_MOST_FIELDS = 5_000
_MOST_COLUMNS = 20_000
_DEPTH = 20
_READ = frozenset(
    [
        *("schema", "symlinks", "columnLineage", "lineage", "tags", "version"),
        *("lifecycleStateChange", "ownership", "datasetType"),
    ]
)
State = Literal["", "DROP", "TRUNCATE", "RENAME", "CREATE", "ALTER", "OVERWRITE"]


class Column(NamedTuple):
    """``mine`` was made from the field ``theirs`` of the dataset at ``source``. ``mine`` is empty
    where the whole dataset was influenced, ``theirs`` where no field is named. ``how``: IDENTITY,
    TRANSFORMATION or AGGREGATION (data flows), or INDIRECT (it only decided which rows)."""

    mine: str
    source: str
    theirs: str
    how: str
    masking: bool = False


@dataclass(frozen=True, kw_only=True)
class Facets:
    """What is known of a dataset. ``fields``: (name, type), nested ones as dotted paths.
    ``tags``: (field or empty, key, value). ``others``: names of facets that are kept unread."""

    fields: tuple[tuple[str, str], ...] = ()
    tags: tuple[tuple[str, str, str], ...] = ()
    owners: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    columns: tuple[Column, ...] = ()
    kind: str = ""
    version: str = ""
    state: State = ""
    previous: str = ""
    others: tuple[str, ...] = ()


def mapping(value: Any) -> Mapping[str, Any]:
    """The value where it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def listed(value: Any) -> list[Any]:
    """The value where it is an array, else an empty one."""
    return value if isinstance(value, list) else []


def text(value: Any) -> str:
    """The value where it is a text that a database takes, else an empty one."""
    if not isinstance(value, str):
        return ""
    # Half a surrogate pair and a NUL are valid JSON, and no database stores them.
    whole = value if value.isascii() else value.encode("utf-8", "replace").decode()
    return whole.replace("\x00", "")


def address_of(item: Any) -> str:
    """The canonical address of something with namespace and name; empty where it has none."""
    one = mapping(item)
    namespace, name = text(one.get("namespace")), text(one.get("name"))
    return canonical(namespace, name) if namespace and name else ""


def read(facets: Any) -> Facets:
    """Everything the facets of one dataset say; a facet that was deleted says nothing."""
    there = {
        name: facet
        for name, facet in mapping(facets).items()
        if isinstance(facet, dict) and facet.get("_deleted") is not True
    }
    kind = mapping(there.get("datasetType"))
    change = mapping(there.get("lifecycleStateChange"))
    return Facets(
        fields=tuple(_fields(mapping(there.get("schema")).get("fields"))),
        tags=tuple(_tags(there)),
        owners=tuple(_owners(there)),
        aliases=tuple(_aliases(there)),
        columns=tuple(column_lineage(there.get("columnLineage"))),
        kind=text(kind.get("datasetType")).upper(),
        version=text(mapping(there.get("version")).get("datasetVersion")),
        state=text(change.get("lifecycleStateChange")).upper(),  # type: ignore[arg-type]  # an unknown one has no effect
        previous=address_of(change.get("previousIdentifier")),
        others=tuple(sorted(set(map(text, there)) - _READ)),
    )


def _fields(items: Any) -> Iterator[tuple[str, str]]:
    waiting = [(item, "", 0) for item in reversed(listed(items)[:_MOST_FIELDS])]
    count = 0
    while waiting and count < _MOST_FIELDS:
        item, prefix, depth = waiting.pop()
        name = text(mapping(item).get("name"))
        if not name:
            continue
        count += 1
        path = f"{prefix}{name}"
        yield path, text(item.get("type"))
        if depth < _DEPTH:
            inner = listed(item.get("fields"))[:_MOST_FIELDS]
            waiting += [(one, f"{path}.", depth + 1) for one in reversed(inner)]


def _tags(facets: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    for tag in listed(mapping(facets.get("tags")).get("tags")):
        key = text(mapping(tag).get("key"))
        if key:
            yield text(tag.get("field")), key, text(tag.get("value"))
    # Fields may carry tags of their own in the schema.
    for item in listed(mapping(facets.get("schema")).get("fields")):
        for tag in listed(mapping(item).get("tags")):
            key = text(mapping(tag).get("key")) or text(tag)
            if key:
                yield text(item.get("name")), key, text(mapping(tag).get("value"))


def is_personal(key: str, value: str) -> bool:
    """True for a tag that says of a field that it is about people."""
    word = key.strip().lower().replace("-", "_").replace(" ", "_")
    return word in PERSONAL_TAGS and value.strip().lower() not in _NO


def _owners(facets: Mapping[str, Any]) -> Iterator[str]:
    for owner in listed(mapping(facets.get("ownership")).get("owners")):
        name, kind = text(mapping(owner).get("name")), text(mapping(owner).get("type"))
        if name:
            yield f"{name} ({kind})" if kind else name


def _aliases(facets: Mapping[str, Any]) -> Iterator[str]:
    for item in listed(mapping(facets.get("symlinks")).get("identifiers")):
        address = address_of(item)
        if address:
            yield address


def column_lineage(facet: Any) -> Iterator[Column]:
    """The columns of a columnLineage facet, those of its ``dataset`` part included."""
    count = 0
    for mine, entry in mapping(mapping(facet).get("fields")).items():
        usual = text(mapping(entry).get("transformationType")).upper()
        for source in listed(mapping(entry).get("inputFields")):
            for column in columns_from(text(mine), source, usual):
                count += 1
                if count > _MOST_COLUMNS:
                    return
                yield column
    for source in listed(mapping(facet).get("dataset"))[:_MOST_COLUMNS]:
        yield from columns_from("", source, "")


def columns_from(mine: str, source: Any, usual: str = "") -> Iterator[Column]:
    """A column per way in which one input field went into ``mine``. ``usual``: the word of the
    facet's older form, for inputs that say nothing of their own."""
    address = address_of(source)
    theirs = text(mapping(source).get("field"))
    if not address:
        return
    ways = [mapping(way) for way in listed(mapping(source).get("transformations")) if way]
    if not ways:
        yield Column(mine, address, theirs, *_usual(mine, usual))
        return
    for how, masking in sorted({_way(way) for way in ways}):
        yield Column(mine, address, theirs, how, masking)


def _way(way: Mapping[str, Any]) -> tuple[str, bool]:
    masking = way.get("masking") is True
    subtype = text(way.get("subtype")).upper()
    if text(way.get("type")).upper() == "INDIRECT":
        return "INDIRECT", masking
    if subtype == "AGGREGATION":
        return "AGGREGATION", masking
    # What is masked is another value, and still about the person: masking is not erasure.
    return ("IDENTITY" if subtype == "IDENTITY" and not masking else "TRANSFORMATION"), masking


def _usual(mine: str, word: str) -> tuple[str, bool]:
    if not mine:
        return "INDIRECT", False
    masked = word == "MASKED"
    return ("IDENTITY" if word == "IDENTITY" else "TRANSFORMATION"), masked
