"""Pages of other sites, which try to use the servers of this machine from the browser of the person who runs them."""

import json
from uuid import uuid4

import pytest
from playwright.sync_api import expect

from browser.browsing import chromium, enter
from guildhook_local.chat_page import BUILT_PAGE
from guildhook_local.sample import CHANNEL_ID
from guildhook_local.sample_guilds import BEN
from http_server import Answer, http_server

# Chromium takes every name that ends with it to this machine, as a hostile name server does.
REBOUND = "rebound.example"
PAGE = Answer(
    b"<!doctype html><title>hostile</title><link rel=icon href=data:,>", headers={"Content-Type": "text/html"}
)

# Sends a request in every way that a script has; returns what it could read.
ATTACK = """async ([urls, body]) => {
  const seen = [];
  for (const url of urls) {
    for (const mode of ['no-cors', 'cors']) {
      for (const method of ['GET', 'POST']) {
        for (const credentials of ['include', 'omit']) {
          const type = method === 'POST' ? {body, headers: {'Content-Type': 'text/plain'}} : {};
          try {
            const answer = await fetch(url, {method, mode, credentials, ...type});
            if (answer.type !== 'opaque') seen.push([url, mode, method, answer.status, await answer.text()]);
          } catch {}
        }
      }
    }
  }
  return seen;
}"""


@pytest.fixture
def addresses(served):
    """Everything of the system that speaks HTTP."""
    system = served.system
    bucket = f"{system.aws.endpoint}/{system.bucket}"
    return {
        "admin": f"{served.admin_url}/api/sign-in",
        "chat": f"{served.chat_url}/chat/guilds",
        "say": f"{served.chat_url}/chat/channels/{CHANNEL_ID}/messages",
        "chat API": f"{served.chat_url}/api/users/{BEN}/guilds",
        "issuer": f"{system.issuer.url}/authorize",
        "buckets": f"{system.aws.endpoint}/",
        "object": f"{bucket}/modules/{uuid4()}",
        "function": f"{system.environment['AWS_ENDPOINT_URL_LAMBDA']}/2015-03-31/functions/test_run/invocations",
    }


@pytest.fixture
def unchanged(served):
    """Fails if the attack has changed anything that it was after."""
    system = served.system
    s3 = system.aws.client("s3")

    def state():
        keys = {each["Key"] for each in s3.list_objects_v2(Bucket=system.bucket).get("Contents", ())}
        return keys, [message for message in system.chat.messages(CHANNEL_ID, 10_000) if "attack" in message["content"]]

    before = state()
    yield
    assert state() == before


def attack(page, addresses):
    body = json.dumps({"user_id": str(BEN), "content": "attack"})
    return page.evaluate(ATTACK, [list(addresses.values()), body])


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_page_of_another_origin_reads_nothing_and_changes_nothing(page, complaints, addresses, unchanged, host):
    complaints.expect("CORS policy|ERR_FAILED|Failed to load resource")
    with http_server(PAGE) as hostile:
        # A page at 127.0.0.1 is of the same site as the servers, so that the browser sends their cookie.
        page.goto(hostile.url.replace("127.0.0.1", host))
        assert page.title() == "hostile"
        assert attack(page, addresses) == []


@pytest.mark.parametrize("target", ["say", "object", "function", "issuer", "admin"])
@pytest.mark.parametrize("encoding", ["text/plain", "multipart/form-data", "application/x-www-form-urlencoded"])
def test_a_form_of_another_origin_is_refused(page, complaints, addresses, unchanged, target, encoding):
    complaints.expect("Failed to load resource")
    with http_server(PAGE) as hostile:
        page.goto(hostile.url)
        with page.expect_response(addresses[target]) as sent:
            page.evaluate(
                """([action, enctype, content]) => {
                  const form = Object.assign(document.createElement('form'), {method: 'POST', action, enctype});
                  form.append(Object.assign(document.createElement('input'), {name: 'user', value: content}));
                  document.body.append(form);
                  form.submit();
                }""",
                [addresses[target], encoding, str(BEN)],
            )
    assert sent.value.status == 403


@pytest.mark.parametrize("element", ["script", "img"])
def test_a_part_of_another_page_is_refused(page, complaints, served, element):
    complaints.expect("Failed to load resource|ERR_BLOCKED")
    (asset,) = (BUILT_PAGE / "assets").glob("*.js")
    with http_server(PAGE) as hostile:
        page.goto(hostile.url)
        loaded = page.evaluate(
            """([name, src]) => new Promise((resolve) => {
              const element = Object.assign(document.createElement(name), {src});
              element.onload = () => resolve('loaded');
              element.onerror = () => resolve('refused');
              document.body.append(element);
            })""",
            [element, f"{served.chat_url}/assets/{asset.name}"],
        )
    assert loaded == "refused"


def test_a_frame_of_another_page_is_refused(page, complaints, served):
    complaints.expect("Failed to load resource|Refused to|chrome-error")
    url = f"{served.chat_url}/"
    with http_server(PAGE) as hostile:
        page.goto(hostile.url)
        with page.expect_response(url) as asked:
            page.evaluate("src => document.body.append(Object.assign(document.createElement('iframe'), {src}))", url)
    assert asked.value.status == 403


def test_a_name_that_leads_to_this_machine_is_refused(browser, steady_network, served, addresses, unchanged):
    """DNS rebinding: for the browser the servers are of the page's own origin, so that it may read the answers."""
    arguments = ["--no-sandbox", f"--host-resolver-rules=MAP *.{REBOUND} 127.0.0.1"]
    with browser.browser_type.launch(executable_path=chromium(), args=arguments) as rebound:
        for address in addresses.values():
            with rebound.new_context() as context:
                page = context.new_page()
                enter(page, served)
                own = address.replace("127.0.0.1", f"any.{REBOUND}")
                answer = page.goto(own)
                assert answer.status == 421
                body = json.dumps({"user_id": str(BEN), "content": "attack"})
                seen = page.evaluate(ATTACK, [[own], body])
                assert {status for *_, status, _ in seen} == {421}


def test_the_printed_link_opens_both_pages_and_leaves_no_secret_in_the_address(browser, steady_network, served):
    with browser.new_context() as context:
        page = context.new_page()
        assert page.goto(served.admin_url).status == 403
        page.goto(served.admin_link)
        assert page.url == f"{served.admin_url}/"
        page.goto(served.chat_url)
        expect(page.get_by_role("log")).to_be_visible()
        (cookie,) = context.cookies()
        assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
        assert page.evaluate("document.cookie") == ""
