"""Rooms a reader can hold in the head: no module over 400 lines, no function over 60."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
MODULE_LINES = 400
FUNCTION_LINES = 60
NOT_OURS = {"migrations", "var", "__pycache__"}


def sources(root: Path) -> Iterator[Path]:
    """Every Python file but generated migrations and what stands in hidden folders."""
    for path in sorted(root.rglob("*.py")):
        parts = path.relative_to(root).parts
        if not any(part in NOT_OURS or part.startswith(".") for part in parts):
            yield path


def oversized(root: Path) -> list[str]:
    """What is too long, with its place and length."""
    found = []
    for path in sources(root):
        text = path.read_text()
        name, length = path.relative_to(root), text.count("\n")
        if length > MODULE_LINES:
            found.append(f"{name}: {length} lines")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                if lines > FUNCTION_LINES:
                    found.append(f"{name}:{node.lineno} {node.name}: {lines} lines")
    return found


def test_no_module_and_no_function_has_grown_too_long() -> None:
    assert oversized(ROOT) == []


def test_the_sources_are_found() -> None:
    names = {str(path.relative_to(ROOT)) for path in sources(ROOT)}
    assert {"run.py", "config/settings.py", "tests/test_size.py"} <= names


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("x = 1\n" * 400, []),
        ("x = 1\n" * 401, ["room.py: 401 lines"]),
        ("def f():\n" + "    x = 1\n" * 59, []),
        ("def f():\n" + "    x = 1\n" * 60, ["room.py:1 f: 61 lines"]),
        ("class C:\n  async def f(self):\n" + "    x = 1\n" * 60, ["room.py:2 f: 61 lines"]),
    ],
)
def test_the_limits_are_where_they_are_said_to_be(
    tmp_path: Path, text: str, found: list[str]
) -> None:
    (tmp_path / "room.py").write_text(text)
    (tmp_path / "migrations").mkdir()
    (tmp_path / "migrations" / "0001.py").write_text("x = 1\n" * 1000)
    assert oversized(tmp_path) == found
