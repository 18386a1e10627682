"""What a run has written down of its members so far, the latest of each row and step."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import compress, islice
from typing import get_args

from erasure.domain.bulk import Block
from erasure.domain.finding import Findings, KeyText, People, key_text
from erasure.domain.masking import masked_fields
from erasure.domain.plan import keeps_references
from erasure.domain.steps import KEPT, Mark, Step, Via, mark_of
from erasure.domain.values import Many, Scalar, holds
from erasure.models import ErasureRequest, Run
from erasure.runs import journal
from erasure.runs.journal import RunStep
from erasure.runs.met import Met
from erasure.runs.pieces import Pieces, Placed
from erasure.runs.segments import Became, Entry

PART = 5_000  # entries that are read once more
_BECAME: tuple[Became, ...] = get_args(Became)
Written = Mapping[tuple[int, KeyText], Entry]


class Known:
    """What a run has written down, the latest of each row and step.

    ``many``: datasets of which it is told what became of a row, and the rows themselves are read
    once more, some after the other, by :meth:`parts`.
    """

    def __init__(
        self,
        run: Run,
        requests: Sequence[ErasureRequest],
        steps: Sequence[RunStep],
        many: Collection[str] = (),
    ) -> None:
        self._run, self._people = run, {str(r.id) for r in requests}
        self._steps = {s.ordinal: s.step for s in steps}
        self._deep, self._shared = _by_address(steps, "deep"), _by_address(steps, "refcount")
        self._cut: dict[str, set[str]] = defaultdict(set)
        for step in self._steps.values():
            if step.via == "shallow":
                self._cut[step.dataset.address].update((step.held or step).cut)
        self._followed = _followed(steps)
        self._many = {self._deep[address] for address in many}
        self._met = Met()
        self._entries: dict[tuple[int, KeyText], Entry] = {}
        self._read()
        self._left = {m for e in self._entries.values() if e.became for m in self._mark(e)}

    def _read(self) -> None:
        for opened in journal.open_batches(self._run, self._people):
            at = opened.batch.ordinal * len(_BECAME)
            for entry in opened.in_turn():
                if entry.ordinal in self._many:
                    digest = self._digest(entry.ordinal, entry.text)
                    self._met.put([(digest, at + _BECAME.index(entry.became))])
                else:
                    self._entries[entry.ordinal, entry.text] = entry

    def _digest(self, ordinal: int, text: KeyText) -> bytes:
        return self._met.digest(str(ordinal), *text)

    def became(self, ordinal: int, texts: Sequence[KeyText]) -> list[Became | None]:
        """What became of rows by a step; None for those that were never written down."""
        if ordinal in self._many:
            numbers = self._met.numbers([self._digest(ordinal, text) for text in texts])
            return [None if n is None else _BECAME[n % len(_BECAME)] for n in numbers]
        entries = (self._entries.get((ordinal, text)) for text in texts)
        return [entry.became if entry else None for entry in entries]

    def _became(self, ordinal: int, text: KeyText) -> Became | None:
        return self.became(ordinal, (text,))[0]

    def own(self) -> Written:
        """The people's own rows, but those found to be somebody else's now, and those of which
        there are many."""
        deep = set(self._deep.values())
        return {
            place: entry
            for place, entry in self._entries.items()
            if entry.became != "reused" and place[0] in deep
        }

    def parts(self, leading: Collection[str]) -> Iterator[Written]:
        """Likewise those of which there are many, in the datasets ``leading``, some after the
        other."""
        ordinals = {n for address, n in self._deep.items() if address in leading} & self._many
        for opened in journal.open_batches(self._run, self._people) if ordinals else ():
            entries = (e for e in opened.in_turn(ordinals) if e.became != "reused")
            while some := list(islice(entries, PART)):
                numbers = self._met.numbers([self._digest(e.ordinal, e.text) for e in some])
                at = opened.batch.ordinal
                last = (n is not None and n // len(_BECAME) == at for n in numbers)
                yield {(e.ordinal, e.text): e for e in compress(some, last)}

    def by_dataset(self, written: Written) -> Mapping[str, Sequence[Entry]]:
        """Rows by where they are."""
        found: dict[str, list[Entry]] = defaultdict(list)
        for (ordinal, _), entry in written.items():
            found[self._steps[ordinal].dataset.address].append(entry)
        return found

    def is_new(self, entry: Entry) -> bool:
        """Never written down; or dealt with, and there again."""
        step = self._steps[entry.ordinal]
        if step.via in ("mention", "shallow") and self._is_kept(step, entry):
            return False
        if step.via == "mention" and self._keeps_a_text(step.dataset.address, entry.text):
            return False
        if step.via == "refcount" and self._stays(step.dataset.address, entry.text):
            return False
        before = self._became(entry.ordinal, entry.text)
        if before is None and self._left & self._mark(entry):
            return False
        return _is_new(step, before)

    def _is_kept(self, step: Step, entry: Entry) -> bool:
        """Their own row, which the law keeps as it is, though the key of what it was found by has
        been rewritten since, so that this search takes it for somebody else's."""
        ordinal = self._deep.get(step.dataset.address)
        own = self._entries.get((ordinal, entry.text)) if ordinal is not None else None
        if own is None or own.became == "reused" or not entry.people <= own.people:
            return False
        kept = self._steps[own.ordinal]
        return kept.action in KEPT if step.via == "mention" else keeps_references(kept)

    def _stays(self, address: str, text: KeyText) -> bool:
        """Their own row, which was changed and is there still: as nobody's it has been dealt with,
        whoever else of theirs referred to it."""
        ordinal = self._deep.get(address)
        if ordinal is None or self._became(ordinal, text) in (None, "", "reused"):
            return False
        return self._steps[ordinal].action != "delete"

    def _mark(self, entry: Entry) -> set[tuple[int, Mark]]:
        """By what a record is known of which some is left: it changes under its key."""
        step = self._steps[entry.ordinal]
        mark = mark_of(step, step.guard, entry.key.guard) if step.kept else ()
        return {(entry.ordinal, mark)} if mark else set()

    def _keeps_a_text(self, address: str, text: KeyText) -> bool:
        """Their own row, of which an exception keeps fields; the re-scan sees the rest of it."""
        ordinal = self._deep.get(address)
        if ordinal is None or self._became(ordinal, text) in (None, "reused"):
            return False
        return bool(self._steps[ordinal].kept)

    def unsettled(self, findings: Findings) -> Findings:
        """Rows whose own step is still to be taken, or which the law keeps: what was anonymised
        already may hold a new mention."""
        rows = {
            address: {text: row for text, row in table.items() if self._unsettled(address, text)}
            for address, table in findings.rows.items()
        }
        return Findings(rows={address: table for address, table in rows.items() if table})

    def _unsettled(self, address: str, text: KeyText) -> bool:
        ordinals = [by[address] for by in (self._deep, self._shared) if address in by]
        written = ((ordinal, self._became(ordinal, text)) for ordinal in ordinals)
        for ordinal, became in written:
            if became is not None:
                return _is_open(self._steps[ordinal], became)
        return True

    def is_theirs(
        self, written: Written, address: str, text: KeyText, guard: Mapping[str, Scalar]
    ) -> bool:
        """True while the row at that key is the one that was ``written`` down."""
        ordinal = self._deep.get(address)
        entry = written.get((ordinal, text)) if ordinal is not None else None
        if ordinal is None or entry is None:
            return False
        step = self._steps[ordinal]
        changed = _changed(step) if entry.became else frozenset()
        return None not in changed and self._holds(step, entry, guard, changed)

    def rewriting(self, address: str) -> Step | None:
        """The step that gives the people's own rows there another key, if one does."""
        step = self._steps.get(self._deep.get(address, -1))
        return step if step and rewrites_key(step) else None

    def firm(self, step: Step, guard: Mapping[str, Scalar]) -> KeyText:
        """What the run leaves of a guard, to be compared."""
        free = _changed(step) | self._cut[step.dataset.address] | self._followed_in(step)
        firm = (guard[name] for name in step.guard if name not in free)
        return key_text(value for value in firm if not isinstance(value, Many))

    def may_be(self, step: Step, entry: Entry, guard: Mapping[str, Scalar]) -> bool:
        """Whether a row with another key may be the one of that entry, by all but its key."""
        return self._holds(step, entry, guard, _changed(step))

    def _holds(
        self,
        step: Step,
        entry: Entry,
        guard: Mapping[str, Scalar],
        changed: frozenset[str | None],
    ) -> bool:
        free = changed | self._followed_in(step)
        return all(
            holds(guard[name], then)
            or name in free
            or (then is None and name in self._cut[step.dataset.address])
            for name, then in zip(step.guard, entry.key.guard, strict=True)
        )

    def _followed_in(self, step: Step) -> set[str]:
        return self._followed[step.dataset.store, step.dataset.name]


