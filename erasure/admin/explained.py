"""How a plan explains itself on the desk: what it sets off, what stays, and how a step is done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from erasure.flow import decide
from erasure.models import Plan, PlanStep

_TICKS: Mapping[str, str] = {
    "cascade": "Rows of {place} go along",
    "set_null": "References in {place} are emptied",
    "set_default": "References in {place} get their default",
    "trigger": "The trigger {name} on {place} runs",
    "people": "The rows of {place} are one person's; I have made sure",
    "many": "So many rows are this person's; I have made sure",
}
_KINDS: Mapping[str, str] = {
    "cascade": "Rows go along",
    "set_null": "References are emptied",
    "set_default": "References get their default",
    "trigger": "A trigger runs",
    "people": "Several people?",
    "many": "Very many rows",
}
_NOTHING_STAYS = "nothing"


@dataclass(frozen=True, kw_only=True)
class FindingShown:
    """Something that has to be accepted with a plan: ``rows`` says how many, ``tick`` what an
    officer accepts, ``accepted`` by whom and when it was, empty until then."""

    code: str
    kind: str
    place: str
    rows: str
    words: str
    remedy: str
    tick: str
    accepted: str = ""
    asked: bool = False


@dataclass(frozen=True, kw_only=True)
class How:
    """How a store carries a step out."""

    statement: str
    size: str
    index: Sequence[str]
    locks: str
    stays: str
    beside: Sequence[str] = field(default_factory=tuple)


@dataclass(frozen=True, kw_only=True)
class Staying:
    """What is left, and where."""

    datasets: str
    words: str


def findings(plan: Plan, steps: Sequence[PlanStep]) -> list[FindingShown]:
    """Everything to be accepted with a plan, what has still to be accepted first."""
    entries = {e["code"]: e for e in plan.accepted} or decide.remembered(plan)
    asked = {f["code"] for f in decide.to_accept(plan)} if plan.state == "draft" else set()
    done = any(step.rows is not None for step in steps)
    shown = []
    for finding in plan.findings:
        code = finding["code"]
        along = done and finding["kind"] not in ("people", "many")
        rows = _rows(sum(s.along.get(code, 0) for s in steps) if along else finding["rows"])
        when = "went along" if along else "when it was planned"
        counted = f"{rows} {when}" if finding["rows"] is not None else ""
        shown.append(_finding(finding, counted, entries.get(code), code in asked))
    return sorted(shown, key=lambda one: not one.asked)


def _rows(count: int | None) -> str:
    return f"{count or 0:,} row{'' if count == 1 else 's'}"


def _finding(
    finding: Mapping[str, Any], rows: str, entry: Mapping[str, str] | None, asked: bool
) -> FindingShown:
    name = finding["code"].rpartition(".")[2]
    return FindingShown(
        code=finding["code"],
        kind=_KINDS[finding["kind"]],
        place=finding["place"],
        rows=rows,
        words=_sentence(finding["words"]),
        remedy=_sentence(finding["remedy"]),
        tick=_TICKS[finding["kind"]].format(place=finding["place"], name=name),
        accepted=_accepted(entry) if entry and not asked else "",
        asked=asked,
    )


def _accepted(entry: Mapping[str, str]) -> str:
    return f"by {entry['by']}, {datetime.fromisoformat(entry['at']):%d %b %Y}"


def _sentence(text: str) -> str:
    """Words as a sentence; the name of a place at its beginning is left as it is."""
    named = "." in text.partition(" ")[0]
    return f"{text if named else text[:1].upper() + text[1:]}."


def warnings(plan: Plan) -> list[str]:
    """What costs time or may be missed, as sentences."""
    return [_sentence(warning) for warning in plan.warnings]


def how(step: PlanStep) -> How | None:
    """How the store carries the step out; None where it does not say."""
    told = step.explained
    if "statement" not in told:
        return None
    return How(
        statement=told["statement"],
        size="" if told["rows"] is None else f"about {told['rows']:,}",
        index=told["index"],
        locks=_sentence(told["locks"]),
        stays=_sentence(told["stays"]),
        beside=told["effects"],
    )


def staying(steps: Sequence[PlanStep]) -> list[Staying]:
    """What is left of the rows that were counted, equal words together."""
    datasets: dict[str, dict[str, None]] = {}
    for step in steps:
        words = step.explained.get("stays", "")
        if step.counted and words and not words.startswith(_NOTHING_STAYS):
            datasets.setdefault(words, {})[step.dataset] = None
    return [
        Staying(datasets=", ".join(names), words=_sentence(words))
        for words, names in datasets.items()
    ]
