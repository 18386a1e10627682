"""The form for a person who asked by phone, post or in person.

What is typed here is personal and goes into the vault: it is never sent back to the screen. After
an error the kinds stand in the field again, their values do not.
"""

from __future__ import annotations

from datetime import datetime, time
from typing import Any

from django import forms
from django.utils import timezone

from erasure.admin import words
from erasure.domain.clocks import LAWS
from erasure.domain.identity import ASKERS, RIGHTS
from lineage import selectors

_TELLING = 3  # a value shorter than this stands in too many innocent words


class NewRequest(forms.Form):
    """Identifiers, the law, and how the officer knows who asks."""

    identifiers = forms.CharField(
        label="What the person is known by",
        widget=forms.Textarea(attrs={"rows": 3, "autocomplete": "off", "spellcheck": "false"}),
    )
    right = forms.ChoiceField(
        label="What is asked for",
        required=False,
        choices=[(code, words.right(code)) for code in RIGHTS],
        help_text="For access and portability a copy is gathered here; rectification, restriction "
        "and objection are recorded with their deadline, and answered by hand.",
    )
    law = forms.ChoiceField(choices=[(law, words.law(law)) for law in LAWS])
    channel = forms.ChoiceField(
        label="How it came in",
        required=False,
        choices=[("desk", "At this desk"), *words.DOORS.items()],
    )
    received = forms.DateField(
        label="Received on",
        required=False,
        widget=forms.DateInput(attrs={"type": "date"}),
        help_text="The true day; the time to answer counts from it. Empty: now.",
    )
    asked_by = forms.ChoiceField(
        label="Who asks",
        required=False,
        choices=[(code, words.ASKERS[code]) for code in ASKERS],
    )
    mandate = forms.CharField(
        label="How an agent's or a guardian's mandate was checked",
        max_length=200,
        required=False,
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
        help_text="For example: power of attorney, seen and returned. No name, address or number.",
    )
    child = forms.BooleanField(
        label="The data were collected from a child",
        required=False,
    )
    export_first = forms.BooleanField(
        label="They want a copy of their data first",
        required=False,
        help_text="The erasure then waits until they have it.",
    )
    identity_check = forms.CharField(
        label="How you know that it is this person",
        max_length=200,
        required=False,
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
        help_text=(
            "For example: rang back on the number on file. This stands in the certificate, "
            "so write no name, address or number."
        ),
    )

    doubt = forms.CharField(
        label="Or: why you doubt that it is this person",
        max_length=1000,
        required=False,
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
        help_text="Then proof is asked for, and nothing is searched until it is there.",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._kinds = selectors.identity_kinds()
        known = ", ".join(self._kinds) or "nothing yet: import a catalogue first"
        self.fields["identifiers"].help_text = (
            "One per line, KIND=VALUE, as in email=person@example.com; all of one person. "
            f"Known kinds: {known}."
        )

    def clean_identifiers(self) -> list[tuple[str, str]]:
        """The lines as (kind, value); an error names the line, never what stands in it."""
        pairs = []
        for number, line in enumerate(self._lines(), start=1):
            kind, equals, value = (part.strip() for part in line.partition("="))
            if not equals:
                raise forms.ValidationError(f"Line {number}: write KIND=VALUE.")
            if kind not in self._kinds:
                raise forms.ValidationError(
                    f"Line {number}: the word before = is none of the known kinds."
                )
            pairs.append((kind, value))
        return pairs

    def clean_received(self) -> datetime | None:
        """The beginning of that day; None for today."""
        day, today = self.cleaned_data["received"], timezone.localdate()
        if day is None or day == today:
            return None
        if day > today:
            raise forms.ValidationError("This day lies in the future.")
        return datetime.combine(day, time.min, tzinfo=timezone.get_default_timezone())

    def clean(self) -> dict[str, Any]:
        """Refuse a description of the check that repeats what was given to be found by; ask for
        either a check or a doubt."""
        checked, doubted = (bool(self.data.get(n, "").strip()) for n in ("identity_check", "doubt"))
        for_another = self.data.get("asked_by", "") not in ("", "self")
        if checked and for_another and not self.data.get("mandate", "").strip():
            self.add_error("mandate", "Say how the mandate was checked.")
        if checked == doubted:
            self.add_error("identity_check", "Say either how you know it, or why you doubt it.")
        if self.cleaned_data.get("export_first") and self.data.get("right", "") not in (
            "",
            "erasure",
        ):
            self.add_error("export_first", "Only before an erasure; who asks for a copy gets one.")
        for name in ("identity_check", "mandate"):
            text = self.data.get(name, "").casefold()
            if any(part in text for part in self._values()):
                self.add_error(name, "This repeats what the person is known by; leave that out.")
        return self.cleaned_data

    def without_values(self) -> NewRequest:
        """Empty the form of what was typed, but for the kinds, before it is shown again."""
        typed = [line.partition("=")[0].strip() for line in self._lines()]
        kept = {name: self.data.get(name, "") for name in self.fields}
        kept["identifiers"] = "\n".join(f"{kind}=" for kind in typed if kind in self._kinds)
        for name in ("identity_check", "mandate"):
            if name in self.errors:
                kept[name] = ""
        kept["doubt"] = ""  # free words about a person
        self.data = kept
        return self

    def _lines(self) -> list[str]:
        return [line for line in self.data.get("identifiers", "").splitlines() if line.strip()]

    def _values(self) -> set[str]:
        """Everything typed as an identifier that is not the name of a kind, folded."""
        parts = {part.strip() for line in self._lines() for part in line.split("=", 1)}
        return {p.casefold() for p in parts if len(p) >= _TELLING and p not in self._kinds}
