"""``check_lineage [--sarif FILE] [--baseline FILE] [--files FILE…]``: the gate."""

from __future__ import annotations

import json
from collections.abc import Iterable
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from erasure.connect import open_store
from erasure.domain.errors import DriverMissing, StoreError, StoreUnreachable
from erasure.runs import webhooks
from erasure.stores import registry
from lineage import gate, selectors
from lineage.errors import CatalogueError
from lineage.importers import fideslang
from lineage.sarif import sarif
from lineage.schema import Inspection

_FAILED = 1
_USAGE = 2


class Command(BaseCommand):
    """Compares the catalogue with the live stores and says what is open."""

    help = (
        "Compare the catalogue with the live stores: what is unclassified, undecided, "
        "unreachable or cannot run. Exit 0 when nothing is found, 1 with findings, 2 for usage."
    )
    group = "lineage"

    def add_arguments(self, parser: CommandParser) -> None:
        """Where to write the findings, and what is known already."""
        parser.add_argument("--sarif", metavar="FILE", help="write all findings as SARIF 2.1.0")
        parser.add_argument(
            "--baseline",
            metavar="FILE",
            help="findings listed in FILE are known and do not fail the gate; where FILE is not "
            "there yet, it is written with the findings of now and the gate passes",
        )
        parser.add_argument(
            "--files",
            metavar="FILE",
            nargs="+",
            default=(),
            help="catalogue files: the SARIF report says at which of their lines a finding is",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """One store that cannot be opened is a finding and does not stop the others."""
        found = self._findings()
        known = self._baseline(options["baseline"], found)
        if options["sarif"]:
            _write(options["sarif"], sarif(found, known, _places(options["files"])))
        fresh = [finding for finding in found if finding.fingerprint not in known]
        for finding in fresh:
            self.stdout.write(f"{finding.place}: {finding.reason} [{finding.code}]")
            self.stdout.write(f"    {finding.remedy}")
        old = len(found) - len(fresh)
        also = f" ({old} more in the baseline)" if old else ""
        faults = [finding for finding in fresh if finding.code not in gate.NOTES]
        if faults:
            raise CommandError(f"{_counted(len(faults))}{also}", returncode=_FAILED)
        if fresh:
            self.stdout.write(f"nothing to mend; {_counted(len(fresh), 'note')}{also}")
        else:
            self.stdout.write(f"nothing new found{also}" if old else "nothing found")

    def _findings(self) -> list[gate.Finding]:
        catalogue = selectors.snapshot()
        if not catalogue.stores:
            message = "the catalogue is empty; import one with import_lineage"
            raise CommandError(message, returncode=_USAGE)
        live: dict[str, Inspection] = {}
        broken: dict[str, gate.Broken] = {}
        for entry in catalogue.stores:
            try:
                with open_store(entry.name) as store:
                    live[entry.name] = store.inspect()
            except StoreError as error:
                reason = str(error).removeprefix(f"{entry.name}: ")
                broken[entry.name] = gate.Broken(code=_code(error, entry.kind), reason=reason)
        unread = (_unread(digest, why) for digest, why in selectors.unread_events())
        hooks = (_unusable(*one) for one in webhooks.unusable(sorted(live)))
        return [*gate.findings(catalogue, live, broken), *hooks, *unread]

    def _baseline(self, path: str | None, found: Iterable[gate.Finding]) -> frozenset[str]:
        """The fingerprints that are known. Writes the file where it is not there."""
        if path is None:
            return frozenset()
        try:
            listed = json.loads(Path(path).read_text(encoding="utf-8"))
            return frozenset(entry["fingerprint"] for entry in listed["findings"])
        except FileNotFoundError:
            entries = [
                {"fingerprint": f.fingerprint, "code": f.code, "place": f.place} for f in found
            ]
            _write(path, {"findings": entries})
            self.stderr.write(f"baseline written to {path}")
            return frozenset(f.fingerprint for f in found)
        except OSError as error:
            message = f"{path}: cannot be read: {error.strerror}"
        except (ValueError, KeyError, TypeError):
            message = f"{path}: is no baseline; remove it and run again"
        raise CommandError(message, returncode=_USAGE)


def _places(files: Iterable[str]) -> dict[str, str]:
    """Where datasets and stores stand in catalogue files."""
    third = [entry.name for entry in entry_points(group=registry.ENTRY_POINTS)]
    try:
        read = fideslang.read(files, extra_kinds=third)
    except CatalogueError as error:
        raise CommandError(str(error), returncode=_USAGE) from None
    named = [(placed.value.name, placed.place) for placed in read.stores]
    return dict([*named, *((placed.value.address, placed.place) for placed in read.datasets)])


def _code(error: StoreError, kind: str) -> str:
    if kind not in registry.kinds():
        return "no-connector"
    if isinstance(error, DriverMissing):
        return "driver-missing"
    return "store-unreachable" if isinstance(error, StoreUnreachable) else "store-unusable"


def _unread(digest: str, why: str) -> gate.Finding:
    return gate.Finding(
        code="event-unreadable",
        place=f"lineage event {digest}",
        reason=why,
        remedy="correct its producer; replay_lineage tries it again",
    )


def _unusable(store: str, why: str) -> gate.Finding:
    return gate.Finding(
        code="webhook-unusable",
        place=store,
        reason=why,
        remedy="correct the options of this store; until then a letter has to be written",
    )


def _counted(number: int, what: str = "finding") -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _write(path: str, plain: Any) -> None:
    try:
        Path(path).write_text(json.dumps(plain, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        message = f"{path}: cannot be written: {error.strerror}"
        raise CommandError(message, returncode=_USAGE) from None
