"""Tests the work of admins on the page, in Chromium against the whole system."""

import json
import re

import pytest
from playwright.sync_api import Page, expect

import wat
from browser.browsing import barriers, sign_in, tab, upload, version
from project import ROOT
from wasm import number, section

_PING = (ROOT / "plugins" / "ping" / "ping.wasm").read_bytes()
_SCHEMA = {
    "type": "object",
    "properties": {
        "greeting": {"type": "string", "title": "Greeting", "minLength": 2, "default": "pong"},
        "loud": {"type": "boolean", "title": "Loud"},
        "words": {"type": "array", "title": "Words", "items": {"type": "string"}, "maxItems": 3},
        "api_key": {"type": "string", "title": "API key", "writeOnly": True},
    },
    "required": ["greeting"],
    "additionalProperties": False,
}


def _with_schema(wasm: bytes, schema: object) -> bytes:
    name = b"guildhook:settings-schema"
    return wasm + section(0, number(len(name)) + name + json.dumps(schema).encode())


def _create(page: Page, served, own_guild, name: str) -> None:
    sign_in(page, served.admin_url, own_guild.admin, f"/guilds/{own_guild.id}")
    page.get_by_role("button", name="Create a plugin").first.click()
    page.get_by_label("Name").fill(name)
    page.get_by_role("button", name="Create", exact=True).click()
    expect(page.get_by_role("heading", name="Versions")).to_be_visible()


def _go_live(page: Page, number: int) -> None:
    page.get_by_role("button", name=f"Let version {number} go live").click()
    dialog = page.get_by_role("dialog")
    for box in dialog.get_by_role("checkbox").all():
        box.check()
    dialog.get_by_role("button", name=re.compile("go live", re.IGNORECASE)).click()
    expect(version(page, number).get_by_text("live", exact=True)).to_be_visible()


@pytest.fixture
def plugin(page, served, own_guild):
    """A page on the versions of a plugin that has none yet."""
    _create(page, served, own_guild, "ping")
    return page


def test_a_plugin_goes_live_with_consent_and_is_rolled_back(plugin, complaints):
    page = plugin
    upload(page, _PING)
    expect(version(page, 1).get_by_text("ready")).to_be_visible()
    page.get_by_role("button", name="Let version 1 go live").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("button", name="Allow and go live")).to_be_disabled()
    assert barriers(page) == []
    dialog.get_by_role("checkbox", name=re.compile("send messages")).check()
    dialog.get_by_role("button", name="Allow and go live").click()
    expect(version(page, 1).get_by_text("live", exact=True)).to_be_visible()

    upload(page, _with_schema(_PING, _SCHEMA))
    expect(version(page, 2).get_by_text("ready")).to_be_visible()
    complaints.expect("409")
    page.get_by_role("button", name="Let version 2 go live").click()
    page.get_by_role("dialog").get_by_role("button", name="Go live").click()
    # Its schema wants a greeting, which the settings do not have.
    editor = page.get_by_role("dialog").get_by_role("textbox", name="Settings as JSON")
    editor.fill('{"greeting": "hello"}')
    page.get_by_role("dialog").get_by_role("button", name="Go live").click()
    expect(version(page, 2).get_by_text("live", exact=True)).to_be_visible()

    page.get_by_role("button", name="Roll back to version 1").click()
    page.get_by_role("dialog").get_by_role("button", name="Roll back", exact=True).click()
    expect(version(page, 1).get_by_text("live", exact=True)).to_be_visible()


def test_a_plugin_that_was_just_uploaded_answers_in_the_chat(plugin, served, own_guild, open_page):
    upload(plugin, _PING)
    expect(version(plugin, 1).get_by_text("ready")).to_be_visible()
    _go_live(plugin, 1)
    chat = open_page()
    chat.goto(f"{served.chat_url}/guilds/{own_guild.id}/{own_guild.channel_id}")
    chat.get_by_label(re.compile("^Message to")).fill("!ping")
    chat.get_by_role("button", name="Send").click()
    expect(chat.get_by_role("log").get_by_role("listitem").filter(has_text="bot")).to_contain_text("pong")
    tab(plugin, "Runs")
    expect(plugin.get_by_role("table").get_by_role("row")).to_have_count(2)


def test_a_file_that_cannot_run_is_refused_with_reasons(plugin):
    upload(plugin, b"\x89PNG\r\n\x1a\n" + bytes(2_000), "picture.wasm")
    refused = version(plugin, 1)
    expect(refused.get_by_text("guildhook cannot run this version")).to_be_visible()
    expect(refused.get_by_role("listitem").first).not_to_be_empty()
    assert barriers(plugin) == []


def test_a_version_whose_build_has_a_fault_says_so_and_can_go_live(plugin):
    frozen = wat.plugin(wat.on_message(""), lowered='(core module $m (memory 1) (data (i32.const 0) "__cqjs"))')
    upload(plugin, frozen, "frozen.wasm")
    card = version(plugin, 1)
    expect(card).to_contain_text("This version can run, but its build has a fault")
    expect(card).to_contain_text("Math.random() gives the same numbers in every run")
    expect(card.get_by_text("ready", exact=True)).to_be_visible()
    assert barriers(plugin) == []
    _go_live(plugin, 1)


def test_a_file_that_is_too_large_is_not_sent(plugin, tmp_path):
    large = tmp_path / "large.wasm"
    with large.open("wb") as file:
        file.truncate(60 * 1024 * 1024)
    posted = []
    plugin.on("request", lambda request: posted.append(request.url) if request.method == "POST" else None)
    plugin.locator("input[type=file]").set_input_files(large)
    expect(plugin.get_by_role("alert")).to_contain_text("60 MiB; the limit is 32 MiB. Nothing has been sent")
    assert posted == []


