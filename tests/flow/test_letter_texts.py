"""Every letter in every language, written with the real data of a case that has come to its end."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from django.conf import LazySettings
from django.template import Engine
from django.utils import timezone

from erasure.domain.errors import LetheError, UsageError
from erasure.domain.letters import KINDS, LANGUAGES
from erasure.flow import complain, decide, extend, identify, intake, notify, planning
from erasure.models import ErasureRequest, ModelJob, ModelWait, Notice, PlanStep
from erasure.runs import letters
from tests.flow.cast import BYSTANDER, CATALOGUE, NOBODY, OFFICER, SECRETS, SUBJECT, MemoryShop
from tests.flow.deeds import approved, identified, work_off

RECEIVED = datetime(2026, 3, 2, 9, tzinfo=UTC)
TEMPLATES = Path(__file__).resolve().parents[2] / "templates" / "letters"
# What an officer writes into the blocks.
WRITTEN = {
    "link": "https://lethe.example.com/confirm/abcdef",
    "reasons": "Your letter and our records differ.",
    "proof": "A copy of your customer card.",
    "question": "Does this concern the account in Rivertown too?",
    "amount": "12.50 EUR",
    "payment": "Please use the account on our invoice.",
    "person": "your reference 4711",
    "published": "https://blog.example.com/2024/05/",
    "restricted": "the complaint file",
    "day": "1 March 2027",
}
RECIPIENT = """
  - fides_key: courier
    erasure: {store: courier}
    collections:
      - name: addresses
        erasure:
          because: an officer writes to them
          derived_from: [{dataset: shop.customer, kind: exported, columns: {email: email}}]
        fields:
          - {name: email, data_categories: [user.contact.email]}
"""


@pytest.fixture
def shop(memory_shop: MemoryShop) -> MemoryShop:
    """The shop with a courier who had its customers' addresses."""
    stores = '- {name: courier, kind: manual, url: "the courier\'s office", role: recipient}\n  '
    text = CATALOGUE.read_text().replace("store:\n  ", f"store:\n  {stores}", 1)
    memory_shop.describe(text + RECIPIENT)
    return memory_shop


def received(law: str = "gdpr", email: str = SUBJECT, **more: Any) -> ErasureRequest:
    return intake.open_request([("email", email)], by=OFFICER, law=law, **more)


def doubted(law: str = "gdpr") -> ErasureRequest:
    request = received(law)
    return identify.ask_identity(request, by=OFFICER, doubt="The street is another one")


def finished(email: str = SUBJECT) -> ErasureRequest:
    """Erased and verified, with a backup and a model of which the run has said so."""
    request = approved(email)
    work_off(request)
    plan, run = request.plans.get(), request.run
    assert run is not None
    of = {"plan": plan, "via": "deep", "counted": 1, "spec": plan.steps.all()[0].spec}
    PlanStep.objects.create(
        ordinal=900, store="vault", store_kind="backups", dataset="vault.nightly", action="expire",
        residue="expires_on", until=date(2027, 1, 5), rows=3, **of,
    )  # fmt: skip
    PlanStep.objects.create(
        ordinal=901, store="models", store_kind="model_registry", dataset="models.churn",
        action="retrain", residue="clean", rows=1, **of,
    )  # fmt: skip
    report = {"old": "3", "new": "4"}
    job = ModelJob.objects.create(
        store="models", dataset="models.churn", state="done", report=report
    )
    ModelWait.objects.create(job=job, run=run, dataset=job.dataset, people=1)
    return request


def told() -> tuple[ErasureRequest, Notice]:
    request = finished()
    notice = notify.confirm_told(request.notices.get(), by=OFFICER)
    return request, notice


def refused(law: str = "gdpr") -> ErasureRequest:
    because = "There is no ground to erase, and a contract still runs."
    return decide.refuse_request(received(law), by=OFFICER, because=because)


def extended() -> ErasureRequest:
    return extend.extend_deadline(received(), by=OFFICER, because="Eleven systems hold parts")


def not_found() -> ErasureRequest:
    request = identified(("email", NOBODY))
    planning.make_plan(request, by=OFFICER)
    assert request.state == "no_data"
    return request


