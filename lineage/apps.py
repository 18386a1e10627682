"""The lineage application: where personal data lives."""

from django.apps import AppConfig


class LineageConfig(AppConfig):
    """Knows nothing of requests."""

    name = "lineage"
    verbose_name = "Lineage"
