"""The procedure of this installation: who does what by when, out of its settings, its roles, its
calendar, its stores and its letters. Nothing in it was written for it; no person's data."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.utils import timezone

from erasure.domain import clocks
from erasure.domain.complaints import CONFIRMED_IN
from erasure.domain.letters import KINDS
from erasure.domain.retention import parse_until, period_words
from erasure.domain.roles import DEEDS, ROLES, Role
from erasure.runs import training_log
from lineage import selectors

_LAWS = {"gdpr": "GDPR (European Union)", "uk": "UK GDPR", "ccpa": "CCPA (California)",
         "lgpd": "LGPD (Brazil)"}  # fmt: skip
_AHEAD = timedelta(days=366)
Row = Sequence[str]


@dataclass(frozen=True, kw_only=True)
class Section:
    """A heading with sentences, and a table if there is one."""

    title: str
    says: Sequence[str] = ()
    head: Row = ()
    rows: Sequence[Row] = field(default_factory=tuple)


def procedure(today: date) -> list[Section]:
    """All of it, in the order in which a request meets it."""
    return [
        _missing(today), _house(), _walk(), _times(today), _people(), _complaints(), _stores(),
        _kept(), _letters(), _records(today),
    ]  # fmt: skip


def markdown(sections: Iterable[Section], *, made: str) -> str:
    """The same as a document."""
    lines = ["# How requests to be forgotten are handled here", "", made]
    for section in sections:
        lines += ["", f"## {section.title}"]
        lines += ["", *(f"- {_escaped(said)}" for said in section.says)] if section.says else []
        if section.rows:
            lines += ["", _line(section.head), _line(["---"] * len(section.head))]
            lines += [_line(row) for row in section.rows]
    return "\n".join(lines) + "\n"


def _line(cells: Row) -> str:
    return f"| {' | '.join(_escaped(cell).replace('|', chr(92) + '|') for cell in cells)} |"


def _escaped(text: str) -> str:
    """On one line, and nothing in it begins a tag."""
    return " ".join(text.split()).replace("<", "&lt;")


def _house() -> Section:
    return Section(
        title="The controller",
        head=("what", "here"),
        rows=[
            ("controller", settings.LETHE_CONTROLLER),
            ("contact", settings.LETHE_CONTACT or settings.DEFAULT_FROM_EMAIL),
            ("authority", settings.LETHE_AUTHORITY or "named by the person's place"),
            ("establishment", settings.LETHE_ESTABLISHMENT or "none: weekends alone are days off"),
            ("time zone", str(settings.TIME_ZONE)),
            ("languages of letters", ", ".join(settings.LETHE_LANGUAGES)),
        ],
    )


def _walk() -> Section:
    four = "somebody else than who opened it" if settings.LETHE_FOUR_EYES else "also who opened it"
    box = "suffices" if settings.LETHE_MAILBOX_SUFFICES else "proves the address, not the person"
    undo = settings.LETHE_UNDO_WINDOW
    return Section(
        title="The walk of a request",
        head=("step", "who", "what"),
        rows=[
            ("record", _who("open"), "the true day of receipt; what was given goes into the vault"),
            ("identify", _who("identify"), f"on recorded doubt only; a confirmed mailbox {box}"),
            ("plan", "by itself", "every store is asked what it holds; more than "
             f"{settings.LETHE_MOST_ROWS} rows must be accepted as such"),
            ("weigh", _who("weigh"), "ground, exceptions, holds; the DPO's opinion beside it"),
            ("approve", _who("approve"), f"exactly the plan that was looked at; {four}"),
            ("erase and verify", "by itself", "children first, then searched again by value"),
            ("undo", _who("undo"), f"for {undo} after the run began" if undo else "never"),
            ("tell", _who("send_letter"), "the person, and every recipient (Art. 19)"),
            ("blocked", _who("retry"), "a person looks at it; it stands on the first page"),
            ("after a restore", _who("restore"), "replay_erasures STORE --taken-at T, before use"),
        ],
    )  # fmt: skip


def _who(deed: str) -> str:
    return " or ".join(role for role in ROLES if role in DEEDS[deed].roles)


def _times(today: date) -> Section:
    off = _days_off(today)
    rows = []
    for law, rules in clocks.RULES.items():
        period = f"{settings.LETHE_LGPD_DAYS} days" if law == "lgpd" else _span(rules.period)
        confirmed = f"{rules.acknowledged_in} working days" if rules.acknowledged_in else "-"
        longer = _span(rules.extended) if rules.extended else "never"
        waits = ", ".join(sorted(rules.adds | rules.begins)) or "nothing"
        rows.append((_LAWS[law], period, longer, confirmed, waits))
    to = ", ".join(settings.LETHE_DIGEST_TO) or "nobody"
    return Section(
        title="By when",
        says=[
            f"Every day at {settings.LETHE_DIGEST_HOUR}:00 what is overdue or due within a week is "
            f"sent to {to}.",
            f"Days off within a year: {', '.join(off) or 'weekends alone'}.",
        ],
        head=("law", "answer within", "extended to", "receipt confirmed within", "waits for"),
        rows=rows,
    )


def _span(period: Any) -> str:
    months = f"{period.months} month{'s' * (period.months > 1)}"
    return months if period.months else f"{period.days} days"


def _days_off(today: date) -> list[str]:
    is_holiday = clocks.holidays_of(settings.LETHE_ESTABLISHMENT)
    days = (today + timedelta(days=n) for n in range(_AHEAD.days))
    return [f"{day:%a} {day}" for day in days if is_holiday(day)]


def _holders() -> dict[str, list[str]]:
    """role → active accounts that have it."""
    holders: dict[str, list[str]] = {role: [] for role in ROLES}
    active = User.objects.filter(is_active=True).prefetch_related("groups").order_by("username")
    for user in active:
        names = ROLES if user.is_superuser else [group.name for group in user.groups.all()]
        for name in names:
            if name in holders:
                holders[name].append(user.username)
    return holders


def _people() -> Section:
    holders = _holders()
    return Section(
        title="Who may do what",
        says=["Whoever has the console has the keys too, and stands in the records as such."],
        head=("role", "accounts", "deeds"),
        rows=[
            (role, ", ".join(holders[role]) or "nobody", ", ".join(_deeds(role))) for role in ROLES
        ],
    )


def _deeds(role: Role) -> list[str]:
    return [name.replace("_", " ") for name, deed in DEEDS.items() if role in deed.roles]


def _complaints() -> Section:
    rows = [(_LAWS[law], f"{period.days} days") for law, period in CONFIRMED_IN.items()]
    return Section(
        title="Complaints",
        says=[
            f"Recorded, confirmed and answered by: {_who('complain')}. An upheld one can reopen "
            "its case.",
            "One that an authority hands on is recorded with its reference and its date.",
        ],
        head=("law", "receipt confirmed within"),
        rows=rows,
    )


def _stores() -> Section:
    datasets = selectors.datasets().values()
    rows = []
    for store in selectors.stores():
        mine = [d for d in datasets if d.store == store.name and d.has_personal_fields]
        kept = store.options.get("retention", "")
        note = f"copies kept for {kept}" if kept else ""
        rows.append((store.name, store.kind, store.role, str(len(mine)), note))
    return Section(
        title="Where personal data are",
        says=[] if rows else ["Nowhere yet: no catalogue was imported."],
        head=("store", "kind", "role", "datasets with personal data", "note"),
        rows=rows,
    )


def _kept() -> Section:
    rows = []
    for address, dataset in selectors.datasets().items():
        if dataset.action == "retain":
            why = f"{(dataset.exception or '').replace('_', ' ')} ({dataset.legal_reference})"
            until = parse_until(dataset.until).words if dataset.until else "no day"
            rows.append((address, f"until {until}", why))
        elif dataset.retention and dataset.has_personal_fields:
            rule = dataset.retention
            when = f"{period_words(str(rule.get('period', '')))} after {rule.get('starts', '')}"
            rows.append((address, when, str(rule.get("basis", ""))))
    return Section(
        title="What is kept, and for how long",
        says=["expired_data lists what has run out although nobody has asked."],
        head=("dataset", "for how long", "why"),
        rows=rows,
    )


def _letters() -> Section:
    written = ", ".join(settings.LETHE_LANGUAGES)
    return Section(
        title="Letters",
        says=[f"Each in {written}; sent by {_who('send_letter')}."],
        head=("letter", "to", "when the case is"),
        rows=[
            (kind.code.replace("_", " "), kind.to, _states(kind.states)) for kind in KINDS.values()
        ],
    )


def _states(states: Iterable[str]) -> str:
    named = sorted(states)
    few = 6
    if len(named) > few:
        return "in most states"
    return ", ".join(state.replace("_", " ") for state in named)


def _records(today: date) -> Section:
    counted = training_log.figures(today)
    return Section(
        title="Records and training",
        says=[
            f"Letters, reasons and complaints: readable for {settings.LETHE_RECORD_MONTHS} months "
            "after the end of a case; then their key is destroyed. The keyed pseudonym and the "
            "certificate stay.",
            "Every look at identifiers, letters, reasons and complaints is on record.",
            f"People trained: {counted['people']}; to be trained again: {counted['overdue']}.",
        ],
        head=("topic", "people trained"),
        rows=[(topic, str(people)) for topic, people in counted["by_topic"].items()],
    )


def _missing(today: date) -> Section:
    holders, wanted = _holders(), ("officer", "approver", "operator")
    says = [f"Nobody has the role {role}." for role in wanted if not holders[role]]
    both = set(holders["officer"]) | set(holders["approver"])
    if settings.LETHE_FOUR_EYES and len(both) == 1:
        says.append("One person alone has officer and approver: four eyes cannot be kept.")
    unset = [
        (settings.LETHE_CONTACT, "LETHE_CONTACT: letters name the sender of the mail instead."),
        (settings.LETHE_AUTHORITY, "LETHE_AUTHORITY: letters name no authority."),
        (settings.LETHE_DIGEST_TO, "LETHE_DIGEST_TO: nobody is told what is due."),
        (settings.LETHE_ESTABLISHMENT, "LETHE_ESTABLISHMENT: no public holiday is known."),
    ]
    says += [words for value, words in unset if not value]
    late = training_log.overdue(today).count()
    says += [f"Training that should have been repeated by now: {late}."] if late else []
    return Section(title="What is missing", says=says or ["Nothing that can be told from here."])


def made_on() -> str:
    """When it was made, and for whom."""
    now = timezone.localtime()
    return f"{settings.LETHE_CONTROLLER}, {now:%d %B %Y}. Made from the settings as they are."
