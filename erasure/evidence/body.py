"""What a certificate says: its sections, and the rules a body must keep to be sealed.

The sections are the fields of a certificate of erasure that regulators and auditors ask for:
what was asked, decided, done and verified, and above all what was not erased. Figures with a
decimal point are text. Times are RFC 3339, dates ISO 8601.
"""

# No "annotations" import from __future__: it would make every key of a TypedDict a required one.
import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, NotRequired, TypedDict, get_args

from erasure.stores.base import Residue

VERSION = 1
KINDS = ("certificate", "addendum", "replay", "retention")
IDENTIFIER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
RESIDUE_WORDS = frozenset(get_args(Residue))
# A copy in one of these states still holds something of the person: it must be owned up to.
STILL_THERE = frozenset(
    {"present", "pseudonymized", "retained_until", "expires_on", "beyond_use", "blocked_until"}
)


class Issuer(TypedDict):
    """Who certifies."""

    controller: str
    establishment: NotRequired[str]
    dpo_contact: NotRequired[str]


class Tool(TypedDict):
    """With what."""

    name: str
    version: str


class Moment(TypedDict):
    """One event of the clock: received, confirmed, paused, resumed, extended, answered …"""

    event: str
    at: str


class Request(TypedDict):
    """What was asked, when, under which law."""

    id: str
    law: NotRequired[str]
    channel: NotRequired[str]
    clock: NotRequired[list[Moment]]


class Subject(TypedDict):
    """Whom it is about: a keyed pseudonym only."""

    pseudonym: str
    identifier_kinds: NotRequired[list[str]]
    category: NotRequired[str]


class IdentityCheck(TypedDict):
    """How the person was told apart from an impostor."""

    method: str
    result: str
    date: NotRequired[str]


class Exemption(TypedDict):
    """An exception of the law, used for one dataset, or for those of its fields alone."""

    dataset: str
    fields: NotRequired[list[str]]
    used_for: NotRequired[str]
    reason: str
    legal_reference: NotRequired[str]
    until: NotRequired[str | None]
    approver: NotRequired[str]


class Decision(TypedDict):
    """What was decided, by whom."""

    outcome: str
    ground: NotRequired[str]
    exceptions: NotRequired[list[Exemption]]
    decided_by: NotRequired[str]
    approved_by: NotRequired[str]


class Scope(TypedDict):
    """What was considered and searched."""

    graph_hash: str
    stores: int
    datasets: int
    fields: NotRequired[int]
    models: NotRequired[int]
    searched_without_hit: NotRequired[list[str]]


class Location(TypedDict):
    """What was done in one dataset, and how it was checked."""

    store: str
    dataset: str
    action: str
    rows: int
    residue: str
    kind: NotRequired[str]
    method: NotRequired[str]
    connector: NotRequired[str]
    operation_id: NotRequired[str]
    started_at: NotRequired[str]
    ended_at: NotRequired[str]
    until: NotRequired[str | None]
    note: NotRequired[str]
    verification: NotRequired[str]
    verified_at: NotRequired[str]
    result: NotRequired[str]
    evidence_hash: NotRequired[str]


class Backup(TypedDict):
    """A backup set that still holds the person, and until when."""

    set: str
    last_copy_until: str | None
    newest_copy: NotRequired[str | None]
    statement: NotRequired[str]
    replay: NotRequired[str]


class Model(TypedDict):
    """What happened to a trained model."""

    model: str
    action: str
    old_version: NotRequired[str | None]
    new_version: NotRequired[str | None]
    trained_on: NotRequired[str]
    assessment: NotRequired[str]
    due: NotRequired[str | None]
    audit: NotRequired[Mapping[str, Any]]


class Recipient(TypedDict):
    """Who else was told."""

    recipient: str
    told_at: NotRequired[str | None]
    channel: NotRequired[str]
    acknowledgment: NotRequired[str]


class Residual(TypedDict):
    """Something that was not erased, and why."""

    dataset: str
    rows: int
    reason: str
    until: NotRequired[str | None]


class Shared(TypedDict):
    """An equal value that stays because it is another person's own."""

    dataset: str
    rows: int
    field: NotRequired[str]
    explanation: NotRequired[str]


class Limit(TypedDict):
    """Something that the certificate cannot speak for."""

    dataset: str
    statement: str
    rows: NotRequired[int]


class Letter(TypedDict):
    """A letter that was sent."""

    template: str
    sent_at: NotRequired[str]
    version: NotRequired[str]
    hash: NotRequired[str]


class Suppression(TypedDict):
    """What recognises the person after a restore: keyed hashes only."""

    entries: int
    hash_key: NotRequired[str]


class Record(TypedDict):
    """When this record is erased itself."""

    erased_after: str | None


