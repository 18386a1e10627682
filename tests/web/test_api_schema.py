"""The OpenAPI document, and whatever a machine makes of it against the application."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from django.test import Client
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import Case
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from config.wsgi import application
from erasure.flow import identify, intake
from erasure.models import ErasureRequest
from tests.flow.cast import OLGA
from tests.scenarios.small_shop import EMAIL
from tests.web.api_cast import ROOT, Caller, caller
from tests.web.conftest import plan_of

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
EXAMPLES = 5
ROLES = (
    ("approver", "dpo"), ("model_owner",), ("auditor",), ("administrator",),
    ("officer", "approver", "operator", "dpo"),
)  # fmt: skip


def document() -> dict[str, Any]:
    """The schema as it is served."""
    answer = Client().get(f"{ROOT}/schema")
    assert answer.status_code == 200
    found: dict[str, Any] = answer.json()
    return found


def test_the_schema_is_served_as_openapi_3_1_and_names_every_address() -> None:
    schema = document()
    assert schema["openapi"].startswith("3.1")
    documented = (Path(__file__).parents[2] / "docs" / "api.md").read_text()
    for path, operations in schema["paths"].items():
        for method, operation in operations.items():
            assert operation["security"] == [{"token": []}], path
            assert {"401", "403", "422"} <= operation["responses"].keys()
            assert f"`{method.upper()} {path.removeprefix(ROOT)}`" in documented


@pytest.fixture
def connected() -> Iterator[None]:
    """The application is called in this process: it may not close the test's database."""
    every = (request_started, request_finished)
    for signal in every:
        signal.disconnect(close_old_connections)
    yield
    for signal in every:
        signal.connect(close_old_connections)


def operations() -> Iterator[Any]:
    schema = schemathesis.openapi.from_wsgi(f"{ROOT}/schema", application)
    for found in schema.get_all_operations():
        yield found.ok()  # type: ignore[union-attr]


@pytest.mark.parametrize("roles", ROLES, ids="+".join)
def test_a_machine_finds_no_answer_that_the_schema_does_not_tell_of(
    shop: Path, connected: None, roles: tuple[str, ...]
) -> None:
    one = caller(*roles)
    case = plan_of(_identified())
    for operation in operations():
        _try(operation, one, case)


def _identified() -> ErasureRequest:
    request = intake.open_request([("email", EMAIL)], by=OLGA, channel="api")
    return identify.confirm_identity(request, by=OLGA, method="rang back")


def _try(operation: Any, one: Caller, case: ErasureRequest) -> None:
    """Some calls of one operation, about a case that there is as often as not."""

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(made=operation.as_strategy())
    def call(made: Case[Any]) -> None:
        if "id" in made.path_parameters and len(str(made.body)) % 2:
            made.path_parameters["id"] = str(case.pk)
        answer = made.call(headers=one.headers())
        made.validate_response(answer, checks=CHECKS, headers=one.headers())

    call()
