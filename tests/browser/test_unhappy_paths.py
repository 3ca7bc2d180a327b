"""Tests the page's reactions to faults, in Chromium against the whole system."""

import re
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import psycopg
import pytest
from playwright.sync_api import expect

import wat
from browser.browsing import barriers, sign_in, tab, upload, version
from guildhook_local.sample import GUILD_ID
from project import ROOT

_PING = (ROOT / "plugins" / "ping" / "ping.wasm").read_bytes()


def _elsewhere(served) -> re.Pattern[str]:
    """Addresses that are not the admin page's: files go there."""
    return re.compile(rf"^(?!{re.escape(served.admin_url)})")


@pytest.fixture
def plugin(page, served, own_guild):
    """A page on the versions of a plugin that has none yet."""
    sign_in(page, served.admin_url, own_guild.admin, f"/guilds/{own_guild.id}")
    page.get_by_role("button", name="Create a plugin").first.click()
    page.get_by_label("Name").fill("ping")
    page.get_by_role("button", name="Create", exact=True).click()
    expect(page.get_by_role("heading", name="Versions")).to_be_visible()
    return page


def test_a_version_is_followed_though_its_arrival_could_not_be_told(plugin, complaints):
    complaints.expect("/uploaded|net::ERR_FAILED")
    plugin.route("**/uploaded", lambda route: route.abort())
    # The first time, it is still waiting for its file when the list is read after the upload.
    upload(plugin, _PING)
    expect(version(plugin, 1).get_by_text("ready")).to_be_visible()


def test_a_cancelled_upload_leaves_no_version(plugin, served):
    held = []
    plugin.route(
        _elsewhere(served),
        lambda route: held.append(route) if route.request.method == "POST" else route.continue_(),
    )
    upload(plugin, _PING)
    expect(version(plugin, 1)).to_be_visible()
    plugin.get_by_role("button", name="Cancel").click()
    expect(version(plugin, 1)).to_have_count(0)
    assert len(held) == 1


def test_an_upload_is_not_left_by_accident(plugin, served):
    plugin.route(_elsewhere(served), lambda route: route.request.method == "POST" or route.continue_())
    upload(plugin, _PING)
    expect(version(plugin, 1)).to_be_visible()
    tab(plugin, "Overview")
    dialog = plugin.get_by_role("alertdialog", name="The upload is not finished")
    dialog.get_by_role("button", name="Stay").click()
    expect(version(plugin, 1)).to_be_visible()
    tab(plugin, "Overview")
    dialog.get_by_role("button", name="Leave the page").click()
    expect(plugin.get_by_role("heading", name="Versions")).to_have_count(0)
    tab(plugin, "Versions")
    expect(plugin.get_by_role("button", name="Choose a file")).to_be_enabled()
    expect(version(plugin, 1)).to_have_count(0)


def test_a_file_that_is_not_the_announced_one_is_refused_by_its_digest(plugin):
    # S3 would refuse the file at once. This stand-in for S3 accepts it, so the check refuses it later.
    plugin.evaluate("crypto.subtle.digest = async () => new ArrayBuffer(32)")
    upload(plugin, _PING)
    expect(version(plugin, 1).get_by_role("listitem").first).to_contain_text(
        f"the file's SHA-256 is {sha256(_PING).hexdigest()}; announced was {'00' * 32}"
    )


def test_a_version_that_could_not_be_compiled_yet_is_tried_again(plugin, served, own_guild):
    wasm = wat.logs(own_guild.name)
    digest = sha256(wasm).digest()
    with psycopg.connect(served.system.database_url) as database:
        database.execute(
            """INSERT INTO plugin_versions (plugin_id, number, state, wasm_sha256, wasm_bytes, wasm_blob, created_by)
               SELECT id, 1, 'compiling', %s, %s, %s, '' FROM plugins WHERE guild_id = %s""",
            [digest, len(wasm), wasm, own_guild.id],
        )
        database.execute(
            "INSERT INTO plugin_compile_failures (wasm_sha256, engine, tries, reason) VALUES (%s, '', 8, %s)",
            [digest, "the disk is full"],
        )
    plugin.reload()
    row = version(plugin, 1)
    expect(row.get_by_text("This version could not be compiled yet")).to_be_visible()
    expect(row.get_by_text("the disk is full")).to_be_visible()
    assert barriers(plugin) == []
    row.get_by_role("button", name="Try again to compile version 1").click()
    expect(row.get_by_text("ready")).to_be_visible()
    expect(row.get_by_text("This version could not be compiled yet")).to_have_count(0)


