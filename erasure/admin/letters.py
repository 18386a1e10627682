"""The desk's part in letters: the list of a case, the page to write one, and the page to send it.

An address is never shown; what was written is, to those who decide.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django import forms
from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse

from erasure.admin.doing import Doing
from erasure.admin.roles import allowed, at_desk, required
from erasure.domain import letters as kinds
from erasure.domain.errors import KeyDestroyed, LetheError
from erasure.flow import disclose, notify
from erasure.flow import letters as flow
from erasure.models import ErasureRequest, Letter, Notice
from erasure.runs import letters

_FOLDER = "admin/erasure/erasurerequest"
TITLES: Mapping[str, str] = {
    "confirm_email": "Confirm your email address",
    "acknowledgment": "Request received",
    "identity_request": "Proof of identity wanted",
    "clarification": "A question",
    "extension": "More time needed",
    "refusal": "Refusal",
    "partial": "Erased in part",
    "fee": "Fee",
    "unidentifiable": "Cannot be identified",
    "completion": "Erased",
    "no_data": "No data held",
    "recipient_notice": "To a recipient: erase",
    "controller_notice": "To another controller: published data",
    "reminder": "To a recipient: reminder",
    "restriction_lifted": "Restriction ends",
    "restore_alert": "Restore alert, for the house",
    "complaint_receipt": "Complaint received",
    "complaint_answer": "Answer to a complaint",
    "answer": "Answer",
}
_LABELS: Mapping[str, str] = {
    "more": "Anything else, if you like",
    "link": "Link to confirm the address",
    "reasons": "The reasons",
    "proof": "What to send as proof",
    "payment": "How to pay",
    "person": "How the recipient knows the person",
    "published": "What is meant: links, copies",
    "restricted": "What was restricted",
    "day": "Last day of the restriction",
}
LANGUAGES: Mapping[str, str] = {"en": "English", "de": "German", "fr": "French", "es": "Spanish"}
BADGES: Mapping[str, tuple[str, str]] = {
    "drafted": ("draft", "decide"),
    "sending": ("being sent", "running"),
    "sent": ("sent", "done"),
    "by_hand": ("sent by hand", "done"),
    "blocked": ("not sent", "stop"),
}


class LetterForm(forms.Form):
    """The blocks of one letter, and where it goes. ``defaults``: what each block says by itself;
    ``known``: what the address is called that is known, if one is."""

    where = forms.ChoiceField(
        label="Where it goes",
        widget=forms.RadioSelect,
        choices=[
            ("other", "By email to the address below"),
            ("hand", "By hand: on paper, in person"),
        ],
    )
    to = forms.CharField(
        label="Another address",
        required=False,
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
        help_text="It is kept sealed and never shown again.",
    )

    def __init__(
        self,
        kind: kinds.Kind,
        defaults: Mapping[str, str],
        data: Any = None,
        known: str = "By email to the address known from the case",
    ) -> None:
        person = kind.to == "person" and bool(known)
        super().__init__(data, initial={"where": "known" if person else "other"})
        if known:
            where = self.fields["where"]
            where.choices = [("known", known), *where.choices]  # type: ignore[attr-defined]
        self._defaults = defaults
        for name, block in kind.blocks.items():
            attributes = {"autocomplete": "off"}
            if block.required:
                attributes["aria-required"] = "true"
            widget: forms.Widget = forms.TextInput(attrs=attributes)
            if not block.one_line:
                widget = forms.Textarea(attrs={"rows": 4, **attributes})
            self.fields[f"block_{name}"] = forms.CharField(
                label=_LABELS.get(name, name.capitalize()),
                required=False,
                widget=widget,
                initial=defaults.get(name, ""),
            )
        self.order_fields([f"block_{name}" for name in kind.blocks])

    def given(self) -> dict[str, str]:
        """The blocks that were written anew."""
        typed = {name: self.cleaned_data[f"block_{name}"] for name in self._defaults}
        lines = {name: text.replace("\r\n", "\n") for name, text in typed.items()}
        return {n: text for n, text in lines.items() if text != self._defaults[n]}

    def address(self) -> str | None:
        """As ``draft_letter`` takes it."""
        where, to = self.cleaned_data["where"], str(self.cleaned_data["to"])
        return {"known": None, "hand": ""}.get(where, to or "?")

    def refused(self, error: LetheError) -> None:
        """Show an error of the flow at its field; an address is not shown again."""
        field, _, words = str(error).partition(": ")
        name = field.replace("blocks.", "block_")
        known = name in self.fields
        self.add_error(name if known else None, words if known else str(error))


def shown(case: ErasureRequest) -> dict[str, Any]:
    """What the page of a case says of its letters."""
    fit = kinds.fitting(letters.situation_of(case))
    return {
        "letters": [
            {
                "letter": letter,
                "title": TITLES[letter.code],
                "words": BADGES[letter.state][0],
                "tone": BADGES[letter.state][1],
            }
            for letter in case.letters.all()
        ],
        "letter_kinds": [(kind.code, TITLES[kind.code]) for kind in fit],
        "letter_languages": [(code, LANGUAGES[code]) for code in settings.LETHE_LANGUAGES],
        "letter_language": letters.language_of(case),
    }


class Letters(Doing):
    """The addresses of letters, for the admin of requests."""

    def letter_urls(self) -> list[URLPattern]:
        """The pages, and the deeds, each a POST of its own."""
        return [
            path(f"<uuid:pk>/{place}/", self.admin_site.admin_view(view), name=f"erasure_{name}")
            for place, name, view in (
                ("letters", "letters", self.write_letter),
                ("letters/<uuid:letter>", "letter", self.read_letter),
                ("letters/<uuid:letter>/send", "letter_send", self.send_letter),
                ("letters/<uuid:letter>/by-hand", "letter_by_hand", self.letter_by_hand),
                ("answered/<int:notice>", "answered", self.answered),
            )
        ]

    def write_letter(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        """Fill in the blocks, look at the text, keep it as a draft."""
        case = _case(request, pk, "write_letter")
        code, language = request.GET.get("code", ""), request.GET.get("language", "")
        notice = request.GET.get("notice", "")
        recipient = case.notices.filter(pk=notice).first() if notice.isdecimal() else None
        language = language or letters.language_of(case)
        try:
            written = letters.write(case, code, language, {}, recipient, whole=False)
        except LetheError as error:
            messages.error(request, str(error))
            return redirect("admin:erasure_erasurerequest_change", case.pk)
        kind = kinds.kind_of(code)
        form = LetterForm(kind, written.blocks, request.POST if request.method == "POST" else None)
        typed: dict[str, str] = {}
        if form.is_valid():
            try:
                if "draft" in request.POST:
                    letter = flow.draft_letter(
                        case,
                        code=code,
                        language=language,
                        blocks=form.given(),
                        to=form.address(),
                        by=at_desk(request),
                        notice=recipient,
                    )
                    return redirect("admin:erasure_letter", case.pk, letter.pk)
                letters.write(case, code, language, form.given(), recipient)
                typed = form.given()
            except LetheError as error:
                form.refused(error)
        if form.is_bound:
            form.data = {**form.data.dict(), "to": ""}  # type: ignore[attr-defined]
        context = {
            **self.admin_site.each_context(request),
            "case": case,
            "form": form,
            "written": flow.preview_letter(
                case,
                code=code,
                language=language,
                blocks=typed,
                by=at_desk(request),
                notice=recipient,
            ),
            "title": f"Write: {TITLES[code]}",
        }
        return TemplateResponse(request, f"{_FOLDER}/letter_new.html", context)

    def read_letter(self, request: HttpRequest, pk: UUID, letter: UUID) -> HttpResponse:
        """The text as it is, or was, sent."""
        case = _case(request, pk, "see_letters")
        found = get_object_or_404(Letter, pk=letter, request=case)
        try:
            to, text = disclose.read_letter(found, by=at_desk(request))
        except KeyDestroyed:
            to, text = "", "destroyed with the record of the case"
        unsent = found.state in ("drafted", "blocked")
        context = {
            **self.admin_site.each_context(request),
            "case": case,
            "letter": found,
            "text": text,
            "may": allowed(at_desk(request)),
            "badge": BADGES[found.state],
            "language": LANGUAGES.get(found.language, found.language),
            "send_url": reverse("admin:erasure_letter_send", args=[pk, letter]) if to else "",
            "hand_url": reverse("admin:erasure_letter_by_hand", args=[pk, letter]),
            "may_hand": unsent,
            "title": TITLES[found.code],
        }
        return TemplateResponse(request, f"{_FOLDER}/letter.html", context)

    def send_letter(self, request: HttpRequest, pk: UUID, letter: UUID) -> HttpResponse:
        """Send it by email."""
        return self._deed(
            request,
            pk,
            lambda case, by: flow.send_letter(
                get_object_or_404(Letter, pk=letter, request=case), by=by
            ),
            "Handed to the mail server. The list of letters says what became of it.",
        )

    def letter_by_hand(self, request: HttpRequest, pk: UUID, letter: UUID) -> HttpResponse:
        """Record that it was sent by hand."""
        return self._deed(
            request,
            pk,
            lambda case, by: flow.mark_sent_by_hand(
                get_object_or_404(Letter, pk=letter, request=case), by=by
            ),
            "Recorded: the letter was sent by hand.",
        )

    def answered(self, request: HttpRequest, pk: UUID, notice: int) -> HttpResponse:
        """Record that a recipient has answered."""
        return self._deed(
            request,
            pk,
            lambda case, by: notify.confirm_answer(
                get_object_or_404(Notice, pk=notice, request=case), by=by
            ),
            "Recorded: the recipient has answered.",
        )


def _case(request: HttpRequest, pk: UUID, deed: str) -> ErasureRequest:
    required(request, deed)
    return get_object_or_404(ErasureRequest, pk=pk)
