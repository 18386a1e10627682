"""Letters written with the real data of a case: their text, their address, their sealed copy."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.template import Context, Engine, Template, TemplateDoesNotExist
from django.template.loader_tags import BlockNode
from django.utils import translation

from erasure import vault
from erasure.domain import letters
from erasure.domain.errors import KeyDestroyed, LetheError, UsageError
from erasure.models import Complaint, ErasureRequest, Event, Letter, Notice
from erasure.runs import case, complaints, telling

_VERSION = re.compile(r"\{# version ([1-9][0-9]{0,3}) #\}\n")
# Stands where a template names what is not there; no text that was given can hold it.
_HOLE = "\ue000"


@dataclass(frozen=True, kw_only=True)
class Written:
    """A letter's text as it would be sent. ``blocks``: every block as it stands in it."""

    version: int
    subject: str
    body: str
    blocks: Mapping[str, str]

    @property
    def text(self) -> str:
        """Subject, an empty line, body."""
        return f"{self.subject}\n\n{self.body}"


def situation_of(request: ErasureRequest, notice: Notice | None = None) -> letters.Situation:
    """What decides which letters fit; ``notice``: the recipient that is meant."""
    told = notice is not None and notice.told_at is not None
    complained = set(request.complaints.values_list("state", flat=True))
    return letters.Situation(
        state=request.state,
        right=request.right,
        extended=request.extended_at is not None,
        replay=request.replay_of is not None,
        to_tell=notice is not None and not told,
        to_remind=notice is not None and told and notice.acknowledged_at is None,
        complaint=bool(complained & {"received", "acknowledged"}),
        answered="answered" in complained,
        ended=request.record_ended_at is not None,
    )


def checked_fit(request: ErasureRequest, code: str, notice: Notice | None) -> letters.Kind:
    """The letter of that code. Raises UsageError by field when it does not fit the case now."""
    kind = letters.kind_of(code)
    if (notice is not None) != (kind.to == "recipient"):
        raise UsageError(f"notice: {code} is {'' if notice is None else 'not '}for a recipient")
    if why := letters.why_not(kind, situation_of(request, notice)):
        raise UsageError(f"code: {code} {why}")
    return kind


def write(
    request: ErasureRequest,
    code: str,
    language: str,
    blocks: Mapping[str, str],
    notice: Notice | None = None,
    *,
    whole: bool = True,
) -> Written:
    """Write a letter and send nothing. ``whole``: False lets required blocks be empty, to look at.

    Raises UsageError by field.
    """
    kind = checked_fit(request, code, notice)
    if language not in settings.LETHE_LANGUAGES:
        raise UsageError(f"language: is none of {', '.join(settings.LETHE_LANGUAGES)}")
    given = letters.checked_blocks(kind, blocks)
    values = telling.facts_of(request, notice)
    with translation.override(language):
        template, version = _template(language, code)
        texts = _defaults(template, values) | given
        if whole:
            letters.missing_blocks(kind, texts)
        return _written(template, version, values, texts)


def checked_still(letter: Letter) -> None:
    """Raises UsageError by field for a letter that does not fit any more."""
    if letter.complaint:
        checked_about(letter.complaint, letter.code)
    elif letter.request:
        checked_fit(letter.request, letter.code, letter.notice)


# The letter about a complaint, and the states of one in which it fits.
ABOUT = {"complaint_receipt": ("received", "acknowledged"), "complaint_answer": ("answered",)}


def write_about(
    complaint: Complaint, code: str, language: str, blocks: Mapping[str, str]
) -> Written:
    """The letter about a complaint that has letters of its own. Raises UsageError by field."""
    checked_about(complaint, code)
    if language not in settings.LETHE_LANGUAGES:
        raise UsageError(f"language: is none of {', '.join(settings.LETHE_LANGUAGES)}")
    kind = letters.kind_of(code)
    given = letters.checked_blocks(kind, blocks)
    values = {**telling.house(), **complaints.told_about(complaint)}
    with translation.override(language):
        template, version = _template(language, code)
        texts = _defaults(template, values) | given
        letters.missing_blocks(kind, texts)
        return _written(template, version, values, texts)


def checked_about(complaint: Complaint, code: str) -> None:
    """Raises UsageError by field for a letter that does not fit a complaint as it stands."""
    if not complaints.has_letters(complaint):
        raise UsageError("complaint: is about a case; write the letter there")
    if code not in ABOUT or complaint.state not in ABOUT[code]:
        raise UsageError(f"code: of a complaint that is {complaint.state} there is no such letter")
    if not complaint.sealed:
        raise UsageError("code: the record of this complaint has ended and takes no letter")


def address_about(complaint: Complaint) -> str:
    """Where the last letter about it went by mail. Raises UsageError by field when none did."""
    for letter in complaint.letters.order_by("-made_at"):
        if known := read(letter)[0]:
            return known
    raise UsageError("to: no address is known; say where the letter goes")


