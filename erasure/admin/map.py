"""The map of one plan: where this person's data can be, with what is done on each dataset."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

from django.contrib.admin import AdminSite
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path

from erasure.admin import words
from erasure.models import ErasureRequest, PlanStep
from erasure.runs import statement
from lineage import selectors, views
from lineage.errors import UnknownIdentity
from lineage.graph import Reach, walk

_TEMPLATE = "admin/erasure/erasurerequest/map.html"


class Maps:
    """The address of a plan's map, for the admin of requests."""

    admin_site: AdminSite

    def map_urls(self) -> list[URLPattern]:
        """One page, to be looked at."""
        view = self.admin_site.admin_view(self.map)
        return [path("<uuid:pk>/map/", view, name="erasure_map")]

    def map(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        """Draw it for whoever may see the case."""
        if not request.user.has_perm("erasure.view_erasurerequest"):
            raise PermissionDenied
        case = get_object_or_404(ErasureRequest, pk=pk)
        question = views.Question.of(request)
        if question.personal:
            return views.refused(request)
        steps, ground = statement.steps_of(case), views.Ground.now()
        context: dict[str, Any] = {
            **self.admin_site.each_context(request),
            "title": "Map of the plan",
            "case": case,
            "badge": words.badge(case.state, case.right),
            "carried_out": any(step.rows is not None for step in steps),
            **views.mapped(_reach(case, ground), question, ground, marks=marks(steps)),
        }
        return TemplateResponse(request, _TEMPLATE, context)


def _reach(case: ErasureRequest, ground: views.Ground) -> Reach:
    """From the kinds of identifier that were searched by, through the catalogue as it is now."""
    proved = case.identifiers.exclude(proved_by="")
    kinds = set(proved.values_list("kind", flat=True)) & set(selectors.identity_kinds())
    try:
        start = selectors.identity_start(kinds) if kinds else {}
    except UnknownIdentity:  # taken out of the catalogue this moment
        start = {}
    return walk(start, ground.neighbours)


def marks(steps: Iterable[PlanStep]) -> dict[str, views.Mark]:
    """What is done to each dataset; where several steps meet, the one on the person's
    own rows speaks for them in the box, and all of them in the list."""
    by_dataset: dict[str, list[PlanStep]] = {}
    for step in steps:
        by_dataset.setdefault(step.dataset, []).append(step)
    return {address: _mark(group) for address, group in by_dataset.items()}


def _mark(steps: Sequence[PlanStep]) -> views.Mark:
    # what becomes of the person's own rows says more than what becomes of other people's
    own_first = sorted(steps, key=lambda s: (not _rows(s), s.via != "deep", s.ordinal))
    first = own_first[0]
    said = []
    for step in steps:
        rows = _rows(step)
        counted = f" ({rows} row{'' if rows == 1 else 's'})" if rows else ""
        said.append(f"{words.deed(step.action, step.via)}{counted}")
    mark = views.deed(first.action, "; ".join(dict.fromkeys(said)))
    rows = _rows(first)
    tag = f"{mark.tag} {rows}" if rows else mark.tag
    return views.Mark(tag=tag, words=mark.words, tone=mark.tone)


def _rows(step: PlanStep) -> int:
    return step.counted if step.rows is None else step.rows
