import re

import pytest
from playwright.sync_api import expect

from browser.browsing import barriers, choose_person, sign_in
from guildhook_local.sample import GUILD_ID


@pytest.mark.parametrize(("name", "guild"), [("Ada", "Harbour"), ("Cleo", "Lighthouse")])
def test_an_admin_signs_in_and_sees_the_guilds_that_they_manage(page, served, name, guild):
    sign_in(page, served.admin_url, name)
    expect(page.get_by_text(guild).first).to_be_visible()
    other = {"Harbour": "Lighthouse", "Lighthouse": "Harbour"}[guild]
    expect(page.get_by_text(other)).to_have_count(0)


def test_a_link_from_the_chat_leads_to_its_target_after_signing_in(page, served):
    page.goto(served.chat_url)
    page.get_by_role("link", name="Plugins of Harbour").click()
    page.get_by_role("button", name="Sign in").click()
    choose_person(page, "Ada")
    expect(page.get_by_role("link", name="split", exact=True)).to_be_visible()
    expect(page).to_have_url(f"{served.admin_url}/guilds/{GUILD_ID}")


def test_a_provider_that_signs_with_another_algorithm_is_named_with_the_way_out(page, served):
    def deployed_for_rsa(route):
        response = route.fetch()
        route.fulfill(response=response, json={**response.json(), "algorithms": ["RS256"]})

    page.route("**/api/sign-in", deployed_for_rsa)
    page.goto(served.admin_url)
    page.get_by_role("button", name="Sign in").click()
    choose_person(page, "Ada")
    failure = page.get_by_role("alert")
    expect(failure).to_contain_text("signs access tokens with EdDSA, and guildhook is deployed for RS256")
    expect(failure).to_contain_text("JwtAlgorithm")
    assert barriers(page) == []


@pytest.mark.parametrize("color_scheme", ["light", "dark"])
def test_the_page_for_choosing_a_person_is_accessible(open_page, served, color_scheme):
    page = open_page(color_scheme=color_scheme)
    page.goto(served.admin_url)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    expect(page).to_have_url(re.compile("/oidc/[^/]+/authorize"))
    assert barriers(page) == []
    choose_person(page, "Ben")
    page.wait_for_url(re.compile(rf"^{re.escape(served.admin_url)}/(?!signed-in)"))
