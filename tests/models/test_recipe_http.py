"""A pipeline behind an address, called as in production: over TLS, signed, by the one way out."""

from __future__ import annotations

import hashlib
import hmac
import json
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import IPv4Address
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from django.conf import LazySettings

from erasure.domain.errors import StoreError
from erasure.runs.pipelines import Pipelines
from tests.models.test_recipes import Pipeline, by_http, carry_out
from tests.stores.registry_cast import JONAS, MARA, files_of, keys_of, make_root

HOST, SECRET = "127.0.0.1", "a secret of both sides"


def certificate(folder: Path) -> Path:
    """A certificate of this machine's own address, with its key; it vouches for itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOST)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(IPv4Address(HOST))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / "server.pem"
    kinds = (serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, *kinds)
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return path


class Server(ThreadingHTTPServer):
    """The pipeline of the other tests, which takes nothing that it cannot check by itself."""

    daemon_threads = True

    def __init__(self, pipeline: Pipeline, secret: str, down: int = 0) -> None:
        super().__init__((HOST, 0), Handler)
        self.pipeline, self.secret, self.down = pipeline, secret.encode(), down
        self.seen: list[tuple[str, str, int]] = []

    @property
    def address(self) -> str:
        return f"https://{HOST}:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self._answer(body, lambda key: self.server.pipeline.post("", body, secret="", key=key))

    def do_GET(self) -> None:
        self._answer(b"", lambda key: self.server.pipeline.get("", secret="", key=key))

    def _answer(self, body: bytes, call: Any) -> None:
        key, status, answer = self.headers["Idempotency-Key"], 200, b""
        if self.server.down:
            self.server.down, status = self.server.down - 1, 503
        elif not self._is_signed(body):
            status = 401
        else:
            said = {**json.loads(call(key)), "poll": f"{self.server.address}/jobs/{key}"}
            answer = json.dumps(said).encode()
        self.server.seen.append((self.command, self.path, status))
        self.send_response(status)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def _is_signed(self, body: bytes) -> bool:
        """By hand, as the other side would do it from the documentation."""
        stamp = self.headers["Lethe-Timestamp"]
        mac = hmac.new(self.server.secret, f"{stamp}.".encode() + body, hashlib.sha256)
        fresh = abs(datetime.now(UTC).timestamp() - int(stamp)) < 300
        return fresh and self.headers["Lethe-Signature"] == f"v1={mac.hexdigest()}"

    def log_message(self, *_: Any) -> None:
        """Nobody reads it."""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_root(tmp_path)


@pytest.fixture
def serve(tmp_path: Path, settings: LazySettings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Starts a server whose certificate this process trusts, on a host that is listed."""
    settings.LETHE_INTERNAL_HOSTS = [HOST]
    pem = certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(pem))
    monkeypatch.setenv("TRAIN_SECRET", SECRET)
    started: list[tuple[Server, Thread]] = []

    def start(states: list[str], *, secret: str = SECRET, down: int = 0) -> Server:
        server = Server(Pipeline(tmp_path / "shared", states=states), secret, down)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pem)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        started.append((server, thread))
        return server

    yield start
    for server, thread in started:
        server.shutdown()
        server.server_close()
        thread.join(5)


def trained(root: Path, server: Server) -> dict[str, Any]:
    recipe = by_http(
        root.parent / "shared", http=f"{server.address}/train", secret="${TRAIN_SECRET}"
    )
    return carry_out(root, recipe, Pipelines("models.churn"))


def test_a_pipeline_that_checks_the_signature_trains_and_is_asked_where_it_says(
    root: Path, serve: Any
) -> None:
    server = serve(["running", "running", "done"])
    told = trained(root, server)
    assert (told["new"], told["guarantee"]) == ("3", "exact in distribution")
    poll = ("GET", "/jobs/job-7.1", 200)
    assert server.seen == [("POST", "/train", 200), poll, poll]
    assert (keys_of(root, MARA), len(keys_of(root, JONAS))) == ((), 1)
    assert SECRET.encode() not in b"".join(server.pipeline.bodies)


@pytest.mark.parametrize(
    ("how", "words", "permanent", "begun"),
    [
        ({"states": ["running", "failed"]}, "says that the training failed", True, 1),
        ({"states": ["done"], "secret": "another"}, f"{HOST}: answers with 401", True, 0),
        ({"states": ["done"], "down": 1}, f"{HOST}: answers with 503", False, 0),
    ],
)
def test_what_the_pipeline_refuses_leaves_the_old_model(
    root: Path, serve: Any, how: dict[str, Any], words: str, permanent: bool, begun: int
) -> None:
    before, server = files_of(root), serve(**how)
    with pytest.raises(StoreError, match=words) as error:
        trained(root, server)
    assert (error.value.permanent, len(server.pipeline.begun)) == (permanent, begun)
    assert SECRET not in str(error.value)
    assert "/train" not in str(error.value)
    assert files_of(root) == before


def test_a_pipeline_that_was_away_is_asked_again_and_begins_once(root: Path, serve: Any) -> None:
    server = serve(["running", "done"], down=1)
    with pytest.raises(StoreError, match="503"):
        trained(root, server)
    assert trained(root, server)["new"] == "3"
    assert server.pipeline.begun == ["job-7.1"]


def test_a_pipeline_inside_the_network_is_not_called_unless_it_is_listed(
    root: Path, serve: Any, settings: LazySettings
) -> None:
    before, server = files_of(root), serve(["done"])
    settings.LETHE_INTERNAL_HOSTS = []
    with pytest.raises(StoreError, match="LETHE_INTERNAL_HOSTS"):
        trained(root, server)
    assert server.seen == []
    assert files_of(root) == before


def test_a_pipeline_that_nobody_vouches_for_learns_nothing(
    root: Path, serve: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, server = files_of(root), serve(["done"])
    monkeypatch.delenv("SSL_CERT_FILE")
    with pytest.raises(StoreError, match="certificate is not valid"):
        trained(root, server)
    assert server.seen == []
    assert files_of(root) == before
