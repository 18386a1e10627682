"""``verify_evidence [FILE] [--key FILE]``: does the evidence hold?"""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import Error as DatabaseError

from erasure.domain.errors import EvidenceError
from erasure.evidence import keys
from erasure.evidence.audit import against_ledger, audit, audit_ledger
from erasure.evidence.signing import pinned_keys
from erasure.evidence.verify import verify_certificate
from erasure.models.evidence import Certificate, LedgerLeaf

SHOWN = 100


class Command(BaseCommand):
    """Exit 0 when everything holds, 1 with findings, 2 for a file or key that cannot be used."""

    help = (
        "Verify a certificate file, or without FILE the whole ledger and every certificate of "
        "this installation. Trusts a pinned public key, never one that the file brings."
    )
    group = "upkeep"

    def add_arguments(self, parser: ArgumentParser) -> None:
        """FILE and --key."""
        parser.add_argument("file", nargs="?", type=Path, metavar="FILE", help="a certificate")
        parser.add_argument(
            "--key",
            type=Path,
            metavar="FILE",
            help="PEM file of the issuer's public key (default: this installation's)",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Print the findings and what was verified."""
        if options["file"] is None:
            fresh = options["key"] is None and not LedgerLeaf.objects.exists()
            self._conclude(audit({} if fresh else _trusted(options["key"])), self._extent())
            return
        trusted = _trusted(options["key"])
        data = _read(options["file"])
        verdict = verify_certificate(data, trusted)
        if not verdict.holds or verdict.document is None:
            self._conclude(verdict.findings, "")
            return
        row = _row(str(verdict.document["body"]["id"]))
        if row is None:
            self._conclude(
                (),
                "The certificate holds. This database does not know it, so it was "
                "not compared with a ledger.",
            )
            return
        findings = [*against_ledger(verdict.document, row), *audit_ledger(trusted)]
        self._conclude(findings, "The certificate holds, and so does the ledger it stands in.")

    def _extent(self) -> str:
        leaves, certificates = LedgerLeaf.objects.count(), Certificate.objects.count()
        said = "The evidence holds" if leaves or certificates else "There is no evidence here yet"
        entries = "ledger entry" if leaves == 1 else "ledger entries"
        sealed = "certificate" if certificates == 1 else "certificates"
        return f"{said}: {leaves} {entries}, {certificates} {sealed}."

    def _conclude(self, findings: Iterable[str], success: str) -> None:
        count = 0
        for finding in findings:
            count += 1
            if count <= SHOWN:
                self.stdout.write(finding)
        if count > SHOWN:
            self.stdout.write(f"… and {count - SHOWN} more.")
        if count:
            plural = "" if count == 1 else "s"
            raise CommandError(f"the evidence does not hold: {count} finding{plural}", returncode=1)
        self.stdout.write(success)


def _trusted(key: Path | None) -> keys.TrustedKeys:
    try:
        return pinned_keys() if key is None else keys.trusted_keys(_read(key), str(key))
    except EvidenceError as error:
        raise CommandError(str(error), returncode=2) from None


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise CommandError(f"{path}: cannot be read ({error.strerror})", returncode=2) from None


def _row(identity: str) -> Certificate | None:
    """The certificate's row where this database has a ledger at all."""
    try:
        return Certificate.objects.filter(pk=identity).first()
    except DatabaseError:
        return None
