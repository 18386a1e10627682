#!/usr/bin/env python
"""Django's command line for Lethe; ``python3 run.py`` calls it inside the environment it makes."""

import os
import sys


def main() -> None:
    """Run one management command."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    if sys.argv[1:2] == ["demo"]:
        from config.sandbox import enter

        enter()
    from erasure.management.overview import Utility

    # People call run.py, so that is the name in usages and hints.
    Utility(["run.py", *sys.argv[1:]]).execute()


def interrupted() -> int:
    """Say how to go on, in place of a traceback; the exit code of Ctrl-C."""
    again = "python3 run.py demo --resume" if "demo" in sys.argv[1:2] else "the same command"
    sys.stderr.write(f"\nInterrupted; {again} takes it up again\n")
    return 130


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(interrupted())
