"""Answer a proposed version of a model, or go back to the one it replaced."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from erasure.flow import promote
from erasure.management.console import USAGE, one_line_errors, operator
from erasure.models import ModelJob


class Command(BaseCommand):
    """``answer_model MODEL accept`` or ``answer_model MODEL decline --because TEXT``"""

    help = "Promote the version of a model that waits for its owner, or decline it."
    group = "models"

    def add_arguments(self, parser: CommandParser) -> None:
        """MODEL is its address in the catalogue."""
        parser.add_argument("model")
        parser.add_argument("answer", choices=("accept", "decline"))
        parser.add_argument("--because", default="", help="why it is declined; it is kept")

    def handle(self, *args: Any, **options: Any) -> None:
        """Exit 0 when the answer is recorded, 2 where none is waited for."""
        waiting = ModelJob.objects.filter(
            dataset=options["model"], state__in=("proposed", "window")
        )
        job = waiting.order_by("opened_at").first()
        if job is None:
            told = f"{options['model']}: no version waits for an answer"
            raise CommandError(told, returncode=USAGE)
        with one_line_errors():
            if options["answer"] == "accept":
                promote.accept(job, by=operator())
            else:
                promote.decline(job, by=operator(), because=options["because"])
        self.stdout.write(f"{job.dataset}: recorded; a worker goes on from here")
