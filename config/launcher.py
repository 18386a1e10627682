"""Lethe's one command: makes ``.venv`` once, installs the pinned libraries and hands over.

    python3 run.py demo             watch one person being forgotten everywhere
    python3 run.py test [ARGS]      run the tests (ARGS go to pytest)
    python3 run.py COMMAND [ARGS]   any management command: erase, verify_evidence, runserver, …
    python3 run.py help             list them, each with what it does

Standard library only. Started by ``run.py``, which keeps old Pythons away.
"""

import contextlib
import fcntl
import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, NoReturn

ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
PINS = ROOT / "requirements.txt"
STAMP = VENV / "lethe-pins.sha256"
INTERPRETER = os.path.realpath(sys.executable)
# These make or need no control database of the operator's.
WITHOUT_DATABASE = {"check", "demo", "help", "makemigrations", "migrate", "version"}
SHOWN_OF_A_FAILURE = 15


def main(arguments: Sequence[str]) -> NoReturn:
    """Make the environment, then become the command that was asked for."""
    if not arguments or arguments[0] in ("-h", "--help"):
        print((__doc__ or "").split("\n\nStandard library")[0])
        sys.exit(0)
    make_environment()
    command, *rest = arguments
    if command == "--install-only":
        sys.exit(0)
    if command == "test":
        os.chdir(ROOT)
        # All of them: spread over the processors, each file on one, as some share a server; in
        # their own order, or the long ones with few tests would come last, one after the other.
        # One more than there are processors: many wait for a server or for a command they run.
        count = str(min(os.cpu_count() or 1, 4) + 1)
        spread = [] if rest else ["-n", count, "--dist", "loadfile", "--no-loadscope-reorder"]
        become([str(PYTHON), "-m", "pytest", *spread, *rest])
    if command not in WITHOUT_DATABASE and "--help" not in rest and "-h" not in rest:
        migrate()
    become([str(PYTHON), str(ROOT / "manage.py"), *arguments])


def become(command: "list[str]") -> NoReturn:
    """Replace this process: signals and the exit code are the command's own."""
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(command[0], command)


def make_environment() -> None:
    """Install what requirements.txt pins, unless exactly that is installed already."""
    wanted = hashlib.sha256(PINS.read_bytes()).hexdigest()
    if installed(wanted):
        return
    with locked("Another start is installing; waiting for it …") as lock:
        if installed(wanted):
            return
        # The stamp goes first and comes last: an interrupted installation is repeated.
        STAMP.unlink(missing_ok=True)
        uv = shutil.which("uv")
        if uv is None or not install_with_uv(uv, lock):
            install_with_pip(lock)
        STAMP.write_text(wanted)


def installed(wanted: str) -> bool:
    """True when the stamp of a finished installation is that of these pins."""
    return PYTHON.exists() and STAMP.exists() and STAMP.read_text() == wanted


