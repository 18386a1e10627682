"""Complaints: what is open, and recording, confirming and answering one."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError, CommandParser

from erasure.domain.clocks import LAWS
from erasure.domain.complaints import VERDICTS
from erasure.domain.errors import UsageError
from erasure.flow import complain, letters
from erasure.management.console import (
    FAILED,
    case_of,
    day_of,
    one_line_errors,
    operator,
    words_of,
)
from erasure.models import Complaint
from erasure.runs import clock, dues
from erasure.runs.letters import ABOUT


class Command(BaseCommand):
    """``complaints [open | letter ID | acknowledge ID | answer ID | withdraw ID]``"""

    help = "List open complaints, record one, confirm its receipt, answer it."
    group = "requests"

    def add_arguments(self, parser: CommandParser) -> None:
        """Without a deed the open ones are listed, what is due first above."""
        deeds = parser.add_subparsers(dest="deed", metavar="DEED")
        new = deeds.add_parser("open", help="record one")
        new.add_argument("--about", default="", metavar="REQUEST", help="the case's number")
        new.add_argument("--law", choices=LAWS, default="", help="the case's, unless told")
        new.add_argument("--received", default="", metavar="DAY", help="the true day")
        new.add_argument("--authority", default="", help="which handed it on")
        new.add_argument("--reference", default="", help="the authority's")
        new.add_argument("--answer-by", default="", metavar="DAY")
        new.add_argument("--because", required=True, help="is sealed; @FILE takes it from a file")
        letter = deeds.add_parser("letter", help="about no case, or one whose record has ended")
        letter.add_argument("complaint")
        letter.add_argument("--code", choices=list(ABOUT), required=True)
        letter.add_argument("--language", default="en")
        letter.add_argument("--greeting", default="")
        letter.add_argument("--to", metavar="ADDRESS", help="default: where the last letter went")
        how = letter.add_mutually_exclusive_group()
        how.add_argument("--send", action="store_true", help="by email")
        how.add_argument("--by-hand", action="store_true", help="record that it was sent by hand")
        for name in ("acknowledge", "answer", "withdraw"):
            deed = deeds.add_parser(name)
            deed.add_argument("complaint")
            if name == "answer":
                deed.add_argument("--verdict", choices=VERDICTS, required=True)
                deed.add_argument("--because", required=True, help="is sealed; @FILE from a file")

    def handle(self, *args: Any, **options: Any) -> None:
        """Exit 1 when the mail server did not take a letter, 2 for what cannot be."""
        with one_line_errors():
            if options["deed"] is None:
                for one in dues.open_complaints():
                    self._tell(one)
            elif options["deed"] == "letter":
                self._letter(options)
            elif options["deed"] == "open":
                self._tell(_opened(options))
            else:
                self._tell(_done(options))

    def _letter(self, options: dict[str, Any]) -> None:
        """As it would be sent, or sent."""
        complaint, by_hand = _found(options), options["by_hand"]
        blocks = {"greeting": options["greeting"]} if options["greeting"] else {}
        how = {"code": options["code"], "language": options["language"], "blocks": blocks}
        if not by_hand and not options["send"]:
            written = complain.write_letter(complaint, by=operator(), **how)
            self.stdout.write(written.text)
            return
        to = "" if by_hand else options["to"]
        drafted = letters.draft_about(complaint, to=to, by=operator(), **how)
        deed = letters.mark_sent_by_hand if by_hand else letters.send_letter
        letter = deed(drafted, by=operator())
        self.stdout.write(f"{letter.code}: {letter.state.replace('_', ' ')}")
        if letter.error:
            raise CommandError(letter.error, returncode=FAILED)

    def _tell(self, one: Complaint) -> None:
        days = {"confirm by": one.acknowledge_by, "answer by": one.answer_by}
        if one.state != "received":
            del days["confirm by"]
        due = "".join(f"  {word} {day:%Y-%m-%d}" for word, day in days.items() if day)
        about = f"  case {one.request_id}" if one.request_id else ""
        verdict = f" ({one.verdict})" if one.verdict else ""
        self.stdout.write(f"{one.pk}  {one.law}  {one.state}{verdict}{due}{about}")


def _opened(options: dict[str, Any]) -> Complaint:
    return complain.open_complaint(
        request=case_of(options["about"]) if options["about"] else None,
        law=options["law"],
        authority=options["authority"],
        reference=options["reference"],
        received_at=clock.start_of(day_of("received", options["received"])),
        answer_by=day_of("answer_by", options["answer_by"]),
        because=words_of(options["because"]),
        by=operator(),
    )


def _found(options: dict[str, Any]) -> Complaint:
    try:
        return Complaint.objects.get(pk=UUID(options["complaint"]))
    except (ValueError, Complaint.DoesNotExist):
        raise UsageError("no complaint has this number; `complaints` lists them") from None


def _done(options: dict[str, Any]) -> Complaint:
    complaint = _found(options)
    if options["deed"] == "acknowledge":
        return complain.acknowledge_complaint(complaint, by=operator())
    if options["deed"] == "withdraw":
        return complain.withdraw_complaint(complaint, by=operator())
    return complain.answer_complaint(
        complaint, verdict=options["verdict"], because=words_of(options["because"]), by=operator()
    )