class Late(Pieces):
    """Rows that are found when it is searched again: those that are new are written down."""

    resumed = True

    def __init__(
        self, going: Mapping[str, Placed], carry: Mapping[str, Sequence[str]], known: Known
    ) -> None:
        super().__init__(going, carry)
        self._known = known

    def keep(self, dataset: str, block: Block, people: People) -> None:
        """Take what is new of the rows of some people; the values of all that are not settled."""
        placed = self.going[dataset]
        texts = [key_text(row[: block.width]) for row in block.rows]
        before = self._known.became(placed.ordinal, texts)
        new = [_is_new(placed.step, became) for became in before]
        unsettled = [became is None or _is_open(placed.step, became) for became in before]
        self._gather(dataset, list(compress(block.also, unsettled)), people)
        if any(new):
            self._take(dataset, Block(block.width, list(compress(block.rows, new)), ()), people)


def _is_new(step: Step, before: Became | None) -> bool:
    """Never written down; or dealt with, and there again."""
    if not before:
        return before is None
    if step.action in KEPT:
        return before == "reused"
    if step.via == "deep":
        # A row that stays is found by its references for ever.
        return before == "reused" or step.action == "delete"
    # A shared row's key may be a newcomer's; and one that was kept is still there.
    return step.via != "refcount"


