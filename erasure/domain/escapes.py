"""How a text is written where it may not stand as it is: in a URL, in HTML. Pure.

Access logs are full of ``?email=person%40example.com``, and stored pages of ``M&uuml;ller``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import escape
from html.entities import codepoint2name
from urllib.parse import quote, quote_plus

_MARKUP = re.compile(r"[&<>\"']")
# The end of an escape of a URL: a word that follows begins there, though it ends in a letter.
_URL_ESCAPE = re.compile(r"%[0-9a-f]{2}", re.IGNORECASE)


def escaped(text: str) -> set[str]:
    """Other ways of writing ``text``, if there are any: percent-encoded (RFC 3986), as a form's
    field (``+`` for a blank), and with the references of HTML, by name and by number."""
    whole = text.encode("utf-8", "replace").decode()
    found = {quote(whole, safe=""), quote(whole, safe="@"), quote_plus(whole)}
    if not whole.isascii() or _MARKUP.search(whole):
        found.update(_in_pages(whole))
    return found - {text}


def _in_pages(text: str) -> Iterator[str]:
    strict = escape(text)
    for page in (strict, strict.replace("&#x27;", "&#39;"), escape(text, quote=False)):
        yield from (page, _numbered(page), _named(page))


def _numbered(page: str) -> str:
    return page.encode("ascii", "xmlcharrefreplace").decode()


def _named(page: str) -> str:
    return "".join(
        f"&{codepoint2name[ord(c)]};" if ord(c) > 127 and ord(c) in codepoint2name else c
        for c in page
    )


def ends_escape(text: str, end: int) -> bool:
    """Whether ``text[:end]`` ends in an escape of a URL."""
    return _URL_ESCAPE.fullmatch(text, max(0, end - 3), end) is not None
