"""The documents name everything there is, and nothing that is not."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from erasure.domain.roles import DEEDS

ROOT = Path(__file__).resolve().parents[1]
SETTING = re.compile(r"LETHE_[A-Z_]+|DATABASE_URL|CELERY_BROKER_URL")
# Set by the gate and read by tests; documented with the settings.
OF_THE_TESTS = {
    "TEST_DATABASE_URL", "TEST_POSTGRESQL", "LETHE_TEST_MARIADB", "TEST_REDIS", "CI_GATE"
}  # fmt: skip


def text_of(name: str) -> str:
    return (ROOT / name).read_text()


def settings_read() -> set[str]:
    """Every variable whose name stands as a text in config/."""
    names = set()
    for path in (ROOT / "config").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                names |= {node.value} if SETTING.fullmatch(node.value) else set()
    return names


def commands() -> set[str]:
    """The management commands of this project."""
    found = set()
    for application in ("erasure", "lineage"):
        folder = ROOT / application / "management" / "commands"
        found |= {p.stem for p in folder.glob("*.py") if not p.stem.startswith("_")}
    return found


def test_every_setting_is_documented_and_no_other() -> None:
    titles = set(re.findall(r"^\| `([A-Z_]+)`", text_of("docs/settings.md"), re.MULTILINE))
    assert titles == settings_read() | OF_THE_TESTS


def test_every_command_is_documented_and_no_other() -> None:
    titles = set(re.findall(r"^## `(\w+)", text_of("docs/commands.md"), re.MULTILINE))
    assert titles == commands()


def test_the_readme_names_the_two_commands_and_keeps_short() -> None:
    readme = text_of("README.md")
    assert "python3 run.py demo" in readme
    assert "python3 run.py test" in readme
    assert readme.count("\n") <= 150


def test_every_document_that_is_linked_is_there() -> None:
    for path in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", path.read_text()):
            assert (path.parent / link).exists(), f"{path.name} links to {link}"


def test_the_table_of_roles_is_that_of_the_code() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \| (.+) \|$", text_of("docs/roles.md"), re.MULTILINE)
    assert [(deed, scope, set(roles.split(", "))) for deed, scope, roles in rows] == [
        (name, deed.scope, set(deed.roles)) for name, deed in DEEDS.items()
    ]
