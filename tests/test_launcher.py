"""The launcher: installs once, survives interruption, and hands over without a trace."""

from __future__ import annotations

import ast
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SCRIPTS = ("run.py", "config/launcher.py")

# Stands for uv: makes an environment out of this Python and writes down that it was called.
UV = """#!/bin/sh
echo "$@" >> "$CALLS"
if [ "$1" = venv ]; then
    mkdir -p "$4/bin" && ln -s "$3" "$4/bin/python"
else
    [ -z "$SLOW" ] || { touch "$CALLS.slow"; sleep "$SLOW"; }
    [ -z "$BROKEN" ] || { echo "no such library"; exit 1; }
fi
"""
# Stands for manage.py: says how it was called.
MANAGE = """
import os, sys, time
print(*sys.argv[1:], flush=True)
if sys.argv[1] == "migrate" and os.environ.get("UNABLE"):
    raise SystemExit("Traceback (most recent call last):\\n  somewhere\\n" + os.environ["UNABLE"])
if sys.argv[1] == "sleep":
    time.sleep(60)
if sys.argv[1] == "fail":
    sys.exit(7)
"""


class Checkout:
    """A copy of the launcher beside stand-ins for what it calls."""

    def __init__(self, root: Path) -> None:
        self.root = root / "checkout"
        self.calls = root / "calls"
        binaries = root / "bin"
        binaries.mkdir()
        self.root.mkdir()
        (self.root / "config").mkdir()
        for name in SCRIPTS:
            shutil.copy(ROOT / name, self.root / name)
        (self.root / "requirements.txt").write_text("one==1\n")
        (self.root / "manage.py").write_text(MANAGE)
        (binaries / "uv").write_text(UV)
        (binaries / "uv").chmod(0o755)
        self.env = {
            "PATH": f"{binaries}:/usr/bin:/bin",
            "CALLS": str(self.calls),
            "HOME": str(root),
        }

    def start(self, *arguments: str, **env: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, str(self.root / "run.py"), *arguments],
            env={**self.env, **env},
            cwd=self.root.parent,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str, **env: str) -> tuple[int, str, str]:
        process = self.start(*arguments, **env)
        out, err = process.communicate(timeout=60)
        return process.returncode, out, err

    def installations(self) -> int:
        if not self.calls.exists():
            return 0
        return sum(line.startswith("pip install") for line in self.calls.read_text().splitlines())


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


def test_libraries_are_installed_once_and_again_when_the_pins_change(checkout: Checkout) -> None:
    code, out, err = checkout.run("check")
    assert (code, out) == (0, "check\n")
    assert err.count("\n") == 1
    assert "Installing Lethe's libraries into .venv with uv" in err
    assert checkout.run("check", "--deploy") == (0, "check --deploy\n", "")
    assert checkout.installations() == 1
    (checkout.root / "requirements.txt").write_text("one==2\n")
    checkout.run("check")
    assert checkout.installations() == 2


def test_hashes_are_required_of_what_is_installed(checkout: Checkout) -> None:
    checkout.run("--install-only")
    assert "--require-hashes -r" in checkout.calls.read_text()


def test_an_interrupted_installation_is_repeated(checkout: Checkout) -> None:
    process = checkout.start("check", SLOW="2")
    wait_for(checkout.calls.with_suffix(".slow"))
    process.kill()
    process.communicate()
    assert checkout.run("check")[0] == 0
    assert checkout.installations() == 2


def test_starts_at_the_same_time_install_once(checkout: Checkout) -> None:
    starts = [checkout.start("check", SLOW="1") for _ in range(3)]
    texts = [start.communicate(timeout=60) for start in starts]
    assert [out for out, _ in texts] == ["check\n"] * 3
    assert sum("waiting for it" in err for _, err in texts) == 2
    assert checkout.installations() == 1


def test_an_installation_that_fails_shows_its_last_words(checkout: Checkout) -> None:
    # What uv cannot do is tried with pip, which refuses a requirement without a hash.
    code, out, err = checkout.run("check", BROKEN="1")
    assert code == 1
    assert out == ""
    assert "uv could not install; trying pip" in err
    assert "could not be installed" in err
    assert not (checkout.root / ".venv" / "lethe-pins.sha256").exists()


def test_without_uv_pip_installs(checkout: Checkout) -> None:
    (checkout.root.parent / "bin" / "uv").unlink()
    (checkout.root / "requirements.txt").write_text("")
    code, out, err = checkout.run("check")
    assert (code, out) == (0, "check\n"), err
    assert "with pip" in err
    assert (checkout.root / ".venv" / "bin" / "pip").exists()


def test_a_debian_without_venv_is_told_the_exact_line(checkout: Checkout) -> None:
    (checkout.root.parent / "bin" / "uv").unlink()
    script = (
        "import importlib.util as u, runpy, sys\n"
        "find = u.find_spec\n"
        "u.find_spec = lambda name: None if name == 'ensurepip' else find(name)\n"
        "sys.argv = ['run.py', 'demo']\n"
        f"runpy.run_path({str(checkout.root / 'run.py')!r}, run_name='__main__')\n"
    )
    done = run_script(script, checkout.env)
    assert done.returncode == 1
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    assert f"apt install python{version}-venv" in done.stderr
    assert done.stderr.count("\n") == 1


