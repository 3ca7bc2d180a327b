import re

import pytest
from playwright.sync_api import expect

from browser.browsing import barriers


@pytest.fixture
def chat(page, served):
    page.goto(served.chat_url)
    return page


def say(page, text):
    page.get_by_label(re.compile("^Message to")).fill(text)
    page.get_by_role("button", name="Send").click()


def test_a_typed_message_is_answered_by_a_plugin(chat):
    # The sample guild has a day of messages already.
    pongs = chat.get_by_role("log").get_by_role("listitem").filter(has_text="pong").filter(has_text="bot")
    expect(pongs.first).to_be_visible()
    before = pongs.count()
    chat.get_by_label("Speak as").select_option("Ben")
    say(chat, "!ping")
    expect(pongs).to_have_count(before + 1)
    expect(chat.get_by_label(re.compile("^Message to"))).to_have_value("")


def test_other_channels_are_a_click_away_and_have_an_address(chat, served):
    chat.get_by_role("link", name="trips").click()
    expect(chat.get_by_role("heading", level=1)).to_have_text(re.compile("trips"))
    say(chat, "!split 12 5")
    log = chat.get_by_role("log", name="Messages in trips")
    expect(log.get_by_text("2 each, and 2 left over").last).to_be_visible()
    chat.reload()
    expect(log.get_by_text("!split 12 5").last).to_be_visible()
    chat.go_back()
    expect(chat.get_by_role("heading", level=1)).to_have_text(re.compile("general"))


def test_others_see_a_new_message_at_once(chat, served, open_page):
    other = open_page()
    other.goto(served.chat_url)
    expect(other.get_by_role("log").get_by_role("listitem").first).to_be_visible()
    say(chat, "does anybody read this?")
    expect(other.get_by_role("log").get_by_text("does anybody read this?").last).to_be_visible()


def test_markup_is_text(chat):
    say(chat, "<img src=x onerror=alert(1)>")
    expect(chat.get_by_text("<img src=x onerror=alert(1)>").last).to_be_visible()


def test_plugins_are_managed_in_the_admin_page(chat, served):
    link = chat.get_by_role("link", name="Plugins of Harbour")
    expect(link).to_have_attribute("href", re.compile(rf"^{re.escape(served.admin_url)}/guilds/"))


@pytest.mark.parametrize("color_scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 360])
def test_the_page_is_accessible_and_fits_the_window(open_page, served, color_scheme, width):
    page = open_page(color_scheme=color_scheme, viewport={"width": width, "height": 740})
    page.goto(served.chat_url)
    expect(page.get_by_role("log").get_by_role("listitem").first).to_be_visible()
    assert barriers(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_the_admin_page_can_be_used_by_keyboard_alone(chat):
    chat.get_by_label(re.compile("^Message to")).focus()
    chat.keyboard.type("!count by keyboard")
    chat.keyboard.press("Enter")
    expect(chat.get_by_role("log").get_by_text(re.compile(r"^\d+ by keyboard$")).last).to_be_visible()
