"""Certificates: sealed once, readable, and refused after any change by anybody with no key."""

from __future__ import annotations

import json
import random
from base64 import urlsafe_b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pytest_django import Settings

from erasure.domain.errors import EvidenceError
from erasure.evidence import certificate, keys, ledger
from erasure.evidence.body import RESIDUE_WORDS
from erasure.evidence.canonical import canonical
from erasure.evidence.report import RESIDUE_IN_WORDS, describe
from erasure.evidence.signing import pinned_keys, public_key_path, signer
from erasure.evidence.verify import verify_certificate
from erasure.models.evidence import Certificate, LedgerLeaf
from tests.flow.evidence_cast import addendum, body, filled, findings, run_sql, undone

pytestmark = pytest.mark.django_db

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def _home(settings: Settings, tmp_path: Path) -> None:
    settings.LETHE_HOME = tmp_path / "home"


def holds(data: bytes) -> bool:
    return verify_certificate(data, pinned_keys()).holds


def resigned(document: dict[str, Any]) -> bytes:
    """The document as the issuer itself would sign it: only what it says can be wrong now."""
    signed = {"body": document["body"], "ledger": document["ledger"]}
    value = signer().sign(keys.CERTIFICATE_CONTEXT, signed)
    return canonical({**signed, "signature": {**document["signature"], "value": value}})


def test_a_sealed_certificate_holds_on_the_disk_and_in_the_ledger() -> None:
    sealed = filled()
    verdict = verify_certificate(sealed.path.read_bytes(), pinned_keys())
    assert verdict.findings == ()
    assert verdict.document is not None
    assert verdict.document["body"] == body()
    assert verdict.document["ledger"]["range"] == {"first": 0, "last": 4, "entries": 5}
    assert LedgerLeaf.objects.get(pk=sealed.leaf).kind == "sealed.certificate"
    assert sealed.path.stat().st_mode & 0o777 == 0o600
    assert sealed.report.stat().st_mode & 0o777 == 0o600
    assert sealed.path.parent.stat().st_mode & 0o777 == 0o700
    assert findings() == []


def test_every_flipped_byte_is_found() -> None:
    data = filled().path.read_bytes()
    assert holds(data)
    chance = random.Random(7)
    for position in range(len(data)):
        for mask in (0x01, 0x20, chance.randrange(1, 256)):
            flipped = bytearray(data)
            flipped[position] ^= mask
            assert not holds(bytes(flipped)), (position, mask)


def test_every_removed_or_repeated_byte_is_found() -> None:
    data = filled().path.read_bytes()
    for position in range(len(data)):
        assert not holds(data[:position] + data[position + 1 :]), position
        assert not holds(data[: position + 1] + data[position:]), position


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data + b"\n",
        lambda data: b" " + data,
        lambda data: data.replace(b",", b", ", 1),
        lambda data: json.dumps(json.loads(data), indent=2).encode(),
        lambda data: data.replace(b'"version":1', b'"version":1.0', 1),
        lambda data: data.replace(b'"version":1', b'"version":1,"version":1', 1),
        lambda data: data.decode().encode("utf-16"),
        lambda data: b"",
        lambda data: b"[" * 100_000,
        lambda data: b"\xff\xfe",
        lambda data: b"{}",
        lambda data: b"null",
        lambda data: b'{"body":{},"ledger":{},"signature":{}}',
    ],
)
def test_another_form_of_the_same_or_no_certificate_at_all_is_refused(
    change: Callable[[bytes], bytes],
) -> None:
    data = filled().path.read_bytes()
    changed = change(data)
    assert changed != data
    assert not holds(changed)


def test_a_certificate_signed_by_another_installation_is_refused(settings: Settings) -> None:
    data = filled().path.read_bytes()
    trusted = pinned_keys()
    document = json.loads(data)
    settings.LETHE_HOME = settings.LETHE_HOME / "other"
    settings.LETHE_SIGNING_KEY = urlsafe_b64encode(b"o" * 32).decode()
    document["signature"]["key_id"] = signer().key_id
    verdict = verify_certificate(resigned(document), trusted)
    assert verdict.findings == ("The certificate's signature was not made by a trusted key.",)


