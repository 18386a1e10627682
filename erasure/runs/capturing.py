"""Acting with images, where a reversible window is open."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from uuid import UUID

from django.utils import timezone

from erasure import vault
from erasure.domain.errors import LateRows
from erasure.domain.finding import KeyText, Person
from erasure.domain.needles import Needle
from erasure.models import Batch, Run, UndoWindow
from erasure.runs import journal, windows
from erasure.runs.images import Images, Sealer
from erasure.runs.lease import Fence
from erasure.runs.segments import Entry
from erasure.stores.base import Captures, Image, Receipt, Secrets, Store, Work
from erasure.stores.documents import legible
from erasure.stores.images import digest, exact_key

_SEPARATOR = "\x1f"  # is no letter, so no needle reaches from one value into the next


def act(
    run: Run,
    batches: Sequence[Batch],
    store: Store,
    works: Mapping[int, Work],
    secrets: Secrets,
    entries: Collection[Entry],
    fence: Fence,
) -> list[Receipt]:
    """Carry out the works (by the ordinal of their step) of some batches. Everybody whose window
    is open gets images of their rows, where the store can put rows back."""
    listed = list(works.values())
    people = {person for owners in {entry.people for entry in entries} for person in owners}
    opened = windows.open_for(run, people, timezone.now()) if people else {}
    if not opened or not isinstance(store, Captures):
        return store.act(listed, secrets)
    whose = _whose(works, entries)
    _settle_former(run, batches, store, opened)
    named = _Named(journal.open_needles(run, people) if len(people) > 1 else {}, listed)
    keeper = Sealer(run, store.name, batches, opened, whose, named.people, fence)
    try:
        return store.capture(listed, secrets, keeper)
    except LateRows:
        keeper.discard()
        raise


def _whose(
    works: Mapping[int, Work], entries: Iterable[Entry]
) -> dict[tuple[int, KeyText], set[Person]]:
    place = {ordinal: position for position, ordinal in enumerate(works)}
    whose: dict[tuple[int, KeyText], set[Person]] = {}
    for entry in entries:
        key = (place[entry.ordinal], exact_key(entry.key.values))
        whose.setdefault(key, set()).update(entry.people)
    return whose


class _Named:
    """Who of a run is named in the free text of a row, whosever row it is: putting that back for
    one brings the other back, too."""

    def __init__(self, needles: Mapping[Person, set[Needle]], works: Sequence[Work]) -> None:
        self._texts = [work.step.dataset.free_text for work in works]
        self._matcher = journal.matcher_of(needles).precise()
        self._people: dict[Needle, set[Person]] = {}
        for person, owned in needles.items():
            for needle in owned:
                self._people.setdefault(needle, set()).add(person)

    def people(self, image: Image) -> set[Person]:
        """Everybody whom a text of the row names."""
        fields = {name for at, _ in image.whose for name in self._texts[at]}
        columns = {_column(name, image) for name in fields}
        texts = [legible(str(image.values[n])) for n in columns if image.values.get(n) is not None]
        found = self._matcher.found_in(_SEPARATOR.join(texts)) if texts else ()
        return {p for n in found for p in self._people[self._matcher.needles[n]]}


def _column(name: str, image: Image) -> str:
    """The column that a field is, or is inside of."""
    while name not in image.values and "." in name:
        name = name.rpartition(".")[0]
    return name


def _settle_former(
    run: Run, batches: Sequence[Batch], store: Captures, opened: Mapping[Person, UndoWindow]
) -> None:
    """What a former execution of these batches kept is dropped if it never took place. The worker
    who knew has died: the rows tell, of which hardly any can have been changed since."""
    ordinals = {batch.ordinal for batch in batches}
    keys = vault.open_keys(map(UUID, opened), "undo")
    former = run.captures.filter(store=batches[0].store, request__in=list(keys))
    for capture in former:
        if ordinals.isdisjoint(capture.batches):
            continue
        if not capture.complete or not _took_place(
            store, Images(capture, keys[capture.request_id])
        ):
            capture.delete()


def _took_place(store: Captures, images: Images) -> bool:
    changed = (image for image in images if image.left != digest(image.values))
    stand = Counter(standing.how for standing in store.compare(changed))
    return stand["left"] >= stand["before"]
