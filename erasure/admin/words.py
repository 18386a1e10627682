"""Words instead of codes: what the desk says where the database has a state or a kind."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from erasure.domain.errors import UsageError
from erasure.domain.identity import GATHERED, HANDLED
from erasure.domain.keeping import REASONS
from erasure.domain.retention import parse_until, period_words
from erasure.domain.roles import SYSTEM
from erasure.evidence.report import RESIDUE_IN_WORDS

# state → what an officer reads, and the tone of its badge: who has to do something?
STATES: Mapping[str, tuple[str, str]] = {
    "received": ("Received, identity not checked", "decide"),
    "confirmed": ("Mailbox confirmed", "decide"),
    "identity_required": ("Waiting for proof of identity", "decide"),
    "identified": ("Being planned", "running"),
    "planned": ("Waiting for approval", "decide"),
    "gathering": ("Copy to be handed over", "decide"),
    "approved": ("Approved, starting", "running"),
    "executing": ("Being erased", "running"),
    "verifying": ("Being checked", "running"),
    "blocked": ("Blocked", "stop"),
    "awaiting_window": ("Erased, can still be undone", "running"),
    "undoing": ("Being undone", "running"),
    "undone": ("Undone, put back", "ended"),
    "completed": ("Erased and verified", "done"),
    "partly_granted": ("Erased, except what the law keeps", "done"),
    "awaiting_copies": ("Erased, copies still expire", "done"),
    "awaiting_rescan": ("Erased, deep re-scan is due", "done"),
    "answered": ("Answered", "done"),
    "no_data": ("Nothing known of this person", "ended"),
    "refused": ("Refused", "ended"),
    "unidentifiable": ("Cannot be identified", "ended"),
    "withdrawn": ("Withdrawn", "ended"),
    "duplicate": ("Asked twice, goes on in the other case", "ended"),
    "forwarded": ("Forwarded to whom it concerns", "ended"),
    "reopened": ("Reopened", "decide"),
}
_BY_HAND = ("To be answered by hand", "decide")
_COPIED = ("Copy handed over", "done")
# What a move to a state means in the history, where that is not the name of the state.
_MOVES: Mapping[str, str] = {
    "reopened": "Reopened",
    "identified": "To be planned again",
    "planned": "Plan made",
    "gathering": "Places found; a copy is gathered",
    "approved": "Plan approved",
    "executing": "Run begun",
    "verifying": "Carried out; check begun",
    "undoing": "Undo decided",
}
RIGHTS: Mapping[str, str] = {
    "erasure": "Erasure",
    "access": "Access",
    "portability": "Portability",
    "rectification": "Rectification",
    "restriction": "Restriction",
    "objection": "Objection",
}
LAWS: Mapping[str, str] = {
    "gdpr": "GDPR (European Union), one month",
    "uk": "UK GDPR, one month",
    "ccpa": "CCPA (California), 45 days",
    "lgpd": "LGPD (Brazil), 15 days",
}
COMPLAINTS: Mapping[str, tuple[str, str]] = {
    "received": ("Received", "decide"),
    "acknowledged": ("Receipt confirmed", "decide"),
    "answered": ("Answered", "done"),
    "withdrawn": ("Withdrawn", "ended"),
}
EXPIRIES: Mapping[str, tuple[str, str]] = {
    "planned": ("Waiting for approval", "decide"),
    "approved": ("Approved, starting", "running"),
    "executing": ("Being erased", "running"),
    "blocked": ("Blocked", "stop"),
    "completed": ("Erased and asked again", "done"),
    "stale": ("Overtaken by another plan", "ended"),
    "declined": ("Left for now", "ended"),
}
VERDICTS: Mapping[str, str] = {
    "upheld": "upheld",
    "partly_upheld": "upheld in part",
    "not_upheld": "not upheld",
}
ASKERS: Mapping[str, str] = {
    "self": "The person",
    "agent": "An agent of the person",
    "guardian": "A parent or guardian",
}
DOORS: Mapping[str, str] = {
    "phone": "By phone",
    "post": "By post",
    "person": "In person",
    "email": "By email",
}
CHANNELS: Mapping[str, str] = {
    **{code: words.lower() for code, words in DOORS.items()},
    "api": "API",
    "console": "console",
    "desk": "this desk",
    "demo": "demo",
    "replay": "after a restore",
}
KINDS: Mapping[str, str] = {
    "sql": "database",
    "files": "files",
    "logs": "logs",
    "backups": "backups",
    "model_registry": "trained models",
    "mlflow": "trained models",
    "manual": "told by hand",
    "memory": "memory",
}
# As the flow names what it was given, and as the pages do.
FIELDS: Mapping[str, str] = {
    "advice": "Opinion",
    "balance": "Prevailing",
    "because": "Because",
    "code": "Reason",
    "dataset": "Dataset",
    "fields": "Only these fields",
    "ground": "Ground",
    "identifiers": "What the person gives now",
    "legal_reference": "Provision",
    "mandate": "Mandate",
    "matter": "Matter",
    "method": "Checked by",
    "most_rows": "At most so many rows in a day",
    "not_before": "Plan nothing here before",
    "proves": "This proves as theirs",
    "until": "Last day",
    "whose": "Prevailing",
}
_ACTIONS: Mapping[str, str] = {
    "delete": "Delete",
    "anonymize": "Anonymise, the row stays",
    "retain": "Keep: the law asks for it",
    "redact": "Black out the person's values",
    "restrict": "Restrict",
    "rewrite": "Rewrite without the person",
    "shred": "Destroy the key",
    "expire": "Let the copies expire",
    "rebuild": "Build anew without the person",
    "unlearn": "Unlearn the person",
    "retrain": "Retrain without the person",
    "retire": "Retire the old version",
    "notify": "Tell the recipient by hand",
    "manual": "Do by hand",
}
ON_HOLD = "Leave until the hold is released"
# How the rows were reached says more than the action where they are not the person's own.
_VIAS: Mapping[str, str] = {
    "mention": "Black out the person in other people's text",
    "shallow": "Cut the reference, the row stays",
}
_HOPS: Mapping[str, str] = {
    "(deep)": "",
    "(shallow)": "– only the reference",
    "(refcount)": "– shared with others",
    "(backed_up)": "– backed up",
    "(trained)": "– trained into",
    "(exported)": "– exported",
    "(logged)": "– logged",
    "(derived)": "– derived",
}
_MACHINES = {"ErasureRequest": STATES, "Complaint": COMPLAINTS, "Expiry": EXPIRIES}
_MOVED = re.compile(
    r"^(?P<kind>\w+) [0-9a-f-]{36}: (?:(?P<cannot>cannot go from )|is no longer )(?P<old>\w+)"
    r"(?: to \w+|; somebody else moved it)$"
)
_IS = re.compile(rf"^is ({'|'.join(STATES)})([;,])")
_CODES = re.compile(r"\b(?:" + "|".join(code for code in REASONS if "_" in code) + r")\b")
_DATED = re.compile(
    r"(?<![\w=/.:-])\d{4}-\d\d-\d\d"
    r"(?P<time>[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:\d\d)?)?(?![\w/=-]|\.\w)"
)


def badge(state: str, right: str = "erasure") -> SafeString:
    """A state in words, with the tone that says whose turn it is."""
    words, tone = STATES.get(state, (state.replace("_", " "), "ended"))
    if state == "identified" and right not in HANDLED:
        words, tone = _BY_HAND
    if state == "answered" and right in GATHERED:
        words, tone = _COPIED
    return format_html('<span class="badge badge-{}">{}</span>', tone, words)


def state(code: str) -> str:
    """A request's state in words."""
    return STATES.get(code, (code.replace("_", " "), ""))[0]


