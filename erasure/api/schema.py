"""What the schema says of every operation alike: how it fails."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.views import SpectacularJSONAPIView

from erasure.api.problems import MEDIA_TYPE

_ALWAYS = (400, 401, 403, 404, 405, 406, 409, 410, 415, 422, 503)


def add_problems(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Every operation may answer with a problem."""
    reference = {"$ref": "#/components/schemas/Problem"}
    for path in result["paths"].values():
        for operation in path.values():
            for status in _ALWAYS:
                operation["responses"][str(status)] = {
                    "description": HTTPStatus(status).phrase,
                    "content": {MEDIA_TYPE: {"schema": reference}},
                }
    text = {"type": "string"}
    error = {
        "type": "object",
        "properties": {"field": text, "message": text},
        "required": ["field", "message"],
    }
    properties = {
        "type": text,
        "title": text,
        "status": {"type": "integer"},
        "detail": text,
        "errors": {"type": "array", "items": error},
    }
    result["components"]["schemas"]["Problem"] = {
        "type": "object",
        "properties": properties,
        "required": list(properties),
    }
    return result


class Schema(SpectacularJSONAPIView):
    """The OpenAPI document; it tells nothing of anybody."""

    authentication_classes = ()
    permission_classes = ()


class BearerScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """How the schema tells of it."""

    target_class = "erasure.api.door.Bearer"
    name = "token"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        """RFC 6750."""
        return {"type": "http", "scheme": "bearer"}
