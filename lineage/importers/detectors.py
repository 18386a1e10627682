"""What a single value looks like. Two questions: is it certainly an IBAN, whatever its column is
called (``DETECTORS``), and can it be what the column's name says (``PLAUSIBLE``)?

Check digits come from python-stdnum, the plan of the world's telephone numbers from phonenumbers.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from ipaddress import IPv4Address, IPv6Address, ip_address

import phonenumbers
from stdnum import iban, luhn

from lineage.importers.national import NUMBERS

Test = Callable[[str], bool]


@dataclass(frozen=True, kw_only=True)
class Detector:
    """``words`` name what passes, in the plural. ``sure``: at most one unrelated value in fifty
    passes, so that a column of them settles what it holds; otherwise a name must say so too."""

    category: str
    words: str
    test: Test
    sure: bool = True


# A dot and letters follow the @ in icon@2x.png as well.
_FILES = frozenset(["png", "jpg", "jpeg", "gif", "svg", "webp", "css", "js", "html", "pdf"])
EMAIL = re.compile(
    r"[^\s@<>\"',;:()\[\]\\/]{1,64}@(?:[^\W_](?:[\w-]{0,61}[^\W_])?\.)+([^\W\d_]{2,24})"
)
_IBAN = re.compile(r"[A-Z]{2}\d{2}[A-Z0-9]{11,30}", re.IGNORECASE | re.ASCII)
# Visa, Mastercard, American Express, Diners, Discover, JCB, Maestro, UnionPay: ISO/IEC 7812 ranges
_CARD = re.compile(
    r"4\d{12}(?:\d{3}){0,2}|(?:5[1-5]|2[2-7])\d{14}|3[47]\d{13}|3(?:0[0-5]|[68]\d)\d{11}"
    r"|6(?:011|5\d\d)\d{12}|35\d{14}|(?:50|5[6-9]|6[37])\d{14}|62\d{14,17}",
    re.ASCII,
)
_MAC = re.compile(r"(?:[0-9a-f]{2}([:-]))(?:[0-9a-f]{2}\1){4}[0-9a-f]{2}", re.IGNORECASE)
_AGENT = re.compile(
    r"(Mozilla|Opera|Dalvik|curl|Wget|okhttp|python-requests|PostmanRuntime|Googlebot|"
    r"Apache-HttpClient|Go-http-client|CFNetwork|Java)/\d"
)
_ACCOUNT_URL = re.compile(
    r"(?:[a-z]{2,6}://)?(?:[^/\s@]+:[^/\s@]+@\S+|(?:www\.)?(?:twitter|x|facebook|instagram|github|"
    r"linkedin|xing|tiktok|youtube)\.com/(?:in/|profile/|@)?[\w.@-]+/?"
    r"|[\w.-]+\.[a-z]{2,}(?::\d+)?/(?:\S*/)?(?:~|@|u/|user/|users/|profile/|profiles/|people/"
    r"|members?/)[\w.%+-]+\S*)",
    re.IGNORECASE,
)
_ABROAD = re.compile(r"(?:\+|00(?=[\d]{1,3}[ (./-]))[\d ()./-]{7,24}")
_AT_HOME = re.compile(r"(?:\(0?\d{1,5}\) ?|0\d{1,5} ?[/ ] ?)\d[\d ./-]{3,14}")
_DATE = re.compile(r"(\d{1,4})[./ -](\d{1,2})[./ -](\d{1,4})(?:[T ].*)?")
_REGIONS = ("US", "GB", "DE", "AT", "CH", "FR", "ES", "IT", "NL", "BE", "PT", "BR", "PL", "MX")
# Versions count in small steps; of all addresses, one in 250 has four parts below this.
_VERSION = 64


def is_email(text: str) -> bool:
    """An address alone, without a display name."""
    match = EMAIL.fullmatch(text)
    return match is not None and match[1].lower() not in _FILES


def _is_iban(text: str) -> bool:
    packed = text.replace(" ", "")
    return bool(_IBAN.fullmatch(packed)) and iban.is_valid(packed, check_country=False)


def _is_card(text: str) -> bool:
    digits = text.replace(" ", "").replace("-", "")
    return bool(_CARD.fullmatch(digits)) and luhn.is_valid(digits)


def _address(text: str) -> IPv4Address | IPv6Address | None:
    # PostgreSQL shows an inet as 192.0.2.1/32, a log shows 192.0.2.1:443
    bare = re.sub(r"/(?:32|128)$", "", text)
    bare = re.sub(r"^(\d+(?:\.\d+){3}):\d{1,5}$", r"\1", bare)
    try:
        return ip_address(bare)
    except ValueError:
        return None


def _is_ip(text: str) -> bool:
    found = _address(text) if "." in text or ":" in text else None
    if isinstance(found, IPv4Address):
        return found.packed[0] > 0 and max(found.packed) >= _VERSION
    return found is not None and len(text) > len("::1")


def _is_phone_abroad(text: str) -> bool:
    if not _ABROAD.fullmatch(text):
        return False
    return _valid_phone("+" + text[2:] if text.startswith("00") else text, None)


def _is_phone_at_home(text: str) -> bool:
    if not _AT_HOME.fullmatch(text) or _DATE.fullmatch(text):
        return False
    return any(_valid_phone(text, region) for region in _REGIONS)


def _valid_phone(text: str, region: str | None) -> bool:
    try:
        return phonenumbers.is_valid_number(phonenumbers.parse(text, region))
    except phonenumbers.NumberParseException:
        return False


def _matches(found: re.Pattern[str]) -> Test:
    return lambda text: found.fullmatch(text) is not None


_PHONE = "user.contact.phone_number"
_NATIONAL = "user.government_id.national_identification_number"
DETECTORS = (
    Detector(category="user.contact.email", words="email addresses", test=is_email),
    Detector(category="user.financial.bank_account", words="valid IBANs", test=_is_iban),
    Detector(
        category="user.financial.credit_card", words="valid payment card numbers", test=_is_card
    ),
    Detector(category="user.device.ip_address", words="IP addresses", test=_is_ip),
    Detector(category="user.device.device_id", words="MAC addresses", test=_matches(_MAC)),
    Detector(
        category="user.device", words="user agents", test=lambda text: bool(_AGENT.match(text))
    ),
    Detector(category=_PHONE, words="valid international phone numbers", test=_is_phone_abroad),
    Detector(
        category=_PHONE, words="valid national phone numbers", test=_is_phone_at_home, sure=False
    ),
    Detector(
        category="user.contact.url",
        words="web addresses of accounts",
        test=_matches(_ACCOUNT_URL),
        sure=False,
    ),
    *(
        Detector(category=_NATIONAL, words=f"valid {n.words}", test=n.test, sure=n.sure)
        for n in NUMBERS
    ),
)

# --- can it be what the name says? -------------------------------------------------------------

EARLIEST, LATEST = 1890, 2035
_NAME = re.compile(r"(?=.*[^\W\d_])[^\d@_/\\<>{}=+*#%]{1,80}")
_NO_DIGITS = re.compile(r"(?=.*[^\W\d_])[^\d@]{1,60}")
_LETTERS = re.compile(r".*[^\W\d_].*", re.DOTALL)
_LOOSE_PHONE = re.compile(r"[+(\d][\d\s()./+-]{1,24}(?:\s*(?:ext\.?|x|-)\s*\d{1,6})?", re.I)
_POSTAL = re.compile(r"(?=.*\d)[A-Z0-9][A-Z0-9 .-]{1,10}", re.IGNORECASE)
_NUMBER = re.compile(r"(?=(?:.*\d){4})[A-Z0-9][A-Z0-9 ./-]{4,41}", re.IGNORECASE)
_BANK = re.compile(r"[A-Z]{6}[A-Z0-9]{2}(?:[A-Z0-9]{3})?|(?=.*\d)[A-Z0-9][A-Z0-9 ./-]{4,41}", re.I)
_WORD = re.compile(r"\S{1,64}")
_CODE = re.compile(r"\d|[^\d@]{1,24}")
_DEVICE = re.compile(r"[\w:.-]{8,64}")


def year_of(text: str) -> int | None:
    """The year in a date however it is written (ISO, 31.12.1980, 12/31/1980, 19801231, 1980)."""
    if re.fullmatch(r"\d{4}|\d{8}", text):
        return int(text[:4])
    match = _DATE.fullmatch(text)
    if match is None:
        return None
    first, middle, last = (int(part) for part in match.groups())
    year, day, month = (first, last, middle) if len(match[1]) == 4 else (last, first, middle)
    year += 1900 if max(len(match[1]), len(match[3])) == 2 else 0
    for pair in ((month, day), (day, month)):
        try:
            return date(year, *pair).year
        except ValueError:
            continue
    return None


def _is_human_date(text: str) -> bool:
    year = year_of(text)
    return year is not None and EARLIEST <= year <= LATEST


_PLAUSIBLE: Mapping[str, tuple[str, Test]] = {
    "user.contact.email": ("are email addresses", is_email),
    "user.contact.phone_number": ("are written like phone numbers", _matches(_LOOSE_PHONE)),
    "user.contact.fax_number": ("are written like phone numbers", _matches(_LOOSE_PHONE)),
    "user.contact.address.postal_code": ("are written like postal codes", _matches(_POSTAL)),
    "user.contact.address.street": ("hold letters", _matches(_LETTERS)),
    "user.contact.address": ("hold letters and no digits", _matches(_NO_DIGITS)),
    "user.contact.url": ("hold a dot", lambda text: "." in text),
    "user.name": ("are written like names", _matches(_NAME)),
    "user.demographic.date_of_birth": ("are plausible birth dates", _is_human_date),
    "user.demographic.gender": ("are short words", _matches(_CODE)),
    "user.device.ip_address": ("are IP addresses", lambda text: _address(text) is not None),
    "user.device.device_id": ("are written like device numbers", _matches(_DEVICE)),
    "user.financial.credit_card": ("are valid payment card numbers", _is_card),
    "user.financial.bank_account": ("are written like account numbers", _matches(_BANK)),
    "user.government_id": ("are written like official numbers", _matches(_NUMBER)),
    "user.account.username": ("are single words", _matches(_WORD)),
    "user.job_title": ("hold letters and no digits", _matches(_NO_DIGITS)),
}


def plausible(category: str) -> tuple[str, Test] | None:
    """The test of the nearest category, and words for what passes; None where any value does."""
    while category.count("."):
        if category in _PLAUSIBLE:
            return _PLAUSIBLE[category]
        category = category.rpartition(".")[0]
    return None
