"""California has exceptions of its own, and what is kept under one is used for nothing else."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.utils import timezone

from erasure.domain.errors import UsageError
from erasure.domain.keeping import reasons_of
from erasure.domain.letters import LANGUAGES
from erasure.flow import decide, exempt, identify, intake, planning
from erasure.models import ErasureRequest
from erasure.runs import letters
from tests.flow.beside import body_of
from tests.flow.cast import APPROVER, OFFICER, SUBJECT
from tests.flow.deeds import work_off

pytestmark = pytest.mark.usefixtures("memory_shop")


def identified(law: str) -> ErasureRequest:
    request = intake.open_request([("email", SUBJECT)], by=OFFICER, law=law)
    return identify.confirm_identity(request, by=OFFICER, method="rang back")


def kept(request: ErasureRequest, code: str) -> None:
    given: dict[str, Any] = {
        "dataset": "shop.orders", "code": code, "legal_reference": "1798.105(d)",
        "until": timezone.localdate() + timedelta(days=30), "because": "open order",
    }  # fmt: skip
    exempt.add_exception(request, by=OFFICER, **given)


@pytest.mark.parametrize(
    ("law", "code"),
    [("gdpr", "complete_transaction"), ("uk", "security"), ("lgpd", "internal_use"),
     ("ccpa", "official_authority"), ("ccpa", "public_health")],
)  # fmt: skip
def test_each_law_has_its_own_reasons(law: str, code: str) -> None:
    request = identified(law)
    with pytest.raises(UsageError, match="code: under this law"):
        kept(request, code)
    assert not request.exceptions.exists()
    assert code not in reasons_of(law)


def test_what_is_kept_is_used_for_nothing_else_and_an_opt_out_of_sale_is_offered() -> None:
    request = identified("ccpa")
    kept(request, "complete_transaction")
    planning.make_plan(request, by=OFFICER)
    decide.approve_plan(request, digest=request.plans.get().digest, by=APPROVER)
    work_off(request)
    assert request.state == "partly_granted", request.blocked_because
    told = {e["dataset"]: e for e in body_of(request)["decision"]["exceptions"]}
    assert told["shop.orders"]["used_for"] == "this reason only"
    text = letters.write(request, "partial", "en", {}).body
    assert "to complete what you ordered from us" in text
    assert "is used for that reason only" in text
    assert "opt out of the sale" in text


@pytest.mark.parametrize("code", reasons_of("ccpa"))
def test_every_reason_is_told_in_every_language(code: str) -> None:
    folder = settings.BASE_DIR / "templates" / "letters"
    for language in LANGUAGES:
        assert f'"{code}"' in (folder / language / "_exception.txt").read_text()