@contextlib.contextmanager
def locked(notice: str) -> Iterator[int]:
    """One start at a time in this checkout: a lock on its folder. It ends with the last process
    that holds the descriptor, so that an installer outlives a killed launcher undisturbed."""
    descriptor = os.open(ROOT, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(notice, file=sys.stderr)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield descriptor
    finally:
        os.close(descriptor)


def install_with_uv(uv: str, lock: int) -> bool:
    """True when uv made and filled the environment; where it cannot, pip may."""
    commands = [[uv, "pip", "install", "--python", str(PYTHON), *HASHED]]
    if not answers("-c", ""):
        clear()
        commands.insert(0, [uv, "venv", "--python", INTERPRETER, str(VENV)])
    failure = carry_out("uv", commands, lock)
    if failure:
        print("uv could not install; trying pip.", file=sys.stderr)
    return not failure


def install_with_pip(lock: int) -> None:
    """The slower way, which every complete Python has."""
    commands = [[str(PYTHON), "-m", "pip", "install", *HASHED]]
    if not answers("-m", "pip", "--version"):
        if any(importlib.util.find_spec(name) is None for name in ("venv", "ensurepip")):
            version = f"{sys.version_info[0]}.{sys.version_info[1]}"
            sys.exit(
                "This Python cannot make a virtual environment. On Debian or Ubuntu: "
                f"apt install python{version}-venv"
            )
        clear()
        commands.insert(0, [INTERPRETER, "-m", "venv", str(VENV)])
    failure = carry_out("pip", commands, lock)
    if failure:
        sys.exit(f"{failure}\nLethe's libraries could not be installed; see above, then try again")


HASHED = ("--require-hashes", "-r", str(PINS))


def answers(*arguments: str) -> bool:
    """True when the environment's Python runs and does not mind these arguments."""
    if not PYTHON.exists():
        return False
    return subprocess.run([PYTHON, *arguments], capture_output=True, check=False).returncode == 0


def clear() -> None:
    """Remove an environment that does not work."""
    if VENV.is_symlink() or VENV.exists():
        print("Making .venv anew …", file=sys.stderr)
        shutil.rmtree(VENV)


def carry_out(tool: str, commands: Sequence[Sequence[str]], lock: int) -> str:
    """Run the commands behind one line of progress; the end of their output if one fails."""
    title = f"Installing Lethe's libraries into .venv with {tool} (once) …"
    started = time.monotonic()
    show(title)
    with tempfile.TemporaryFile("w+", errors="replace") as log:
        for command in commands:
            child = subprocess.Popen(
                command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, pass_fds=[lock]
            )
            if wait(child, title, started):
                show("\n")
                return end_of(log)
    show(f" {elapsed(started)}, done.\n")
    return ""


def wait(child: "subprocess.Popen[bytes]", title: str, started: float) -> int:
    """The child's exit code; on a terminal the line of progress counts the seconds."""
    moving = sys.stderr.isatty()
    try:
        while True:
            with contextlib.suppress(subprocess.TimeoutExpired):
                return child.wait(timeout=0.5)
            if moving:
                show(f"\r{title} {elapsed(started)}\r{title}")
    except KeyboardInterrupt:
        child.wait()
        sys.exit("\nInterrupted; the same command takes up where this stopped")


def show(text: str) -> None:
    """Write to the screen at once."""
    sys.stderr.write(text)
    sys.stderr.flush()


def elapsed(started: float) -> str:
    """Whole seconds since then."""
    return f"{time.monotonic() - started:.0f} s"


def end_of(log: "IO[str]") -> str:
    """The last lines of a log."""
    log.seek(0)
    return "\n".join(log.read().splitlines()[-SHOWN_OF_A_FAILURE:])


def migrate() -> None:
    """Bring the control database up to date, quietly; a failure is one line."""
    command = [str(PYTHON), str(ROOT / "manage.py"), "migrate", "--verbosity", "0"]
    with locked("Another start prepares the control database; waiting for it …") as lock:
        done = subprocess.run(
            command, stderr=subprocess.PIPE, text=True, check=False, pass_fds=[lock]
        )
    if done.returncode == 0:
        return
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    settings = [line for line in lines if "ImproperlyConfigured: " in line]
    if settings:
        print(settings[-1].split("ImproperlyConfigured: ", 1)[1], file=sys.stderr)
        sys.exit(2)
    # What a server says may go on over more lines, the last of which is a question.
    named = [line for line in lines if re.match(r"[\w.]*Error: ", line)]
    reason = (named or lines or [f"exit code {done.returncode}"])[-1].strip()
    sys.exit(
        f"The control database could not be brought up to date: {reason}; "
        "DATABASE_URL says where it is"
    )


def start() -> NoReturn:
    """As ``run.py`` was called; what the system refuses is one line."""
    try:
        main(sys.argv[1:])
    except OSError as problem:
        sys.exit(f"{problem.filename or ROOT}: {problem.strerror or problem}")


if __name__ == "__main__":
    start()
