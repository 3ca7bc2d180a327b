"""Every page of the admin page can be used by everybody: axe finds nothing, in light and dark, on a phone as well."""

from itertools import product

import pytest
from playwright.sync_api import expect

from browser.browsing import barriers, sign_in
from guildhook_local.sample import GUILD_ID

_PHONE, _DESK = {"width": 375, "height": 800}, {"width": 1280, "height": 800}
_ALL = list(product(("light", "dark"), (_DESK, _PHONE)))


@pytest.mark.parametrize(
    ("paths", "first"),
    [
        (["/", "/guilds/help", "{guild}", "{guild}/settings", "{guild}/audit"], _ALL[0]),
        (["{plugin}", "{plugin}/versions", "{plugin}/settings"], _ALL[1]),
        (["{plugin}/permissions", "{plugin}/runs", "{plugin}/why?message=x"], _ALL[2]),
        (["{plugin}/test", "{plugin}/charts"], _ALL[3]),
    ],
)
def test_every_page_is_accessible_and_fits_the_window(open_page, served, paths, first):
    """Each page is loaded once, and then looks as it would on each device: loading it takes longer than the check."""
    color_scheme, size = first
    page = open_page(color_scheme=color_scheme, viewport=size, reduced_motion="reduce")
    guild = f"/guilds/{GUILD_ID}"
    sign_in(page, served.admin_url, "Ada", guild)
    plugin = page.get_by_role("link", name="welcome", exact=True).get_attribute("href")
    found = {}
    for path in paths:
        page.goto(served.admin_url + path.format(guild=guild, plugin=plugin))
        expect(page.get_by_role("heading").first).to_be_visible()
        page.wait_for_load_state("networkidle")
        for color_scheme, size in (first, *(each for each in _ALL if each != first)):
            page.emulate_media(color_scheme=color_scheme)
            page.set_viewport_size(size)
            page.evaluate("new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn)))")
            wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
            faults = [*barriers(page), *([f"{wide} px too wide"] if wide > 0 else [])]
            found[path, color_scheme, size["width"]] = faults
    assert {view: faults for view, faults in found.items() if faults} == {}
