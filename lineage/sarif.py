"""Findings of the gate for code review tools: SARIF 2.1.0. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from lineage.gate import NOTES, RULES, WARNINGS, Finding


def sarif(
    found: Iterable[Finding],
    known: Iterable[str] = (),
    places: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """One run. ``known``: fingerprints of a baseline; the rest is new. ``places``: ``file:line`` by
    dataset and store, so that a review shows a finding where it can be settled."""
    old = frozenset(known)
    return {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "check_lineage",
                        "rules": [
                            {"id": code, "shortDescription": {"text": text}}
                            for code, text in RULES.items()
                        ],
                    }
                },
                "results": [_result(finding, old, places or {}) for finding in found],
            }
        ],
    }


def _result(finding: Finding, known: frozenset[str], places: Mapping[str, str]) -> dict[str, Any]:
    return {
        "ruleId": finding.code,
        "level": _level(finding.code),
        "message": {"text": f"{finding.place}: {finding.reason}; {finding.remedy}"},
        "locations": [_location(finding.place, places)],
        "partialFingerprints": {"lineage/v1": finding.fingerprint},
        "baselineState": "unchanged" if finding.fingerprint in known else "new",
    }


def _level(code: str) -> str:
    return "note" if code in NOTES else "warning" if code in WARNINGS else "error"


def _location(place: str, places: Mapping[str, str]) -> dict[str, Any]:
    named: dict[str, Any] = {"logicalLocations": [{"fullyQualifiedName": place}]}
    near = [name for name in places if _within(place, name)]
    if near:
        file, _, line = places[max(near, key=len)].rpartition(":")
        region = {"startLine": int(line)} if line.isdigit() else {"startLine": 1}
        named["physicalLocation"] = {"artifactLocation": {"uri": file}, "region": region}
    return named


def _within(place: str, name: str) -> bool:
    """``shop.customer.email`` and ``shop_db: visit`` begin with a dataset or a store."""
    return place == name or place.startswith((f"{name}.", f"{name}:", f"{name} "))
