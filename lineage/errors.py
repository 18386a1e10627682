"""What can be wrong with the catalogue.

``LineageError``
  ``CatalogueError``   a file or an entry says something it may not
  ``UnknownIdentity``  nobody declared that identity kind
"""


class LineageError(Exception):
    """Base of this package's errors; the text is one line: the place, then the remedy."""


class CatalogueError(LineageError):
    """The catalogue, or a file of it, is wrong. ``place`` is ``file:line`` or a dataset address."""

    def __init__(self, place: str, message: str) -> None:
        super().__init__(f"{place}: {message}")
        self.place = place


class UnknownIdentity(LineageError):
    """An identity kind that no field of the catalogue carries."""

    def __init__(self, kind: str, known: list[str]) -> None:
        listed = ", ".join(known) or "none; import a catalogue first"
        super().__init__(f"unknown identity kind '{kind}'; known kinds: {listed}")