def _set(path: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(document: dict[str, Any]) -> None:
        *parents, name = path.split(".")
        target = document
        for parent in parents:
            target = target[parent]
        target[name] = value

    return change


@pytest.mark.parametrize(
    ("change", "finding"),
    [
        (_set("body.decision.outcome", "granted"), "digest is not the one the ledger holds"),
        (_set("ledger.leaf.payload.digest", "0" * 64), "digest is not the one"),
        (_set("ledger.leaf.index", 3), "does not lead to the ledger's head"),
        (_set("ledger.leaf.at", "2020-01-01T00:00:00.000000Z"), "does not lead"),
        (_set("ledger.leaf.kind", "sealed.addendum"), "of another kind"),
        (_set("ledger.leaf.payload.certificate", "C-9"), "that of another certificate"),
        (_set("ledger.leaf.payload.request", "R-9"), "belongs to another request"),
        (_set("ledger.inclusion", []), "does not lead"),
        (_set("ledger.inclusion", ["zz"]), "inclusion proof is malformed"),
        (_set("ledger.head.size", 6), "head does not match what it signs"),
        (_set("ledger.head.root", "0" * 64), "does not lead"),
        (_set("ledger.head.signature", "0" * 128), "head does not match what it signs"),
        (_set("ledger.head.key_id", "0" * 16), "head was not made by a trusted key"),
        (_set("ledger.range.last", 9), "range does not end"),
        (_set("ledger.range.entries", 0), "range does not end"),
        (_set("ledger.extra", 1), "does not have the members"),
        (_set("ledger.head.size", True), "size of ledger.head is not of its type"),
        (_set("signature.algorithm", "none"), "algorithm is not Ed25519"),
    ],
)
def test_what_does_not_fit_together_is_named_even_under_a_good_signature(
    change: Callable[[dict[str, Any]], None], finding: str
) -> None:
    document = json.loads(filled().path.read_bytes())
    change(document)
    found = verify_certificate(resigned(document), pinned_keys()).findings
    assert any(finding in sentence for sentence in found), found
    assert all(sentence.endswith(".") for sentence in found)


# --- sealing --------------------------------------------------------------------------------


def test_sealing_again_gives_the_same_file() -> None:
    first = certificate.seal(body())
    data = first.path.read_bytes()
    ledger.append("later", {"request": "R-1"})
    assert certificate.seal(body()) == first
    assert certificate.seal(body(issued_at="2026-11-22T10:00:00Z")) == first
    assert first.path.read_bytes() == data
    assert LedgerLeaf.objects.filter(kind="sealed.certificate").count() == 1


def test_a_lost_or_damaged_file_is_made_again_byte_for_byte() -> None:
    first = filled()
    data = first.path.read_bytes()
    first.path.unlink()
    assert any("cannot be read" in finding for finding in findings())
    assert certificate.seal(body()) == first
    assert first.path.read_bytes() == data
    first.path.write_bytes(data[:-5])
    certificate.seal(body())
    assert first.path.read_bytes() == data
    assert findings() == []


def test_one_id_is_never_sealed_with_two_contents() -> None:
    first = certificate.seal(body())
    data = first.path.read_bytes()
    with pytest.raises(EvidenceError, match="sealed with another content"):
        certificate.seal(body(residual=[]) | {"locations": []})
    first.path.unlink()
    with pytest.raises(EvidenceError, match="not the content that was sealed"):
        certificate.seal(body(issued_at="2026-11-22T10:00:00Z"))
    assert not first.path.exists()
    first.path.write_bytes(data)
    assert findings() == []


def test_a_sealing_that_is_rolled_back_is_seen_and_can_be_repeated() -> None:
    ledger.append("x", {})
    with undone():
        lost = certificate.seal(body())
    assert lost.path.exists()
    assert not Certificate.objects.exists()
    assert findings() == ["The file certificates/C-1.json: the ledger knows no such certificate."]
    ledger.append("y", {})
    again = certificate.seal(body(issued_at="2026-11-22T10:00:00Z"))
    assert again.leaf == 2
    assert holds(again.path.read_bytes())
    assert findings() == []


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"id": "../../etc/passwd"}, "not a plain name"),
        ({"issued_at": "2026-11-21T10:00:00"}, "RFC 3339 time with a zone"),
        ({"kind": "promise"}, "kind is none of"),
        ({"version": 2}, "version is not 1"),
        ({"colour": "red"}, "section colour is unknown"),
        ({"locations": {}}, "locations is not a list"),
        ({"residual": [{"dataset": "x"}]}, r"residual\[0\] lacks reason"),
        ({"models": ["churn"]}, r"models\[0\] is not an object"),
        ({"residual": [], "backups": []}, "shop.invoice still holds rows"),
        ({"suppression": {"entries": 1.5}}, "suppression.entries: holds a float"),
    ],
)
def test_a_body_that_breaks_a_rule_is_not_sealed(changes: dict[str, Any], fault: str) -> None:
    with pytest.raises(EvidenceError, match=fault):
        certificate.seal(body(**changes))
    assert not LedgerLeaf.objects.exists()


