"""``limited.py MEMORY SECONDS -- program …``: limits itself and becomes the program. So nothing
has to run between fork and exec in a process that has threads. Run by its path, and
imports nothing of the project.

The program dies with whoever started it (Linux), so that a killed worker leaves no training behind.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main(argv: list[str]) -> int:
    """Never returns where the program is there; 127 where it is not."""
    memory, seconds, _, *program = argv
    resource.setrlimit(resource.RLIMIT_AS, (int(memory), int(memory)))
    resource.setrlimit(resource.RLIMIT_CPU, (int(seconds), int(seconds)))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core file would hold rows
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    try:
        os.execvp(program[0], program)  # noqa: S606 - the catalogue says what runs
    except OSError:
        return 127


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
