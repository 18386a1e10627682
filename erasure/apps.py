"""The erasure application: what is done for one person."""

from django.apps import AppConfig
from django.db.models.signals import post_migrate


class ErasureConfig(AppConfig):
    """Sees lineage through its selectors only."""

    name = "erasure"
    verbose_name = "Erasure"

    def ready(self) -> None:
        """The roles are there as soon as there is somewhere to keep them; stores seal with keys of
        the vault."""
        from erasure.access import make_groups
        from erasure.stores import keyring
        from erasure.vault import RowKeys

        keyring.hold(RowKeys())
        post_migrate.connect(make_groups, sender=installed_last())


def installed_last() -> AppConfig:
    """The application whose tables are made last."""
    from django.apps import apps

    return list(apps.get_app_configs())[-1]
