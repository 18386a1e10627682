"""The adapter over objects in a directory; ``files`` and ``logs`` say what is theirs.

Keys. ``values`` are the object's path relative to the root, the field, and the value in its
canonical text; ``count`` rows of that object stand behind one key, and ``version`` is the
object's SHA-256 at find. Rows under one value that differ in guard or in what they carry come as
keys of their own, told apart by further values. A value found inside a text has the text field as
its field; in a line that its format cannot read, or that is plain text, the field is ``(line)``.

An object that is no longer as it was found is matched anew under the same keys. One that is gone
(or, in logs, changed, as rotation does) makes all objects of its collection be matched.

A JSON line that cannot be read is never dropped: needles in it are redacted as in plain text. In
such a line nothing short and no small number is searched, since it could mean anything.

An object whose rows have all gone stays as a valid empty one, unless its own path holds the
identifier: then it is removed. Modification time, mode, owner and extended attributes are kept.
Other hard links to a replaced object keep the old version, and the receipt says so. An
anonymised primary key is not rewritten in other objects that refer to it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from dataclasses import field as default

from erasure.domain.errors import StoreError
from erasure.domain.keeping import ANYWHERE
from erasure.domain.masking import residue_of
from erasure.stores.base import Failure, Key, Receipt, Residue, Secrets, Step, Work
from erasure.stores.objects import swap
from erasure.stores.objects.edits import Edit, Edits, Outcome
from erasure.stores.objects.engine import Engine, Opened
from erasure.stores.objects.finding import place_of
from erasure.stores.objects.matching import LINE
from erasure.stores.objects.reading import ObjectReader
from erasure.stores.objects.scanning import in_path
from erasure.stores.objects.tree import Obj
from lineage.graph import Dataset

_UNTOUCHED = ("retain", "restrict")
_CHANGING = ("delete", "anonymize", "redact")


@dataclass
class Told:
    """What a work came to, for its receipt. ``owned`` and ``others``: places (field and text) at
    which rows of the person, and of somebody else, were met."""

    reused: list[Key] = default(default_factory=list)
    owned: set[tuple[str, str]] = default(default_factory=set)
    others: set[tuple[str, str]] = default(default_factory=set)
    linked: int = 0

    def reused_of(self, keys: Sequence[Key]) -> tuple[Key, ...]:
        """Those of the keys that are somebody else's now."""
        left = self.others - self.owned
        anywhere = (k for k in keys if k.values[0] == ANYWHERE and place_of(k) in left)
        return (*self.reused, *anywhere)


Part = tuple[Step, Sequence[Key], Told]