def test_an_old_python_gets_one_sentence(checkout: Checkout) -> None:
    script = (
        "import runpy, sys\n"
        "sys.version_info = (3, 8, 0, 'final', 0)\n"
        f"runpy.run_path({str(checkout.root / 'run.py')!r}, run_name='__main__')\n"
    )
    done = run_script(script, checkout.env)
    assert done.returncode == 1
    assert done.stderr.startswith("Lethe needs Python 3.11 or newer, this is 3.8: run it as")
    assert done.stderr.count("\n") == 1


def test_what_an_old_python_reads_has_nothing_that_it_does_not_know() -> None:
    """Pythons 2 to 3.5 are hardly there any more to be asked."""
    text = (ROOT / "run.py").read_text(encoding="ascii")
    nodes = list(ast.walk(ast.parse(text)))
    new = (ast.JoinedStr, ast.AnnAssign, ast.NamedExpr, ast.FunctionDef, ast.AsyncFunctionDef)
    assert not [node for node in nodes if isinstance(node, new)]
    imported = {a.name for node in nodes if isinstance(node, ast.Import) for a in node.names}
    assert imported == {"os", "runpy", "sys"}
    assert not [node for node in nodes if isinstance(node, ast.ImportFrom)]


OLD = sorted(
    path
    for pattern in ("2.*", "3.[0-9].*", "3.10.*")
    for path in Path.home().glob(f".pyenv/versions/{pattern}/bin/python")
)


@pytest.mark.parametrize("python", OLD, ids=lambda path: path.parts[-3])
def test_old_pythons_that_are_here_name_the_version_needed(python: Path) -> None:
    done = subprocess.run(
        [str(python), str(ROOT / "run.py"), "demo"],
        capture_output=True, text=True, timeout=60, check=False, cwd="/",
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.startswith("Lethe needs Python 3.11 or newer, this is ")
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""


def run_script(script: str, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", script], env=env, capture_output=True, text=True, timeout=60
    )


def test_commands_that_need_the_database_find_it_up_to_date(checkout: Checkout) -> None:
    checkout.run("--install-only")
    migrated = "migrate --verbosity 0\n"
    assert checkout.run("erase", "email=a@example.com")[1] == (
        f"{migrated}erase email=a@example.com\n"
    )
    for command in ("check", "makemigrations", "demo", "migrate", "help"):
        assert checkout.run(command)[1] == f"{command}\n"
    assert checkout.run("erase", "--help")[1] == "erase --help\n"


@pytest.mark.parametrize(
    ("reason", "code", "line"),
    [
        (
            "django.core.exceptions.ImproperlyConfigured: DATABASE_URL: the port is not a number",
            2,
            "DATABASE_URL: the port is not a number\n",
        ),
        (
            "django.db.utils.OperationalError: no connection\n\tIs the server running there?",
            1,
            "The control database could not be brought up to date: "
            "django.db.utils.OperationalError: no connection; DATABASE_URL says where it is\n",
        ),
    ],
)
def test_a_database_that_cannot_be_used_is_one_line(
    checkout: Checkout, reason: str, code: int, line: str
) -> None:
    checkout.run("--install-only")
    assert checkout.run("erase", UNABLE=reason) == (code, "migrate --verbosity 0\n", line)


def test_exit_codes_and_signals_are_the_commands_own(checkout: Checkout) -> None:
    checkout.run("--install-only")
    assert checkout.run("fail")[0] == 7
    process = checkout.start("check")
    process.communicate()
    process = checkout.start("sleep")
    assert process.stdout is not None
    assert [process.stdout.readline() for _ in range(2)][-1] == "sleep\n"
    os.kill(process.pid, signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGTERM


def test_an_interrupted_command_says_how_to_go_on_and_shows_no_trace(tmp_path: Path) -> None:
    begun = tmp_path / "begun"
    # As at a terminal: what a shell starts in the background inherits that Ctrl-C is ignored.
    script = (
        "import pathlib, signal, time; signal.signal(signal.SIGINT, signal.default_int_handler); "
        f"pathlib.Path({str(begun)!r}).touch(); time.sleep(60)"
    )
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "manage.py"), "shell", "-c", script],
        env={**os.environ, "LETHE_HOME": str(tmp_path)},
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_for(begun)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err.strip() == "Interrupted; the same command takes it up again"


def test_usages_name_the_command_that_people_call(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "manage.py"), "nonsense"],
        env={**os.environ, "LETHE_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "Unknown command: 'nonsense'" in done.stderr
    assert "run.py help" in done.stderr
    assert "manage.py" not in done.stderr


def test_no_arguments_show_what_there_is(checkout: Checkout) -> None:
    for arguments in ([], ["--help"], ["-h"]):
        code, out, err = checkout.run(*arguments)
        assert (code, err) == (0, "")
        assert "python3 run.py demo" in out
        assert "python3 run.py test" in out
    assert checkout.installations() == 0


def test_only_the_standard_library_is_imported() -> None:
    for script in SCRIPTS:
        tree = ast.parse((ROOT / script).read_text())
        names = {a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names}
        names |= {n.module or "" for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}
        assert {name.split(".")[0] for name in names} <= sys.stdlib_module_names


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + 120
    while not path.exists():
        assert time.monotonic() < deadline, f"{path.name} never came"
        time.sleep(0.02)
