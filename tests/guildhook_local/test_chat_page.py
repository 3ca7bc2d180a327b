import json
from uuid import uuid4

import pytest
import urllib3

from guildhook_local.chat_page import page_routes
from guildhook_local.issuer import Person

ADA, STRANGER = uuid4(), uuid4()


@pytest.fixture
def built(tmp_path):
    (tmp_path / "assets").mkdir()
    (tmp_path / "index.html").write_text("<!doctype html>the page")
    (tmp_path / "assets" / "index-1a2b.js").write_text("'the script'")
    return tmp_path


@pytest.fixture
def running(chat_server, built):
    with chat_server.running(more=page_routes(chat_server, built)):
        yield chat_server


@pytest.fixture
def http():
    with urllib3.PoolManager(retries=False) as pool:
        yield pool


@pytest.fixture
def ask(running, http):
    def ask(method, path, body=None, headers=None):
        given = body if isinstance(body, bytes) else json.dumps(body).encode() if body is not None else None
        known = {"Origin": running.url, "Cookie": running.session.cookie}
        return http.request(method, running.url + path, body=given, headers={**known, **(headers or {})})

    return ask


@pytest.fixture
def place(chat_server):
    guild, channel = uuid4(), uuid4()
    chat_server.add_guild(guild, "Harbour")
    chat_server.add_channel(guild, channel, "general")
    chat_server.add_person(ADA, Person("Ada", "manages it"))
    chat_server.add_person(STRANGER, Person("Stranger"))
    chat_server.add_member(guild, ADA, {"MANAGE_GUILD"})
    return guild, channel


def test_guilds_are_listed_with_channels_and_members(ask, running, place):
    guild, channel = place
    running.admin_url = "http://127.0.0.1:1"
    assert ask("GET", "/chat/guilds").json() == {
        "guilds": [
            {
                "id": str(guild),
                "name": "Harbour",
                "channels": [{"id": str(channel), "name": "general"}],
                "members": [{"id": str(ADA), "name": "Ada", "about": "manages it"}],
            }
        ],
        "admin_url": "http://127.0.0.1:1",
    }


def test_a_member_says_something_and_it_is_an_event_and_in_the_list(ask, place, events):
    _, channel = place
    path = f"/chat/channels/{channel}/messages"
    said = ask("POST", path, {"user_id": str(ADA), "content": "hi \U0001f600"})
    assert (said.status, said.json()["author"]) == (201, {"id": str(ADA), "name": "Ada", "bot": False})
    assert ask("GET", path).json()["messages"] == [said.json()]
    (event,) = events
    assert (event["message"]["content"], event["message"]["author"]["id"]) == ("hi \U0001f600", str(ADA))


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"user_id": str(STRANGER), "content": "hi"}, 404),
        ({"user_id": "ada", "content": "hi"}, 400),
        ({"user_id": str(ADA), "content": " "}, 400),
        ({"user_id": str(ADA), "content": "x" * 4_001}, 400),
        ({"user_id": str(ADA), "content": 5}, 400),
        ({"user_id": str(ADA), "content": "\ud800"}, 400),
        ({"user_id": str(ADA)}, 400),
        ([], 400),
        (b"{", 400),
        (b"[" * 10_000, 400),
        (b"\xff", 400),
        (b'"' + b"x" * 100_000, 413),
    ],
)
def test_a_body_that_is_no_message_of_a_member_is_refused(ask, place, events, body, status):
    _, channel = place
    answer = ask("POST", f"/chat/channels/{channel}/messages", body)
    assert answer.status == status
    assert set(answer.json()) == {"error", "message"}
    assert events == []


def test_nothing_is_said_in_a_channel_that_is_not_there(ask, place):
    assert ask("POST", f"/chat/channels/{uuid4()}/messages", {"user_id": str(ADA), "content": "hi"}).status == 404
    assert ask("POST", "/chat/channels/general/messages", {"user_id": str(ADA), "content": "hi"}).status == 404


@pytest.mark.parametrize("origin", ["https://elsewhere.example", "null", "http://127.0.0.1:1"])
def test_a_message_from_another_site_is_refused(ask, place, events, origin):
    body = {"user_id": str(ADA), "content": "hi"}
    assert ask("POST", f"/chat/channels/{place[1]}/messages", body, {"Origin": origin}).status == 403
    assert events == []


@pytest.mark.parametrize("path", ["/", "/chat/guilds", "/chat/events", "/assets/index-1a2b.js"])
def test_a_request_with_another_host_name_is_refused(ask, path):
    assert ask("GET", path, headers={"Host": "rebound.example"}).status == 421


def test_new_messages_are_streamed_as_events(running, http, place):
    _, channel = place
    cookie = {"Cookie": running.session.cookie}
    with http.request("GET", f"{running.url}/chat/events", preload_content=False, headers=cookie) as response:
        assert response.headers["Content-Type"].startswith("text/event-stream")
        assert event(response) == ": here"
        running.say_as(channel, ADA, "first")
        running.say_as(channel, ADA, "second")
        told = [json.loads(event(response).removeprefix("data: "))["content"] for _ in range(2)]
    assert told == ["first", "second"]


def event(response):
    """Return the next event of a stream."""
    text = b""
    while not text.endswith(b"\n\n"):
        text += response.read(1)
    return text.decode().strip()


def test_the_page_is_served_with_a_strict_policy(ask, place):
    for path in ("/", f"/guilds/{place[0]}/{place[1]}"):
        answer = ask("GET", path)
        assert (answer.status, answer.data.decode()) == (200, "<!doctype html>the page")
        assert answer.headers["Cache-Control"] == "no-cache"
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
    asset = ask("GET", "/assets/index-1a2b.js")
    assert (asset.status, asset.headers["Content-Type"]) == (200, "text/javascript; charset=utf-8")
    assert "immutable" in asset.headers["Cache-Control"]


@pytest.mark.parametrize("name", ["nothing.js", "%2e%2e", "..%2findex.html", "%00"])
def test_nothing_else_of_the_machine_is_served(ask, name):
    assert ask("GET", f"/assets/{name}").status == 404


def test_a_page_that_is_not_built_names_the_command_that_builds_it(chat_server, http, tmp_path):
    with chat_server.running(more=page_routes(chat_server, tmp_path)) as url:
        answer = http.request("GET", url, headers={"Cookie": chat_server.session.cookie})
    assert answer.status == 503
    assert "make page" in answer.data.decode()
