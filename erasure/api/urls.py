"""The addresses of the API, version 1."""

from __future__ import annotations

from typing import Any

from django.urls import URLPattern, path, re_path
from drf_spectacular.utils import extend_schema
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.views import APIView

from erasure.api import cases, others, schema


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
    path("requests/<uuid:pk>", cases.Case.as_view()),
    path("requests/<uuid:pk>/plans", others.Plans.as_view()),
    path("requests/<uuid:pk>/steps", others.Steps.as_view()),
    path("requests/<uuid:pk>/letters", others.Letters.as_view()),
    path("requests/<uuid:pk>/exceptions", others.Exceptions.as_view()),
    *(path(f"requests/<uuid:pk>/{way.name}", cases.deed_view(way).as_view()) for way in cases.WAYS),
    path("exceptions/<uuid:pk>/lift", others.Lift.as_view()),
    path("holds", others.Holds.as_view()),
    path("holds/<uuid:pk>", others.OneHold.as_view()),
    path("holds/<uuid:pk>/release", others.Release.as_view()),
    path("catalogue/stores", others.Stores.as_view()),
    path("catalogue/datasets", others.Datasets.as_view()),
    path("catalogue/datasets/<str:address>", others.Dataset.as_view()),
    path("models", others.Models.as_view()),
    path("backups", others.Backups.as_view()),
    path("statistics", others.Figures.as_view()),
    re_path("", Nowhere.as_view()),
]