def complained(**more: Any) -> ErasureRequest:
    request = refused("uk")
    told = {"because": f"{SUBJECT} was not heard", "received_at": RECEIVED, **more}
    complain.open_complaint(request=request, by=OFFICER, **told)
    return request


def answered(verdict: str = "upheld") -> ErasureRequest:
    request = complained()
    said: dict[str, Any] = {"verdict": verdict, "because": "We have found your letter of March."}
    complain.answer_complaint(request.complaints.get(), **said, by=OFFICER)
    return request


def case_for(code: str) -> tuple[ErasureRequest, Notice | None]:
    """A case that this letter fits, and the recipient it is for."""
    if code == "reminder":
        return told()
    makers: dict[str, Callable[[], ErasureRequest]] = {
        "identity_request": doubted,
        "extension": extended,
        "refusal": refused,
        "unidentifiable": lambda: identify.give_up_identifying(
            doubted(), by=OFFICER, because="No answer"
        ),
        "no_data": not_found,
        "complaint_receipt": complained,
        "complaint_answer": answered,
        "completion": lambda: finished(BYSTANDER),
        **dict.fromkeys(
            ("partial", "recipient_notice", "controller_notice", "restriction_lifted"), finished
        ),
    }
    request = makers.get(code, received)()
    return request, request.notices.get() if code == "recipient_notice" else None


def blocks_for(code: str) -> dict[str, str]:
    """Every block that has no words of its own."""
    defaults = {("extension", "reasons"), ("refusal", "reasons"), ("complaint_answer", "answer")}
    return {n: WRITTEN[n] for n in KINDS[code].blocks if n in WRITTEN and (code, n) not in defaults}


def assert_reads_well(text: letters.Written, request: ErasureRequest, controller: str) -> None:
    """What holds for every letter."""
    assert str(request.pk)[:8] in text.subject
    assert controller in text.body
    for private in (*SECRETS, BYSTANDER, "Cleo Carter", "030 5550003", request.subject):
        assert private.casefold() not in text.text.casefold()
    for left in (
        "{{",
        "{%",
        "{#",
        "None",
        "\ue000",
        "\n\n\n",
        "  ",
        " ,",
        " .",
        "\n.",
        "()",
        "UTC",
    ):
        assert left not in text.body, left


@pytest.mark.usefixtures("shop")
@pytest.mark.parametrize("code", sorted(KINDS.keys() - {"restore_alert", "answer"}))
def test_a_letter_says_its_part_in_every_language(code: str, settings: LazySettings) -> None:
    settings.LETHE_CONTROLLER = "Example Shop Ltd"
    request, notice = case_for(code)
    subjects = set()
    for language in LANGUAGES:
        given = blocks_for(code)
        text = letters.write(request, code, language, given, notice)
        assert_reads_well(text, request, settings.LETHE_CONTROLLER)
        assert list(text.blocks.keys() - given.keys())
        for written in given.values():
            assert " ".join(written.split()) in " ".join(text.body.split())
        subjects.add(text.subject)
        for name in given:
            lacking = {k: v for k, v in given.items() if k != name}
            with pytest.raises(UsageError, match=rf"^blocks\.{name}: is missing"):
                letters.write(request, code, language, lacking, notice)
    assert len(subjects) == len(LANGUAGES)


def flat(request: ErasureRequest, code: str, language: str, **given: str) -> str:
    """The text on one line."""
    return " ".join(letters.write(request, code, language, given).text.split())


FACTS = {
    "en": ("31 December 2034", "5 January 2027", "a law obliges us", "not told yet", "Article 79"),
    "de": ("31. Dezember 2034", "5. Januar 2027", "ein Gesetz", "noch nicht", "Artikel 79"),
    "fr": ("31 décembre 2034", "5 janvier 2027", "une loi nous oblige", "pas encore", "article 79"),
    "es": ("31 de diciembre de 2034", "5 de enero de 2027", "una ley", "aún no", "artículo 79"),
}


@pytest.mark.usefixtures("shop")
def test_a_partial_erasure_tells_what_went_what_stays_and_until_when() -> None:
    request = finished()
    for language, facts in FACTS.items():
        text = flat(request, "partial", language)
        for fact in (*facts, "shop.invoice: 1", "shop.orders: 2", "tax law", "vault.nightly"):
            assert fact in text.replace(" :", ":"), (language, fact)
        assert "models.churn" in text
        assert "courier.addresses" in text


