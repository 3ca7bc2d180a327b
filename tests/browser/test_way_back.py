"""Tests the history of settings and the roll-back on the page, on a desk and on a phone, by mouse and by keyboard."""

from hashlib import sha256
from itertools import product
from typing import Literal

import psycopg
import pytest
from playwright.sync_api import Page, ViewportSize, expect
from psycopg.types.json import Jsonb

import wat
from browser.browsing import barriers, sign_in

_DESK, _PHONE = ViewportSize(width=1280, height=800), ViewportSize(width=360, height=740)
_SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")


def _schema(name: str) -> dict[str, object]:
    return {
        "type": "object",
        "properties": {name: {"type": "string", "title": name.title()}},
        "required": [name],
        "additionalProperties": False,
    }


@pytest.fixture
def database(served):
    with psycopg.connect(served.system.database_url, autocommit=True) as connection:
        yield connection


@pytest.fixture
def plugin_id(database, own_guild):
    """A plugin whose second version has renamed a setting and is live. Its settings have had four saves."""
    ((plugin_id,),) = database.execute(
        "INSERT INTO plugins (guild_id, name, wasm_blob) VALUES (%s, 'greeter', '') RETURNING id", [own_guild.id]
    ).fetchall()
    for number, (wasm, name) in enumerate(((wat.SILENT, "greeting"), (wat.TRAPS, "text")), 1):
        ((version_id,),) = database.execute(
            """INSERT INTO plugin_versions (plugin_id, number, state, wasm_sha256, wasm_bytes, wasm_blob, created_by,
                                            settings_schema)
               VALUES (%s, %s, 'ready', %s, %s, %s, '', %s) RETURNING id""",
            [plugin_id, number, sha256(wasm).digest(), len(wasm), wasm, Jsonb(_schema(name))],
        ).fetchall()
        database.execute(
            """UPDATE plugins SET previous_version_id = live_version_id, live_version_id = %s, wasm_blob = %s,
                                  config = %s
               WHERE id = %s""",
            [version_id, wasm, Jsonb({name: "hello"}), plugin_id],
        )
        database.execute(
            "UPDATE plugins SET config = %s WHERE id = %s", [Jsonb({name: f"hello from {number}"}), plugin_id]
        )
    return plugin_id


@pytest.fixture
def open_plugin(open_page, served, own_guild, plugin_id):
    """Opens a page of the plugin on a desk."""

    def open_plugin(tab: str) -> Page:
        page = open_page(viewport=_DESK, reduced_motion="reduce")
        sign_in(page, served.admin_url, own_guild.admin, f"/guilds/{own_guild.id}/plugins/{plugin_id}/{tab}")
        return page

    return open_plugin


def _look_at(page: Page, place: int) -> None:
    """Open the earlier settings at this place of the history."""
    save = page.get_by_role("region", name="History").get_by_role("listitem").nth(place)
    expect(save).to_be_visible()
    # The form above moves the history when it has loaded, and a press that is under way is lost then.
    expect(page.locator(".loading")).to_have_count(0)
    save.get_by_role("button").click()


def _faults(page: Page) -> dict[tuple[str, int], list[str]]:
    """Return the faults of the page as it is, by colour scheme and width."""
    found = {}
    for color_scheme, size in product(_SCHEMES, (_DESK, _PHONE)):
        page.emulate_media(color_scheme=color_scheme)
        page.set_viewport_size(size)
        page.evaluate("new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn)))")
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        found[color_scheme, size["width"]] = [*barriers(page), *([f"{wide} px too wide"] if wide > 0 else [])]
    page.set_viewport_size(_DESK)
    return {view: faults for view, faults in found.items() if faults}


def _settings(database, plugin_id) -> object:
    ((config,),) = database.execute("SELECT config FROM plugins WHERE id = %s", [plugin_id]).fetchall()
    return config


def test_earlier_settings_are_looked_at_and_restored(open_plugin, database, plugin_id):
    page = open_plugin("settings")
    saves = page.get_by_role("region", name="History").get_by_role("listitem")
    expect(saves).to_have_count(5)
    expect(saves.nth(0)).to_contain_text("in use")
    expect(saves.nth(0)).to_contain_text("They are the same as now.")
    expect(saves.nth(1)).to_contain_text("They differ from now in text.")
    expect(saves.nth(1)).to_contain_text("Version 2 was live.")
    expect(saves.nth(2)).to_contain_text("comes back with a roll-back")
    expect(saves.nth(2)).to_contain_text("Written into the database by")
    saves.nth(1).scroll_into_view_if_needed()
    assert _faults(page) == {}

    # Everything can be done with the keyboard alone.
    saves.nth(1).get_by_role("button").focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    row = dialog.get_by_role("row").nth(1)
    expect(row).to_have_text("texthello from 2hello")
    assert _faults(page) == {}
    dialog.get_by_role("button", name="Restore these settings").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_text("The earlier settings are restored.")).to_be_visible()
    expect(dialog).to_be_hidden()
    expect(saves).to_have_count(6)
    expect(saves.nth(0)).to_contain_text("Dana")
    assert _settings(database, plugin_id) == {"text": "hello"}


