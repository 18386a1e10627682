"""The training log: who was trained on what, and when again."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.utils import timezone

from erasure.flow import staff
from erasure.management.console import day_of, one_line_errors, operator
from erasure.models import StaffTraining
from erasure.runs import training_log


class Command(BaseCommand):
    """``staff_training [--add WHO TOPIC] [--on DAY] [--next DAY]``"""

    help = "List the training log with what is due again, or add to it."
    group = "upkeep"

    def add_arguments(self, parser: CommandParser) -> None:
        """Without ``--add`` it is listed."""
        parser.add_argument("--add", nargs=2, metavar=("WHO", "TOPIC"))
        parser.add_argument("--on", default="", metavar="DAY", help="today, unless told")
        parser.add_argument("--next", default="", metavar="DAY", help="when it is due again")

    def handle(self, *args: Any, **options: Any) -> None:
        """Exit 2 for what cannot be."""
        today = timezone.localdate()
        with one_line_errors():
            if options["add"]:
                who, topic = options["add"]
                on = day_of("on", options["on"]) or today
                due = day_of("next_due", options["next"])
                staff.record_training(who=who, topic=topic, on=on, next_due=due, by=operator())
        for one in StaffTraining.objects.all():
            again = f"  next {one.next_due}" if one.next_due else ""
            self.stdout.write(f"{one.on}  {one.who}  {one.topic}{again}")
        counted = training_log.figures(today)
        self.stdout.write(
            f"people: {counted['people']}; entries: {counted['entries']}; "
            f"to be trained again: {counted['overdue']}"
        )
