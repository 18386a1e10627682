"""The OpenAPI document, and whatever a machine makes of it against a server that runs."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import schemathesis
from django.test import Client
from django.urls import resolve
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import Case
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from erasure.api import urls
from erasure.domain.roles import DEEDS, ROLES
from tests.web.api_cast import ROOT

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
EXAMPLES = 2
ROOT_FOLDER = Path(__file__).parents[2]


def document() -> dict[str, Any]:
    """The schema as it is served."""
    answer = Client().get(f"{ROOT}/schema")
    assert answer.status_code == 200
    found: dict[str, Any] = answer.json()
    return found


def test_the_schema_is_served_as_openapi_3_1_and_names_every_address() -> None:
    schema = document()
    assert schema["openapi"].startswith("3.1")
    documented = (ROOT_FOLDER / "docs" / "api.md").read_text()
    for path, operations in schema["paths"].items():
        for method, operation in operations.items():
            assert operation["security"] == [{"token": []}], path
            assert {"401", "403", "422"} <= operation["responses"].keys()
            assert f"`{method.upper()} {path.removeprefix(ROOT)}`" in documented


# No token opens these: the document itself, a recipient's signed answer, and any other address.
NOT_CALLED = {"schema", "acknowledgments/{notice}", ""}


def test_every_address_of_the_api_is_in_the_schema_and_has_a_deed_for_every_method() -> None:
    patterns = {str(p.pattern): p.callback.view_class for p in urls.urlpatterns}  # type: ignore[attr-defined]
    written = {_PARAMETER.sub(_braced, route): view for route, view in patterns.items()}
    told = {path.removeprefix(f"{ROOT}/"): found for path, found in document()["paths"].items()}
    assert written.keys() - NOT_CALLED == told.keys()
    for path, operations in told.items():
        known = {name.upper() for name in operations}
        assert {m for m in ("GET", "POST") if hasattr(written[path], m.lower())} == known, path
        assert written[path].deeds.keys() == known, path
        assert set(written[path].deeds.values()) <= DEEDS.keys()


_PARAMETER = re.compile(r"<\w+:(\w+)>")


def _braced(found: re.Match[str]) -> str:
    return "{id}" if found[1] == "pk" else f"{{{found[1]}}}"


@dataclass(frozen=True)
class Served:
    """A server that runs, tokens by role, and what there is to be called about, by the first part
    of an address."""

    url: str
    tokens: dict[str, str]
    known: dict[str, Any]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A process of its own, with a database of its own."""
    home = tmp_path_factory.mktemp("served")
    environment = {
        **{n: v for n, v in os.environ.items() if n in ("PATH", "HOME", "TMPDIR", "LANG")},
        "LETHE_HOME": str(home),
        "LETHE_MAIL_URL": "smtp+plain://127.0.0.1:9",
    }
    command = [sys.executable, "-m", "tests.web.serving"]
    with subprocess.Popen(
        command, cwd=ROOT_FOLDER, env=environment, stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL, text=True,
    ) as process:  # fmt: skip
        try:
            assert process.stdout is not None
            yield Served(**json.loads(process.stdout.readline()))
        finally:
            process.kill()


@pytest.mark.parametrize("role", [*ROLES, "nobody"])
def test_a_machine_finds_no_answer_that_the_schema_does_not_tell_of(
    served: Served, role: str
) -> None:
    schema = schemathesis.openapi.from_url(f"{served.url}{ROOT}/schema")
    headers = {"Authorization": f"Bearer {served.tokens[role]}"}
    called, refused, answered = set(), set(), set()
    for found in schema.get_all_operations():
        operation = found.ok()  # type: ignore[union-attr]
        statuses = _try(operation, served, headers)
        name = f"{operation.method.upper()} {operation.path}"
        assert statuses.total() >= EXAMPLES, name
        called.add(name)
        may = role in DEEDS[_deed_of(operation)].roles
        assert statuses[403] == (0 if may else statuses.total()), (name, statuses)
        if not may:
            refused.add(name)
        elif statuses.keys() & {200, 201}:
            answered.add(name)
    paths = document()["paths"]
    assert called == {f"{m.upper()} {path}" for path, by in paths.items() for m in by}
    assert refused if role != "nobody" else refused == called
    assert bool(answered) == (role != "nobody")


def _deed_of(operation: Any) -> str:
    """What the table of roles calls it."""
    pk = "1" if "/notices/{id}/" in operation.path else str(UUID(int=0))
    path = operation.path.replace("{id}", pk).replace("{address}", "a.b")
    deed: str = resolve(path).func.view_class.deeds[operation.method.upper()]  # type: ignore[attr-defined]
    return deed


def _try(operation: Any, served: Served, headers: dict[str, str]) -> Counter[int]:
    """Some calls of one operation, every other one about what there is; answers by their status."""
    statuses: Counter[int] = Counter()

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
        before = operation.path.removeprefix(f"{ROOT}/").partition("/{")[0]
        known = served.known.get(before)
        for name in ("id", "address"):
            if known and name in made.path_parameters and statuses.total() % 2 == 0:
                made.path_parameters[name] = known
        answer = made.call(headers=headers)
        statuses[answer.status_code] += 1
        made.validate_response(answer, checks=CHECKS, headers=headers)

    call()
    return statuses
