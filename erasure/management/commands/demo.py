"""A sandbox company and one person who leaves it: the whole erasure, watched."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.timezone import localdate
from rich import box
from rich.console import Console
from rich.table import Table

from erasure import canaries
from erasure.demo import story
from erasure.demo.company import DEMO_DIR, Company, forget_cast
from erasure.demo.stage import Stage
from erasure.management.console import FAILED, one_line_errors
from erasure.models import CanaryRound, ErasureRequest, PlanStep, StoreScan
from erasure.runs import report, statement
from erasure.tasks import embedded_worker

_STARTED = time.monotonic()


class Command(BaseCommand):
    """``demo [--resume] [--people N]``"""

    help = "Build a company in a sandbox, forget one person everywhere, verify, and show it."
    group = "start"
    requires_system_checks: list[str] = []  # noqa: RUF012 - Django's own declaration

    def add_arguments(self, parser: CommandParser) -> None:
        """The size of the company, and whether to go on with a demo that was killed."""
        parser.add_argument("--resume", action="store_true", help="go on where it was killed")
        parser.add_argument("--people", type=int, default=5000, metavar="N")

    def handle(self, *args: Any, **options: Any) -> None:
        """Exit 0 when nothing is left, else 1."""
        if Path(settings.LETHE_HOME).name != "demo":
            raise CommandError("run it as `python3 run.py demo`, which enters its sandbox first")
        self._console = Console(file=self.stdout, soft_wrap=False)  # type: ignore[arg-type]
        self._errors = Console(stderr=True)
        with one_line_errors(), self._errors.status("building the company") as self._status:
            self._play(Stage.open(resume=options["resume"]), options["people"])

    def _play(self, stage: Stage, people: int) -> None:
        company = stage.build(people, lambda what: self._tell(f"building the company: {what}"))
        self._say(f"A company of {company.people} people, in {stage.folder}")
        with embedded_worker():
            request = self._case(stage, company)
        if request.state == "blocked":
            raise CommandError(f"blocked: {request.blocked_because}", returncode=FAILED)
        self._tell("checking the model")
        model = story.look_at_model(company, request)
        restored = story.restore_and_replay(company, self._tell)
        self._tell("sending a canary through everything")
        canary = canaries.go_on() or CanaryRound.objects.first()
        self._status.stop()
        self._print(request, model, restored)
        if canary is not None:
            self._say(f"Canary: {canary.count} made up, planted in {len(canary.places)} places, "
                      f"forgotten, looked for everywhere: {canary.state}")  # fmt: skip
            for finding in canary.findings:
                self._say(f"  {finding}")
        self._verify(request)
        wrong = _wrong(model, restored, canary)
        if wrong:
            raise CommandError("; ".join(wrong), returncode=FAILED)
        forget_cast(company)

    def _case(self, stage: Stage, company: Company) -> ErasureRequest:
        if "request" in stage.state:
            request = ErasureRequest.objects.get(pk=stage.state["request"])
        else:
            request = story.ask(company)
            stage.remember(request=str(request.id))
        if request.state == "blocked":
            request = story.ask(company)
        self._say(f"Request {request.id}, answer by {localdate(request.due_at)}")
        request = story.wait_for(request, story.decided(), self._tell)
        if request.state == "planned":
            self._plan(request)
            story.approve(request)
            self._say(f"Approved by the {story.APPROVER}; Celery tasks carry it out")
            request = story.wait_for(request, story.decided(), self._tell)
        return request

    def _tell(self, what: str) -> None:
        self._status.update(what)

    def _say(self, what: str) -> None:
        # A path that is broken over two lines cannot be copied.
        self._console.print(what, highlight=False, soft_wrap=True)

    def _plan(self, request: ErasureRequest) -> None:
        table = _table("The plan", "dataset", "what will be done", "reached from")
        for step in statement.steps_of(request):
            if step.counted or step.action in ("expire", "notify"):
                rows = str(step.counted) if step.counted else "–"
                table.add_row(step.dataset, rows, _deed(step), _origin(step))
        self._console.print(table)

    def _print(
        self, request: ErasureRequest, model: story.ModelShown, restored: story.Restored
    ) -> None:
        self._console.print(_done_table(request))
        case = report.case_json(request, 0)
        same = "equals" if model.equals_independent else "DIFFERS from"
        loads = "still loads" if model.old_loads else "will not load"
        self._say(
            f"Model: version {model.old} → {model.new}, which {same} an independent retrain; "
            f"the old version {loads}"
        )
        for backup in case["backups"]:
            self._say(f"Backup {backup['set']}: last copy until {backup['last_copy_until']}")
        harm = "unharmed" if restored.newcomer_unharmed else "HARMED"
        self._say(
            f"Restore: {restored.back} back, {restored.after} after the replay; "
            f"a newcomer with the reused key is {harm}"
        )
        for residual in case["residual"]:
            until = f", until {residual['until']}" if residual["until"] else ""
            self._say(f"Not erased: {residual['dataset']}: {residual['reason']}{until}")
        for shared in case["shared"]:
            where = f"{shared['dataset']}.{shared['field']}"
            self._say(f"Shared: {shared['rows']} equal values of other people in {where}")

    def _verify(self, request: ErasureRequest) -> None:
        path = report.certificate_path(request)
        if path is None:
            raise CommandError("there is no certificate", returncode=FAILED)
        call_command("verify_evidence", path, stdout=self.stdout)
        home = Path(settings.LETHE_HOME)
        key = home / "keys" / "signing.pub"
        self._say(f"Certificate: {path}")
        self._say(f"Report:      {Path(path).with_suffix('.md')}")
        self._say(f"Check it yourself: python3 run.py verify_evidence {path} --key {key}")
        self._say("Look at the officer's desk on this company:")
        self._say(f"  export LETHE_HOME={home} {DEMO_DIR}={home / 'company'}")
        self._say("  python3 run.py createsuperuser && python3 run.py runserver")
        self._say(f"{time.monotonic() - _STARTED:.1f} s")


def _done_table(request: ErasureRequest) -> Table:
    """Per store: rows found, what was done, what is left, what the re-scan read."""
    title = f"What was done: {request.state.replace('_', ' ')}"
    table = _table(title, "dataset", "done", "residue")
    scans = {s.store: s for s in StoreScan.objects.filter(run=request.run)}
    store = ""
    for step in statement.steps_of(request):
        if not statement.spoken(step):
            continue
        if step.store != store:
            store = step.store
            scan = scans.get(store)
            seen = f"{scan.rows:,} re-read" if scan else "out of reach"
            table.add_row(f"[bold]{store}[/bold]", "", "", f"[dim]{seen}[/dim]")
        until = f" {step.until}" if step.until else ""
        table.add_row(f"  {step.dataset}", str(step.rows), _deed(step), f"{step.residue}{until}")
    return table


def _table(title: str, first: str, *others: str) -> Table:
    table = Table(title=title, box=box.SIMPLE, padding=(0, 1))
    table.add_column(first, no_wrap=True)
    table.add_column("rows", justify="right", min_width=4)
    for name in others:
        table.add_column(name, overflow="fold")
    return table


def _origin(step: PlanStep) -> str:
    """Where the last hop of the path came from, or the identity itself."""
    return str(step.path[-1]).partition(" → ")[0].partition(" ⇒ ")[0]


def _deed(step: PlanStep) -> str:
    if step.via == "mention":
        return "redact others' text"
    if step.via == "shallow":
        return "cut reference"
    return str(step.action)


def _wrong(
    model: story.ModelShown, restored: story.Restored, canary: CanaryRound | None
) -> list[str]:
    wrong = list(canary.findings) if canary is not None and canary.state == "alarm" else []
    if not model.equals_independent:
        wrong.append("the new model is not what an independent retrain gives")
    if model.old_loads:
        wrong.append("the old model still loads")
    if not restored.back:
        wrong.append("the backup did not bring the person back, so nothing was shown")
    if restored.after or not restored.newcomer_unharmed:
        wrong.append("the replay left the person, or harmed a newcomer")
    return wrong