@pytest.mark.usefixtures("shop")
def test_what_was_not_verified_is_not_called_erased() -> None:
    request = finished(BYSTANDER)
    assert "This has been done." in flat(request, "completion", "en")
    PlanStep.objects.filter(plan__request=request, dataset="shop.customer").update(
        residue="pseudonymized"
    )
    ModelJob.objects.update(report={})
    text = flat(request, "completion", "en")
    gone, _, stays = text.partition("What stays, and why")
    assert "This has been done." not in gone
    assert "part of them stays" in gone
    assert "shop.customer" not in gone
    assert "we do not call this erased" in stays
    assert "cannot yet say that it no longer holds anything of you" in stays


@pytest.mark.usefixtures("shop")
def test_where_no_backup_or_model_is_known_only_the_list_is_spoken_for() -> None:
    request = approved(BYSTANDER)
    work_off(request)
    text = flat(request, "completion", "en")
    assert "list of our systems names no backup that still holds your data" in text
    assert "list of our systems names no trained model" in text


AUTHORITIES = {
    "gdpr": ("77", "79"),
    "uk": ("ico.org.uk", "77", "79"),
    "ccpa": ("cppa.ca.gov", "oag.ca.gov"),
    "lgpd": ("ANPD", "18"),
}


@pytest.mark.usefixtures("shop")
@pytest.mark.parametrize("law", AUTHORITIES)
def test_a_refusal_names_its_reasons_where_to_complain_and_the_court(
    law: str, settings: LazySettings
) -> None:
    request = refused(law)
    court = {"en": "court", "de": "Gericht", "fr": "tribuna", "es": "tribunales"}
    for language in LANGUAGES:
        text = flat(request, "refusal", language)
        for said in (*AUTHORITIES[law], court[language], "a contract still runs"):
            assert said in text, (language, said)
    settings.LETHE_AUTHORITY = "Authority of Rivertown, 1 Long Road"
    for language in LANGUAGES:
        assert "Authority of Rivertown, 1 Long Road" in flat(request, "refusal", language)


@pytest.mark.usefixtures("shop")
def test_an_extension_tells_its_reasons_and_both_dates() -> None:
    request = extended()
    assert request.due_at is not None
    for language in LANGUAGES:
        text = flat(request, "extension", language)
        assert "Eleven systems hold parts" in text
        assert len(re.findall(r"\b20\d\d\b", text)) >= 4  # receipt, first and new day, today


VERDICTS = {
    "en": ("You are right.", "right in part", "as the law asks"),
    "de": ("Sie haben recht.", "zum Teil recht", "wie es das Recht verlangt"),
    "fr": ("Vous avez raison.", "raison en partie", "comme la loi l’exige"),
    "es": ("Tiene usted razón.", "razón en parte", "como exige la ley"),
}


@pytest.mark.usefixtures("shop")
@pytest.mark.parametrize(
    ("place", "verdict"), [(0, "upheld"), (1, "partly_upheld"), (2, "not_upheld")]
)
def test_the_answer_to_a_complaint_tells_what_it_comes_to_and_where_to_go_on(
    place: int, verdict: str
) -> None:
    request = answered(verdict)
    for language in LANGUAGES:
        text = flat(request, "complaint_answer", language)
        assert [n for n, words in enumerate(VERDICTS[language]) if words in text] == [place]
        assert "letter of March" in text.partition("ico.org.uk")[0]
        assert "complain to us first" not in text


@pytest.mark.usefixtures("shop")
def test_the_receipt_of_a_complaint_tells_from_whom_it_came_and_when_the_answer_comes() -> None:
    handed = {"authority": "State Authority", "reference": "12-345"}
    request = complained(**handed, answer_by=date(2031, 3, 20))
    for language in LANGUAGES:
        text = flat(request, "complaint_receipt", language)
        for part in ("State Authority", "12-345", "2031", "2026"):
            assert part in text, (language, part)
        assert "was not heard" not in text


