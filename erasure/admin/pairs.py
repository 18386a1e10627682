"""What is typed of a person, a line each: read once, and never shown again."""

from __future__ import annotations

from typing import Any

from django import forms


def pairs_of(text: str) -> list[tuple[str, str]]:
    """The lines as (kind, value). Raises ValidationError, which names the line alone."""
    pairs = []
    for number, line in enumerate(text.splitlines(), start=1):
        kind, equals, value = (part.strip() for part in line.partition("="))
        if line.strip() and not (equals and kind and value):
            raise forms.ValidationError(f"Line {number}: write KIND=VALUE.")
        pairs += [(kind, value)] if line.strip() else []
    return pairs


class PairsField(forms.CharField):
    """Lines of KIND=VALUE."""

    def __init__(self, **more: Any) -> None:
        area = {"rows": 2, "autocomplete": "off", "spellcheck": "false"}
        super().__init__(widget=forms.Textarea(attrs=area), **more)

    def clean(self, value: Any) -> Any:
        """The pairs."""
        return pairs_of(super().clean(value))
