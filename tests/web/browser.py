"""Pages of the test client in a real browser: laid out, measured, photographed. No script of the
page is needed for it; the one that measures is the test's own."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from html import escape, unescape
from pathlib import Path
from typing import Any

import pytest
from django.contrib.staticfiles import finders

_NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
_LINK = re.compile(r'<link rel="stylesheet" href="/static/([^"]+)">')
_IMPORT = re.compile(r'@import url\(["\']?([^"\')]+)["\']?\);')


def browser() -> str:
    """The browser of this machine. Skips without one, but fails in the gate."""
    found = next((path for name in _NAMES if (path := shutil.which(name))), None)
    if found is None:
        stop = pytest.fail if os.environ.get("CI_GATE") else pytest.skip
        stop("no Chromium here; apt-get install chromium, to see the pages as people see them")
    return str(found)


def saved(html: str, folder: Path, measure: str = "") -> Path:
    """The page with its styles in it. ``measure``: a JavaScript expression; its value is kept."""

    def styled(match: re.Match[str]) -> str:
        return f"<style>{_style(match[1])}</style>"

    page = _LINK.sub(styled, html)
    page = re.sub(r'<script src="[^"]+"[^>]*></script>', "", page)
    if measure:
        page += (
            "<script>var said = document.createElement('pre'); said.id = 'measured';"
            f"said.textContent = JSON.stringify({measure}); document.body.append(said);</script>"
        )
    path = folder / "page.html"
    path.write_text(page, encoding="utf-8")
    return path


def _style(name: str) -> str:
    path = finders.find(name)
    assert isinstance(path, str), name
    text = Path(path).read_text(encoding="utf-8")
    folder = name.rpartition("/")[0]
    return _IMPORT.sub(lambda m: _style(f"{folder}/{m[1]}"), text)


def _run(*arguments: str) -> str:
    done = subprocess.run(
        [browser(), "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
         "--force-device-scale-factor=1", *arguments],
        capture_output=True, text=True, timeout=90, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-300:]
    return done.stdout


def measured(html: str, folder: Path, measure: str, *, width: int) -> Any:
    """What the browser says of the page at that width."""
    path = saved(html, folder, measure)
    dom = _run(f"--window-size={max(width, 500)},1000", "--dump-dom", _framed(path, width))
    match = re.search(r'<pre id="measured">(.*?)</pre>', dom, re.DOTALL)
    assert match, "the page was not measured"
    return json.loads(unescape(match[1]))


def measured_all(pages: Sequence[tuple[str, int]], folder: Path, measure: str) -> list[Any]:
    """The same of many pages at their widths, in one start of the browser."""
    frames = [
        f'<iframe style="width:{width}px;height:1000px;border:0" '
        f'srcdoc="{escape(saved(html, folder, measure).read_text("utf-8"), quote=True)}"></iframe>'
        for html, width in pages
    ]
    path = folder / "frames.html"
    path.write_text(
        "<body style='margin:0'>" + "".join(frames) + "<script>addEventListener('load', function"
        " () { var all = [...document.querySelectorAll('iframe')].map(f => JSON.parse("
        "f.contentDocument.getElementById('measured').textContent));"
        " var said = document.createElement('pre'); said.id = 'measured';"
        " said.textContent = JSON.stringify(all); document.body.replaceChildren(said); });"
        "</script>",
        encoding="utf-8",
    )
    dom = _run("--window-size=1400,1000", "--dump-dom", path.as_uri())
    match = re.search(r'<pre id="measured">(.*?)</pre>', dom, re.DOTALL)
    assert match, "the pages were not measured"
    return list(json.loads(unescape(match[1])))


def _framed(path: Path, width: int) -> str:
    """A window is never narrower than 500; a narrow page stands in a frame."""
    if width >= 500:
        return path.as_uri()
    frame = path.with_name("frame.html")
    inner = escape(path.read_text(encoding="utf-8"), quote=True)
    frame.write_text(
        f"<body style='margin:0'><iframe id=f style='width:{width}px;height:1000px;border:0' "
        f'srcdoc="{inner}"></iframe><script>addEventListener("load", function () {{'
        "var m = document.getElementById('f').contentDocument.getElementById('measured');"
        "if (m) document.body.append(m)});</script>",
        encoding="utf-8",
    )
    return frame.as_uri()


def photographed(html: str, folder: Path, name: str, *, width: int, height: int = 1000) -> Path:
    """A picture of the page, as high as is asked for."""
    path, picture = saved(html, folder), folder / f"{name}.png"
    frame = path.with_name("frame.html")
    inner = escape(path.read_text(encoding="utf-8"), quote=True)
    frame.write_text(
        f"<body style='margin:0'><iframe style='width:{width}px;height:{height}px;border:0' "
        f'srcdoc="{inner}"></iframe>',
        encoding="utf-8",
    )
    size = f"--window-size={max(width, 500)},{height}"
    _run(size, f"--screenshot={picture}", frame.as_uri())
    return picture


def printed(html: str, folder: Path) -> list[tuple[int, int]]:
    """The page on paper: width and height of every sheet, in points."""
    path, pdf = saved(html, folder), folder / "page.pdf"
    _run(f"--print-to-pdf={pdf}", "--no-pdf-header-footer", path.as_uri())
    boxes = re.findall(rb"/MediaBox \[0 0 ([\d.]+) ([\d.]+)\]", pdf.read_bytes())
    return [(round(float(width)), round(float(height))) for width, height in boxes]
