"""A plan in the terminal: what would be done, how, and what has to be accepted with it. Fits 80
columns."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from erasure.flow import decide
from erasure.models import Plan, PlanStep

_NARROW = 80

_KINDS = {"people": "several people?", "many": "very many rows:"}


def print_plan(plan: Plan, console: Console) -> None:
    """The steps that found a row or may, then how, then what an operator should know."""
    console.width = min(console.width, _NARROW)
    steps = [step for step in plan.steps.all() if step.counted or step.via == "deep"]
    console.print(_table(steps))
    explained = [step for step in steps if step.counted and "statement" in step.explained]
    for _, of_store in groupby(explained, key=lambda step: step.store):
        _print_how(list(of_store), console)
    for step in steps:
        for one in step.explained.get("versions", ()):
            told = f"{step.dataset}, version {one['version']}: {one['words']}; {one['reason']}"
            _print(console, f"{told} ({one['guarantee']})" if one["guarantee"] else told)
    for warning in plan.warnings:
        _print(console, f"warning: {warning}")
    for finding in plan.findings:
        _print_finding(finding, console)
    codes = [finding["code"] for finding in decide.to_accept(plan)]
    if codes:
        options = " ".join(f"--accept {code}" for code in codes)
        _print(console, f"to approve it, accept that: {options}")


def _table(steps: Sequence[PlanStep]) -> Table:
    table = Table(title="What would be done")
    for name in ("dataset", "action", "rows", "why", "path"):
        table.add_column(name, overflow="fold")
    for step in steps:
        cells = (step.dataset, step.action, str(step.counted), step.reason, step.path[-1])
        table.add_row(*(Text(cell) for cell in cells))
    return table


def _print_how(steps: Sequence[PlanStep], console: Console) -> None:
    """The steps of one store; its locks once, where they are told at most length."""
    for step in steps:
        told = step.explained
        size = f", about {told['rows']:,} rows in the table" if told["rows"] is not None else ""
        _print(console, f"{step.dataset}, {step.action}{size}")
        stays = "" if told["stays"].startswith("nothing") else f"stays: {told['stays']}"
        for line in (told["statement"], *told["index"], stays):
            if line:
                _print(console, line, indent=2)
    locks = max((step.explained["locks"] for step in steps), key=len)
    _print(console, f"locks in {steps[0].store}: {locks}")


def _print_finding(finding: dict[str, Any], console: Console) -> None:
    rows = "" if finding["rows"] is None else f" (rows now: {finding['rows']:,})"
    what = _KINDS.get(finding["kind"], "beside the plan:")
    _print(console, f"{what} {finding['code']}{rows}")
    _print(console, f"{finding['words']}; {finding['remedy']}", indent=2)


def _print(console: Console, line: str, *, indent: int = 0) -> None:
    """As it is: nothing in it is markup, and a long word is broken."""
    text = Text(line, overflow="fold")
    console.print(Padding(text, (0, 0, 0, indent), expand=False) if indent else text)
