"""Who asks for another right than erasure reads of that right, in every letter and language."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from erasure.domain.errors import UsageError
from erasure.domain.identity import GATHERED, RIGHTS
from erasure.domain.letters import KINDS, LANGUAGES, fitting
from erasure.flow import decide, export, extend, identify, intake, planning, route
from erasure.models import ErasureRequest
from erasure.runs import letters
from tests.flow.cast import NOBODY, OFFICER, SUBJECT
from tests.flow.deeds import sweep
from tests.flow.test_letter_texts import WRITTEN, assert_reads_well

pytestmark = pytest.mark.usefixtures("memory_shop")

OTHERS = [right for right in RIGHTS if right != "erasure"]
BY_HAND = [right for right in OTHERS if right not in GATHERED]
DONE = "The street is now Long Road 2."
# What a letter says of erasing, in whatever form.
ERASING = {
    "en": r"eras|delet",
    "de": r"lösch",
    "fr": r"effa[cç]",
    "es": r"suprim|supres|borr",
}
# How each right is called by whoever asked for it.
NAMED = {
    "erasure": ("erase your", "löschen", "effacer vos", "suprimir sus"),
    "access": ("for access to your", "Auskunft über Ihre", "l’accès à vos", "acceso a sus"),
    "rectification": ("to correct your", "berichtigen", "rectifier vos", "rectificar sus"),
    "restriction": ("restrict the", "einzuschränken", "limiter le", "limitar el tratamiento"),
    "portability": (
        "a machine-readable copy of your",
        "maschinenlesbaren Format",
        "vos données personnelles dans un format lisible par machine",
        "entregarle sus datos personales en un formato de lectura mecánica",
    ),
    "objection": (
        "stop processing your",
        "der Verarbeitung Ihrer personenbezogenen Daten widersprochen",
        "cesser de traiter vos",
        "dejar de tratar sus",
    ),
}  # fmt: skip
# In these it is not said whose data they are: nobody knows yet who asks.
OF_ANYONE = {"confirm_email", "unidentifiable"}


def opened(right: str, law: str = "gdpr", email: str = SUBJECT) -> ErasureRequest:
    return intake.open_request([("email", email)], by=OFFICER, right=right, law=law)


def identified(right: str, law: str = "gdpr", email: str = SUBJECT) -> ErasureRequest:
    request = opened(right, law, email)
    return identify.confirm_identity(request, by=OFFICER, method="rang back")


def doubted(right: str, law: str = "gdpr") -> ErasureRequest:
    return identify.ask_identity(opened(right, law), by=OFFICER, doubt="another voice")


def extended(right: str, law: str = "gdpr") -> ErasureRequest:
    request = opened(right, law)
    return extend.extend_deadline(request, by=OFFICER, because="Eleven systems hold parts")


def refused(right: str, law: str = "gdpr") -> ErasureRequest:
    return decide.refuse_request(opened(right, law), by=OFFICER, because="You had it last week.")


def unidentified(right: str, law: str = "gdpr") -> ErasureRequest:
    request = doubted(right, law)
    return identify.give_up_identifying(request, by=OFFICER, because="no answer")


def unknown(right: str, law: str = "gdpr") -> ErasureRequest:
    request = identified(right, law, NOBODY)
    planning.make_plan(request, by=OFFICER)
    return request


def answered(right: str, law: str = "gdpr") -> ErasureRequest:
    request = identified(right, law)
    if right not in GATHERED:
        return route.answer_request(request, by=OFFICER, because=DONE)
    sweep()
    export.hand_over(request.exports.get(), by=OFFICER)
    request.refresh_from_db()
    return request


MAKERS: dict[str, Callable[..., ErasureRequest]] = {
    "confirm_email": opened,
    "acknowledgment": opened,
    "identity_request": doubted,
    "clarification": opened,
    "extension": extended,
    "refusal": refused,
    "fee": opened,
    "unidentifiable": unidentified,
    "no_data": unknown,
    "answer": answered,
}
CASES = [
    (code, right)
    for code in MAKERS
    for right in RIGHTS
    if (code, right) != ("answer", "erasure") and (code != "no_data" or right not in BY_HAND)
]


def texts(code: str, right: str, law: str = "gdpr") -> dict[str, letters.Written]:
    """The letter in every language, with the blocks that have no words of their own."""
    request, written = MAKERS[code](right, law), {}
    for language in LANGUAGES:
        shown = letters.write(request, code, language, {}, whole=False)
        given = {n: WRITTEN.get(n, DONE) for n, said in shown.blocks.items() if not said}
        given.pop("more", None)
        if code == "confirm_email":
            given["link"] = WRITTEN["link"]
        written[language] = letters.write(request, code, language, given)
        assert_reads_well(written[language], request, "controller")
    return written


@pytest.mark.parametrize(("code", "right"), CASES)
def test_a_letter_names_the_right_that_was_asked_for_and_no_other(code: str, right: str) -> None:
    for place, (language, text) in enumerate(texts(code, right).items()):
        said = " ".join(text.text.split())
        if right != "erasure":
            assert re.findall(ERASING[language], said, re.IGNORECASE) == [], language
        for other, words in NAMED.items():
            if code not in OF_ANYONE:
                assert (words[place] in said) == (other == right), (language, other)


@pytest.mark.parametrize("law", ["uk", "ccpa", "lgpd"])
@pytest.mark.parametrize("right", OTHERS)
@pytest.mark.parametrize("code", ["refusal", "unidentifiable"])
def test_no_law_speaks_of_erasing_where_nobody_asked_for_it(
    code: str, right: str, law: str
) -> None:
    for language, text in texts(code, right, law).items():
        assert re.findall(ERASING[language], text.text, re.IGNORECASE) == [], language


@pytest.mark.parametrize("right", RIGHTS)
def test_a_link_is_asked_to_be_followed_for_the_right_that_was_asked_for(right: str) -> None:
    words = {
        "erasure": "to erase personal data",
        "access": "for access to personal data",
        "rectification": "to correct personal data",
        "restriction": "to restrict the processing of personal data",
        "portability": "for a machine-readable copy of personal data",
        "objection": "to stop processing personal data",
    }
    assert words[right] in texts("confirm_email", right)["en"].body
    assert words[right] in texts("unidentifiable", right)["en"].body


def test_an_objection_of_somebody_unknown_is_not_put_under_an_article_that_leaves_it_out() -> None:
    """Article 11(2) GDPR lifts Articles 15 to 20, not 21."""
    for text in texts("unidentifiable", "objection").values():
        assert not re.search(r"\b11\)", text.body)
        assert re.search(r"\b12\b", text.body)
    for text in texts("unidentifiable", "access").values():
        assert re.search(r"\b11\)", text.body)


@pytest.mark.parametrize("right", BY_HAND)
def test_the_answer_tells_what_was_done_and_where_to_complain(right: str) -> None:
    for text in texts("answer", right).values():
        assert text.blocks["answer"] == DONE
        assert DONE in text.body
        assert re.search(r"(Article|Artikel|article|artículo) 79\b", text.body)


@pytest.mark.parametrize("right", sorted(GATHERED))
def test_where_a_copy_was_handed_over_somebody_has_to_say_what_the_answer_is(right: str) -> None:
    request = answered(right)
    with pytest.raises(UsageError, match=r"^blocks\.answer: is missing"):
        letters.write(request, "answer", "en", {})
    assert "Here it is." in letters.write(request, "answer", "de", {"answer": "Here it is."}).body


@pytest.mark.parametrize("right", OTHERS)
def test_what_only_an_erasure_brings_about_cannot_be_written(right: str) -> None:
    request = answered(right)
    erasing: Any = {"partial", "completion", "controller_notice"}
    fit = {kind.code for kind in fitting(letters.situation_of(request))}
    assert not erasing & fit
    assert "answer" in fit
    assert ("restriction_lifted" in fit) == (right == "restriction")
    for code in erasing:
        with pytest.raises(UsageError, match=rf"^code: {code} does not fit"):
            letters.write(request, code, "en", {})


@pytest.mark.parametrize("right", BY_HAND)
def test_of_what_was_handed_on_no_receipt_is_confirmed_and_nothing_is_answered(right: str) -> None:
    request = identified(right)
    route.forward_request(request, to="the shop team", because="theirs", by=OFFICER)
    fit = {kind.code for kind in fitting(letters.situation_of(request))}
    assert not fit & {"acknowledgment", "answer"}


def test_every_letter_to_a_person_about_another_right_is_tried_here() -> None:
    beside = {"complaint_receipt", "complaint_answer", "restriction_lifted"}  # name no right
    tried = {code for code, right in CASES if right != "erasure"}
    to_people = {code for code, kind in KINDS.items() if kind.to == "person"}
    assert to_people - tried - beside == {"partial", "completion"}
