"""``verify_evidence``, and the same verdict without Django."""

from __future__ import annotations

import subprocess
import sys
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from pytest_django import Settings

from erasure.evidence import ledger
from erasure.evidence.signing import public_key_path
from erasure.evidence.verify import main as verify_main
from tests.flow.evidence_cast import filled, run_sql, undone

pytestmark = pytest.mark.django_db

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def _home(settings: Settings, tmp_path: Path) -> None:
    settings.LETHE_HOME = tmp_path / "home"


def verified(*arguments: str) -> str:
    out = StringIO()
    call_command("verify_evidence", *arguments, stdout=out)
    return out.getvalue()


def refused(*arguments: str) -> tuple[int, str]:
    out = StringIO()
    with pytest.raises(CommandError) as error:
        call_command("verify_evidence", *arguments, stdout=out)
    return error.value.returncode, f"{out.getvalue()}{error.value}"


def test_the_command_verifies_a_file_against_its_ledger_and_everything() -> None:
    sealed = filled()
    assert "and so does the ledger" in verified(str(sealed.path))
    assert "9 ledger entries, 3 certificates" in verified()


def test_one_of_a_kind_is_counted_as_one() -> None:
    ledger.record("noted", {})
    assert "1 ledger entry, 0 certificates." in verified()


def test_a_fresh_installation_has_nothing_that_could_not_hold() -> None:
    said = verified()
    assert "There is no evidence here yet: 0 ledger entries, 0 certificates." in said
    assert "holds" not in said
    path = public_key_path().parents[1] / "certificates" / "C-9.json"
    path.parent.mkdir(parents=True)
    path.write_text("{}")
    code, text = refused()
    assert code == 1
    assert "C-9.json: the ledger knows no such certificate" in text


def test_a_ledger_whose_key_is_gone_is_not_believed() -> None:
    filled()
    public_key_path().unlink()
    code, text = refused()
    assert code == 2
    assert "no key is pinned here" in text


def test_the_command_verifies_a_foreign_file_against_the_key_it_is_given(
    settings: Settings, tmp_path: Path
) -> None:
    with undone():
        sealed = filled()
    key = tmp_path / "issuer.pem"
    key.write_bytes(public_key_path().read_bytes())
    settings.LETHE_HOME = tmp_path / "elsewhere"
    assert "does not know it" in verified(str(sealed.path), "--key", str(key))
    assert refused(str(sealed.path))[0] == 2


def test_the_command_fails_on_a_flipped_byte_and_on_an_altered_row() -> None:
    sealed = filled()
    data = bytearray(sealed.path.read_bytes())
    data[len(data) // 2] ^= 1
    sealed.path.write_bytes(data)
    assert refused(str(sealed.path))[0] == 1
    code, text = refused()
    assert code == 1
    assert "Certificate C-1: " in text
    data[len(data) // 2] ^= 1
    sealed.path.write_bytes(data)
    with undone():
        run_sql("UPDATE erasure_ledgerleaf SET payload = '{}' WHERE \"index\" = 2")
        code, text = refused(str(sealed.path))
    assert code == 1
    assert "Entry 2: its content is not what was entered." in text


def test_the_command_names_a_missing_file_and_a_bad_key(tmp_path: Path) -> None:
    sealed = filled()
    assert refused(str(tmp_path / "none.json"))[0] == 2
    bad = tmp_path / "bad.pem"
    for content in (b"", b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"):
        bad.write_bytes(content)
        code, text = refused(str(sealed.path), "--key", str(bad))
        assert code == 2
        assert str(bad) in text


# --- without Django -------------------------------------------------------------------------

OFFLINE = """
import sys
from erasure.evidence.verify import main
code = main(sys.argv[1:])
assert not [m for m in sys.modules if m.split(".")[0] in ("django", "config")]
raise SystemExit(code)
"""


def test_a_certificate_is_verified_without_django_settings_or_database() -> None:
    sealed = filled()

    def offline(path: Path) -> tuple[int, str]:
        done = subprocess.run(
            [sys.executable, "-c", OFFLINE, str(path), str(public_key_path())],
            cwd=ROOT,
            env={"PATH": ""},
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.stderr == ""
        return done.returncode, done.stdout

    assert offline(sealed.path) == (0, "The certificate holds.\n")
    data = sealed.path.read_bytes()
    sealed.path.write_bytes(data.replace(b"R-1", b"R-7"))
    code, out = offline(sealed.path)
    assert code == 1
    assert "signature does not match" in out


def test_the_offline_verifier_says_how_it_is_called(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert verify_main([]) == 2
    assert "usage:" in capsys.readouterr().err
    assert verify_main([str(tmp_path / "none"), str(tmp_path / "none")]) == 2
    assert "cannot be read" in capsys.readouterr().err
