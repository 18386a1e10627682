"""The demo lives in a sandbox of its own: never the operator's database, keys or broker."""

import os
from pathlib import Path


def enter() -> None:
    """Point the settings at ``LETHE_HOME/demo`` before Django reads them."""
    base = Path(os.environ.get("LETHE_HOME") or Path(__file__).resolve().parent.parent / "var")
    home = base.expanduser().resolve() / "demo"
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.environ["LETHE_HOME"] = str(home)
    os.environ["LETHE_ENV"] = "development"
    os.environ["DATABASE_URL"] = f"sqlite:///{home / 'control.sqlite3'}"
    for name in (
        "CELERY_BROKER_URL",
        "LETHE_SECRET_KEY",
        "LETHE_MASTER_KEYS",
        "LETHE_SIGNING_KEY",
        "LETHE_HASH_KEY",
        "LETHE_UNDO_WINDOW",
    ):
        os.environ.pop(name, None)
    os.environ["LETHE_CANARY_PLANT"] = "erasure.demo.canary:plant"
    os.environ["LETHE_CANARY_PEOPLE"] = "1"
