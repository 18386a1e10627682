"""The grounds of Art. 17(1), checked against what a dataset is for and what it rests on. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from erasure.domain.errors import UsageError

Finding = Literal["met", "not_met", "to_decide"]

# code → (letter of the article, name in DPV's eu-gdpr namespace)
GROUNDS: Mapping[str, tuple[str, str]] = {
    "no_longer_necessary": ("a", "A17NonNecessity"),
    "consent_withdrawn": ("b", "A17NoLegalBasis"),
    "objection": ("c", "A17ObjectA21"),
    "direct_marketing": ("c", "A17ObjectA21"),
    "unlawful": ("d", "A17UnlawfulProcessing"),
    "legal_duty": ("e", "A17LegalErasure"),
    "child": ("f", "A17ChildData"),
}
_CONSENT = ("consent",)
# What may be objected to: Art. 6(1)(e) and (f).
_OBJECTABLE = ("legitimate_interest", "public_interest", "public_task", "official_authority")
_OTHERS = ("contract", "legal_obligation", "vital_interest")
_MARKETING = ("marketing", "advertising")


@dataclass(frozen=True, kw_only=True)
class Met:
    """Whether a ground is met in one dataset, and why."""

    dataset: str
    finding: Finding
    why: str


def checked_ground(ground: str) -> str:
    """Raises UsageError for what is none."""
    if ground not in GROUNDS:
        raise UsageError(f"ground: must be one of {', '.join(GROUNDS)}")
    return ground


def judge(ground: str, *, dataset: str, purpose: str, legal_basis: str, child: bool) -> Met:
    """What the catalogue says; ``to_decide`` where it says nothing, or weighing is a person's."""
    basis = legal_basis.casefold().replace(" ", "_").replace("-", "_")
    found, why = _RULES[ground](purpose.casefold(), basis, child)
    return Met(dataset=dataset, finding=found, why=why)


def _necessary(purpose: str, basis: str, child: bool) -> tuple[Finding, str]:
    return "to_decide", f"is it still needed for: {purpose}?" if purpose else "no purpose is known"


def _consent(purpose: str, basis: str, child: bool) -> tuple[Finding, str]:
    if _is(basis, _CONSENT):
        return "met", "rests on the consent that was withdrawn"
    if basis:
        return "not_met", f"rests on {basis}, not on consent"
    return "to_decide", "no legal basis is known"


def _objection(purpose: str, basis: str, child: bool) -> tuple[Finding, str]:
    if any(word in purpose for word in _MARKETING):
        return "met", "direct marketing: an objection is absolute"
    if _is(basis, _OBJECTABLE):
        return "to_decide", "weigh the interests, and write it down"
    if basis:
        return "not_met", f"rests on {basis}, to which nobody can object under Art. 21(1)"
    return "to_decide", "no legal basis is known"


def _marketing(purpose: str, basis: str, child: bool) -> tuple[Finding, str]:
    if any(word in purpose for word in _MARKETING):
        return "met", "direct marketing: an objection is absolute"
    if purpose:
        return "not_met", f"serves {purpose}, not direct marketing"
    return "to_decide", "no purpose is known"


def _person_decides(purpose: str, basis: str, child: bool) -> tuple[Finding, str]:
    return "to_decide", "a person decides whether this holds here"


def _child(purpose: str, basis: str, child: bool) -> tuple[Finding, str]:
    if not child:
        return "not_met", "the case is not recorded as that of a child"
    if _is(basis, _OTHERS):
        return "not_met", f"rests on {basis}, not on an offer to a child"
    return "met", "collected from a child"


_RULES = {
    "no_longer_necessary": _necessary,
    "consent_withdrawn": _consent,
    "objection": _objection,
    "direct_marketing": _marketing,
    "unlawful": _person_decides,
    "legal_duty": _person_decides,
    "child": _child,
}


def _is(basis: str, words: tuple[str, ...]) -> bool:
    return any(word in basis for word in words)
