"""Every page of the admin page can be used by everybody: axe finds nothing, in light and dark, on a phone as well."""

import pytest
from playwright.sync_api import expect

from browser.browsing import barriers, sign_in
from guildhook_local.sample import GUILD_ID

_OF_A_GUILD = ["", "/settings", "/audit"]
_OF_A_PLUGIN = ["", "/versions", "/settings", "/permissions", "/runs", "/why?message=x", "/test", "/charts"]


@pytest.mark.parametrize("width", [1280, 375])
@pytest.mark.parametrize("color_scheme", ["light", "dark"])
def test_every_page_is_accessible_and_fits_the_window(open_page, served, color_scheme, width):
    page = open_page(color_scheme=color_scheme, viewport={"width": width, "height": 800}, reduced_motion="reduce")
    guild = f"/guilds/{GUILD_ID}"
    sign_in(page, served.admin_url, "Ada", guild)
    plugin = page.get_by_role("link", name="welcome", exact=True).get_attribute("href")
    paths = [
        "/",
        "/guilds/help",
        *(guild + path for path in _OF_A_GUILD),
        *(f"{plugin}{path}" for path in _OF_A_PLUGIN),
    ]
    found = {}
    for path in paths:
        page.goto(served.admin_url + path)
        expect(page.get_by_role("heading").first).to_be_visible()
        page.wait_for_load_state("networkidle")
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        found[path] = [*barriers(page), *([f"{wide} px too wide"] if wide > 0 else [])]
    assert {path: faults for path, faults in found.items() if faults} == {}