def happened(before: str, after: str) -> str:
    """A move of a request's state in words."""
    if after == "identified" and before in ("received", "confirmed"):
        return "Identity checked"
    if (before, after) == ("gathering", "answered"):
        return _COPIED[0]
    return _MOVES.get(after) or state(after)


def who(name: str) -> str:
    """Who did something; what nobody did is done by the application."""
    return "Lethe" if name == SYSTEM else name


def day(at: date) -> str:
    """A day as it stands everywhere at the desk; of a moment, the controller's."""
    return f"{timezone.localdate(at) if isinstance(at, datetime) else at:%d %b %Y}"


def moment(at: datetime) -> str:
    """A moment as it stands everywhere at the desk."""
    return f"{timezone.localtime(at):%d %b %Y, %H:%M %Z}"


def plainly(text: Any) -> str:
    """A sentence of the flow's, its days and reason codes as they stand at the desk. What stands in
    a name, as a partition of a lake does, is no day."""
    said = _CODES.sub(lambda code: plain(code[0]), str(text))
    return _DATED.sub(_dated, said)


def _dated(found: re.Match[str]) -> str:
    try:
        at = datetime.fromisoformat(found[0])
    except ValueError:
        return found[0]
    return moment(at) if found["time"] and at.tzinfo else day(at.date())


