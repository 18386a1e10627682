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

from erasure.admin.readonly import ReadOnly
from erasure.admin.roles import required
from erasure.domain.errors import Denied, LetheError
from erasure.domain.roles import Actor
from lineage.errors import LineageError

Deed = Callable[[Any, Actor], object]


class Doing(ReadOnly):
    """Whoever may do something to what a page shows does it there."""

    sees = "see_cases"

    def _deed(self, request: HttpRequest, pk: UUID, deed: Deed, said: str) -> HttpResponse:
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        by, one = required(request, self.sees), get_object_or_404(self.model, pk=pk)
        try:
            one = self._after(one, deed(one, by))
        except Denied:
            raise PermissionDenied from None
        except (LetheError, LineageError) as error:
            messages.error(request, str(error))
        else:
            messages.success(request, said)
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
