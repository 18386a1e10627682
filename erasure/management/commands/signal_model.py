"""Tell that a model's answers drift, or that new data wait for it."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from erasure.domain.queueing import SIGNALS
from erasure.flow.signal import signal
from erasure.management.console import one_line_errors, operator


class Command(BaseCommand):
    """``signal_model MODEL drift 0.31``"""

    help = "Tell that a model's answers drift, or that new data wait for it."
    group = "models"

    def add_arguments(self, parser: CommandParser) -> None:
        """MODEL is its address in the catalogue."""
        parser.add_argument("model")
        parser.add_argument("what", choices=SIGNALS)
        parser.add_argument("figure", type=float, help="as model.batch of the catalogue counts it")

    def handle(self, *args: Any, **options: Any) -> None:
        """Exit 0 also where nothing follows from it, and then say so."""
        model = options["model"]
        with one_line_errors():
            job = signal(model, what=options["what"], figure=options["figure"], by=operator())
        if job is None:
            self.stdout.write(f"{model}: nobody waits, or it is not enough; nothing begins")
        else:
            self.stdout.write(f"{model}: begins now for {job.people} who wait ({job.due_why})")
