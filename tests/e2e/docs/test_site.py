# SPDX-License-Identifier: Apache-2.0
"""The site: built strictly, no dead link in what was built, nothing fetched from elsewhere, search finds things."""

from __future__ import annotations

import html.parser
import os
import subprocess
import sys
import urllib.parse
from pathlib import Path

import pytest

from support.browser import Browser, find_browser
from support.live import until

pytest.importorskip("mkdocs")

ROOT = Path(__file__).parents[3]
SEARCH = """
document.querySelector("#__search").click()
const words = document.querySelector(".md-search__input")
words.value = "WORDS"
words.focus()
for (const name of ["input", "keyup"]) words.dispatchEvent(new Event(name, { bubbles: true }))
"""


class Links(html.parser.HTMLParser):
    """What a page leads to, what it fetches, and the names of its places."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.fetched: list[str] = []
        self.places: set[str] = set()
        self.feed(page.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.places |= {values[name] for name in ("id", "name") if name in values}
        if tag == "a" and "href" in values:
            self.links.append(values["href"])
        if tag in ("img", "script") and "src" in values:
            self.fetched.append(values["src"])
        if tag == "link" and values.get("rel") in ("stylesheet", "icon"):
            self.fetched.append(values["href"])


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site") / "site"
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Links]:
    return {page.relative_to(site): Links(page) for page in site.rglob("*.html") if page.name != "404.html"}


def test_no_link_is_dead(site, pages):
    dead = []
    for page, found in pages.items():
        for target in [*found.links, *found.fetched]:
            parts = urllib.parse.urlsplit(target)
            if parts.scheme or target in ("", "#", "."):
                continue
            path = Path(os.path.normpath(page.parent / urllib.parse.unquote(parts.path))) if parts.path else page
            anchor = urllib.parse.unquote(parts.fragment)
            if not (site / path).exists() or (anchor and path in pages and anchor not in pages[path].places):
                dead.append(f"{page}: {target}")
    assert not dead
    assert len(pages) > 40


def test_nothing_is_fetched_from_elsewhere(pages):
    assert not [f"{page}: {url}" for page, found in pages.items() for url in found.fetched if "//" in url]


def test_search_works_from_a_folder(site, tmp_path):
    """Browsers start no worker from a file; and nothing is asked of another host."""
    browser = Browser(find_browser(), tmp_path)
    try:
        browser.open(site / "coming-from/triton.html")
        browser.evaluate(SEARCH.replace("WORDS", "alternate_ports downtime"))
        links = "[...document.querySelectorAll('.md-search-result__item a')].map((link) => link.pathname)"
        found = until(lambda: browser.evaluate(links))
        assert any(path.endswith(("/docker.html", "/deployment-file.html")) for path in found)
        assert not browser.complaints()
        assert not [url for url in browser.requests() if url.startswith("http")]
    finally:
        browser.close()


def test_pictures_are_small(site):
    pictures = list((site / "pictures").glob("*.webp"))
    assert len(pictures) >= 6
    assert all(picture.stat().st_size < 100_000 for picture in pictures)


def test_what_lies_outside_of_docs_is_on_the_site(site):
    assert "/monitoring/prometheus/metrics" in (site / "files/configs/reference.yaml.html").read_text()
    assert "What to install" in (site / "install.html").read_text()
    assert "no answer within SECONDS s" in (site / "reference/errors.html").read_text()
    assert "attempt_timeout" in (site / "reference/python-clients.html").read_text()
    assert "asciinema-player.min.js" in (site / "index.html").read_text()
    index = (site / "search/search_index.js").read_text()
    assert "Server Threadpool Exhausted" in index
