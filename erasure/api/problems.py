"""Errors as problem details (RFC 9457): what is wrong, by field, and never what was sent."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import Http404
from rest_framework.exceptions import APIException, ErrorDetail, NotFound, ValidationError
from rest_framework.response import Response
from rest_framework.views import set_rollback

from erasure.domain import errors
from lineage.errors import LineageError

MEDIA_TYPE = "application/problem+json"
# The first that fits.
_STATUS: tuple[tuple[type[Exception], HTTPStatus], ...] = (
    (errors.Denied, HTTPStatus.FORBIDDEN),
    (errors.UsageError, HTTPStatus.UNPROCESSABLE_ENTITY),
    (errors.StalePlan, HTTPStatus.CONFLICT),
    (errors.WrongState, HTTPStatus.CONFLICT),
    (errors.KeyDestroyed, HTTPStatus.GONE),
    (errors.LetheError, HTTPStatus.SERVICE_UNAVAILABLE),
    (LineageError, HTTPStatus.UNPROCESSABLE_ENTITY),
)
# Messages of the framework that repeat what was sent.
_WORDS: Mapping[str, str] = {
    "invalid_choice": "is none of the allowed values",
    "invalid": "has the wrong form",
    "not_a_list": "must be a list",
    "does_not_exist": "does not exist",
}


def answer(error: Exception, context: dict[str, Any]) -> Response | None:
    """The response to an error; None for one that is nobody's but ours."""
    for kind, status in _STATUS:
        if isinstance(error, kind):
            set_rollback()
            return problem(status, **_told(str(error)))
    if isinstance(error, Http404):
        error = NotFound()
    elif isinstance(error, PermissionDenied):
        return problem(HTTPStatus.FORBIDDEN, "not allowed")
    if not isinstance(error, APIException):
        return None
    set_rollback()
    status = HTTPStatus(error.status_code)
    if isinstance(error, ValidationError):
        found = list(_by_field(error.detail))
        response = problem(status, "some fields cannot be taken", found)
    else:
        response = problem(status, _generic(error, status))
    if header := getattr(error, "auth_header", None):
        response["WWW-Authenticate"] = header
    return response


def problem(
    status: HTTPStatus, detail: str, errors: list[dict[str, str]] | None = None
) -> Response:
    """A problem, with ``errors`` as (field, message) where fields are to blame."""
    content: dict[str, Any] = {
        "type": "about:blank",
        "title": status.phrase,
        "status": int(status),
        "detail": detail,
        "errors": errors or [],
    }
    return Response(content, status=status, content_type=MEDIA_TYPE)


def _told(text: str) -> dict[str, Any]:
    """Our own errors begin with the field, and never hold a value."""
    field, colon, message = text.partition(": ")
    if colon and field.replace("_", "").replace(".", "").replace("-", "").isalnum():
        return {"detail": text, "errors": [{"field": field, "message": message}]}
    return {"detail": text}


def _generic(error: APIException, status: HTTPStatus) -> str:
    # The framework's own words for a method or a media type repeat the caller's.
    ours = status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
    return str(error.detail) if ours else status.description or status.phrase


def _by_field(detail: Any, path: str = "") -> Iterator[dict[str, str]]:
    if isinstance(detail, dict):
        for name, inner in detail.items():
            yield from _by_field(inner, f"{path}.{name}" if path else str(name))
    elif isinstance(detail, list):
        for place, inner in enumerate(detail):
            nested = isinstance(inner, dict | list)
            yield from _by_field(inner, f"{path}.{place}" if nested else path)
    elif isinstance(detail, ErrorDetail):
        message = _WORDS.get(detail.code, str(detail)) if detail.code else str(detail)
        yield {"field": path.removesuffix(".non_field_errors"), "message": message}
