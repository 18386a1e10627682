"""Answer a proposed version of a model, or go back to the one it replaced."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from erasure.flow import promote
from erasure.management.console import USAGE, one_line_errors, operator
from erasure.models import ModelJob


class Command(BaseCommand):
    """``answer_model MODEL accept`` or ``answer_model MODEL decline --because TEXT``;
    ``--only VERSION`` where several wait"""

    help = "Promote the version of a model that waits for its owner, or decline it."
    group = "models"

    def add_arguments(self, parser: CommandParser) -> None:
        """MODEL is its address in the catalogue."""
        parser.add_argument("model")
        parser.add_argument("answer", choices=("accept", "decline"))
        parser.add_argument("--only", metavar="VERSION", default="", help="which version is meant")
        parser.add_argument("--because", default="", help="why it is declined; it is kept")

    def handle(self, *args: Any, **options: Any) -> None:
        """Exit 0 when the answer is recorded, 2 where none is waited for, or several are."""
        accepts = options["answer"] == "accept"
        job = _meant(options["model"], options["only"], accepts=accepts)
        with one_line_errors():
            if accepts:
                promote.accept(job, by=operator())
            else:
                promote.decline(job, by=operator(), because=options["because"])
        self.stdout.write(f"{job.dataset}: recorded; a worker goes on from here")


def _meant(model: str, version: str, *, accepts: bool) -> ModelJob:
    """The job whose version is meant: one that waits for its answer, else, to decline it, one in
    its rollback window. Raises CommandError where there is none, or several without ``version``."""
    jobs = ModelJob.objects.filter(dataset=model).order_by("opened_at")
    waiting = jobs.filter(state="proposed", accepted_by="")
    windows = jobs.none() if accepts else jobs.filter(state="window")
    for found in (waiting, windows):
        by_version: dict[str, ModelJob] = {}
        for job in found:
            by_version.setdefault(str(job.report.get("new", "")), job)
        if version:
            by_version = {v: job for v, job in by_version.items() if v == version}
        if len(by_version) > 1:
            told = f"versions {', '.join(by_version)} wait for an answer; name one by --only"
            raise CommandError(f"{model}: {told}", returncode=USAGE)
        if by_version:
            return next(iter(by_version.values()))
    told = f"version {version} does not wait" if version else "no version waits"
    raise CommandError(f"{model}: {told} for an answer", returncode=USAGE)
