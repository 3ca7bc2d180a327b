"""The documentation site. These tests are skipped where `make docs` has not installed Sphinx."""

import re
import subprocess
from functools import partial
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit

import pytest
from playwright.sync_api import expect

from browser.browsing import Complaints, opened_page
from guildhook_local.web_server import serving
from project import ROOT

SPHINX = ROOT / ".venv-docs" / "bin" / "sphinx-build"
pytestmark = pytest.mark.skipif(not SPHINX.exists(), reason="Sphinx is not installed; `make docs` installs it")

LOADED = {("link", "href"), ("script", "src"), ("img", "src"), ("iframe", "src"), ("source", "src")}
"""Attributes whose address a browser fetches by itself."""


class Page(HTMLParser):
    """The addresses in a page of the site, and the anchors that it offers."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.loaded: list[SplitResult] = []
        self.links: list[SplitResult] = []
        self.anchors = {""}
        self.feed(path.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "id":
                self.anchors.add(value)
            elif (tag, name) in LOADED:
                self.loaded.append(urlsplit(value))
            elif (tag, name) == ("a", "href"):
                self.links.append(urlsplit(value))


def build(source: Path, site: Path) -> subprocess.CompletedProcess[str]:
    options = ("--conf-dir", ROOT / "docs", "--nitpicky", "--fail-on-warning", "--keep-going", "--quiet")
    command = (SPHINX, *options, "--doctree-dir", site.with_name("doctrees"), source, site)
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    site = tmp_path_factory.mktemp("docs") / "site"
    built = build(ROOT, site)
    assert (built.returncode, built.stderr) == (0, "")
    return site


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Page]:
    return {path: Page(path) for path in site.rglob("*.html")}


def test_every_file_that_a_page_loads_is_part_of_the_site(pages):
    assert pages
    for path, page in pages.items():
        loaded = [address for address in page.loaded if address.path and address.scheme != "data"]
        assert [address for address in loaded if address.scheme or address.netloc] == []
        assert [address for address in loaded if not path.parent.joinpath(unquote(address.path)).is_file()] == []


def test_every_link_leads_to_a_file_of_the_site_and_an_anchor_in_it(pages):
    for path, page in pages.items():
        for link in page.links:
            if link.scheme not in {"http", "https"}:
                target = path.parent.joinpath(unquote(link.path)).resolve() if link.path else path
                assert target.is_file(), (path, link)
                assert target not in pages or link.fragment in pages[target].anchors, (path, link)


def test_a_dead_link_a_dead_anchor_and_an_unlisted_page_fail_the_build(tmp_path):
    source = tmp_path / "source"
    (source / "docs").mkdir(parents=True)
    links = "[a file](docs/no-such-file.md) [an anchor](docs/unlisted.md#no-such-anchor) [a folder](docs)"
    (source / "README.md").write_text(f"# Links\n\n{links}\n")
    (source / "docs" / "unlisted.md").write_text("# A page\n")
    built = build(source, tmp_path / "site")
    assert built.returncode == 1
    assert "target not found: 'docs/no-such-file.md'" in built.stderr
    assert "no-such-anchor" in built.stderr
    assert "unlisted.md: WARNING: document isn't included in any toctree" in built.stderr
    assert "not found: 'docs'" not in built.stderr


def test_pages_fit_a_phone_and_ask_no_other_host(site, pages, browser, steady_network):
    complaints = Complaints()
    # Records of decisions are alike, so that one stands for all of them.
    tried = [path for path in pages if not re.match(r"000[2-9]|00[1-9]", path.name)]
    with opened_page(browser, complaints, viewport={"width": 390, "height": 800}, offline=True) as page:
        for path in tried:
            page.goto(path.as_uri())
            assert page.evaluate("document.documentElement.scrollWidth") <= 390, path
    assert complaints.unexpected() == []


def test_search_finds_a_page(site, browser, steady_network):
    complaints = Complaints()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=str(site)))
    with serving(server), opened_page(browser, complaints) as page:
        page.goto(f"http://127.0.0.1:{server.server_port}/")
        page.get_by_role("textbox", name="Search").fill("quarantine")
        page.keyboard.press("Enter")
        expect(page.get_by_role("link", name="Runbooks", exact=True).last).to_have_attribute(
            "href", re.compile(r"^runbooks\.html")
        )
        # The results' summaries are fetched from their pages.
        page.wait_for_load_state("networkidle")
    assert complaints.unexpected() == []
