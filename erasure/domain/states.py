"""The states of requests, plans, runs and their parts, and the only moves between them.

Request statuses are those of LAW.md, as far as the flow reaches them today.
"""

from __future__ import annotations

from collections.abc import Mapping

Table = Mapping[str, frozenset[str]]


def _table(**moves: str) -> Table:
    return {state: frozenset(targets.split()) for state, targets in moves.items()}


REQUEST = _table(
    received="confirmed identity_required identified refused withdrawn duplicate forwarded",
    confirmed="identity_required identified refused withdrawn duplicate forwarded",
    identity_required="confirmed identified unidentifiable refused withdrawn duplicate forwarded",
    identified="planned gathering no_data blocked awaiting_rescan identity_required refused "
    "withdrawn duplicate forwarded answered",
    planned="approved identified no_data identity_required refused withdrawn duplicate forwarded",
    gathering="answered identified no_data identity_required refused withdrawn duplicate forwarded",
    approved="executing identified blocked withdrawn",
    executing="verifying identified blocked",
    verifying="completed partly_granted awaiting_copies awaiting_rescan awaiting_window executing "
    "blocked",
    blocked="identified executing verifying undoing awaiting_rescan identity_required refused "
    "withdrawn duplicate forwarded",
    awaiting_window="undoing completed partly_granted awaiting_copies awaiting_rescan",
    undoing="undone awaiting_window blocked",
    undone="reopened",
    awaiting_rescan="awaiting_copies partly_granted completed blocked",
    awaiting_copies="partly_granted completed blocked",
    partly_granted="completed awaiting_copies reopened",
    completed="reopened",
    answered="reopened",
    no_data="reopened",
    refused="reopened",
    unidentifiable="reopened",
    withdrawn="reopened",
    duplicate="",
    forwarded="",
    reopened="confirmed identity_required identified refused withdrawn",
)
PLAN = _table(draft="approved stale", approved="stale carried_out", stale="", carried_out="")
RUN = _table(
    opened="acting abandoned blocked",
    acting="settling blocked",
    settling="acting models blocked",
    models="verifying blocked",
    verifying="finished blocked",
    blocked="acting models verifying abandoned",
    abandoned="",
    finished="",
)
STORE_RUN = _table(pending="done blocked", blocked="pending", done="pending")
BATCH = _table(found="intent", intent="done", done="")
MODEL_JOB = _table(
    queued="running done cancelled",
    running="done blocked quarantined queued proposed window",
    proposed="running blocked",
    window="running blocked",
    blocked="queued cancelled",
    quarantined="queued cancelled",
    cancelled="queued",
    done="",
)
LETTER = _table(
    drafted="sending by_hand",
    sending="sent blocked",
    blocked="sending by_hand",
    sent="",
    by_hand="",
)

CALL = _table(queued="sent blocked", sent="", blocked="")
EXPORT = _table(
    ordered="ready blocked destroyed",
    blocked="ordered destroyed",
    ready="handed_over destroyed",
    handed_over="destroyed",
    destroyed="",
)

# Rows whose retention has run out, without a request.
EXPIRY = _table(
    planned="approved stale declined",
    approved="executing stale blocked declined",
    executing="completed blocked stale",
    blocked="approved executing declined",
    completed="",
    stale="",
    declined="",
)

COMPLAINT = _table(
    received="acknowledged answered withdrawn",
    acknowledged="answered withdrawn",
    answered="",
    withdrawn="",
)

# Nothing is left to do by itself in these; a person or a date moves them on.
SETTLED = frozenset(
    {
        "completed",
        "partly_granted",
        "awaiting_copies",
        "awaiting_rescan",
        "no_data",
        "answered",
        "refused",
        "unidentifiable",
        "withdrawn",
        "duplicate",
        "forwarded",
        "undone",
    }
)
# The case is decided, but some of its rows or copies go by a date of their own.
WAITING = frozenset({"partly_granted", "awaiting_copies", "awaiting_rescan"})
# The live data are gone (or the case ended): who asks again opens a new case. While it can still
# be undone nothing is settled, and the clock of the law goes on.
CLOSED = (SETTLED - {"awaiting_rescan"}) | {"awaiting_window"}
