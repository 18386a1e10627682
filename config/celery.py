"""The Celery application: ``celery -A config worker`` and ``celery -A config beat``."""

import gc
import os

from celery import Celery
from celery.signals import worker_process_init

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
app = Celery("lethe")
# Read lazily: manage.py may still point the settings at the demo's sandbox.
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@worker_process_init.connect
def leave_out_of_collection(**_: object) -> None:
    """What a worker has loaded lives as long as it does; every full garbage collection would walk
    over it, and take longer than a small run. And a run makes many objects that live until its
    end: looking among them every 700 took a sixth of its time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 10)
