"""Logs: whose lines go, what is redacted, and that rotation, times and live writers are safe."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from erasure.domain.errors import StoreError
from erasure.domain.needles import Matcher, Needle
from erasure.stores.base import Declared, Found, Hit, Secrets, Selector, Store, Work
from erasure.stores.logs import LogsStore
from lineage.graph import Dataset, Field
from tests.stores import object_cast as cast
from tests.stores.conformance import Planted, StoreConformance, assert_no_values

EMAIL, NAME, IP = "mara.lindqvist@example.com", "Mara Lindqvist", "203.0.113.77"
OTHER = "jonas.berg@example.org"
NEEDLES = Matcher(
    [
        Needle(text=EMAIL, category="email"),
        Needle(text=NAME, category="user.name"),
        Needle(text=IP, category="user.device.ip_address"),
        Needle(text="Lund", category="user.contact.address.city", coarse=True),
    ]
)
SECRETS = Secrets(seed=bytes(32), needles=NEEDLES)
FIELDS = (
    Field(name="ts"),
    Field(name="user", categories=("user.unique_id",)),
    Field(name="email", categories=("user.contact.email",), identity="email"),
    Field(name="ip", categories=("user.device.ip_address",)),
    Field(name="path", free_text=True),
)


def access(action: str | None = "delete") -> Dataset:
    return Dataset(
        address="access.access", store="logs", name="access", fields=FIELDS, action=action
    )


BY_USER = Selector(dataset=access(), fields=("user",), guard=("user",))


def store_at(folder: Path, **options: Any) -> LogsStore:
    return LogsStore(name="logs", url=f"file://{folder}", options=options)


def line(number: int, user: int | None, **more: Any) -> str:
    mine = user == 0
    row = {
        "ts": f"2026-01-05T00:00:{number:02d}Z",
        "user": user,
        "email": EMAIL.upper() if mine else OTHER,
        "ip": IP if mine else "203.0.113.1",
        "path": f"/{number}",
        **more,
    }
    return json.dumps(row)


def lines() -> list[str]:
    found = [line(i, (0, 42, None)[i % 3]) for i in range(30)]
    found[4] = line(4, 42, path=f"/gift/for/{EMAIL}?from=Lund")
    return found


def write(path: Path, text: str) -> Path:
    packers: dict[str, Callable[[bytes], bytes]] = {
        ".gz": lambda b: gzip.compress(b, mtime=7),
        ".bz2": bz2.compress,
        ".xz": lzma.compress,
    }
    path.write_bytes(packers.get(path.suffix, bytes)(text.encode()))
    os.utime(path, ns=(10**18, 10**18 + 1))
    return path


def read(path: Path) -> str:
    raw = path.read_bytes()
    for magic, unpack in ((b"\x1f\x8b", gzip.decompress), (b"BZh", bz2.decompress)):
        if raw.startswith(magic):
            return unpack(raw).decode()
    return (lzma.decompress(raw) if raw.startswith(b"\xfd7zXZ") else raw).decode()


def acted(store: LogsStore, found: Sequence[Found], data: Dataset, **step: Any) -> list[Work]:
    """Act, check, and act again: nothing more may happen."""
    works = cast.work(found, data, **({"action": data.action or "delete"} | step))
    first = store.act(works, SECRETS)
    assert store.check(works, SECRETS) == []
    assert store.act(works, SECRETS) == first
    return works


def mentions(store: LogsStore, data: Dataset, fields: tuple[str, ...]) -> list[Found]:
    texts = [n.text for n in NEEDLES.precise().needles]
    return list(store.find(Selector(dataset=data, mode="text", fields=fields), texts))


ROTATED = (
    "access.log",
    "access.log.1",
    "access.log.2.gz",
    "access.log-20260101.xz",
    "access.log.4.bz2",
)


class PlantedLogs(Planted):
    """A rotated access log, the subject under the id 0."""

    selector = BY_USER
    values = (0,)
    spellings = ("0", 0.0)
    declared = (Declared(dataset=access(), owners=("email", "user")),)
    needles = NEEDLES

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        text = "".join(f"{line(i, (0, 42, None)[i % 3])}\n" for i in range(30))
        self.paths = [write(folder / name, text) for name in ROTATED[:3]]

    def store(self) -> Store:
        return store_at(self.folder, format="jsonl")

    def works(self, found: Sequence[Found]) -> list[Work]:
        return cast.work(found, access(), guard=("user",))

    def neighbours(self) -> Any:
        return [[x for x in read(p).splitlines() if json.loads(x)["user"] != 0] for p in self.paths]

    def everything(self) -> Any:
        return [(read(p), p.stat().st_mtime_ns) for p in self.paths]


class TestConformance(StoreConformance):
    @pytest.fixture
    def planted(self, tmp_path: Path) -> Planted:
        return PlantedLogs(tmp_path)


@pytest.mark.parametrize("name", ROTATED)
def test_the_persons_lines_go_and_the_others_stay_byte_for_byte(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / name, "".join(f"{x}\n" for x in lines()))
    os.chmod(path, 0o640)
    store = store_at(tmp_path)
    found = list(store.find(BY_USER, [0]))
    assert [f.key.count for f in found] == [10]
    acted(store, found, access(), guard=("user",))
    assert read(path) == "".join(f"{x}\n" for i, x in enumerate(lines()) if i % 3)
    after = path.stat()
    assert (after.st_mtime_ns, after.st_mode & 0o777) == (10**18 + 1, 0o640)
    assert os.listdir(tmp_path) == [name]


def test_a_compressed_log_stays_compressed_with_its_header(tmp_path: Path) -> None:
    path = write(tmp_path / "access.log.2.gz", "".join(f"{x}\n" for x in lines()))
    store = store_at(tmp_path)
    acted(store, list(store.find(BY_USER, [0])), access())
    assert path.read_bytes()[:8] == b"\x1f\x8b\x08\x00\x07\x00\x00\x00"


def test_somebody_elses_line_that_mentions_the_person_is_redacted(tmp_path: Path) -> None:
    path = write(tmp_path / "access.log", "".join(f"{x}\n" for x in lines()))
    store = store_at(tmp_path, format="jsonl")
    found = mentions(store, access(), ("path",))
    assert [f.key.values[1:] for f in found] == [("path", EMAIL)]
    acted(store, found, access(), action="redact", via="mention", redact=("path",))
    wanted = lines()
    wanted[4] = wanted[4].replace(EMAIL, "[erased]")
    assert read(path).splitlines() == wanted


@pytest.mark.parametrize(
    ("policy", "action", "decided", "dropped"),
    [
        ("drop", "delete", None, True),
        ("redact", "delete", None, False),
        ("redact", "delete", "delete", True),
        ("drop", "redact", "redact", False),
    ],
)
def test_the_policy_decides_only_what_the_catalogue_leaves_open(
    tmp_path: Path, policy: str, action: str, decided: str | None, dropped: bool
) -> None:
    mine = line(0, 0, extra={"agent": f"{NAME} phone"})
    path = write(tmp_path / "access.log", f"{mine}\n{line(1, 42)}\n")
    store = store_at(tmp_path, policy=policy)
    found = list(store.find(BY_USER, [0]))
    acted(store, found, access(decided), action=action)
    first, *rest = read(path).splitlines()
    assert (rest == []) == dropped
    if not dropped:
        assert json.loads(first) == {
            "ts": "2026-01-05T00:00:00Z",
            "user": None,
            "email": "[erased]",
            "ip": "[erased]",
            "path": "/0",
            "extra": {"agent": "[erased] phone"},
        }
        assert rest == [line(1, 42)]


def test_plain_text_is_redacted_and_the_line_and_its_time_stay(tmp_path: Path) -> None:
    stamp = "2026-01-05 10:00:00,123 INFO"
    text = (
        f"{stamp} sent to {EMAIL.title()}\r\n{stamp} for {NAME}, Lund\n{stamp} other\n\nlast {IP}"
    )
    path = write(tmp_path / "app.log", text)
    data = Dataset(
        address="app.app", store="logs", name="app", action="redact",
        fields=(Field(name="line", free_text=True),),
    )  # fmt: skip
    store = store_at(tmp_path, format="text", policy="redact")
    found = mentions(store, data, ("line",))
    assert {f.key.values for f in found} == {("app.log", "(line)", t) for t in (EMAIL, NAME, IP)}
    acted(store, found, data, via="mention", redact=("line",))
    assert path.read_bytes().decode() == (
        f"{stamp} sent to [erased]\r\n{stamp} for [erased], Lund\n{stamp} other\n\nlast [erased]"
    )


def test_a_timestamp_stays_even_where_it_looks_like_a_needle(tmp_path: Path) -> None:
    needle = Needle(text="2026-01-05", category="user.government_id")
    secrets = Secrets(seed=bytes(32), needles=Matcher([needle]))
    path = write(tmp_path / "app.log", "2026-01-05 10:00:00 born 2026-01-05.\n")
    data = Dataset(address="app.app", store="logs", name="app", fields=FIELDS)
    store = store_at(tmp_path, format="text")
    selector = Selector(dataset=data, mode="text", fields=("path",))
    works = cast.work(list(store.find(selector, [needle.text])), data, "redact", via="mention")
    store.act(works, secrets)
    assert read(path) == "2026-01-05 10:00:00 born [erased].\n"
    assert store.check(works, secrets) == []


def test_a_key_of_plain_text_is_searched_in_the_line_unless_it_is_small(tmp_path: Path) -> None:
    path = write(tmp_path / "app.log", f"login {EMAIL}\nlogin 42 4200000042\n")
    data = Dataset(address="app.app", store="logs", name="app", fields=FIELDS, action="delete")
    store = store_at(tmp_path, format="text")
    assert list(store.find(Selector(dataset=data, fields=("user",)), [42])) == []
    found = list(store.find(Selector(dataset=data, fields=("user",)), [4200000042]))
    found += store.find(Selector(dataset=data, mode="email", fields=("email",)), [EMAIL.upper()])
    assert [f.matched for f in found] == [(4200000042,), (EMAIL.upper(),)]
    acted(store, found, data)
    assert read(path) == "login [erased]\nlogin 42 [erased]\n"


COMBINED = (
    '{ip} - {user} [05/Jan/2026:10:00:00 +0000] "GET /{path} HTTP/1.1" 200 512 "-" '
    '"Mozilla \\"x\\""'
)


def test_combined_lines_have_an_owner_and_can_be_masked(tmp_path: Path) -> None:
    rows = [
        COMBINED.format(ip=IP, user="mara", path="a?name=Mara Lindqvist"),
        COMBINED.format(ip="203.0.113.1", user="-", path=f"gift/{EMAIL}"),
        "203.0.113.1 - mara garbage",
        f"{IP} garbage",
        COMBINED.format(ip="203.0.113.1", user="-", path=f"reset?mail={quote(EMAIL, safe='')}"),
    ]
    fields = (
        Field(name="host", categories=("user.device.ip_address",)),
        Field(name="user", categories=("user.unique_id",)),
        Field(name="path", free_text=True),
    )
    data = Dataset(address="w.access", store="logs", name="access", fields=fields, action="redact")
    path = write(tmp_path / "access.log", "\n".join(rows) + "\n")
    store = store_at(tmp_path, format="combined")
    found = list(store.find(Selector(dataset=data, fields=("user",)), ["mara"]))
    assert [f.key.values[1:] for f in found] == [("(line)", "mara"), ("user", "mara")]
    acted(store, found[1:], data)
    masked = rows[0].replace("mara", "[erased]").replace(IP, "[erased]").replace(NAME, "[erased]")
    assert read(path).splitlines() == [masked, *rows[1:]]
    acted(store, mentions(store, data, ("path",)), data, via="mention", redact=("path",))
    assert read(path).splitlines()[1:] == [
        rows[1].replace(EMAIL, "[erased]"), rows[2], "[erased] garbage",
        COMBINED.format(ip="203.0.113.1", user="-", path="reset?mail=[erased]"),
    ]  # fmt: skip


def test_logfmt_pairs_are_found_masked_and_stay_readable(tmp_path: Path) -> None:
    rows = [
        f'ts=2026-01-05T00:00:00Z user=0 name="Mara \\"M\\" Lindqvist" email={EMAIL} msg=ok',
        f'user=42 msg="for {NAME} \\"x\\"" n=0',
        "user=420 user=0 msg=twice",
    ]
    path = write(tmp_path / "access.log", "\n".join(rows) + "\n")
    store = store_at(tmp_path, format="logfmt", policy="redact")
    found = list(store.find(Selector(dataset=access(), fields=("user",)), [0]))
    assert [f.key.count for f in found] == [2]
    acted(store, found, access("redact"))
    assert read(path).splitlines() == [
        'ts=2026-01-05T00:00:00Z user=[erased] name="Mara \\"M\\" Lindqvist" email=[erased] msg=ok',
        rows[1],
        "user=[erased] user=[erased] msg=twice",
    ]
    acted(store, mentions(store, access(), ("msg",)), access(), action="redact", via="mention")
    assert read(path).splitlines()[1] == 'user=42 msg="for [erased] \\"x\\"" n=0'


def test_logfmt_lines_of_the_person_can_be_dropped(tmp_path: Path) -> None:
    path = write(tmp_path / "access.log", "user=0 a=1\nuser=42 a=0\n")
    store = store_at(tmp_path)
    acted(store, list(store.find(Selector(dataset=access(), fields=("user",)), [0])), access())
    assert read(path) == "user=42 a=0\n"


def test_a_log_that_was_rotated_since_the_search_is_followed(tmp_path: Path) -> None:
    path = write(tmp_path / "access.log", "".join(f"{x}\n" for x in lines()))
    store = store_at(tmp_path)
    works = cast.work(list(store.find(BY_USER, [0])), access())
    path.rename(tmp_path / "access.log.1")
    write(path, f"{line(1, 42)}\n{line(2, 0)}\n")
    store.act(works, SECRETS)
    assert all(json.loads(x)["user"] != 0 for x in read(tmp_path / "access.log.1").splitlines())
    assert read(path) == f"{line(1, 42)}\n"


def test_a_log_that_a_process_keeps_open_is_left_until_it_is_rotated(tmp_path: Path) -> None:
    path = write(tmp_path / "access.log", f"{line(0, 0)}\n")
    store = store_at(tmp_path)
    works = cast.work(list(store.find(BY_USER, [0])), access())
    with path.open("a") as writer:
        with pytest.raises(StoreError, match="rotate it") as error:
            store.act(works, SECRETS)
        assert not error.value.permanent
        writer.write(f"{line(1, 42)}\n")
    assert read(path) == f"{line(0, 0)}\n{line(1, 42)}\n"
    assert os.listdir(tmp_path) == ["access.log"]
    store.act(works, SECRETS)
    assert read(path) == f"{line(1, 42)}\n"


def test_lines_without_an_owner_in_unknown_fields_are_seen_by_the_scan(tmp_path: Path) -> None:
    write(tmp_path / "access.log", f"{line(1, 42, note={'who': [NAME]})}\n{line(2, 42)}\n")
    write(tmp_path / "other.txt", f"nobody declared this: {EMAIL}\n")
    declared = [Declared(dataset=access(), owners=("email", "user"))]
    answers = list(store_at(tmp_path, format="jsonl").scan(declared, NEEDLES))
    hits = [a for a in answers if isinstance(a, Hit)]
    assert [(h.collection, h.field, h.whole) for h in hits] == [
        ("access", "note.who", True),
        ("other.txt", "(line)", False),
    ]
    assert hits[0].owner == {"email": OTHER, "user": 42}
    assert hits[0].key == ("access.log", "email", OTHER)


def test_the_logs_are_inspected_by_collection_and_rotation_changes_nothing(tmp_path: Path) -> None:
    write(tmp_path / "access.log", f"{line(1, 42, extra={'agent': 'x'})}\n")
    before = store_at(tmp_path).inspect()
    assert list(before.tables) == ["access"]
    names = {c.name: c.data_type for c in before.tables["access"].columns}
    assert names == {"ts": "string", "user": "integer", "email": "string", "ip": "string",
                     "path": "string", "extra.agent": "string"}  # fmt: skip
    assert before.small
    (tmp_path / "access.log").rename(tmp_path / "access.log.1")
    write(tmp_path / "access.log", f"{line(1, None)}\n")
    assert store_at(tmp_path).inspect().fingerprint == before.fingerprint
    write(tmp_path / "new.log", "x\n")
    assert store_at(tmp_path).inspect().fingerprint != before.fingerprint


@pytest.mark.parametrize("options", [{"format": "syslog"}, {"policy": "hide"}])
def test_an_unknown_word_in_an_option_is_refused(tmp_path: Path, options: dict[str, str]) -> None:
    with pytest.raises(StoreError, match="use one of") as error:
        store_at(tmp_path, **options)
    assert_no_values([str(error.value)], NEEDLES)
