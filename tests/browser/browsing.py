"""Pages in Chromium, and what is wrong with them."""

import json
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from playwright.sync_api import Browser, ConsoleMessage, Error, Locator, Page, Request, expect, sync_playwright

from guildhook_local.serve import missing_pages
from project import ROOT

_AXE = ROOT / "web" / "node_modules" / "axe-core" / "axe.min.js"
_RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
# On a busy machine a page takes its time; what is waited for comes, or the test is wrong.
_PATIENCE_MS = 30_000


class BrowserMissingError(Exception):
    """The text says what is missing of that which the tests need."""


def check_what_is_needed() -> None:
    """Raises BrowserMissingError."""
    missing = missing_pages()
    if missing:
        raise BrowserMissingError(f"{' and '.join(missing)} not built; `make page` does it, with Node 20 or newer")
    if not _AXE.is_file():
        raise BrowserMissingError(f"{_AXE} is not there; `make page` installs it")
    chromium()


def chromium() -> str:
    """Raises BrowserMissingError."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        raise BrowserMissingError("no Chromium is on the path: neither chromium, chromium-browser nor google-chrome")
    return found


@contextmanager
def started_browser() -> Iterator[Browser]:
    expect.set_options(timeout=_PATIENCE_MS)
    with sync_playwright() as playwright:
        # Its own sandbox needs what root and most containers do not have; it sees our pages alone.
        browser = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


@dataclass
class Complaints:
    """Complaints of a page: errors in the console, violated policies and failed requests.

    It has no slots since Playwright puts attributes of its own on what it calls.
    """

    heard: list[str] = field(default_factory=list)
    expected: list[str] = field(default_factory=list)

    def expect(self, pattern: str) -> None:
        """It belongs to the test that something goes wrong; `pattern` is of the complaint's text."""
        self.expected.append(pattern)

    def unexpected(self) -> list[str]:
        return [text for text in self.heard if not any(re.search(pattern, text) for pattern in self.expected)]

    def listen_to(self, page: Page) -> None:
        page.on("console", self._on_console)
        page.on("pageerror", lambda error: self.heard.append(f"uncaught: {error}"))
        page.on("requestfailed", self._on_failure)

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.heard.append(f"console: {message.text} ({message.location.get('url', '')})")

    def _on_failure(self, request: Request) -> None:
        # A page that is left breaks off what it was waiting for.
        if request.failure != "net::ERR_ABORTED":
            self.heard.append(f"request: {request.method} {request.url}: {request.failure}")


@contextmanager
def opened_page(browser: Browser, complaints: Complaints, **options: Any) -> Iterator[Page]:
    """A page in a context of its own: nobody is signed in. `options` are the context's."""
    with browser.new_context(**options) as context:
        context.set_default_timeout(_PATIENCE_MS)
        page = context.new_page()
        complaints.listen_to(page)
        yield page


def choose_person(page: Page, name: str) -> None:
    """On the issuer's page."""
    page.get_by_role("button", name=re.compile(rf"^{re.escape(name)}\b")).click()


def sign_in(page: Page, admin_url: str, name: str, path: str = "/") -> None:
    """Open a path of the admin page, and sign in as one of the sample's people."""
    page.goto(admin_url + path)
    page.get_by_role("button", name="Sign in").click()
    choose_person(page, name)
    page.wait_for_url(re.compile(rf"^{re.escape(admin_url)}/(?!signed-in)"))


def barriers(page: Page) -> list[str]:
    """The violations of accessibility that axe finds on the page."""
    try:
        # Evaluated by the browser itself, which the page's policy does not bind.
        page.evaluate(_AXE.read_text())
    except Error as error:
        raise AssertionError(f"axe could not be loaded: {error}") from None
    found = page.evaluate("rules => axe.run(document, {runOnly: rules})", _RULES)
    return [
        f"{violation['id']} ({violation['help']}): {json.dumps([node['target'] for node in violation['nodes']])}"
        for violation in found["violations"]
    ]


def upload(page: Page, content: bytes, name: str = "plugin.wasm") -> None:
    page.locator("input[type=file]").set_input_files({"name": name, "mimeType": "application/wasm", "buffer": content})


def version(page: Page, number: int) -> Locator:
    """Its part of the page of versions."""
    return page.get_by_role("article", name=f"Version {number}", exact=True)


def tab(page: Page, name: str) -> None:
    """Go to another page of the plugin."""
    page.get_by_role("navigation", name="Plugin").get_by_role("link", name=name).click()
