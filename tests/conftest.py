"""What every test can use. The home directory and settings are made in ``tests.environment``."""

from __future__ import annotations
