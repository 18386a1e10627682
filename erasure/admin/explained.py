"""How a plan explains itself on the desk: what it sets off, what stays, and how a step is done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from erasure.admin import words as said
from erasure.domain.steps import KEPT
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
    """What is left, and where; ``rule``: the catalogue's own words for how long, where it counts
    from a column."""

    datasets: str
    words: str
    rule: str = ""


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
        words=said.sentence(finding["words"]),
        remedy=said.sentence(finding["remedy"]),
        tick=_TICKS[finding["kind"]].format(place=finding["place"], name=name),
        accepted=_accepted(entry) if entry and not asked else "",
        asked=asked,
    )


def _accepted(entry: Mapping[str, str]) -> str:
    return f"by {entry['by']}, {datetime.fromisoformat(entry['at']):%d %b %Y}"


def warnings(plan: Plan) -> list[str]:
    """What costs time or may be missed, as sentences."""
    return [said.sentence(said.plainly(warning)) for warning in plan.warnings]


def how(step: PlanStep) -> How | None:
    """How the store carries the step out; None where it does not say."""
    told = step.explained
    if "statement" not in told:
        return None
    return How(
        statement=told["statement"],
        size="" if told["rows"] is None else f"about {told['rows']:,}",
        index=told["index"],
        locks=said.sentence(told["locks"]),
        stays=said.sentence(_stays(step)),
        beside=told["effects"],
    )


def staying(steps: Sequence[PlanStep]) -> list[Staying]:
    """What is left of the rows that were counted, equal words together."""
    datasets: dict[tuple[str, str], dict[str, None]] = {}
    for step in steps:
        words = _stays(step)
        if step.counted and words and not words.startswith(_NOTHING_STAYS):
            datasets.setdefault((words, _rule(step.spec)), {})[step.dataset] = None
    return [
        Staying(datasets=", ".join(names), words=said.sentence(words), rule=rule)
        for (words, rule), names in datasets.items()
    ]


def _stays(step: PlanStep) -> str:
    """What stays of a step's rows: what the law or a hold keeps in the words of the desk, whatever
    the store; else as the store tells it, which may say nothing."""
    left, last = str(step.explained.get("stays", "")), step.explained.get("last_day")
    dataset, under = step.spec["dataset"], step.spec.get("held")
    if step.action in KEPT and (dataset["until"] or under or step.action == "retain"):
        return f"the rows as they are, {_for_how_long(step.spec, last)}"
    if step.spec.get("kept"):
        left = left or f"the rows, with {', '.join(step.spec['kept'])} as they are"
        return f"{left}, {_for_how_long(step.spec, last)}"
    return left


def _for_how_long(spec: Mapping[str, Any], last: str | None) -> str:
    """Until when, and which law asks for it; of a hold, also what it lies over."""
    dataset, under = spec["dataset"], spec.get("held")
    law = ", ".join(
        filter(None, (said.plain(dataset["exception"] or ""), dataset["legal_reference"]))
    )
    words = f"until {said.until(dataset['until'])}"
    if not dataset["until"]:
        words = "until the hold is released" if under else "with no last day"
    elif last and _rule(spec):
        words += f", {said.plainly(last)} at the latest"
    words += f" ({law})" if law else ""
    if not under or spec.get("kept") or not (under["action"] in KEPT or under.get("kept")):
        return words
    return f"{words}, then {_for_how_long(under, None)}"


def _rule(spec: Mapping[str, Any]) -> str:
    """An ``until`` that counts from a column, as the catalogue has it."""
    until = spec["dataset"]["until"] or ""
    return until if "+" in until else ""
