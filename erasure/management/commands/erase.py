"""A whole case inline, without a worker: request, plan, approval, run, re-scan, certificate."""

from __future__ import annotations

import json
import sys
import time
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from rich.console import Console

from erasure.domain.clocks import LAWS
from erasure.domain.errors import UsageError
from erasure.flow import decide, intake
from erasure.inline import approve, discard, open_case, run_inline
from erasure.management.console import (
    FAILED,
    USAGE,
    Progress,
    add_accept,
    one_line_errors,
    operator,
    parsed,
)
from erasure.management.plan import print_plan
from erasure.models import ErasureRequest, Event
from erasure.runs import report

_CONSOLE_CHECK = "asserted by the console operator"


class Command(BaseCommand):
    """``erase KIND=VALUE… [--law L] [--dry-run] [--yes] [--no-undo] [--accept CODE…] [--json]``"""

    help = "Erase one person everywhere the catalogue leads, verify, and certify."
    group = "requests"

    def add_arguments(self, parser: CommandParser) -> None:
        """KIND is any identity name of the catalogue; several are one person."""
        parser.add_argument("identifier", nargs="+", metavar="KIND=VALUE")
        parser.add_argument("--law", choices=LAWS, default="gdpr")
        parser.add_argument("--dry-run", action="store_true", help="show the plan, change nothing")
        parser.add_argument("--yes", action="store_true", help="approve without asking, on record")
        parser.add_argument("--no-undo", action="store_true", help="without the undo window")
        parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
        add_accept(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        """Exit 0 once all it claims is verified, 1 blocked, 2 usage or catalogue error."""
        started = time.monotonic()
        self._json = bool(options["json"])
        self._progress = Progress(quiet=not self.stderr.isatty())
        try:
            with one_line_errors():
                request = self._carry_out(options)
        except CommandError as error:
            self._tell_failure(error, started)
            raise
        if request is None:
            return
        self._tell(request, time.monotonic() - started)
        if request.state == "blocked":
            raise CommandError(
                f"blocked: {request.blocked_because}; remove the cause (docs/operating.md says "
                "what to do about each), then give the same command again",
                returncode=FAILED,
            )

    def _carry_out(self, options: dict[str, Any]) -> ErasureRequest | None:
        identifiers = parsed(options["identifier"])
        existing = intake.open_case_of(identifiers)
        if options["dry_run"]:
            self._look(identifiers, existing, options["law"])
            return None
        if not options["yes"] and (self._json or not sys.stdin.isatty()):
            raise CommandError(
                "nobody to ask for approval here; look with --dry-run, approve with --yes",
                returncode=USAGE,
            )
        by = operator()
        with self._progress.showing("looking for the person"):
            request = open_case(
                identifiers,
                by=by,
                method=_CONSOLE_CHECK,
                law=options["law"],
                undoable=not options["no_undo"],
            )
        keep = existing is not None
        if request.state == "planned" and not self._approve(request, options, keep=keep):
            return None
        with self._progress.showing("erasing"):
            return run_inline(request, self._progress.job)

    def _look(
        self, identifiers: list[tuple[str, str]], existing: ErasureRequest | None, law: str
    ) -> None:
        """Show a plan and leave everything as it was: no case, no identifier."""
        if existing is not None and existing.state != "planned":
            raise UsageError(
                f"request {existing.id}: this person's case is open already ({existing.state}); "
                "go on with it without --dry-run"
            )
        by = operator()
        with self._progress.showing("looking for the person"):
            request = existing or open_case(
                identifiers, by=by, method=_CONSOLE_CHECK, law=law, keep=False
            )
        if request.state == "blocked":
            why = request.blocked_because
            discard(request, by=by, because="looked at only")
            raise CommandError(f"blocked: {why}", returncode=FAILED)
        self._tell_plan(request)
        if existing is None and request.state == "planned":
            discard(request, by=by, because="looked at only")

    def _approve(self, request: ErasureRequest, options: dict[str, Any], *, keep: bool) -> bool:
        """Approve with what was accepted, or leave no case behind that was not there before."""
        by, accept = operator(), list(options["accept"])
        try:
            if options["yes"] or self._agreed(request, accept):
                approve(request, by=by, because="approved on the console", accept=accept)
        finally:
            if request.state == "planned" and not keep:
                discard(request, by=by, because="not approved on the console")
        return request.state == "approved"

    def _agreed(self, request: ErasureRequest, accept: list[str]) -> bool:
        """Show the plan and ask, first for everything that it sets off; adds to ``accept``."""
        self._tell_plan(request)
        for finding in decide.to_accept(request.plans.get(state="draft")):
            code = finding["code"]
            if code not in accept:
                if input(f"Accept {code}? Type yes: ").strip() != "yes":
                    return False
                accept.append(code)
        return input("Carry this out? Type yes: ").strip() == "yes"

    def _tell_plan(self, request: ErasureRequest) -> None:
        if request.state == "no_data":
            self._tell(request, 0)
            self.stderr.write(Event.objects.filter(subject_id=str(request.id)).latest("id").because)
        elif self._json:
            self.stdout.write(json.dumps(report.plan_json(request)))
        else:
            plan = request.plans.latest("made_at")
            print_plan(plan, Console(file=self.stdout))  # type: ignore[arg-type]

    def _tell(self, request: ErasureRequest, seconds: float) -> None:
        content = report.case_json(request, seconds)
        if self._json:
            self.stdout.write(json.dumps(content))
        else:
            report.print_case(content, Console(file=self.stdout))  # type: ignore[arg-type]

    def _tell_failure(self, error: CommandError, started: float) -> None:
        if self._json:
            self.stdout.write(
                json.dumps(report.failure_json(str(error), time.monotonic() - started))
            )
