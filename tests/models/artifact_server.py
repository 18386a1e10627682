"""A small server that keeps MLflow's artifacts, as a tracking server does for
``mlflow-artifacts:``: put, get, list and delete of files below one folder."""

from __future__ import annotations

import json
import shutil
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Self
from urllib.parse import parse_qs, unquote, urlsplit

ROOT = "/api/2.0/mlflow-artifacts/artifacts"


class ArtifactServer(ThreadingHTTPServer):
    """``refuses``: what a deletion is answered with, though nothing is deleted."""

    refuses: int = 0

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        super().__init__(("127.0.0.1", 0), _Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def files(self) -> list[str]:
        return sorted(
            p.relative_to(self.folder).as_posix() for p in self.folder.rglob("*") if p.is_file()
        )

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: ArtifactServer

    def log_message(self, *_: object) -> None:
        pass

    def _path(self) -> Path:
        inside = unquote(urlsplit(self.path).path).removeprefix(ROOT).strip("/")
        return self.server.folder / inside

    def _answer(self, status: int, body: bytes = b"") -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        asked = parse_qs(urlsplit(self.path).query).get("path")
        if asked is not None or self._path() == self.server.folder:
            where = self.server.folder / (asked or [""])[0]
            found = sorted(where.iterdir()) if where.is_dir() else []
            told = [{"path": p.name, "is_dir": p.is_dir(), "file_size": 1} for p in found]
            self._answer(200, json.dumps({"files": told}).encode())
        elif self._path().is_file():
            self._answer(200, self._path().read_bytes())
        else:
            self._answer(404)

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self._path().parent.mkdir(parents=True, exist_ok=True)
        self._path().write_bytes(body)
        self._answer(200)

    def do_DELETE(self) -> None:
        if self.server.refuses:
            self._answer(self.server.refuses)
        elif self._path().exists():
            shutil.rmtree(self._path())
            self._answer(204)
        else:
            self._answer(404)
