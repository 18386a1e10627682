"""The shop's stores, which tell what they are asked and let a test put its hand in just before."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, ClassVar

from erasure.domain.values import Value
from erasure.stores.base import Found, Image, Keeper, Purged, Receipt, Secrets, Selector, Work
from erasure.stores.files import FilesStore
from erasure.stores.logs import LogsStore
from erasure.stores.memory import MemoryStore
from erasure.stores.sql import SqlStore
from lineage.graph import Dataset


class Spied:
    """What the stores were asked, in order; ``before`` runs just before it is answered."""

    asked: ClassVar[list[tuple[str, str]]] = []
    before: ClassVar[dict[tuple[str, str], Callable[[], None]]] = {}
    name: str

    def _asked(self, what: str) -> None:
        self.asked.append((self.name, what))
        hook = self.before.get((self.name, what))
        if hook is not None:
            hook()

    def find(self, selector: Selector, values: Sequence[Value]) -> Iterator[Found]:
        self._asked("find")
        yield from super().find(selector, values)  # type: ignore[misc]

    def act(self, works: Sequence[Work], secrets: Secrets) -> list[Receipt]:
        self._asked("act")
        receipts: list[Receipt] = super().act(works, secrets)  # type: ignore[misc]
        self._asked("acted")
        return receipts

    def capture(self, works: Sequence[Work], secrets: Secrets, keeper: Keeper) -> list[Receipt]:
        self._asked("act")
        receipts: list[Receipt] = super().capture(works, secrets, keeper)  # type: ignore[misc]
        self._asked("acted")
        return receipts

    def restore(self, images: Iterable[Image]) -> None:
        self._asked("restore")
        super().restore(images)  # type: ignore[misc]
        self._asked("restored")

    def purge(self, datasets: Sequence[Dataset]) -> Purged:
        self._asked("purge")
        purged: Purged = super().purge(datasets)  # type: ignore[misc]
        return purged

    def scan(self, declared: Any, needles: Any) -> Iterator[Any]:
        self._asked("scan")
        yield from super().scan(declared, needles)  # type: ignore[misc]


class SpiedMemory(Spied, MemoryStore):
    """The memory store, watched."""

    kind = "spied_memory"


class SpiedSql(Spied, SqlStore):
    """The SQL store, watched."""

    kind = "spied_sql"

    def find_blocks(self, *asked: Any) -> Any:  # many rows found together
        blocks = super().find_blocks(*asked)
        if blocks is not None:
            self._asked("find")
        return blocks


class SpiedFiles(Spied, FilesStore):
    """Files, watched."""

    kind = "spied_files"

    def dated(self, *asked: Any) -> Any:
        self._asked("dated")
        return super().dated(*asked)


class SpiedLogs(Spied, LogsStore):
    """Logs, watched."""

    kind = "spied_logs"


class Forgetful(SpiedMemory):
    """A store that cannot put anything back."""

    kind = "forgetful"
    capture = None  # type: ignore[assignment]


KINDS = {
    "spied_memory": "tests.flow.spied:SpiedMemory",
    "spied_sql": "tests.flow.spied:SpiedSql",
    "spied_files": "tests.flow.spied:SpiedFiles",
    "spied_logs": "tests.flow.spied:SpiedLogs",
    "forgetful": "tests.flow.spied:Forgetful",
}