class Body(TypedDict):
    """A certificate of erasure. An addendum or a replay record (``amends`` names the certificate)
    needs only the first eight sections and the ones it adds; one of data past their date has no
    person, and so no ``subject``."""

    id: str
    version: int
    kind: str
    issued_at: str
    issuer: Issuer
    tool: Tool
    request: Request
    subject: NotRequired[Subject]
    amends: NotRequired[str]
    identity_check: NotRequired[IdentityCheck]
    decision: NotRequired[Decision]
    scope: NotRequired[Scope]
    locations: NotRequired[list[Location]]
    backups: NotRequired[list[Backup]]
    models: NotRequired[list[Model]]
    recipients: NotRequired[list[Recipient]]
    residual: NotRequired[list[Residual]]
    shared: NotRequired[list[Shared]]
    limits: NotRequired[list[Limit]]
    letters: NotRequired[list[Letter]]
    suppression: NotRequired[Suppression]
    record: NotRequired[Record]


ALWAYS = frozenset(Body.__required_keys__)
_PERSON = frozenset({"subject"})
# Of these a certificate has what there is to say.
_AT_WILL = frozenset({"amends", "limits"})
_CERTIFICATE_TOO = frozenset(Body.__optional_keys__) - _AT_WILL
_NEEDED: Mapping[str, frozenset[str]] = {
    "certificate": _CERTIFICATE_TOO,
    "retention": frozenset({"decision", "locations", "residual"}),
}
_ONE: Mapping[str, type] = {
    "issuer": Issuer,
    "tool": Tool,
    "request": Request,
    "subject": Subject,
    "identity_check": IdentityCheck,
    "decision": Decision,
    "scope": Scope,
    "suppression": Suppression,
    "record": Record,
}
_MANY: Mapping[str, type] = {
    "locations": Location,
    "backups": Backup,
    "models": Model,
    "recipients": Recipient,
    "residual": Residual,
    "shared": Shared,
    "limits": Limit,
    "letters": Letter,
}


def faults(body: Mapping[str, Any]) -> Iterator[str]:
    """What keeps a body from being sealed, one sentence each; nothing when it may be."""
    yield from _frame(body)
    for section, shape in _ONE.items():
        if section in body:
            yield from _item(section, body[section], shape)
    for section, shape in _MANY.items():
        if section in body:
            yield from _items(section, body[section], shape)
    yield from _claims(body)


def _frame(body: Mapping[str, Any]) -> Iterator[str]:
    needed = ALWAYS | _NEEDED.get(str(body.get("kind")), _PERSON | {"amends"})
    for section in sorted(needed - set(body)):
        yield f"the section {section} is missing."
    for section in sorted(set(body) - ALWAYS - _CERTIFICATE_TOO - _AT_WILL):
        yield f"the section {section} is unknown."
    if not IDENTIFIER.fullmatch(str(body.get("id", ""))):
        yield "the id is not a plain name of letters, digits, dots, dashes and underscores."
    if body.get("version") != VERSION:
        yield f"the version is not {VERSION}."
    if body.get("kind") not in KINDS:
        yield f"the kind is none of {', '.join(KINDS)}."
    if not _is_time(body.get("issued_at")):
        yield "the time of issue is not an RFC 3339 time with a zone."


def _is_time(value: Any) -> bool:
    try:
        return isinstance(value, str) and datetime.fromisoformat(value).tzinfo is not None
    except ValueError:
        return False


def _items(section: str, items: Any, shape: type) -> Iterator[str]:
    if not isinstance(items, list | tuple):
        yield f"the section {section} is not a list."
        return
    for number, item in enumerate(items):
        yield from _item(f"{section}[{number}]", item, shape)


def _item(place: str, item: Any, shape: type) -> Iterator[str]:
    if not isinstance(item, Mapping):
        yield f"{place} is not an object."
        return
    for key in sorted(shape.__required_keys__ - set(item)):  # type: ignore[attr-defined]
        yield f"{place} lacks {key}."
    if "residue" in item and item["residue"] not in RESIDUE_WORDS:
        yield f"the residue of {place} is not a known word."
    if "rows" in item and (type(item["rows"]) is not int or item["rows"] < 0):
        yield f"the rows of {place} are not a count."


def _claims(body: Mapping[str, Any]) -> Iterator[str]:
    """A certificate never claims more than was verified: what still stands is owned up to."""
    owned = {str(item.get("dataset")) for item in _objects(body, "residual")}
    owned |= {str(item.get("set")) for item in _objects(body, "backups")}
    for item in _objects(body, "locations"):
        known = {str(item.get("dataset")), str(item.get("store"))}
        if item.get("rows") and item.get("residue") in STILL_THERE and not owned & known:
            yield (
                f"{item.get('dataset')} still holds rows ({item['residue']}) and is named "
                "neither under residual nor under backups."
            )


def _objects(body: Mapping[str, Any], section: str) -> list[Mapping[str, Any]]:
    items = body.get(section)
    if not isinstance(items, list | tuple):
        return []
    return [item for item in items if isinstance(item, Mapping)]
