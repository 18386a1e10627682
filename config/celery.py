"""The Celery application: ``celery -A config worker`` and ``celery -A config beat``."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
app = Celery("lethe")
# Read lazily: manage.py may still point the settings at the demo's sandbox.
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
