"""Numbers by which states know their people, as python-stdnum checks them.

``sure`` where at most two in a hundred random numbers of that length pass (measured): dates,
letters or two check digits are in them. One check digit alone lets one in ten pass and is used
for numbers of goods and customers too, so those count only where the column's name agrees.
Numbers without a check digit (the American SSN, the Danish CPR) are left to the name altogether.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType

import stdnum.at.vnr
import stdnum.be.nn
import stdnum.bg.egn
import stdnum.br.cpf
import stdnum.ch.ssn
import stdnum.cz.rc
import stdnum.de.idnr
import stdnum.ee.ik
import stdnum.es.dni
import stdnum.es.nie
import stdnum.fi.hetu
import stdnum.fr.nir
import stdnum.gb.nhs
import stdnum.gr.amka
import stdnum.hr.oib
import stdnum.ie.pps
import stdnum.is_.kennitala
import stdnum.it.codicefiscale
import stdnum.lt.asmens
import stdnum.mx.curp
import stdnum.nl.bsn
import stdnum.no.fodselsnummer
import stdnum.pl.pesel
import stdnum.pt.nif
import stdnum.ro.cnp
import stdnum.se.personnummer
import stdnum.tr.tckimlik


@dataclass(frozen=True, kw_only=True)
class Number:
    """A kind of number; ``words`` name it in the plural."""

    words: str
    test: Callable[[str], bool]
    sure: bool


def _number(words: str, module: ModuleType, form: str, *, sure: bool = True) -> Number:
    """``form``: what is checked at all; the library itself fills short numbers up with zeros and
    takes the numbers of companies as well."""
    shape = re.compile(form, re.IGNORECASE | re.ASCII)
    return Number(
        words=words,
        test=lambda text: shape.fullmatch(text) is not None and bool(module.is_valid(text)),
        sure=sure,
    )


NUMBERS = (
    _number("Italian fiscal codes", stdnum.it.codicefiscale, r"[A-Z]{6}[A-Z0-9]{10}"),
    _number("Spanish DNI numbers", stdnum.es.dni, r"\d{8}[ -]?[A-Z]"),
    _number("Spanish NIE numbers", stdnum.es.nie, r"[XYZ][ -]?\d{7}[ -]?[A-Z]"),
    _number("French social security numbers", stdnum.fr.nir, r"[12][0-9AB ]{14,20}"),
    _number("Polish PESEL numbers", stdnum.pl.pesel, r"\d{11}"),
    _number("German tax identification numbers", stdnum.de.idnr, r"[1-9]\d(?: ?\d{3}){3}"),
    _number("Belgian national numbers", stdnum.be.nn, r"\d\d\.?\d\d\.?\d\d[ -]?\d{3}[ .]?\d\d"),
    _number("Swiss AHV numbers", stdnum.ch.ssn, r"756\.?\d{4}\.?\d{4}\.?\d\d"),
    _number("Finnish personal identity codes", stdnum.fi.hetu, r"\d{6}[-+A-FYXWVU]\d{3}[A-Z0-9]"),
    _number("Swedish personal numbers", stdnum.se.personnummer, r"(?:\d\d)?\d{6}[-+]?\d{4}"),
    _number("Norwegian birth numbers", stdnum.no.fodselsnummer, r"\d{6} ?\d{5}"),
    _number("Icelandic kennitala", stdnum.is_.kennitala, r"\d{6}-?\d{4}"),
    _number("Irish PPS numbers", stdnum.ie.pps, r"\d{7}[A-W][ABHWTX]?"),
    _number("Romanian CNP numbers", stdnum.ro.cnp, r"\d{13}"),
    _number("Bulgarian EGN numbers", stdnum.bg.egn, r"\d{10}"),
    _number("Lithuanian personal codes", stdnum.lt.asmens, r"\d{11}"),
    _number("Estonian personal codes", stdnum.ee.ik, r"\d{11}"),
    _number("Greek AMKA numbers", stdnum.gr.amka, r"\d{11}"),
    _number("Turkish identification numbers", stdnum.tr.tckimlik, r"\d{11}"),
    _number("Brazilian CPF numbers", stdnum.br.cpf, r"\d{3}\.?\d{3}\.?\d{3}-?\d\d"),
    _number("Mexican CURP codes", stdnum.mx.curp, r"[A-Z]{4}\d{6}[HMX][A-Z]{5}[A-Z0-9]\d"),
    _number("Dutch BSN numbers", stdnum.nl.bsn, r"\d{9}", sure=False),
    _number("Portuguese NIF numbers", stdnum.pt.nif, r"\d{9}", sure=False),
    _number("Austrian insurance numbers", stdnum.at.vnr, r"\d{4} ?\d{6}", sure=False),
    _number("British NHS numbers", stdnum.gb.nhs, r"\d{3}[ -]?\d{3}[ -]?\d{4}", sure=False),
    _number("Croatian OIB numbers", stdnum.hr.oib, r"\d{11}", sure=False),
    _number("Czech birth numbers", stdnum.cz.rc, r"\d{6}/?\d{3,4}", sure=False),
)
