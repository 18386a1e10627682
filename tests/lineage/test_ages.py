"""A retention by which nothing will ever go is told at the import, with its place and a remedy."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.core.management import call_command

from lineage import selectors

pytestmark = pytest.mark.django_db

STORES = """store:
  - {name: lake, kind: files, url: "file:///lake"}
  - {name: shop_db, kind: sql, url: "sqlite:////shop.db"}
"""
VISIT = """dataset:
  - fides_key: lake
    erasure: {store: STORE}
    collections:
      - name: visit
        erasure: {action: ACTION, because: x, retention: {period: 3y, starts: STARTS}}
        fields:
          - {name: id, fides_meta: {primary_key: true}}
          - {name: email, data_categories: [user.contact.email], fides_meta: {identity: email}}
          - {name: seen_on}
"""


def imported(
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    store: str,
    action: str,
    starts: str = "seen_on",
) -> str:
    """What the import of the datasets says beside, the stores being there from before."""
    (folder / "stores.yml").write_text(STORES)
    text = VISIT.replace("STORE", store).replace("ACTION", action).replace("STARTS", starts)
    (folder / "lake.yml").write_text(text)
    call_command("import_lineage", str(folder / "stores.yml"))
    capsys.readouterr()
    call_command("import_lineage", str(folder / "lake.yml"))
    assert selectors.dataset("lake.visit").action == action
    return capsys.readouterr().err


@pytest.mark.parametrize(
    ("store", "action", "starts", "why"),
    [
        ("lake", "anonymize", "seen_on", "its records have no key"),
        ("lake", "restrict", "seen_on", "'restrict' is nothing that is done by age"),
        ("shop_db", "delete", "seen_at", "'seen_at' is no field of it"),
    ],
)
def test_an_age_that_is_not_acted_on_is_told_with_place_and_remedy(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    store: str,
    action: str,
    starts: str,
    why: str,
) -> None:
    (line,) = imported(tmp_path, capsys, store, action, starts).splitlines()
    assert line.startswith(f"warning: {tmp_path / 'lake.yml'}:5: retention: ")
    assert f"nothing of lake.visit goes by its age: {why}" in line


@pytest.mark.parametrize(
    ("store", "action", "starts"),
    [
        ("lake", "delete", "seen_on"),
        ("shop_db", "anonymize", "seen_on"),
        ("shop_db", "delete", "the last order"),
    ],
)
def test_an_age_that_is_acted_on_or_looked_for_by_hand_is_not_spoken_of(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], store: str, action: str, starts: str
) -> None:
    assert imported(tmp_path, capsys, store, action, starts) == ""