def test_a_residue_that_is_no_known_word_is_not_sealed() -> None:
    changed = body()
    changed["locations"][0]["residue"] = "done"
    with pytest.raises(EvidenceError, match="not a known word"):
        certificate.seal(changed)


def test_a_certificate_lacks_no_section_and_an_addendum_needs_only_what_it_amends() -> None:
    changed = body()
    del changed["residual"]
    with pytest.raises(EvidenceError, match="section residual is missing"):
        certificate.seal(changed)
    sealed = certificate.seal(addendum())
    assert holds(sealed.path.read_bytes())


def test_a_certificate_that_was_made_away_with_is_missed() -> None:
    sealed = filled()
    sealed.path.unlink()
    with undone():
        run_sql("DELETE FROM erasure_certificate WHERE id = 'C-1'")
        assert findings() == [
            "Entry 4: the certificate it holds is not in the list of certificates."
        ]


# --- the report -----------------------------------------------------------------------------


def test_the_report_says_what_was_asked_done_and_left() -> None:
    text = filled().report.read_text()
    for words in (
        "# Certificate of erasure C-1",
        "- Request: R-1",
        "| shop_db | shop.customer | delete | 1 | searched again by value and found clean |",
        "kept because the law asks for it, restricted until 2034-12-31",
        "| nightly | 2026-11-20 | 2026-12-25 |",
        "| churn | 3 | retrain | 4 |",
        "- churn, utility after: 0.81",
        "| shop.invoice | 7 | legal_obligation | 2034-12-31 |",
        "| shop.address | street | 1 | shared |",
        "Ed25519, key",
    ):
        assert words in text


def test_every_residue_is_put_in_words() -> None:
    assert set(RESIDUE_IN_WORDS) == RESIDUE_WORDS


def test_nothing_in_a_value_can_pass_for_markup() -> None:
    document = json.loads(filled().path.read_bytes())
    document["body"]["issuer"]["controller"] = "A | B\n# C <script> [x](y) `z`"
    text = describe(document)
    assert "A \\| B # C \\<script\\> \\[x\\](y) \\`z\\`" in text


# --- keys -----------------------------------------------------------------------------------


def test_the_public_key_is_pinned_once_and_another_signing_key_is_refused(
    settings: Settings,
) -> None:
    ledger.append("x", {})
    pem = public_key_path().read_bytes()
    settings.LETHE_SIGNING_KEY = urlsafe_b64encode(b"n" * 32).decode()
    with pytest.raises(EvidenceError, match="LETHE_SIGNING_KEY: is not the key pinned"):
        ledger.append("y", {})
    assert public_key_path().read_bytes() == pem
    assert LedgerLeaf.objects.count() == 1


def test_after_a_change_of_key_old_and_new_evidence_hold(settings: Settings) -> None:
    first = filled()
    old = public_key_path().read_bytes()
    settings.LETHE_SIGNING_KEY = urlsafe_b64encode(b"n" * 32).decode()
    public_key_path().unlink()
    new = signer().key_id
    public_key_path().write_bytes(old + public_key_path().read_bytes())
    second = certificate.seal(body(id="C-3"))
    assert json.loads(second.path.read_bytes())["signature"]["key_id"] == new
    assert holds(first.path.read_bytes())
    assert findings() == []


@pytest.mark.parametrize("value", ["", "not base64!", "c2hvcnQ="])
def test_a_signing_key_that_is_none_is_named(settings: Settings, value: str) -> None:
    settings.LETHE_SIGNING_KEY = value
    with pytest.raises(EvidenceError, match="LETHE_SIGNING_KEY: must be url-safe base64"):
        ledger.append("x", {})
