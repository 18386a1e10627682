"""What is done on a day of their own to rows that a case has left, and by which keys."""

from __future__ import annotations

from datetime import date

from erasure.domain.keeping import ANYWHERE, OBJECTS
from erasure.domain.steps import Step, in_the_end, last_day, mark_names, partial
from erasure.domain.values import canonical
from erasure.stores.base import Key, Receipt


def taken_on(step: Step, day: date) -> Step:
    """The step that is taken on a day: the last one, but where a hold was released before the
    exception of fields under it has ended."""
    held = step.held
    until = last_day(held, {}) if held is not None and held.kept and not step.kept else None
    return held if held is not None and until and day < until else in_the_end(step)


def later_key(step: Step, taken: Step, key: Key, kind: str) -> Key:
    """The key, in a store of that kind, for what is ``taken`` of a step. Of a row of which some
    fields were kept, only what is left in it tells whose it is; a record may be in another file by
    then."""
    part = None if taken.kept else partial(step)
    guard = dict(zip(step.guard, key.guard, strict=True)) if part else {}
    if part:
        key = key._replace(guard=tuple(guard[name] for name in taken.guard))
    if kind not in OBJECTS:
        return key
    field, text = str(key.values[1]), str(key.values[2])
    if part and mark_names(step):
        field = step.dataset.key[0]
        text = canonical(guard[field])
    return key._replace(values=(ANYWHERE, field, text), version="")


def became(receipt: Receipt) -> str:
    """What was done, in a word."""
    return "erased" if receipt.action == "delete" else f"dealt with ({receipt.action})"
