"""The list of the guilds whose messages guildhook needs, as the chat server asks for it."""

import hashlib
import hmac
import json
import re
from uuid import UUID

import pytest

from admin_client import Client
from guildhook.admin.routes.subscribers import MOST_LISTED, hashes_of
from guildhook_local.stack import stack

PATH = "/api/subscribers"


def hash_of(token: str, guild_id: UUID) -> str:
    """As docs/chat-api.md describes it."""
    return hmac.new(token.encode(), str(guild_id).encode(), hashlib.sha256).hexdigest()[:16]


@pytest.fixture
def chat_server(admin) -> Client:
    return Client(admin.stack.admin_handler, admin.stack.chat.service_token)


@pytest.fixture
def listed(admin, chat_server):
    """Returns whether the guild of the test is in the list."""

    def is_listed() -> bool:
        guilds = chat_server.get(PATH).ok()["guilds"]
        assert guilds == sorted(set(guilds))
        assert all(re.fullmatch(r"[0-9a-f]{16}", each) for each in guilds)
        return hash_of(admin.stack.chat.service_token, admin.guild.id) in guilds

    return is_listed


def test_a_guild_is_listed_before_its_first_plugin_goes_live(client, listed):
    assert not listed()
    client.post("/plugins", {"name": "Greeter"}).ok(201)
    assert listed()


def test_a_guild_stays_listed_for_a_day_after_its_last_plugin(admin, client, plugin, listed):
    client.delete(f"/plugins/{plugin['id']}", if_match=plugin["etag"]).ok(204)
    assert listed()
    admin.execute("UPDATE plugin_audit SET at = now() - interval '25 hours' WHERE guild_id = %s", admin.guild.id)
    assert not listed()


def test_a_guild_with_a_plugin_that_was_inserted_by_sql_is_listed(admin, listed):
    admin.execute("INSERT INTO plugins (guild_id, name, wasm_blob) VALUES (%s, 'by hand', '')", admin.guild.id)
    assert listed()


def test_an_unchanged_list_is_not_sent_again(admin, client, chat_server):
    first = chat_server.get(PATH)
    again = chat_server.ask("GET", PATH, if_none_match=first.headers["ETag"])
    assert (again.status, again.text, again.headers["ETag"]) == (304, "", first.headers["ETag"])
    # A proxy that compresses makes the tag weak.
    assert chat_server.ask("GET", PATH, if_none_match=f'W/{first.headers["ETag"]}, "other"').status == 304
    client.post("/plugins", {"name": "Greeter"}).ok(201)
    changed = chat_server.ask("GET", PATH, if_none_match=first.headers["ETag"])
    assert changed.status == 200
    assert changed.headers["ETag"] != first.headers["ETag"]


def test_only_the_service_token_opens_the_list(admin, chat_server):
    for token in (admin.client().token, chat_server.token + "x", chat_server.token[:-1], "é", None):
        answer = Client(chat_server.handler, token).get(PATH)
        assert (answer.status, answer.kind) == (401, "unauthorized"), token
    assert Client(chat_server.handler, chat_server.token).get("/api/guilds").kind == "unauthorized"


def test_a_list_that_is_too_long_asks_for_every_message(admin):
    assert hashes_of([admin.guild.id] * (MOST_LISTED + 1), "token") is None


def test_the_page_learns_the_age_that_the_list_may_have(running):
    with stack(running, environment={"GUILDHOOK_SUBSCRIBERS_MAX_AGE_SECONDS": "300"}) as system:
        assert Client(system.admin_handler, None).get("/api/sign-in").ok()["subscribers_max_age_seconds"] == 300


def test_a_rotated_token_opens_the_list_at_once(running):
    with stack(running) as system:
        old, new = (Client(system.admin_handler, token) for token in (system.chat.service_token, "replaced"))
        before = old.get(PATH)
        assert before.status == 200
        system.aws.client("secretsmanager").put_secret_value(
            SecretId=system.environment["GUILDHOOK_CHAT_SECRET"],
            SecretString=json.dumps({"chat_api_token": "replaced"}),
        )
        assert new.get(PATH).status == 200
        assert old.get(PATH).kind == "unauthorized"
