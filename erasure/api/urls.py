"""The addresses of the API, version 1."""

from __future__ import annotations

from typing import Any

from django.urls import URLPattern, path, re_path
from drf_spectacular.utils import extend_schema
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.views import APIView

from erasure.api import care, cases, exports, letters, others, retention, schema, trained, weighing


class Nowhere(APIView):
    """Any other address."""

    authentication_classes = ()
    permission_classes = ()

    @extend_schema(exclude=True)
    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Whatever the method."""
        raise NotFound


urlpatterns: list[URLPattern] = [
    path("schema", schema.Schema.as_view(), name="api_schema"),
    path("requests", cases.Cases.as_view()),
    path("requests/find", care.Find.as_view()),
    path("requests/<uuid:pk>", cases.Case.as_view()),
    path("requests/<uuid:pk>/plans", others.Plans.as_view()),
    path("requests/<uuid:pk>/steps", others.Steps.as_view()),
    path("requests/<uuid:pk>/letters", letters.Letters.as_view()),
    path("requests/<uuid:pk>/letters/preview", letters.Preview.as_view()),
    path("requests/<uuid:pk>/notices", letters.Notices.as_view()),
    path("requests/<uuid:pk>/exports", exports.Exports.as_view()),
    path("requests/<uuid:pk>/ground/met", weighing.Met.as_view()),
    path("requests/<uuid:pk>/reasons", weighing.Reasons.as_view()),
    path("requests/<uuid:pk>/exceptions", others.Exceptions.as_view()),
    *(path(f"requests/<uuid:pk>/{way.name}", cases.deed_view(way).as_view()) for way in cases.WAYS),
    path("mailbox", cases.Mailbox.as_view()),
    path("complaints", care.Complaints.as_view()),
    path("complaints/<uuid:pk>/letter", care.ComplaintLetter.as_view()),
    path("complaints/<uuid:pk>/letters", care.ComplaintLetters.as_view()),
    path("complaints/<uuid:pk>", care.OneComplaint.as_view()),
    *(path(f"complaints/<uuid:pk>/{name}", view.as_view()) for name, view in care.DEEDS.items()),
    path("accesses", care.Accesses.as_view()),
    path("training", care.Training.as_view()),
    path("exceptions/<uuid:pk>/lift", others.Lift.as_view()),
    path("exports/<uuid:pk>/archive", exports.Archive.as_view()),
    path("exports/<uuid:pk>/passphrase", exports.Passphrase.as_view()),
    *(path(f"exports/<uuid:pk>/{name}", v.as_view()) for name, v in exports.VIEWS.items()),
    path("letters/<uuid:pk>/send", letters.Send.as_view()),
    path("letters/<uuid:pk>/by-hand", letters.ByHand.as_view()),
    path("letters/<uuid:pk>/text", letters.Text.as_view()),
    path("acknowledgments/<uuid:notice>", letters.Acknowledged.as_view()),
    path("notices/<int:pk>/told", letters.Told.as_view()),
    path("notices/<int:pk>/answered", letters.Answered.as_view()),
    path("holds", others.Holds.as_view()),
    path("holds/release", others.ReleaseMatter.as_view()),
    path("holds/<uuid:pk>", others.OneHold.as_view()),
    path("holds/<uuid:pk>/reasons", others.HoldReasons.as_view()),
    path("holds/<uuid:pk>/release", others.Release.as_view()),
    path("catalogue/stores", others.Stores.as_view()),
    path("catalogue/datasets", others.Datasets.as_view()),
    path("catalogue/datasets/<str:address>", others.Dataset.as_view()),
    path("models", others.Models.as_view()),
    path("models/signals", trained.Signal.as_view()),
    path("models/<uuid:pk>", trained.OneModel.as_view()),
    path("models/<uuid:pk>/accept", trained.Accept.as_view()),
    path("models/<uuid:pk>/overrule", trained.Overrule.as_view()),
    path("models/<uuid:pk>/begin", trained.Begin.as_view()),
    path("models/<uuid:pk>/cancel", trained.Cancel.as_view()),
    path("models/<uuid:pk>/decline", trained.Decline.as_view()),
    path("retention", retention.Expiries.as_view()),
    path("retention/datasets", retention.Looks.as_view()),
    path("retention/standing", retention.Standings.as_view()),
    path("retention/standing/<uuid:pk>/revoke", retention.Revoke.as_view()),
    path("retention/<uuid:pk>", retention.OneExpiry.as_view()),
    *(path(f"retention/<uuid:pk>/{n}", v.as_view()) for n, v in retention.DEEDS.items()),
    path("backups", others.Backups.as_view()),
    path("statistics", others.Figures.as_view()),
    re_path("", Nowhere.as_view()),
]
