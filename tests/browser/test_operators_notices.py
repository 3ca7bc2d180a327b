"""Tests the page's notices of an operator's pause and of a plugin that an operator disabled, in Chromium."""

import re

import psycopg
import pytest
from playwright.sync_api import expect

from browser.browsing import barriers, sign_in


@pytest.fixture
def plugin_id(served, own_guild):
    """A plugin of the guild, without a version."""
    with psycopg.connect(served.system.database_url, autocommit=True) as database:
        ((plugin_id,),) = database.execute(
            "INSERT INTO plugins (guild_id, name, wasm_blob) VALUES (%s, 'ping', '') RETURNING id", [own_guild.id]
        ).fetchall()
    return plugin_id


@pytest.fixture
def operate(page, served):
    """Sends a request of the sample's operator, as `guildhook admin` does."""

    def operate(path, reason):
        response = page.request.post(
            f"{served.admin_url}/api/operator/{path}",
            headers={"Authorization": f"Bearer {served.operator_token}"},
            data={"reason": reason},
        )
        assert response.ok, response.text()

    return operate


def test_the_pages_of_a_guild_that_an_operator_paused_say_so_until_the_pause_ends(
    page, served, own_guild, plugin_id, operate
):
    sign_in(page, served.admin_url, own_guild.admin, f"/guilds/{own_guild.id}")
    notice = page.get_by_text("Paused by the operator:")
    expect(page.get_by_role("link", name="ping", exact=True)).to_be_visible()
    expect(notice).to_have_count(0)

    operate(f"guilds/{own_guild.id}/pause", "incident 7: a flood of messages")
    page.reload()
    expect(notice).to_have_text("Paused by the operator: incident 7: a flood of messages")
    expect(page.get_by_text("Messages of the pause wait, and are answered later.")).to_be_visible()
    assert barriers(page) == []
    page.get_by_role("navigation", name="Guild").get_by_role("link", name="Audit log").click()
    expect(page.get_by_text("paused the guild")).to_be_visible()
    expect(notice).to_be_visible()

    operate(f"guilds/{own_guild.id}/resume", "the flood is over")
    page.reload()
    expect(page.get_by_text(re.compile("ended the guild.s pause"))).to_be_visible()
    expect(notice).to_have_count(0)


def test_a_plugin_that_an_operator_disabled_says_so_until_it_is_enabled(page, served, own_guild, plugin_id, operate):
    sign_in(page, served.admin_url, own_guild.admin, f"/guilds/{own_guild.id}")
    page.get_by_role("link", name="ping", exact=True).click()
    notice = page.get_by_text("Disabled by the operator:")
    expect(page.get_by_text("No version is live")).to_be_visible()
    expect(notice).to_have_count(0)

    operate(f"plugins/{plugin_id}/disable", "incident 8: it sends links to malware")
    page.reload()
    expect(notice).to_have_text("Disabled by the operator: incident 8: it sends links to malware")
    expect(page.get_by_text("whatever is chosen below")).to_be_visible()
    assert barriers(page) == []

    operate(f"plugins/{plugin_id}/enable", "the new version sends no links")
    page.reload()
    expect(page.get_by_text("No version is live")).to_be_visible()
    expect(notice).to_have_count(0)