def rewrites_key(step: Step) -> bool:
    """True where it gives the rows another key."""
    return step.action == "anonymize" and None in _changed(step)


def _is_open(step: Step, became: Became) -> bool:
    """Still to be dealt with, or kept by law, or there again."""
    return not became or step.action in KEPT or _is_new(step, became)


def _by_address(steps: Sequence[RunStep], via: Via) -> dict[str, int]:
    return {s.step.dataset.address: s.ordinal for s in steps if s.step.via == via}


def _followed(steps: Sequence[RunStep]) -> Mapping[tuple[str, str], set[str]]:
    """By store and collection, the fields that refer to a key which the run rewrites."""
    found: dict[tuple[str, str], set[str]] = defaultdict(set)
    for s in steps:
        rewritten = {f.name for f in masked_fields(s.step.dataset)} & set(s.step.key)
        for referrer in s.step.referrers if s.step.action == "anonymize" else ():
            for mine, theirs in ((referrer.field, referrer.target_field), *referrer.also):
                if theirs in rewritten:
                    found[s.store, referrer.collection].add(mine)
    return found


def _changed(step: Step) -> frozenset[str | None]:
    """Fields that the step has changed; None among them when the row is no longer at its key."""
    if step.action in KEPT:
        return frozenset()
    masked = {f.name for f in masked_fields(step.dataset)} if step.action == "anonymize" else set()
    moved = step.action == "delete" or masked & set(step.key)
    return frozenset({*masked, *step.cut, *step.redact, *((None,) if moved else ())})
