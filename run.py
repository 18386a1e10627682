#!/usr/bin/env python3
"""The command that people call; what it does is in config/launcher.py.

This text must stay readable to every Python, 2.7 too: an old one gets a sentence that names the
version needed, and not a syntax error. So it is of ASCII, and has no annotation and no f-string.
"""

import os
import runpy
import sys

if sys.version_info < (3, 11):  # noqa: UP036 - the launcher meets every Python
    sys.exit(
        "Lethe needs Python 3.11 or newer, this is "
        + ".".join(str(part) for part in sys.version_info[:2])
        + ": run it as python3.11 run.py, or install a newer Python"
    )

# By its place: what else is in that folder needs libraries that may not be there yet.
LAUNCHER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "config", "launcher.py")

if __name__ == "__main__":
    runpy.run_path(LAUNCHER, run_name="__main__")