def test_settings_that_a_lost_connection_did_not_save_are_kept_and_saved_again(plugin, complaints):
    complaints.expect(r"net::ERR_FAILED|/api/guilds/")
    tab(plugin, "Settings")
    plugin.get_by_role("textbox", name="Settings as JSON").fill('{"greeting": "hello"}')
    plugin.route(
        "**/api/guilds/**", lambda route: route.abort() if route.request.method == "PATCH" else route.continue_()
    )
    plugin.get_by_role("button", name="Save").click()
    expect(plugin.get_by_role("alert")).to_contain_text("The connection was lost before there was an answer")
    plugin.unroute("**/api/guilds/**")
    plugin.get_by_role("button", name="Save").click()
    expect(plugin.get_by_role("button", name="Save")).to_be_disabled()
    plugin.reload()
    expect(plugin.get_by_role("textbox", name="Settings as JSON")).to_contain_text("hello")


def test_a_plugin_that_somebody_else_has_deleted_says_so(plugin, open_page, served, own_guild, complaints):
    complaints.expect("404")
    tab(plugin, "Settings")
    plugin.get_by_role("textbox", name="Settings as JSON").fill('{"greeting": "hello"}')
    other = open_page()
    sign_in(other, served.admin_url, own_guild.admin, f"/guilds/{own_guild.id}")
    other.get_by_role("link", name="ping", exact=True).click()
    other.get_by_role("button", name="Delete this plugin").click()
    dialog = other.get_by_role("alertdialog", name="Delete ping?")
    dialog.get_by_role("textbox").fill("ping")
    dialog.get_by_role("button", name="Delete").click()
    expect(other.get_by_text("Upload your first plugin")).to_be_visible()
    plugin.get_by_role("button", name="Save").click()
    expect(plugin.get_by_role("alert").first).to_contain_text("the guild has no such plugin", ignore_case=True)


@pytest.mark.parametrize("hours", [-30, 30])
def test_sign_in_works_with_a_wrong_clock(page, served, own_guild, hours):
    page.clock.install(time=datetime.now(UTC) + timedelta(hours=hours))
    sign_in(page, served.admin_url, own_guild.admin, f"/guilds/{own_guild.id}")
    page.get_by_role("button", name="Create a plugin").first.click()
    page.get_by_label("Name").fill("ping")
    page.get_by_role("button", name="Create", exact=True).click()
    upload(page, _PING)
    expect(version(page, 1).get_by_text("ready")).to_be_visible()


def test_an_expired_upload_is_begun_anew(plugin, served, complaints):
    # The expiry by the clock of this machine does not matter.
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
    upload(plugin, _PING)
    expect(plugin.get_by_role("alert")).to_contain_text("The time to send the file is over")
    plugin.unroute(_elsewhere(served))
    with plugin.expect_request(lambda request: request.method == "POST" and request.url.endswith("/versions")):
        plugin.get_by_role("button", name="Try again").click()
    expect(version(plugin, 2).get_by_text("ready")).to_be_visible()


def test_polling_does_not_repeat_a_dismissed_question_to_sign_in(plugin, served, complaints):
    complaints.expect("401")
    tab(plugin, "Runs")
    expect(plugin.get_by_text("Live", exact=True)).to_be_visible()
    expired = {"status": 401, "content_type": "application/problem+json", "body": "{}"}
    plugin.route("**/api/guilds/**", lambda route: route.fulfill(**expired))
    dialog = plugin.get_by_role("alertdialog", name="Your session has ended")
    expect(dialog).to_be_visible()
    dialog.get_by_role("button", name="Not now").click()
    for _ in range(2):
        plugin.wait_for_event("response", lambda response: response.status == 401)
    expect(dialog).to_have_count(0)
    # An action of the admin asks again.
    tab(plugin, "Overview")
    plugin.get_by_text("Enabled", exact=True).click()
    expect(dialog).to_be_visible()


def test_the_message_of_a_run_is_shown_without_signs_of_its_layout(page, served):
    sign_in(page, served.admin_url, "Ada", f"/guilds/{GUILD_ID}")
    page.get_by_role("link", name="split", exact=True).click()
    tab(page, "Runs")
    page.get_by_role("table").get_by_role("link").first.click()
    given = page.get_by_role("region", name="Message that it got")
    expect(given).to_contain_text('"channel_id"')
    expect(given).not_to_contain_text("␊")


def test_a_missing_page_says_where_to_go(page, served, own_guild, complaints):
    complaints.expect("404")
    sign_in(page, served.admin_url, own_guild.admin, f"/guilds/{GUILD_ID}")
    expect(page.get_by_role("alert")).to_contain_text("You are not a member of it", ignore_case=True)
    page.get_by_role("alert").get_by_role("link", name="your guilds").click()
    expect(page.get_by_role("link", name=own_guild.name)).to_be_visible()
