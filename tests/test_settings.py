"""Settings: from the environment only, and a bad one is named at once."""

from __future__ import annotations

import os
import runpy
import threading
from base64 import urlsafe_b64encode
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from config import environment

KEY = urlsafe_b64encode(b"k" * 32).decode()
SECRETS = ("LETHE_SECRET_KEY", "LETHE_MASTER_KEYS", "LETHE_SIGNING_KEY", "LETHE_HASH_KEY")


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.startswith("LETHE_") or name in ("DATABASE_URL", "CELERY_BROKER_URL"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("LETHE_HOME", str(tmp_path / "home"))


def settings() -> dict[str, Any]:
    """The settings as a fresh process would read them now."""
    return runpy.run_path(str(environment.ROOT / "config" / "settings.py"))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LETHE_ENV", "prod"),
        ("LETHE_DEBUG", "yes"),
        ("LETHE_SWEEP_SECONDS", "often"),
        ("LETHE_SWEEP_SECONDS", "0"),
        ("LETHE_SWEEP_SECONDS", "-5"),
        ("LETHE_SWEEP_SECONDS", "1.5"),
        ("LETHE_SWEEP_SECONDS", "9" * 5000),
        ("LETHE_LEASE_SECONDS", "4"),
        ("LETHE_TIME_ZONE", "Berlin"),
        ("LETHE_ESTABLISHMENT", "Germany "),
        ("LETHE_ESTABLISHMENT", "DE-ZZ"),
        ("LETHE_LANGUAGES", "en,nl"),
        ("LETHE_LGPD_DAYS", "0"),
        ("LETHE_RECORD_MONTHS", "12"),
        ("LETHE_DIGEST_HOUR", "24"),
        ("LETHE_MAIL_URL", "http://mail.example.org"),
        ("LETHE_MAIL_URL", "smtp://"),
        ("LETHE_CONFIRM_URL", "https://privacy.example.org/confirm"),
        ("LETHE_CONFIRM_URL", "http://privacy.example.org/{token}"),
        ("LETHE_CONFIRM_URL", "https://{token}"),
        ("LETHE_MAIL_URL", "smtp://mail.example.org:many"),
        ("DATABASE_URL", "mysql://root@127.0.0.1/x"),
        ("DATABASE_URL", "postgresql://user@127.0.0.1"),
        ("DATABASE_URL", "postgresql://user@127.0.0.1:many/x"),
        ("DATABASE_URL", "sqlite://"),
        ("DATABASE_URL", "sqlite:///"),
        ("DATABASE_URL", "sqlite://relative/path"),
        ("DATABASE_URL", "control.sqlite3"),
        ("CELERY_BROKER_URL", "http://127.0.0.1"),
        ("CELERY_BROKER_URL", "redis"),
        ("LETHE_SIGNING_KEY", "short"),
        ("LETHE_SIGNING_KEY", "!" * 44),
        ("LETHE_SIGNING_KEY", f"{KEY},{KEY}"),
        ("LETHE_MASTER_KEYS", f"{KEY},short"),
        ("LETHE_MASTER_KEYS", f"{KEY},"),
        ("LETHE_HASH_KEY", "guessable"),
    ],
)
def test_a_bad_value_raises_with_the_name_of_its_variable(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ImproperlyConfigured, match=f"^{name}: ") as error:
        settings()
    assert "\n" not in str(error.value)
    if name in SECRETS:
        assert value not in str(error.value)


def test_a_home_that_cannot_be_made_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("LETHE_HOME", str(tmp_path / "file" / "home"))
    with pytest.raises(ImproperlyConfigured, match=r"^LETHE_HOME: "):
        settings()


def test_home_and_secrets_are_for_their_owner_only(tmp_path: Path) -> None:
    settings()
    home = tmp_path / "home"
    assert home.stat().st_mode & 0o777 == 0o700
    assert (home / "secrets").stat().st_mode & 0o777 == 0o700
    made = sorted((home / "secrets").iterdir())
    assert [path.name for path in made] == sorted(name.lower() for name in SECRETS)
    assert {path.stat().st_mode & 0o777 for path in made} == {0o600}


def test_secrets_are_made_once_and_differ() -> None:
    first, again = settings(), settings()
    assert [first[n] for n in SECRETS if n in first] == [again[n] for n in SECRETS if n in again]
    assert first["SECRET_KEY"] == again["SECRET_KEY"]
    assert (
        len({first["LETHE_SIGNING_KEY"], first["LETHE_HASH_KEY"], *first["LETHE_MASTER_KEYS"]}) == 3
    )