def test_lists_and_objects_are_shown_without_signs_of_their_layout(open_plugin, database, plugin_id):
    for settings in ({"text": "a\nb", "list": [1, {"b": 2}]}, {"text": "c"}):
        database.execute("UPDATE plugins SET config = %s WHERE id = %s", [Jsonb(settings), plugin_id])
    page = open_plugin("settings")
    _look_at(page, 1)
    dialog = page.get_by_role("dialog")
    # A line break of a text is a part of it, and stays visible.
    expect(dialog.get_by_role("row").nth(2)).to_contain_text("a␊")
    expect(dialog.get_by_role("row").nth(1)).to_contain_text('"b": 2')
    expect(dialog.get_by_role("row").nth(1)).not_to_contain_text("␊")
    dialog.get_by_text("All settings of this time").click()
    everything = dialog.get_by_role("region", name="All settings of this time")
    expect(everything).to_contain_text('"list": [')
    expect(everything).not_to_contain_text("␊")


def test_settings_that_the_live_version_does_not_take_are_refused_by_field(
    open_plugin, complaints, database, plugin_id
):
    complaints.expect("409")
    page = open_plugin("settings")
    _look_at(page, 2)
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Restore these settings").click()
    alert = dialog.get_by_role("alert")
    expect(alert).to_contain_text("/settings/greeting is not a setting of this version")
    expect(alert).to_contain_text("/settings/text is required")
    assert _faults(page) == {}
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    assert _settings(database, plugin_id) == {"text": "hello from 2"}


def test_settings_that_are_not_saved_are_not_lost_by_a_restore(open_plugin):
    page = open_plugin("settings")
    page.get_by_label("Text").fill("mine")
    _look_at(page, 1)
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Save or discard them before you restore others.")
    expect(dialog.get_by_role("button", name="Restore these settings")).to_be_disabled()


def test_rolling_back_shows_version_and_settings_and_brings_both(open_plugin, database, plugin_id):
    page = open_plugin("versions")
    page.get_by_role("button", name="Roll back to version 1").focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Version 1 will run for every message again, instead of version 2.")
    rows = dialog.get_by_role("row")
    expect(rows.nth(1)).to_have_text("greetingnot sethello from 1")
    expect(rows.nth(2)).to_have_text("texthello from 2not set")
    assert _faults(page) == {}
    dialog.get_by_role("button", name="Roll back", exact=True).focus()
    page.keyboard.press("Enter")
    expect(page.get_by_text("Version 1 is live again, with its settings.")).to_be_visible()
    expect(dialog).to_be_hidden()
    assert _settings(database, plugin_id) == {"greeting": "hello from 1"}


def test_a_roll_back_asks_for_settings_that_are_not_known(open_plugin, complaints, database, plugin_id):
    complaints.expect("422")
    database.execute("DELETE FROM plugin_settings_versions WHERE plugin_id = %s", [plugin_id])
    page = open_plugin("versions")
    page.get_by_role("button", name="Roll back to version 1").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("It is not known which settings version 1 was live with")
    editor = dialog.get_by_role("textbox", name="Settings as JSON")
    expect(editor).to_contain_text('"text": "hello from 2"')
    assert _faults(page) == {}
    dialog.get_by_role("button", name="Roll back", exact=True).click()
    expect(dialog).to_contain_text("/greeting is required")
    expect(dialog).to_contain_text("/text is not a setting of this version")
    editor.fill('{"greeting": "mine"}')
    dialog.get_by_role("button", name="Roll back", exact=True).click()
    expect(dialog).to_be_hidden()
    assert _settings(database, plugin_id) == {"greeting": "mine"}


def test_other_settings_can_replace_those_of_before(open_plugin, database, plugin_id):
    page = open_plugin("versions")
    page.get_by_role("button", name="Roll back to version 1").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Use other settings").click()
    editor = dialog.get_by_role("textbox", name="Settings as JSON")
    expect(editor).to_contain_text('"greeting": "hello from 1"')
    editor.fill('{"greeting": "other"}')
    dialog.get_by_role("button", name="Roll back", exact=True).click()
    expect(dialog).to_be_hidden()
    assert _settings(database, plugin_id) == {"greeting": "other"}
