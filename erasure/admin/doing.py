"""The bases of pages on which something is done: a deed by a POST of its own, and a form for
something new. What was refused is said there; a form never shows again what was typed of a person.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import reverse

from erasure.admin import words
from erasure.admin.readonly import ReadOnly
from erasure.admin.roles import required
from erasure.domain.errors import Denied, LetheError
from erasure.domain.roles import Actor
from lineage.errors import LineageError

Deed = Callable[[Any, Actor], object]


# What was refused last, to be said in its form, too.
_REFUSED = "desk_refused"


def refused(request: HttpRequest, pk: object) -> dict[str, str]:
    """The deed on this one that was refused just now, by the end of its address, and why; said
    once."""
    if request.session.get(_REFUSED, {}).get("of") != str(pk):
        return {}
    return dict(request.session.pop(_REFUSED))


class Doing(ReadOnly):
    """Whoever may do something to what a page shows does it there."""

    sees = "see_cases"

    def _deed(
        self, request: HttpRequest, pk: UUID, deed: Deed, done: str | Callable[[Any], str]
    ) -> HttpResponse:
        """``done``: what is told once it was done, perhaps of what it was done to."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        by, one = required(request, self.sees), get_object_or_404(self.model, pk=pk)
        try:
            one = self._after(one, deed(one, by))
        except Denied:
            raise PermissionDenied from None
        except (LetheError, LineageError) as error:
            said = words.refused(error, one.pk)
            messages.error(request, said)
            deed_name = request.path.rstrip("/").rpartition("/")[2]
            request.session[_REFUSED] = {"of": str(one.pk), "deed": deed_name, "said": said}
        else:
            messages.success(request, done if isinstance(done, str) else done(one))
        return redirect(f"admin:erasure_{self.opts.model_name}_change", one.pk)

    def _after(self, one: Any, done: object) -> Any:
        """What a deed sets going; returns whose page is shown then."""
        return one

    def _form(
        self, request: HttpRequest, form: forms.Form, title: str, submit: str
    ) -> TemplateResponse:
        """The page of a form for a new one."""
        context = {
            **self.admin_site.each_context(request),
            "form": form,
            "title": title,
            "submit": submit,
            "list_address": reverse(f"admin:erasure_{self.opts.model_name}_changelist"),
            "list_name": str(self.opts.verbose_name_plural).capitalize(),
        }
        return TemplateResponse(request, "admin/erasure/form.html", context)


def accepted(
    form: forms.Form,
    record: Callable[[dict[str, Any]], HttpResponse],
    *,
    emptied: Sequence[str] = (),
) -> HttpResponse | None:
    """What ``record`` answers to a form that was filled in; None where it has to be shown, with
    what was wrong, and without what stood in the fields ``emptied``."""
    if form.is_valid():
        try:
            return record(form.cleaned_data)
        except (LetheError, LineageError) as error:
            field, _, said = str(error).partition(": ")
            form.add_error(field if field in form.fields else None, said or str(error))
    if form.is_bound:
        form.data = {**form.data.dict(), **dict.fromkeys(emptied, "")}  # type: ignore[attr-defined]
    return None
