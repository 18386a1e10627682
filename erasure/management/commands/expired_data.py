"""Data whose retention has run out, although nobody has asked: list, plan, approve, erase."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from typing import Any, TypeVar
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from erasure.domain.errors import LetheError, StalePlan, UsageError
from erasure.flow import dispose, expire
from erasure.management.console import FAILED, day_of, one_line_errors, operator
from erasure.models import Expiry, RetentionLook, StandingApproval
from erasure.runs import expiring
from lineage.errors import LineageError

Row = TypeVar("Row", Expiry, StandingApproval)
_SHORTEST = 12


def one_of(model: type[Row], number: str) -> Row:
    """The one of that number. Raises UsageError."""
    try:
        return model._default_manager.get(pk=UUID(number))
    except (ValueError, model.DoesNotExist):
        raise UsageError("nothing has this number; `expired_data plans` lists them") from None


def _approve(plan: Expiry, options: dict[str, Any]) -> None:
    given = options["digest"]
    if len(given) < _SHORTEST or not plan.digest.startswith(given):
        raise StalePlan(f"{plan.dataset}: the plan has changed; look at it again")
    more = {"digest": plan.digest, "accept": options["accept"], "by": operator()}
    if options["standing"]:
        dispose.approve_standing(
            plan,
            most_rows=options["standing"],
            because=options["because"],
            four_eyes=False,
            **more,
        )
    else:
        dispose.approve_expired(plan, because=options["because"], four_eyes=False, **more)


def _decline(plan: Expiry, options: dict[str, Any]) -> None:
    day = day_of("not_before", options["not_before"])
    dispose.decline_expired(plan, because=options["because"], not_before=day, by=operator())


_DEEDS: dict[str, Callable[[Expiry, dict[str, Any]], object]] = {
    "approve": _approve,
    "decline": _decline,
    "retry": lambda plan, _: dispose.retry_expired(plan, by=operator()),
}


class Command(BaseCommand):
    """``expired_data [--json] [plan [DATASET] | plans | approve ID | decline ID | retry ID |
    revoke ID]``"""

    help = "Count what the catalogue's retention says should be gone; plan, approve and erase it."
    group = "upkeep"

    def add_arguments(self, parser: CommandParser) -> None:
        """Without a deed it is counted. ``--json``: one object per line."""
        parser.add_argument("--json", action="store_true")
        deeds = parser.add_subparsers(dest="deed", metavar="DEED")
        plan = deeds.add_parser("plan", help="plan what is over, and erase what may go already")
        plan.add_argument("dataset", nargs="?", default="", help="every one, unless told")
        deeds.add_parser("plans", help="the plans that are open")
        approve = deeds.add_parser("approve", help="approve a plan by its digest, and carry it out")
        approve.add_argument("plan")
        approve.add_argument("--digest", required=True, help="its first 12 characters or more")
        approve.add_argument("--accept", action="append", default=[], metavar="CODE")
        approve.add_argument(
            "--standing",
            type=int,
            default=0,
            metavar="ROWS",
            help="approve those like it beforehand, at most so many rows in a day",
        )
        approve.add_argument("--because", default="", help="stands in clear")
        decline = deeds.add_parser("decline", help="leave these rows until a day")
        decline.add_argument("plan")
        decline.add_argument("--because", required=True, help="stands in clear")
        decline.add_argument("--not-before", default="", metavar="DAY")
        deeds.add_parser("retry", help="go on with a blocked plan").add_argument("plan")
        deeds.add_parser("revoke", help="a standing approval").add_argument("standing")

    def handle(self, *args: Any, **options: Any) -> None:
        """Exit 1 when something should be gone, or could not be told, or is blocked."""
        if options["deed"] is not None:
            with one_line_errors():
                self._do(options)
            return
        left = 0
        with one_line_errors():
            for one in expiring.expired(timezone.localdate()):
                left += bool(one.rows or one.why_not)
                if options["json"]:
                    self.stdout.write(json.dumps(asdict(one), default=str))
                else:
                    self._tell(one)
        if left:
            raise CommandError(f"{left} datasets need somebody; see above", returncode=FAILED)

    def _do(self, options: dict[str, Any]) -> None:
        if options["deed"] == "plans":
            for plan in Expiry.objects.filter(state__in=expire.OPEN):
                self._show(plan)
        elif options["deed"] == "plan":
            self._plan(options["dataset"])
        elif options["deed"] == "revoke":
            standing = one_of(StandingApproval, options["standing"])
            dispose.revoke_standing(standing, by=operator())
        else:
            plan = one_of(Expiry, options["plan"])
            _DEEDS[options["deed"]](plan, options)
            self._carry_out(plan)

    def _plan(self, wanted: str) -> None:
        """Every dataset by itself: what cannot be told of one says nothing of the others."""
        untold = 0
        expire.looks_due(timezone.localdate())
        every = RetentionLook.objects.values_list("dataset", flat=True)
        for address in [wanted] if wanted else sorted(every):
            try:
                plan = expire.plan_expired(address, by=operator())
            except (LetheError, LineageError) as error:
                untold += 1
                self.stdout.write(str(error))
                continue
            if plan is None:
                self.stdout.write(f"{address}: nothing is over that may go")
            else:
                self._carry_out(plan)
        if untold:
            raise CommandError(f"{untold} datasets could not be told", returncode=FAILED)

    def _carry_out(self, plan: Expiry) -> None:
        if plan.state in ("approved", "executing"):
            try:
                expire.carry_out(plan.id)
            except (LetheError, LineageError) as error:
                expire.block(plan.id, str(error))
            plan.refresh_from_db()
        self._show(plan)
        more = RetentionLook.objects.filter(dataset=plan.dataset, more__gt=0).first()
        if more is not None:
            self.stdout.write(f"  {more.more} more are past their date; plan again")
        if plan.state == "blocked":
            raise CommandError(plan.blocked_because, returncode=FAILED)

    def _show(self, plan: Expiry) -> None:
        self.stdout.write(
            f"{plan.pk}  {plan.state}  {plan.dataset}  {plan.rows} rows  {plan.rule}  "
            f"digest {plan.digest[:12]}"
        )
        for step in plan.steps:
            done = f", {step['rows']} done" if "rows" in step else ""
            self.stdout.write(f"  {step['action']} {step['dataset']}: {step['counted']}{done}")
        for one in plan.left:
            self.stdout.write(f"  stays {one['dataset']}: {one['rows']}, {one['reason']}")
        for finding in plan.findings:
            self.stdout.write(f"  accept {finding['code']}: {finding['words']}")

    def _tell(self, one: expiring.Expired) -> None:
        if one.why_not:
            self.stdout.write(f"{one.dataset} ({one.rule}): not told: {one.why_not}")
            return
        since = f", the first since {one.since}" if one.since else ""
        undated = f", {one.undated} without a date" if one.undated else ""
        held = f", {one.held}" if one.held else ""
        self.stdout.write(
            f"{one.dataset} ({one.rule}): {one.rows} of {one.looked_at} rows{since}{undated}{held}"
        )