def _written(
    template: Template, version: int, values: Mapping[str, Any], texts: Mapping[str, str]
) -> Written:
    assert template.name is not None  # noqa: S101 - it was found by its name
    own = "".join(f"{{% block {n} %}}{{{{ texts.{n} }}}}{{% endblock %}}" for n in texts)
    child = _engine().from_string(f'{{% extends "{template.name}" %}}{own}')
    text = child.render(Context({**values, "texts": texts}, autoescape=False))
    if hole := re.search(f"{_HOLE}(.*?){_HOLE}", text):
        raise LetheError(f"{template.name}: names {hole[1]}, which no case has")
    subject, _, body = text.strip().partition("\n")
    return Written(
        version=version,
        subject=letters.checked_text("subject", subject, one_line=True),
        body=_laid_out(body),
        blocks=texts,
    )


@cache
def _engine() -> Engine:
    folder = str(settings.BASE_DIR / "templates")
    return Engine(dirs=[folder], autoescape=False, string_if_invalid=f"{_HOLE}%s{_HOLE}")


@cache
def _template(language: str, code: str) -> tuple[Template, int]:
    name = f"letters/{language}/{code}.txt"
    try:
        template = _engine().get_template(name)
    except TemplateDoesNotExist:
        raise UsageError(f"language: there is no template {name}") from None
    version = _VERSION.match(template.source)
    if version is None:
        raise LetheError(f"{name}: its first line does not tell its version")
    return template, int(version[1])


def _defaults(template: Template, values: Mapping[str, Any]) -> dict[str, str]:
    """What every block says when nobody writes it anew."""
    context = Context(dict(values), autoescape=False)
    with context.render_context.push_state(template), context.bind_template(template):
        return {
            node.name: _laid_out(node.nodelist.render(context)).strip()
            for node in template.nodelist.get_nodes_by_type(BlockNode)
            if isinstance(node, BlockNode)
        }


def _laid_out(text: str) -> str:
    """One empty line between paragraphs. A paragraph is one line, however long: whatever shows it
    breaks it as wide as its screen is."""
    lines = [line.rstrip() for line in text.split("\n")]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip() + "\n"


def address_of(request: ErasureRequest, code: str) -> str:
    """Where a letter to the person goes unless another address is said: where the last one went,
    or the mailbox they gave while it is kept; that alone for the letter that confirms it. Raises
    UsageError by field when there is none."""
    if letters.kind_of(code).to != "person":
        raise UsageError(f"to: say where this {code} goes; it is not for the person")
    earlier = () if code == "confirm_email" else _earlier(request)
    for letter in earlier:
        if letters.KINDS[letter.code].to == "person" and (known := read(letter)[0]):
            return known
    try:
        (given,) = case.given_by([request], proved=bool(request.identity_check)).values()
    except KeyDestroyed:
        given = ()
    for kind, value in given:
        if kind == "email":
            return value
    raise UsageError("to: no address is known; say where the letter goes")


def _earlier(request: ErasureRequest) -> Iterable[Letter]:
    """Letters about it, the newest first. An address from before somebody was identified, and one
    not proved to be theirs, may be a stranger's: nothing goes there any more."""
    earlier = request.letters.filter(notice=None)
    if request.identity_check:
        moves = Event.objects.filter(subject_id=str(request.pk), to_state="identified")
        since = moves.order_by("-id").values_list("at", flat=True).first()
        earlier = earlier.filter(made_at__gte=since or request.received_at)
    return earlier.order_by("-made_at")


def checked_address(to: str) -> str:
    """One mailbox, or empty for a letter by hand. Raises UsageError by field, without the value."""
    to = letters.checked_text("to", to, one_line=True)
    try:
        if to:
            validate_email(to)
    except ValidationError:
        raise UsageError("to: is not the address of one mailbox, as in name@example.org") from None
    return to


def language_of(request: ErasureRequest) -> str:
    """The language the last letter was written in, else the installation's first."""
    last = request.letters.order_by("-made_at").values_list("language", flat=True).first()
    return last if last in settings.LETHE_LANGUAGES else str(settings.LETHE_LANGUAGES[0])


def sealed_copy(letter: Letter, to: str, body: str) -> dict[str, bytes]:
    """The columns that hold address and text. Raises KeyDestroyed after the record's end."""
    key = vault.make_key(letter.owner, "record")
    return {
        "sealed_to": vault.seal(key, to.encode(), label=_label(letter, "to")),
        "sealed": vault.seal(key, body.encode(), label=_label(letter, "body")),
    }


def read(letter: Letter) -> tuple[str, str]:
    """Address and text. Raises KeyDestroyed once the record's own retention has ended."""
    key = vault.open_key(letter.owner, "record")
    to = vault.unseal(key, letter.sealed_to, label=_label(letter, "to"))
    return to.decode(), vault.unseal(key, letter.sealed, label=_label(letter, "body")).decode()


def _label(letter: Letter, part: str) -> str:
    return f"letter:{letter.id}:{part}"