@pytest.mark.usefixtures("shop")
def test_a_doubt_is_never_told_by_itself() -> None:
    """It may tell an impostor what is known of the person."""
    shown = letters.write(doubted(), "identity_request", "en", {}, whole=False)
    assert shown.blocks["reasons"] == ""
    assert "street" not in shown.text


@pytest.mark.usefixtures("shop")
@pytest.mark.parametrize(("law", "said"), [("gdpr", "stands still"), ("ccpa", "goes on")])
def test_who_is_asked_for_proof_is_told_whether_the_clock_waits(law: str, said: str) -> None:
    given = {"reasons": "x", "proof": "y"}
    assert said in flat(doubted(law), "identity_request", "en", **given)


@pytest.mark.usefixtures("shop")
def test_a_restore_alerts_the_house_and_nobody_else() -> None:
    first = finished()
    request = received(only_store="shop_db", replay_of=first.id)
    for language in LANGUAGES:
        text = letters.write(request, "restore_alert", language, {})
        assert "shop_db" in text.subject
        assert str(first.pk)[:8] in text.body
        assert_reads_well(text, request, "controller")
    with pytest.raises(UsageError, match=r"^code: acknowledgment does not fit"):
        letters.write(request, "acknowledgment", "en", {})


@pytest.mark.usefixtures("shop")
def test_a_letter_for_a_recipient_needs_one_and_no_other_takes_one() -> None:
    request, notice = told()
    with pytest.raises(UsageError, match=r"^notice: reminder is for a recipient"):
        letters.write(request, "reminder", "en", {"person": "4711"})
    with pytest.raises(UsageError, match=r"^notice: partial is not for a recipient"):
        letters.write(request, "partial", "en", {}, notice)
    notify.confirm_answer(notice, by=OFFICER)
    with pytest.raises(UsageError, match=r"^code: reminder needs a recipient"):
        letters.write(request, "reminder", "en", {"person": "4711"}, notice)


@pytest.mark.parametrize("language", LANGUAGES)
def test_there_is_one_template_for_every_letter_and_its_blocks_are_the_letters_own(
    language: str,
) -> None:
    files = {p.stem for p in (TEMPLATES / language).glob("*.txt") if not p.stem.startswith("_")}
    assert files == set(KINDS)
    for code, kind in KINDS.items():
        source = (TEMPLATES / language / f"{code}.txt").read_text()
        assert re.match(r"\{# version [1-9][0-9]* #\}\n\S", source), code
        named = re.findall(r"\{% block (\w+) %\}", source)
        assert sorted(named) == sorted(kind.blocks), code
        english = (TEMPLATES / "en" / f"{code}.txt").read_text()
        assert named == re.findall(r"\{% block (\w+) %\}", english), code
        variables = r"\{% (?:el)?if [^%]*%\}|\{\{ [a-z_.]+"
        assert set(re.findall(variables, source)) <= set(re.findall(variables, english)) | {
            '{% elif law == "uk" %}',
            '{% if law == "gdpr" %}',
        }, code


@pytest.mark.usefixtures("shop")
def test_a_name_that_no_case_has_is_an_error_and_not_a_gap(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    source = "{# version 1 #}\nAbout {{ nobody }}\n\n{% block greeting %}Hello,{% endblock %}\n"
    loader = ("django.template.loaders.locmem.Loader", {"letters/en/acknowledgment.txt": source})
    hole = letters._engine().string_if_invalid
    engine = Engine(loaders=[loader], autoescape=False, string_if_invalid=hole)
    monkeypatch.setattr(letters, "_engine", lambda: engine)
    monkeypatch.setattr(letters, "_template", letters._template.__wrapped__)
    with pytest.raises(LetheError, match="names nobody, which no case has"):
        letters.write(received(), "acknowledgment", "en", {})


@pytest.mark.usefixtures("shop")
def test_the_day_of_the_answer_is_the_clocks(settings: LazySettings) -> None:
    settings.TIME_ZONE = "Pacific/Auckland"
    request = received()
    assert request.due_at is not None
    day = timezone.localdate(request.due_at, timezone.get_default_timezone())
    assert f"by {day.day} {day:%B %Y} at the latest" in flat(request, "acknowledgment", "en")
