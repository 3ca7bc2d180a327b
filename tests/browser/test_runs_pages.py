"""Tests the pages of runs in Chromium: the list, one run, replays, shadows, reasons and charts."""

import re

import pytest
from playwright.sync_api import Page, expect

from browser.browsing import sign_in, tab
from guildhook_local.sample import CHANNEL_ID, GUILD_ID
from guildhook_local.sample_guilds import ADA


@pytest.fixture
def split(page, served) -> Page:
    """The page of the sample's plugin that fails now and then, of which a second version runs as a shadow."""
    sign_in(page, served.admin_url, "Ada", f"/guilds/{GUILD_ID}")
    page.get_by_role("link", name="split", exact=True).click()
    return page


def _rows(page: Page):
    return page.get_by_role("table", name="Runs, the newest first").locator("tbody").get_by_role("row")


def test_a_failed_run_is_found_explained_and_replayed_on_the_version_that_is_mended(split):
    tab(split, "Runs")
    split.get_by_label("Outcome").select_option("trap")
    expect(_rows(split)).not_to_have_count(0)
    expect(_rows(split).filter(has_text="ok")).to_have_count(0)
    _rows(split).first.get_by_role("link").click()

    expect(split.get_by_role("heading", name=re.compile("^Run of"))).to_be_visible()
    expect(split.get_by_role("meter", name="Fuel")).to_be_visible()
    # Harbour keeps the content of messages, so a replay needs no other message.
    expect(split.get_by_label("Message that it got")).to_contain_text("!split 90 0")

    split.get_by_role("button", name="Replay").click()
    dialog = split.get_by_role("dialog", name="Replay this run")
    dialog.get_by_label("On version").select_option("2")
    dialog.get_by_role("button", name="Replay", exact=True).click()
    expect(dialog.get_by_role("heading", name="On version 2")).to_be_visible()
    expect(dialog.get_by_text("never sent").first).to_be_visible()


def test_the_sends_of_a_shadow_run_are_shown_and_never_sent(split):
    tab(split, "Runs")
    split.get_by_label("Kind").select_option("Shadow runs")
    expect(_rows(split).filter(has_text="shadow").first).to_be_visible()
    _rows(split).first.get_by_role("link").click()
    expect(split.get_by_text("This run was made beside the live version, and sent nothing.")).to_be_visible()
    expect(split.get_by_text("never sent").first).to_be_visible()


def test_a_new_run_appears_by_itself(split, served):
    tab(split, "Runs")
    expect(_rows(split).first).to_be_visible()
    said = served.system.chat.say_as(CHANNEL_ID, ADA, "!split 90 4")
    expect(_rows(split).filter(has_text=said["id"][:8])).to_have_count(1)


def test_why_a_message_was_not_answered(split):
    tab(split, "Runs")
    split.get_by_text("Why did it not answer a message?").click()
    split.get_by_label("Id of the message").fill("nothing")
    split.get_by_role("button", name="Explain").click()
    expect(split.get_by_text("An id looks like")).to_be_visible()
    split.get_by_label("Id of the message").fill("0190f3c2-7d1e-7000-8000-000000000000")
    split.get_by_role("button", name="Explain").click()
    expect(split.get_by_role("heading", name="Why did it not answer?")).to_be_visible()
    expect(split.get_by_text("(this may be the reason)").first).to_be_visible()


def test_charts_and_the_same_in_a_table(split):
    tab(split, "Charts")
    for name in ("Runs by outcome", "Fuel of a run, on average", "Time of a run, on average"):
        chart = split.get_by_role("figure", name=name)
        expect(chart.locator("svg .recharts-bar-rectangle").first).to_be_visible()
    split.get_by_text("Show the numbers as a table").click()
    expect(split.get_by_role("columnheader", name="crashed or not loadable")).to_be_visible()
    split.get_by_role("radio", name="7 days").or_(split.get_by_role("button", name="7 days")).first.click()
    expect(split).to_have_url(re.compile("range=week"))