def test_starts_at_the_same_moment_read_one_secret(tmp_path: Path) -> None:
    barrier = threading.Barrier(8)
    read: list[str] = []

    def start() -> None:
        barrier.wait()
        read.append(environment.secret("LETHE_HASH_KEY", production=False, home=tmp_path))

    threads = [threading.Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(read) == 8
    assert len(set(read)) == 1
    assert [path.name for path in (tmp_path / "secrets").iterdir()] == ["lethe_hash_key"]


def test_an_empty_secret_file_is_refused(tmp_path: Path) -> None:
    settings()
    (tmp_path / "home" / "secrets" / "lethe_hash_key").write_text("\n")
    with pytest.raises(ImproperlyConfigured, match=r"^LETHE_HASH_KEY: .*is empty"):
        settings()


def _produce(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LETHE_ENV", "production")
    for name in SECRETS:
        monkeypatch.setenv(name, KEY)


@pytest.mark.parametrize("name", SECRETS)
def test_production_demands_every_secret_and_makes_none(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    _produce(monkeypatch)
    monkeypatch.delenv(name)
    with pytest.raises(ImproperlyConfigured, match=f"^{name}: must be set"):
        settings()
    assert not (tmp_path / "home" / "secrets").exists()


def test_production_is_never_in_debug_and_answers_to_no_host_unasked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _produce(monkeypatch)
    monkeypatch.setenv("LETHE_DEBUG", "1")
    read = settings()
    assert read["DEBUG"] is False
    assert read["ALLOWED_HOSTS"] == []
    assert read["SESSION_COOKIE_SECURE"] is True


def test_the_database_is_read_from_its_address(monkeypatch: pytest.MonkeyPatch) -> None:
    url = "postgresql://an%40user:p%2Fw@db.example.com:5433/lethe?sslmode=verify-full"
    monkeypatch.setenv("DATABASE_URL", url)
    read = settings()["DATABASES"]["default"]
    names = ("NAME", "USER", "PASSWORD", "HOST", "PORT", "OPTIONS")
    assert [read[name] for name in names] == [
        "lethe",
        "an@user",
        "p/w",
        "db.example.com",
        "5433",
        {"sslmode": "verify-full"},
    ]
    monkeypatch.setenv("DATABASE_URL", "sqlite:////abs/a%20b.sqlite3")
    assert settings()["DATABASES"]["default"]["NAME"] == "/abs/a b.sqlite3"


def test_without_an_address_everything_stays_at_home(tmp_path: Path) -> None:
    read = settings()
    home = (tmp_path / "home").resolve()
    assert read["DATABASES"]["default"]["NAME"] == str(home / "control.sqlite3")
    assert read["MEDIA_ROOT"].is_relative_to(home)
    assert read["STATIC_ROOT"].is_relative_to(home)


def test_a_digest_needs_a_mail_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LETHE_DIGEST_TO", "officers@example.org")
    with pytest.raises(ImproperlyConfigured, match="LETHE_MAIL_URL"):
        settings()


@pytest.mark.parametrize(
    ("url", "port", "tls", "ssl"),
    [
        ("smtp://u%40x:p%2Fw@mail.example.org", 587, True, False),
        ("smtps://u%40x:p%2Fw@mail.example.org", 465, False, True),
        ("smtp+plain://u%40x:p%2Fw@mail.example.org:2525", 2525, False, False),
    ],
)
def test_a_mail_server_is_encrypted_unless_told_otherwise(
    monkeypatch: pytest.MonkeyPatch, url: str, port: int, tls: bool, ssl: bool
) -> None:
    monkeypatch.setenv("LETHE_MAIL_URL", url)
    found = settings()
    assert (found["EMAIL_HOST"], found["EMAIL_PORT"]) == ("mail.example.org", port)
    assert (found["EMAIL_USE_TLS"], found["EMAIL_USE_SSL"]) == (tls, ssl)
    assert (found["EMAIL_HOST_USER"], found["EMAIL_HOST_PASSWORD"]) == ("u@x", "p/w")


def test_deadlines_are_those_of_the_controllers_zone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LETHE_TIME_ZONE", "Europe/Berlin")
    monkeypatch.setenv("LETHE_ESTABLISHMENT", "DE-BY")
    found = settings()
    assert found["TIME_ZONE"] == found["CELERY_TIMEZONE"] == "Europe/Berlin"
    assert found["LETHE_ESTABLISHMENT"] == "DE-BY"
