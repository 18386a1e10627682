"""The tests' own home and database, set before Django reads its settings.

Loaded by ``-p tests.environment`` (pyproject.toml): a conftest.py would come too late, because
pytest-django reads the settings first. Nothing of the developer's environment comes through
except ``TEST_DATABASE_URL`` and the addresses ``LETHE_TEST_…``.
"""

from __future__ import annotations

import atexit
import gc
import os
import shutil
import tempfile

from hypothesis import HealthCheck, settings

_OWN = ("LETHE_", "CELERY_")

for _name in [
    name
    for name in os.environ
    if (name.startswith(_OWN) and not name.startswith("LETHE_TEST_")) or name == "DATABASE_URL"
]:
    del os.environ[_name]
# Hundreds of processes are started by tests: let the first compile for the others.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
# In memory where there is room: the product waits for the disk after every commit and every key.
_memory = "/dev/shm"
if os.path.isdir(_memory) and shutil.disk_usage(_memory).free > 4 * 2**30:
    os.environ["TMPDIR"] = tempfile.tempdir = _memory
_home = tempfile.mkdtemp(prefix="lethe-test-")
os.environ["LETHE_HOME"] = _home
if _url := os.environ.get("TEST_DATABASE_URL"):
    os.environ["DATABASE_URL"] = _url
_owner = os.getpid()


@atexit.register
def _remove() -> None:
    # Not in a forked child that ends: the home is still in use.
    if os.getpid() == _owner:
        shutil.rmtree(_home, ignore_errors=True)


# A busy machine is no failure: no example has a time limit. In the gate they are the same each
# time, so that it judges the change and not its luck; whoever runs the tests elsewhere looks
# further.
settings.register_profile(
    "ours",
    deadline=None,
    derandomize=bool(os.environ.get("CI_GATE")),
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("ours")


def pytest_collection_finish() -> None:
    """Leave the libraries and the collected tests out of every garbage collection: a sixth of all
    the tests' time went into walking over them."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 10)
