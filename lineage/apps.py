"""The lineage application: where personal data lives."""

from django.apps import AppConfig


class LineageConfig(AppConfig):
    """Knows nothing of requests."""

    name = "lineage"
    verbose_name = "Lineage"

    def ready(self) -> None:
        """The desk shows what events told, too."""
        from lineage import event_admin  # noqa: F401 - registers itself