def sentence(text: str) -> str:
    """Words as a sentence; the name of a place at its beginning is left as it is."""
    named = "." in text.partition(" ")[0]
    return f"{text if named else text[:1].upper() + text[1:]}".rstrip(".") + "."


def refused(error: object, one: object) -> str:
    """What was refused and why, a field by its name on the page; ``one``: what the page is about,
    which need not be named there."""
    text = plainly(error).removeprefix(f"request {one}: ")
    text = _MOVED.sub(_not_moved, text)
    text = _IS.sub(lambda found: f"it is “{state(found[1])}”{found[2]}", text)
    field, colon, why = text.partition(": ")
    return f"{FIELDS[field]}: {why.rstrip('.')}." if colon and field in FIELDS else sentence(text)


def _not_moved(found: re.Match[str]) -> str:
    """What the machine of states refused, by the words of the badge."""
    known = _MACHINES.get(found["kind"], {})
    said = known[found["old"]][0] if found["old"] in known else plain(found["old"])
    if found["cannot"]:
        return f"it is “{said}”; that cannot be done now"
    return f"it is no longer “{said}”: somebody was faster; look at it again"


def until(rule: str | None) -> str:
    """An ``until`` of the catalogue in words: ``8 years after issued_on``."""
    try:
        found = parse_until(rule) if rule else None
    except UsageError:
        return str(rule)
    return plainly(found.words) if found else ""


def retention(rule: str) -> str:
    """A retention in words: ``8 years after issued_on``."""
    period, after, starts = rule.partition(" after ")
    return f"{period_words(period)}{after}{starts}"


def plain(code: str) -> str:
    """A code as words."""
    return code.replace("_", " ")


def deed(action: str, via: str) -> str:
    """What a step does."""
    if via == "refcount":
        return f"{_ACTIONS.get(action, action)}, if nobody else refers to it"
    return _VIAS.get(via) or _ACTIONS.get(action, action)


def hop(text: Any) -> str:
    """One hop of a path, its effect in words."""
    start, bracket, effect = str(text).rpartition(" (")
    if not bracket:
        return str(text)
    return f"{start} {_HOPS.get(f'({effect}', f'({effect}')}".rstrip()


def residue(code: str) -> str:
    """What is left of the person in one place afterwards."""
    words = RESIDUE_IN_WORDS.get(code, code.replace("_", " "))
    return words[:1].upper() + words[1:]


def right(code: str) -> str:
    """What a person asks for."""
    return RIGHTS.get(code, code.capitalize())


def channel(code: str) -> str:
    """How a request came in."""
    return CHANNELS.get(code, code)


def law(code: str) -> str:
    """The law a request is made under, with its time to answer."""
    return LAWS.get(code, code.upper())


def kind(code: str) -> str:
    """What sort of store it is."""
    return KINDS.get(code, code.replace("_", " "))
