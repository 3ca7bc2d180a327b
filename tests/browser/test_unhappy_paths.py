"""What admins see on the page when something is in the way, in Chromium against the whole system."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from browser.browsing import sign_in
from guildhook_local.sample import GUILD_ID

_PING = (Path(__file__).parents[2] / "plugins" / "ping" / "ping.wasm").read_bytes()


def _upload(page: Page) -> None:
    page.locator("input[type=file]").set_input_files(
        {"name": "plugin.wasm", "mimeType": "application/wasm", "buffer": _PING}
    )


def _version(page: Page, number: int):
    return page.get_by_role("article", name=f"Version {number}", exact=True)


def _elsewhere(served) -> re.Pattern[str]:
    """Addresses that are not the admin page's: files go there."""
    return re.compile(rf"^(?!{re.escape(served.admin_url)})")


@pytest.fixture
def plugin(page, served, own_guild):
    """A page on the versions of a plugin that has none yet."""
    sign_in(page, served.admin_url, own_guild.admin, f"/guilds/{own_guild.id}")
    page.get_by_role("button", name="New plugin").first.click()
    page.get_by_label("Name").fill("ping")
    page.get_by_role("button", name="Create").click()
    expect(page.get_by_role("heading", name="Versions")).to_be_visible()
    return page


def test_a_version_is_followed_though_its_arrival_could_not_be_told(plugin, complaints):
    complaints.expect("/uploaded|net::ERR_FAILED")
    plugin.route("**/uploaded", lambda route: route.abort())
    # The first time, it is still waiting for its file when the list is read after the upload.
    _upload(plugin)
    expect(_version(plugin, 1).get_by_text("ready")).to_be_visible()


def test_a_cancelled_upload_leaves_no_version(plugin, served):
    held = []
    plugin.route(
        _elsewhere(served),
        lambda route: held.append(route) if route.request.method == "POST" else route.continue_(),
    )
    _upload(plugin)
    expect(_version(plugin, 1)).to_be_visible()
    plugin.get_by_role("button", name="Cancel").click()
    expect(_version(plugin, 1)).to_have_count(0)
    assert len(held) == 1


def test_an_upload_whose_time_is_over_is_begun_anew(plugin, served, complaints):
    # Whatever the clock of this machine says of it.
    complaints.expect("403")
    over = {
        "status": 403,
        "headers": {"Access-Control-Allow-Origin": "*"},
        "body": "<Error><Code>AccessDenied</Code></Error>",
    }
    plugin.route(
        _elsewhere(served),
        lambda route: route.fulfill(**over) if route.request.method == "POST" else route.continue_(),
    )
    _upload(plugin)
    expect(plugin.get_by_role("alert")).to_contain_text("The time to send it is over")
    plugin.unroute(_elsewhere(served))
    with plugin.expect_request(lambda request: request.method == "POST" and request.url.endswith("/versions")):
        plugin.get_by_role("button", name="Try again").click()
    expect(_version(plugin, 2).get_by_text("ready")).to_be_visible()


def test_who_does_not_sign_in_now_is_not_asked_again_by_what_the_page_does_itself(plugin, served, complaints):
    complaints.expect("401")
    plugin.get_by_role("navigation", name="Plugin").get_by_role("link", name="Runs").click()
    expect(plugin.get_by_text("Live", exact=True)).to_be_visible()
    expired = {"status": 401, "content_type": "application/problem+json", "body": "{}"}
    plugin.route("**/api/guilds/**", lambda route: route.fulfill(**expired))
    dialog = plugin.get_by_role("alertdialog", name="Your session has ended")
    expect(dialog).to_be_visible()
    dialog.get_by_role("button", name="Not now").click()
    for _ in range(2):
        plugin.wait_for_event("response", lambda response: response.status == 401)
    expect(dialog).to_have_count(0)
    # What somebody does is another matter.
    plugin.get_by_role("navigation", name="Plugin").get_by_role("link", name="Overview").click()
    plugin.get_by_text("Enabled", exact=True).click()
    expect(dialog).to_be_visible()


def test_the_message_of_a_run_is_shown_without_signs_of_its_layout(page, served):
    sign_in(page, served.admin_url, "Ada", f"/guilds/{GUILD_ID}")
    page.get_by_role("link", name="split", exact=True).click()
    page.get_by_role("navigation", name="Plugin").get_by_role("link", name="Runs").click()
    page.get_by_role("table").get_by_role("link").first.click()
    given = page.get_by_role("region", name="What it was given")
    expect(given).to_contain_text('"channel_id"')
    expect(given).not_to_contain_text("␊")


def test_what_is_not_there_says_where_to_go(page, served, own_guild, complaints):
    complaints.expect("404")
    sign_in(page, served.admin_url, own_guild.admin, f"/guilds/{GUILD_ID}")
    expect(page.get_by_role("alert")).to_contain_text("You are not a member of it", ignore_case=True)
    page.get_by_role("alert").get_by_role("link", name="your guilds").click()
    expect(page.get_by_role("link", name=own_guild.name)).to_be_visible()
