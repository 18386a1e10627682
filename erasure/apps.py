"""The erasure application: what is done for one person."""

from django.apps import AppConfig


class ErasureConfig(AppConfig):
    """Sees lineage through its selectors only."""

    name = "erasure"
    verbose_name = "Erasure"
