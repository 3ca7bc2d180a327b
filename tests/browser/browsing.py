"""Opens pages in Chromium, and collects their faults."""

import json
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from playwright.sync_api import Browser, ConsoleMessage, Error, Locator, Page, Request, expect, sync_playwright

from guildhook_local.serve import Served, missing_pages
from project import ROOT

_AXE = ROOT / "web" / "node_modules" / "axe-core" / "axe.min.js"
_AXE_OPTIONS = {
    "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    # The details of all that is right are not collected.
    "resultTypes": ["violations"],
}
# A page can be slow on a busy machine, so the limit is generous: only a wrong test reaches it.
_PATIENCE_MS = 30_000


class BrowserMissingError(Exception):
    """A requirement of the tests is missing; the text names it."""


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
        # Chromium's sandbox does not work for root and in most containers. This one loads only pages of this project.
        browser = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


@dataclass
class Complaints:
    """Complaints of a page: errors in the console, violated policies and failed requests.

    It has no slots, because Playwright sets attributes on the objects that it calls.
    """

    heard: list[str] = field(default_factory=list)
    expected: list[str] = field(default_factory=list)

    def expect(self, pattern: str) -> None:
        """Expect a complaint, which the test provokes. `pattern` is searched in its text."""
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
        # A page that is left cancels its open requests.
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


def enter(page: Page, served: Served) -> None:
    """Let the page's context into the system, as the printed link does."""
    name, _, secret = served.system.chat.session.cookie.partition("=")
    page.context.add_cookies(
        [{"name": name, "value": secret, "url": served.admin_url, "httpOnly": True, "sameSite": "Strict"}]
    )


def choose_person(page: Page, name: str) -> None:
    """Choose a person on the issuer's page, and sign in."""
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
        if not page.evaluate("'axe' in window"):
            # Evaluated by the browser itself, which the page's policy does not bind.
            page.evaluate(_AXE.read_text())
    except Error as error:
        raise AssertionError(f"axe could not be loaded: {error}") from None
    found = page.evaluate("options => axe.run(document, options)", _AXE_OPTIONS)
    return [
        f"{violation['id']} ({violation['help']}): {json.dumps([node['target'] for node in violation['nodes']])}"
        for violation in found["violations"]
    ]


def upload(page: Page, content: bytes, name: str = "plugin.wasm") -> None:
    page.locator("input[type=file]").set_input_files({"name": name, "mimeType": "application/wasm", "buffer": content})


def version(page: Page, number: int) -> Locator:
    """The section of a version on the page of versions."""
    return page.get_by_role("article", name=f"Version {number}", exact=True)


def tab(page: Page, name: str) -> None:
    """Go to another page of the plugin."""
    page.get_by_role("navigation", name="Plugin").get_by_role("link", name=name).click()
