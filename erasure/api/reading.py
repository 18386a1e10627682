"""Bodies as they come in: JSON that no reader of it can be overturned by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rest_framework.exceptions import ParseError
from rest_framework.parsers import JSONParser

_DEEPEST = 16  # the deepest body that is asked for has five levels


class Shallow(JSONParser):
    """JSON of few levels: Python reads nested values by recursion, and writes them so, too."""

    def parse(
        self,
        stream: Any,
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        """The body. Raises ParseError."""
        try:
            found = super().parse(stream, media_type, parser_context)
        except RecursionError:
            raise ParseError from None
        if _is_deeper(found, _DEEPEST):
            raise ParseError
        return found


def _is_deeper(value: Any, levels: int) -> bool:
    """Looked at level by level, and no further than asked."""
    level = [value]
    for _ in range(levels):
        level = [inner for one in level for inner in _inside(one)]
        if not level:
            return False
    return True


def _inside(value: Any) -> list[Any]:
    inner = value.values() if isinstance(value, dict) else value
    return [one for one in inner if isinstance(one, dict | list)] if _holds(value) else []


def _holds(value: Any) -> bool:
    return isinstance(value, dict | list)
