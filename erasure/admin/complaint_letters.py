"""The desk's part in letters to people who complained about no case, or about one of which the
record has ended: written, looked at, sent."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse

from erasure.admin.doing import Doing
from erasure.admin.letters import BADGES, LANGUAGES, TITLES, LetterForm
from erasure.admin.roles import allowed, required
from erasure.domain import letters as kinds
from erasure.domain.errors import KeyDestroyed, LetheError, UsageError
from erasure.flow import complain, disclose
from erasure.flow import letters as flow
from erasure.models import Complaint, Letter
from erasure.runs import complaints, letters

_FOLDER = "admin/erasure/complaint"


def shown(complaint: Complaint) -> dict[str, Any]:
    """What the page of a complaint says of its letters; nothing where they are a case's."""
    own, code = complaints.has_letters(complaint), _code(complaint)
    return {
        "own_letters": own,
        "letters": [
            {
                "letter": one,
                "title": TITLES[one.code],
                "badge": BADGES[one.state],
                "language": LANGUAGES.get(one.language, one.language),
            }
            for one in complaint.letters.all()
        ],
        "letter_title": TITLES[code] if own and complaint.state in letters.ABOUT[code] else "",
        "letter_languages": [(code, LANGUAGES[code]) for code in settings.LETHE_LANGUAGES],
    }


class ComplaintLetters(Doing):
    """The addresses of these letters, for the admin of complaints."""

    def letter_urls(self) -> list[URLPattern]:
        """The pages, and the deeds, each a POST of its own."""
        return [
            path(f"<uuid:pk>/{place}", self.admin_site.admin_view(view), name=f"complaint_{name}")
            for place, name, view in (
                ("letters/", "letters", self.write_letter),
                ("letters/<uuid:letter>/", "letter", self.read_letter),
                ("letters/<uuid:letter>/send/", "letter_send", self.send_letter),
                ("letters/<uuid:letter>/by-hand/", "letter_by_hand", self.letter_by_hand),
            )
        ]

    def write_letter(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        """Fill in the blocks, look at the text, keep it as a draft."""
        by, complaint = required(request, "write_letter"), get_object_or_404(Complaint, pk=pk)
        how: dict[str, Any] = {"code": _code(complaint), "by": by}
        how["language"] = request.GET.get("language", "") or settings.LETHE_LANGUAGES[0]
        try:
            written = complain.write_letter(complaint, blocks={}, **how)
        except LetheError as error:
            messages.error(request, str(error))
            return redirect("admin:erasure_complaint_change", pk)
        kind = kinds.kind_of(how["code"])
        data = request.POST if request.method == "POST" else None
        form = LetterForm(kind, written.blocks, data, known=_known(complaint))
        if form.is_valid():
            try:
                if "draft" in request.POST:
                    blocks, to = form.given(), form.address()
                    made = flow.draft_about(complaint, blocks=blocks, to=to, **how)
                    return redirect("admin:complaint_letter", pk, made.pk)
                written = complain.write_letter(complaint, blocks=form.given(), **how)
            except LetheError as error:
                form.refused(error)
        if form.is_bound:
            form.data = {**form.data.dict(), "to": ""}  # type: ignore[attr-defined]
        context = {"form": form, "written": written, "title": f"Write: {TITLES[how['code']]}"}
        return self._page(request, complaint, "letter_new", context)

    def read_letter(self, request: HttpRequest, pk: UUID, letter: UUID) -> HttpResponse:
        """The text as it is, or was, sent."""
        by, found = required(request, "see_letters"), _letter(pk, letter)
        try:
            to, text = disclose.read_letter(found, by=by)
        except KeyDestroyed:
            to, text = "", "destroyed with the record of the complaint"
        unsent = found.state in ("drafted", "blocked")
        context = {
            "letter": found,
            "text": text,
            "may": allowed(by),
            "badge": BADGES[found.state],
            "language": LANGUAGES.get(found.language, found.language),
            "send_url": reverse("admin:complaint_letter_send", args=[pk, letter]) if to else "",
            "hand_url": reverse("admin:complaint_letter_by_hand", args=[pk, letter]),
            "may_hand": unsent,
            "title": TITLES[found.code],
        }
        return self._page(request, get_object_or_404(Complaint, pk=pk), "letter", context)

    def send_letter(self, request: HttpRequest, pk: UUID, letter: UUID) -> HttpResponse:
        """Send it by email."""
        return self._deed(
            request,
            pk,
            lambda _, by: flow.send_letter(_letter(pk, letter), by=by),
            "Handed to the mail server. The list of letters says what became of it.",
        )

    def letter_by_hand(self, request: HttpRequest, pk: UUID, letter: UUID) -> HttpResponse:
        """Record that it was sent by hand."""
        return self._deed(
            request,
            pk,
            lambda _, by: flow.mark_sent_by_hand(_letter(pk, letter), by=by),
            "Recorded: the letter was sent by hand.",
        )

    def _page(
        self, request: HttpRequest, complaint: Complaint, name: str, context: dict[str, Any]
    ) -> HttpResponse:
        whole = {**self.admin_site.each_context(request), "complaint": complaint, **context}
        return TemplateResponse(request, f"{_FOLDER}/{name}.html", whole)


def _code(complaint: Complaint) -> str:
    return "complaint_answer" if complaint.state == "answered" else "complaint_receipt"


def _known(complaint: Complaint) -> str:
    """What the form calls the address that is known; empty for none."""
    try:
        letters.address_about(complaint)
    except (UsageError, KeyDestroyed):
        return ""
    return "By email to where the last letter went"


def _letter(pk: UUID, letter: UUID) -> Letter:
    return get_object_or_404(Letter, pk=letter, complaint=pk)
