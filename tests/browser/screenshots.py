"""Takes the pictures of README.md, into docs/screenshots/: `make screenshots`."""

import io
import re
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path

from playwright.sync_api import Browser, Page, expect

# A script has its own folder on the path; the tests have the one above it.
sys.path.insert(0, str(Path(__file__).parents[1]))

from browser.browsing import (
    BrowserMissingError,
    Complaints,
    check_what_is_needed,
    enter,
    opened_page,
    sign_in,
    started_browser,
)
from guildhook_local.sample import GUILD_ID
from guildhook_local.serve import Served, serving
from project import ROOT

_FOLDER = ROOT / "docs" / "screenshots"
_SIZE = {"width": 1200, "height": 760}
_MOST_BYTES = 150_000


def main() -> None:
    try:
        check_what_is_needed()
    except BrowserMissingError as error:
        sys.exit(f"screenshots: {error}")
    _FOLDER.mkdir(parents=True, exist_ok=True)
    # Functions print their log.
    with started_browser() as browser, redirect_stdout(io.StringIO()), serving("127.0.0.1") as served:
        for name, (show, color_schemes) in _PICTURES.items():
            for color_scheme in color_schemes:
                _take(browser, served, show, color_scheme, _FOLDER / f"{name}-{color_scheme}.png")


def _take(browser: Browser, served: Served, show: Callable[[Page, Served], None], color_scheme: str, to: Path) -> None:
    complaints = Complaints()
    with opened_page(browser, complaints, color_scheme=color_scheme, viewport=_SIZE, reduced_motion="reduce") as page:
        enter(page, served)
        show(page, served)
        page.screenshot(path=to, animations="disabled", caret="hide")
    if complaints.unexpected():
        sys.exit(f"screenshots: {to.name}: {complaints.unexpected()}")
    size = to.stat().st_size
    print(f"{to.relative_to(_FOLDER.parents[1])}  {size // 1000} kB", file=sys.stderr)
    if size > _MOST_BYTES:
        sys.exit(f"screenshots: {to.name} has {size} bytes, more than {_MOST_BYTES}")


def _chat(page: Page, served: Served) -> None:
    page.goto(served.chat_url)
    expect(page.get_by_role("log").get_by_role("listitem").first).to_be_visible()
    answers = page.get_by_role("log").get_by_text("pong", exact=True)
    before = answers.count()
    page.get_by_label("Speak as").select_option("Ben")
    page.get_by_label("Message to #general").fill("!ping")
    page.get_by_role("button", name="Send").click()
    expect(answers).to_have_count(before + 1)


def _plugins(page: Page, served: Served) -> None:
    sign_in(page, served.admin_url, "Ada", f"/guilds/{GUILD_ID}")
    expect(page.get_by_role("link", name="split", exact=True)).to_be_visible()
    # The picture is taken when the numbers of runs are there.
    expect(page.get_by_text("– runs in 24 h")).to_have_count(0)  # noqa: RUF001 - as the page has it
    expect(page.get_by_text(re.compile("runs in 24 h")).first).to_be_visible()


def _plugin(page: Page, served: Served, name: str, tab: str) -> None:
    _plugins(page, served)
    page.get_by_role("link", name=name, exact=True).click()
    page.get_by_role("link", name=tab, exact=True).click()
    page.wait_for_load_state("networkidle")


def _runs(page: Page, served: Served) -> None:
    _plugin(page, served, "split", "Runs")


def _charts(page: Page, served: Served) -> None:
    _plugin(page, served, "split", "Charts")
    expect(page.get_by_role("heading", name="Runs over time")).to_be_visible()


def _settings(page: Page, served: Served) -> None:
    _plugin(page, served, "welcome", "Settings")


def _test_run(page: Page, served: Served) -> None:
    _plugin(page, served, "split", "Test")
    page.get_by_label("Version").select_option("1")
    page.get_by_label("Message").fill("!split 90 0")
    page.get_by_role("button", name="Run", exact=True).click()
    expect(page.get_by_role("heading", name="Result of version 1")).to_be_visible()


_BOTH = ("light", "dark")
_PICTURES: dict[str, tuple[Callable[[Page, Served], None], tuple[str, ...]]] = {
    "plugins": (_plugins, _BOTH),
    "runs": (_runs, ("light",)),
    "charts": (_charts, _BOTH),
    "settings": (_settings, ("light",)),
    "test-run": (_test_run, ("light",)),
    "chat": (_chat, _BOTH),
}


if __name__ == "__main__":
    main()
