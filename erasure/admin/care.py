"""After care at the desk: cases found again, linked and reopened; reasons looked at, on record."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django import forms
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path

from erasure.admin import clock, words
from erasure.admin.doing import Doing
from erasure.admin.pairs import PairsField, pairs_of
from erasure.admin.roles import required
from erasure.domain import reopening, states
from erasure.domain.errors import KeyDestroyed, LetheError, UsageError
from erasure.domain.roles import Actor
from erasure.flow import disclose, reopen, route
from erasure.models import ErasureRequest
from erasure.runs import dues, records
from erasure.runs.case import begun
from lineage import selectors

_FOLDER = "admin/erasure/erasurerequest"


class Given(forms.Form):
    """What somebody gives now."""

    identifiers = PairsField(label="What the person is known by")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        kinds = ", ".join(selectors.identity_kinds()) or "none: import a catalogue first"
        self.fields["identifiers"].help_text = (
            f"One per line, KIND=VALUE. Known kinds: {kinds}. It is compared as a keyed pseudonym, "
            "not kept, and not shown again; that you have looked is recorded."
        )


def shown(case: ErasureRequest, by: Actor) -> dict[str, Any]:
    """What the page of a case says of its record, its complaints and its way back."""
    open_ = case.state not in states.CLOSED
    linkable = open_ and "duplicate" in states.REQUEST[case.state] and not begun(case)
    return {
        "reopened_words": reopening.WHYS.get(case.reopened_for, ""),
        "record_until": records.kept_until(case),
        "complaints": [(one, words.COMPLAINTS[one.state]) for one in case.complaints.all()],
        "duplicates": list(dues.alike(case)[:5]) if linkable and by.may("route") else [],
        "may_reopen": reopening.may_reopen(case.state),
        "followed_by": list(
            ErasureRequest.objects.filter(follows=case.pk).values_list("pk", flat=True)
        ),
        "reopen_whys": [(code, said.capitalize()) for code, said in reopening.WHYS.items()],
        "identity_kinds": selectors.identity_kinds(),
    }


class Care(Doing):
    """The addresses of these, for the admin of requests."""

    def care_urls(self) -> list[URLPattern]:
        """Identifiers come by POST alone."""
        wrap = self.admin_site.admin_view
        return [
            path("find/", wrap(self.find), name="erasure_find"),
            path("<uuid:pk>/reopen/", wrap(self.reopen), name="erasure_reopen"),
            path("<uuid:pk>/duplicate/", wrap(self.duplicate), name="erasure_duplicate"),
            path("<uuid:pk>/reasons/", wrap(self.reasons), name="erasure_reasons"),
        ]

    def find(self, request: HttpRequest) -> HttpResponse:
        """Cases, open or closed, that know what a person gives now."""
        by = required(request, "route")
        form = Given(request.POST if request.method == "POST" else None)
        found: list[ErasureRequest] | None = None
        if form.is_valid():
            try:
                found = route.find_cases(form.cleaned_data["identifiers"], by=by)
            except LetheError as error:
                form.add_error("identifiers", str(error))
        if form.is_bound:
            form.data = {}
        context = {
            **self.admin_site.each_context(request),
            "form": form,
            "found": None if found is None else [(c, words.badge(c.state, c.right)) for c in found],
            "title": "Find somebody's cases",
        }
        return TemplateResponse(request, f"{_FOLDER}/find.html", context)

    def reopen(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        """Take a closed case up again."""
        typed = request.POST

        def deed(case: ErasureRequest, by: Actor) -> object:
            return reopen.reopen_case(
                case,
                identifiers=_pairs(typed.get("identifiers", "")),
                why=typed.get("why", ""),
                because=typed.get("because", ""),
                by=by,
            )

        return self._deed(request, pk, deed, "Reopened. Check who asks; then it is planned anew.")

    def duplicate(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        """The same person asked twice."""
        try:
            of = UUID(request.POST.get("of", ""))
        except ValueError:
            of = pk
        return self._deed(
            request,
            pk,
            lambda case, by: route.link_duplicate(
                case, of=get_object_or_404(ErasureRequest, pk=of), by=by
            ),
            "Linked. It goes on in the other case.",
        )

    def reasons(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        """The words of the reasons; a look that is recorded, so no address to be opened."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        by = required(request, "see_reasons")
        case = get_object_or_404(ErasureRequest, pk=pk)
        gone, read = "", []
        try:
            read = [(clock.about(e), e, said) for e, said in disclose.read_reasons(case, by=by)]
        except KeyDestroyed:
            gone = "They were destroyed with the record of the case."
        context = {
            **self.admin_site.each_context(request),
            "case": case,
            "reasons": read,
            "gone": gone,
            "title": "Reasons on record",
        }
        return TemplateResponse(request, f"{_FOLDER}/reasons.html", context)


def _pairs(text: str) -> list[tuple[str, str]]:
    """Raises UsageError, which names the line alone."""
    try:
        return pairs_of(text)
    except forms.ValidationError as error:
        raise UsageError(f"identifiers: {' '.join(error.messages)}") from None
