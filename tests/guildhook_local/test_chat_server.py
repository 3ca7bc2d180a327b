import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
import urllib3

from guildhook_local.chat_server import Fault
from guildhook_local.issuer import Person
from samples import SERVICE_TOKEN, deletion_of


@pytest.fixture
def request_(chat_server):
    """One HTTP request with the service token; returns the response."""
    with chat_server.running() as url, urllib3.PoolManager(retries=False) as http:

        def request(method, path, token=SERVICE_TOKEN, headers=None, **options):
            headers = {"Authorization": f"Bearer {token}", **(headers or {})}
            return http.request(method, url + path, headers=headers, **options)

        yield request


@pytest.fixture
def place(chat_server):
    guild, channel = uuid4(), uuid4()
    chat_server.add_channel(guild, channel)
    return guild, channel


def test_a_message_is_created_with_its_rate_limit_headers(request_, place):
    _, channel = place
    response = request_("POST", f"/api/messages/channel/{channel}", json={"content": "hi", "nonce": "n"})
    assert response.status == 201
    assert (response.json()["content"], response.json()["author"]["bot"]) == ("hi", True)
    for name in ("X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset"):
        assert name in response.headers


@pytest.mark.parametrize("by", ["header", "nonce"])
def test_a_key_makes_one_message_and_one_event(request_, place, events, by):
    _, channel = place
    for content in ("first", "second"):
        body = {"content": content, **({"nonce": "key"} if by == "nonce" else {})}
        headers = {"Idempotency-Key": "key"} if by == "header" else {}
        response = request_("POST", f"/api/messages/channel/{channel}", json=body, headers=headers)
        assert (response.status, response.json()["content"]) == (201, "first")
    assert len(events) == 1


def test_half_a_surrogate_becomes_the_replacement_character(request_, place, events):
    _, channel = place
    body = json.dumps({"content": "a\ud800b", "causality": {"root": "\udfff", "hops": 1}})
    response = request_("POST", f"/api/messages/channel/{channel}", body=body)
    assert (response.status, response.json()["content"]) == (201, "a\ufffdb")
    assert request_("GET", f"/api/messages/channel/{channel}").json() == [response.json()]
    assert events[0]["message"] == response.json()


def test_errors_have_a_status_and_a_code(request_, place):
    guild, channel = place
    send = f"/api/messages/channel/{channel}"
    refused: list[tuple[str, str, dict[str, Any], int, str]] = [
        ("POST", send, {"json": {"content": "x"}, "token": "wrong"}, 401, "FORBIDDEN"),
        ("POST", f"/api/messages/channel/{uuid4()}", {"json": {"content": "x"}}, 404, "CHANNEL_NOT_FOUND"),
        ("POST", send, {"json": {"content": ""}}, 400, "VALIDATION_ERROR"),
        ("POST", send, {"json": {"content": "x" * 4_001}}, 400, "VALIDATION_ERROR"),
        ("POST", send, {"body": b"{"}, 400, "VALIDATION_ERROR"),
        ("POST", send, {"body": b"[" * 100_000}, 400, "VALIDATION_ERROR"),
        ("POST", send, {"body": b'{"content": "x", "causality": NaN}'}, 400, "VALIDATION_ERROR"),
        ("POST", send, {"json": {"content": 5}}, 400, "VALIDATION_ERROR"),
        ("DELETE", f"/api/messages/{uuid4()}", {}, 404, "MESSAGE_NOT_FOUND"),
        ("DELETE", f"/api/guilds/{guild}/members/{uuid4()}", {}, 404, "VALIDATION_ERROR"),
    ]
    for method, path, options, status, code in refused:
        response = request_(method, path, **options)
        assert (response.status, response.json()["error"]) == (status, code)


def test_channels_messages_and_members_can_be_listed_and_removed(request_, chat_server, place, events):
    guild, channel = place
    user = uuid4()
    chat_server.add_member(guild, user)
    message = chat_server.say(channel, "ada", "hi")
    assert request_("GET", f"/api/guilds/{guild}/channels").json() == [
        {"id": str(channel), "guild_id": str(guild), "name": "general"}
    ]
    assert request_("GET", f"/api/messages/channel/{channel}").json() == [message]
    assert request_("DELETE", f"/api/messages/{message['id']}").status == 204
    assert events[-1] == deletion_of({"guild_id": str(guild), "message": message})
    assert len(events) == 2
    assert request_("GET", f"/api/messages/channel/{channel}").json() == []
    kick = f"/api/guilds/{guild}/members/{user}"
    assert [request_("DELETE", kick).status for _ in range(2)] == [204, 404]


def test_replies_of_the_sample_day_are_dated_right_after_their_messages(request_, chat_server, place):
    guild, channel = place
    ada, began = uuid4(), datetime.now(UTC)
    chat_server.add_person(ada, Person("Ada"))
    chat_server.add_member(guild, ada)
    question = chat_server.say_as(channel, ada, "!ping", began - timedelta(hours=9))
    for causality in ({"root": question["id"], "hops": 1}, {"root": str(uuid4()), "hops": 1}):
        request_("POST", f"/api/messages/channel/{channel}", json={"content": "pong", "causality": causality})
    chat_server.date_replies(began)
    asked, answer, other = [datetime.fromisoformat(m["created_at"]) for m in chat_server.messages(channel, 9)]
    assert asked == began - timedelta(hours=9)
    assert timedelta(0) < answer - asked < timedelta(seconds=1)
    assert other >= began


def test_only_members_speak(chat_server, place):
    _, channel = place
    stranger = uuid4()
    chat_server.add_person(stranger, Person("Stranger"))
    assert chat_server.say_as(channel, stranger, "hi") is None
    assert chat_server.messages(channel, 9) == []


def test_faults_come_in_the_order_they_were_asked_for(request_, chat_server, place):
    _, channel = place
    chat_server.inject(Fault(status=503, times=2))
    chat_server.inject(Fault(status=429, retry_after_seconds=7))
    chat_server.inject(Fault(after_storing=True))
    responses = [request_("POST", f"/api/messages/channel/{channel}", json={"content": str(i)}) for i in range(5)]
    assert [response.status for response in responses] == [503, 503, 429, 500, 201]
    assert responses[2].headers["Retry-After"] == "7"
    assert [message["content"] for message in chat_server.replies()] == ["3", "4"]


def test_a_slow_server_keeps_its_client_waiting(request_, chat_server, place):
    _, channel = place
    chat_server.inject(Fault(delay_seconds=30))
    with pytest.raises(urllib3.exceptions.ReadTimeoutError):
        request_("POST", f"/api/messages/channel/{channel}", json={"content": "x"}, timeout=0.2)
