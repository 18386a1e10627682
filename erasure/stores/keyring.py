"""Keys that a store seals with and that can be destroyed: where they are kept is the business of
whoever runs the stores. Without a keyring there are none, and a store says what it does instead."""

from __future__ import annotations

from typing import Protocol
from uuid import UUID


class Keyring(Protocol):
    """Keys of 32 bytes by name."""

    def make(self, name: UUID) -> bytes:
        """A new key."""

    def open(self, name: UUID) -> bytes | None:
        """The key, None where it was destroyed or never was."""

    def destroy(self, name: UUID) -> None:
        """For good; no error where it is gone."""


_held: list[Keyring] = []


def hold(ring: Keyring) -> None:
    """From now on keys are kept there."""
    _held[:] = [ring]


def held() -> Keyring | None:
    """Where keys are kept."""
    return _held[0] if _held else None