class ObjectStore(ObjectReader):
    """A store over the files below one directory."""

    def outcome_of(self, step: Step, engine: Engine) -> Outcome:
        """What a deep step makes of the person's own rows."""
        raise NotImplementedError

    def act(self, works: Sequence[Work], secrets: Secrets) -> list[Receipt]:
        """Carry out all works in one pass over each object they touch.

        Every object is replaced as a whole or not at all; a second execution changes nothing.
        """
        for work in works:
            self._refuse(work.step)
        by_name: dict[str, dict[int, list[Key]]] = {}
        for number, work in enumerate(works):
            for name, keys in self._touched(work).items():
                by_name.setdefault(name, {})[number] = keys
        told = [Told() for _ in works]
        for name in sorted(by_name):
            parts = [(works[i].step, keys, told[i]) for i, keys in by_name[name].items()]
            self._carry_out(self.tree.named(name), parts, secrets)
        return [self._receipt(w, t) for w, t in zip(works, told, strict=True)]

    def _touched(self, work: Work) -> Mapping[str, list[Key]]:
        if work.step.action in _UNTOUCHED:
            return {}
        return self.places(work.step.dataset, work.keys, changed_too=self.rotates)

    def _carry_out(self, obj: Obj, parts: Sequence[Part], secrets: Secrets) -> None:
        """One object: look whether anything is to be done, and do it, under its lock."""
        swap.sweep(obj.path.parent)
        with self.guarded(obj, parts[0][0].dataset), swap.claimed(obj.path) as file:
            source = Opened(obj.path, file, self.virtual_of(obj))
            engine = self.engine_of(obj, file)
            edits = self._edits(source, engine, [(s, k) for s, k, _ in parts], secrets)
            unsettled = engine.unsettled(source, edits)
            linked = os.fstat(file.fileno()).st_nlink > 1
            for edit, (_, keys, told) in zip(edits.edits, parts, strict=True):
                told.linked += linked
                told.owned |= edit.owned
                told.others |= edit.others
                told.reused += [
                    k
                    for k in keys
                    if k.values[0] == obj.name and place_of(k) in edit.others - edit.owned
                ]
            if unsettled:
                self.replaced.add(swap.checksum(file))
                engine.rewrite(source, edits, preserve_times=self._preserve_times)
            named = in_path(secrets.needles.precise(), obj.name) or _all_dropped(edits, source)
        if named:
            self._remove_if_empty(obj, parts[0][0].dataset)

    def _remove_if_empty(self, obj: Obj, dataset: Dataset) -> None:
        """An empty object whose path still tells whose rows were in it goes altogether."""
        with self.guarded(obj, dataset), swap.claimed(obj.path) as file:
            source = Opened(obj.path, file, {})
            if self.engine_of(obj, file).empty(source):
                swap.remove(obj.path, self.root.resolve())

    def _edits(
        self,
        source: Opened,
        engine: Engine,
        parts: Sequence[tuple[Step, Sequence[Key]]],
        secrets: Secrets,
    ) -> Edits:
        # What a few lines suggest is no promise: there the value itself tells its type.
        columns = {} if engine.schemaless else {c.name: c for c in engine.columns(source)}
        return Edits(
            [
                Edit(
                    step,
                    keys,
                    secrets,
                    outcome=self._outcome(step, engine),
                    scope=(LINE,) if engine.textual else step.redact or step.dataset.free_text,
                    columns=columns,
                )
                for step, keys in parts
            ]
        )

    def _outcome(self, step: Step, engine: Engine) -> Outcome:
        if step.via == "shallow":
            return "cut"
        return "redact" if step.via == "mention" else self.outcome_of(step, engine)

    def _refuse(self, step: Step) -> None:
        """Raise StoreError for what objects cannot do."""
        place = step.dataset.address
        if step.via == "refcount":
            raise StoreError(place, "files cannot count references; declare `on_erase: deep`")
        if step.ghost:
            raise StoreError(place, "files have no ghost rows; declare `on_erase: shallow`")
        if step.action not in (*_CHANGING, *_UNTOUCHED):
            raise StoreError(
                place, f"'{step.action}' cannot be done to files; use {', '.join(_CHANGING)}"
            )

    def _receipt(self, work: Work, told: Told) -> Receipt:
        reused = told.reused_of(work.keys)
        note = f"other hard links keep {told.linked} replaced objects" if told.linked else ""
        return Receipt(
            dataset=work.step.dataset.address,
            action=work.step.action,
            done=sum(k.count for k in work.keys) - sum(k.count for k in reused),
            residue=_residue(work.step),
            reused=reused,
            note=note,
        )

    def check(self, works: Sequence[Work], secrets: Secrets) -> list[Failure]:
        """Every object opened again: rows that a step would still change."""
        failures: list[Failure] = []
        for work in works:
            self._refuse(work.step)
            if work.step.action in _UNTOUCHED:
                continue
            left = 0
            for name, keys in self.places(work.step.dataset, work.keys).items():
                with self.opened(self.tree.named(name), work.step.dataset) as (source, engine):
                    edits = self._edits(source, engine, [(work.step, keys)], secrets)
                    left += engine.unsettled(source, edits)
            if left:
                failures.append(
                    Failure(dataset=work.step.dataset.address, why=_why(work.step), count=left)
                )
        return failures


def _residue(step: Step) -> Residue:
    if step.action in _UNTOUCHED:
        return "retained_until"
    return residue_of(step.dataset) if step.action == "anonymize" else "logically_deleted"


def _why(step: Step) -> str:
    if step.via == "mention":
        return "a text still holds a value of the person"
    if step.via == "shallow":
        return "a reference is not cut, or a text still holds a value of the person"
    return "rows are still there" if step.action == "delete" else "fields are not cleared"


def _all_dropped(edits: Edits, source: Opened) -> bool:
    """True when a step deletes and the path alone makes every row the person's."""
    return any(e.drops and source.all_match(e.query) for e in edits.edits)
