"""Django's development server, with a worker inside it where no broker is configured."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

from django.conf import settings
from django.contrib.staticfiles.management.commands.runserver import Command as Django

from erasure.tasks import embedded_worker


class Command(Django):
    """``runserver``: on one machine, what the desk decides is carried out in this process."""

    help = "Serve the desk at /admin/ on this machine, and carry out what is decided there."
    group = "start"

    def inner_run(self, *args: Any, **options: Any) -> None:
        """Serve, and work."""
        alone = settings.CELERY_BROKER_URL.startswith("memory:")
        with embedded_worker(sweep=True) if alone else nullcontext():
            super().inner_run(*args, **options)