def test_a_lost_connection_is_said_and_the_upload_tried_again(plugin, served, complaints):
    complaints.expect("uploads|net::ERR_FAILED|requestfailed|:\\d+/")
    lose = re.compile(rf"^(?!{re.escape(served.admin_url)})")
    plugin.route(lose, lambda route: route.abort() if route.request.method == "POST" else route.continue_())
    upload(plugin, _PING)
    expect(plugin.get_by_role("alert")).to_contain_text("The connection was lost")
    plugin.unroute(lose)
    plugin.get_by_role("button", name="Try again").click()
    expect(version(plugin, 1).get_by_text("ready")).to_be_visible()


def test_settings_by_form_and_by_json_with_secrets(plugin, complaints):
    page = plugin
    upload(page, _with_schema(_PING, {**_SCHEMA, "required": []}))
    expect(version(page, 1).get_by_text("ready")).to_be_visible()
    _go_live(page, 1)
    tab(page, "Settings")
    page.get_by_label("Greeting").fill("x")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("alert")).to_contain_text("must have at least 2 characters")
    page.get_by_label("Greeting").fill("hello")
    page.get_by_label("Loud").check()
    page.get_by_role("button", name="Add").first.click()
    assert barriers(page) == []
    page.get_by_role("radio", name="JSON").or_(page.get_by_role("button", name="JSON")).click()
    editor = page.get_by_role("textbox", name="Settings as JSON")
    expect(editor).to_contain_text('"greeting": "hello"')
    editor.fill('{"greeting": "hello", "loud": true, "more": 1}')
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("alert")).to_contain_text("is not a setting of this version")
    editor.fill('{"greeting": "hello", "loud": true}')
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("The settings are saved.")).to_be_visible()
    assert barriers(page) == []

    page.get_by_role("button", name="Set API key").click()
    page.get_by_label("New value of api_key").fill("s3cret")
    page.get_by_role("button", name="Set", exact=True).click()
    expect(page.get_by_role("button", name="Replace API key")).to_be_visible()
    assert "s3cret" not in page.content()
    page.get_by_role("button", name="Remove API key").click()
    expect(page.get_by_role("button", name="Set API key")).to_be_visible()


def test_a_conflicting_change_of_another_admin_is_not_overwritten(plugin, open_page, served, own_guild, complaints):
    complaints.expect("412")
    tab(plugin, "Settings")
    # The address changes when the code of the tab has arrived.
    plugin.get_by_role("textbox", name="Settings as JSON").fill('{"mine": 1}')
    other = open_page()
    sign_in(other, served.admin_url, own_guild.admin, plugin.url.removeprefix(served.admin_url))
    other.get_by_role("textbox", name="Settings as JSON").fill('{"theirs": 1}')
    other.get_by_role("button", name="Save").click()
    expect(other.get_by_text("The settings are saved.")).to_be_visible()
    plugin.get_by_role("button", name="Save").click()
    dialog = plugin.get_by_role("alertdialog", name="Somebody else changed this plugin")
    expect(dialog).to_contain_text('"theirs": 1')
    expect(dialog).to_contain_text('"mine": 1')
    expect(dialog).to_contain_text(own_guild.admin)
    assert barriers(plugin) == []
    dialog.get_by_role("button", name="Save my change anyway").click()
    expect(plugin.get_by_text("The settings are saved.")).to_be_visible()
    other.reload()
    expect(other.get_by_role("textbox", name="Settings as JSON")).to_contain_text('"mine": 1')


def test_unsaved_input_survives_the_end_of_a_session(plugin, served, own_guild, complaints):
    complaints.expect("401")
    tab(plugin, "Settings")
    plugin.get_by_role("textbox", name="Settings as JSON").fill('{"kept": true}')
    plugin.evaluate(
        """() => {
            const key = Object.keys(sessionStorage).find((name) => name.startsWith('oidc.user'));
            const user = JSON.parse(sessionStorage.getItem(key));
            sessionStorage.setItem(key, JSON.stringify({...user, access_token: 'e30.e30.x'}));
        }"""
    )
    plugin.get_by_role("button", name="Save").click()
    dialog = plugin.get_by_role("alertdialog", name="Your session has ended")
    expect(dialog).to_be_visible()
    assert barriers(plugin) == []
    dialog.get_by_role("button", name="Sign in again").click()
    plugin.get_by_role("button", name=re.compile(own_guild.admin)).click()
    expect(plugin.get_by_role("textbox", name="Settings as JSON")).to_contain_text('"kept": true')
    plugin.get_by_role("button", name="Save").click()
    expect(plugin.get_by_text("The settings are saved.")).to_be_visible()


def test_a_message_is_tried(plugin):
    upload(plugin, _PING)
    expect(version(plugin, 1).get_by_text("ready")).to_be_visible()
    _go_live(plugin, 1)
    tab(plugin, "Test")
    plugin.get_by_label("Message").fill("!ping")
    plugin.get_by_role("button", name="Run", exact=True).click()
    result = plugin.get_by_role("region", name="Result")
    expect(result.get_by_text("pong")).to_be_visible()
    expect(result.get_by_text("never sent")).to_be_visible()
    assert barriers(plugin) == []


def test_the_page_of_the_api(page, served):
    page.goto(f"{served.admin_url}/api.html")
    expect(page.get_by_text("The plugins of a guild").or_(page.get_by_text("createPlugin")).first).to_be_attached()
