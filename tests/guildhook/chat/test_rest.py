import json
import threading
from contextlib import contextmanager
from uuid import UUID, uuid4

import pytest

from guildhook.chat import Membership, Pause, RestChatApi, ServiceToken
from guildhook.errors import InfrastructureError
from guildhook.model import Causality, DeliveryState, OutgoingIntent, SendMessage
from guildhook_local.chat_server import Fault
from http_server import Answer, http_server, raw_server
from samples import MESSAGE, PLUGIN_ID, SERVICE_TOKEN, FixedToken

GUILD = UUID("6a1d0000-0000-4000-8000-000000000001")


@pytest.fixture
def url(chat_server):
    with chat_server.running() as url:
        yield url


@pytest.fixture
def channel(chat_server):
    guild, channel = uuid4(), uuid4()
    chat_server.add_channel(guild, channel)
    return channel


@contextmanager
def answering(status, headers, body=b""):
    """The URL of a server that gives every POST the same answer."""
    with http_server(Answer(body, status, headers=headers)) as server:
        yield server.url


def outgoing(channel, content="hello"):
    intent = SendMessage(str(uuid4()), 0, str(channel), content)
    return OutgoingIntent(MESSAGE.id, MESSAGE.guild_id, PLUGIN_ID, intent, Causality(MESSAGE.id, 1))


def send(api, message):
    return api.send(message, timeout_seconds=60)


def test_a_message_is_delivered_with_its_key_and_its_causality(chat_server, url, channel):
    answer = send(RestChatApi(url, FixedToken()), outgoing(channel, "grüße \U0001f600"))
    (message,) = chat_server.replies()
    assert (answer.state, answer.detail, answer.server_failed) == (DeliveryState.DELIVERED, message["id"], False)
    assert (message["content"], message["channel_id"]) == ("grüße \U0001f600", str(channel))
    assert message["causality"] == {"root": str(MESSAGE.id), "hops": 1}


def test_the_same_key_is_one_message(chat_server, url, channel):
    api, sent = RestChatApi(url, FixedToken()), outgoing(channel)
    assert send(api, sent) == send(api, sent)
    assert len(chat_server.replies()) == 1


@pytest.mark.parametrize("fault", [Fault(status=500), Fault(status=503), Fault(status=408), Fault(after_storing=True)])
def test_a_fault_of_the_server_leaves_it_pending_and_a_second_attempt_is_one_message(chat_server, url, channel, fault):
    api, sent = RestChatApi(url, FixedToken()), outgoing(channel)
    chat_server.inject(fault)
    answer = send(api, sent)
    status = fault.status or 500
    assert answer.detail == f"chat API at {url} (GUILDHOOK_CHAT_API_URL): HTTP {status}"
    assert (answer.state, answer.server_failed, answer.pause) == (DeliveryState.PENDING, True, None)
    assert send(api, sent).state is DeliveryState.DELIVERED
    assert len(chat_server.replies()) == 1


def test_no_answer_within_the_time_that_is_left_is_a_fault_of_the_server(chat_server, url, channel):
    chat_server.inject(Fault(delay_seconds=30))
    answer = RestChatApi(url, FixedToken()).send(outgoing(channel), timeout_seconds=0.05)
    assert (answer.state, answer.server_failed) == (DeliveryState.PENDING, True)
    assert answer.detail.endswith("ReadTimeoutError")


@pytest.mark.parametrize(
    ("headers", "pause"),
    [
        ({"Retry-After": "7"}, Pause(7, everywhere=False)),
        ({"Retry-After": "7", "X-RateLimit-Scope": "global"}, Pause(7, everywhere=True)),
        ({"Retry-After": "7", "X-RateLimit-Global": "true"}, Pause(7, everywhere=True)),
        ({"Retry-After": "7", "X-RateLimit-Scope": "user"}, Pause(7, everywhere=False)),
        ({"Retry-After": "64.57"}, Pause(65, everywhere=False)),
        ({"Retry-After": "9" * 20}, Pause(3_600, everywhere=False)),
        ({"Retry-After": "soon"}, Pause(900, everywhere=False)),
        ({"X-RateLimit-Reset-After": "30.5"}, Pause(31, everywhere=False)),
        ({}, Pause(1, everywhere=False)),
    ],
)
def test_a_pause_that_the_server_asks_for_does_not_count_as_its_failure(headers, pause):
    with answering(429, headers) as url:
        answer = send(RestChatApi(url, FixedToken()), outgoing(uuid4()))
    assert (answer.state, answer.server_failed, answer.pause) == (DeliveryState.PENDING, False, pause)


@pytest.mark.parametrize("text", ["\\u0000", "\\ud800", "\\udfff x"])
def test_a_detail_from_the_server_can_be_stored_in_postgres(text):
    with answering(201, {}, f'{{"id": "a{text}b"}}'.encode()) as url:
        answer = send(RestChatApi(url, FixedToken()), outgoing(uuid4()))
    assert answer.detail.encode().startswith(b"a")
    assert "\0" not in answer.detail


def test_the_id_of_a_sent_message_is_kept_in_the_spelling_by_which_it_is_found():
    message_id = uuid4()
    with answering(201, {}, json.dumps({"id": f"{{{message_id}}}".upper()}).encode()) as url:
        answer = send(RestChatApi(url, FixedToken()), outgoing(uuid4()))
    assert answer.detail == str(message_id)


def test_the_body_of_a_429_can_ask_for_a_pause_everywhere():
    with answering(429, {}, b'{"message": "slow down", "retry_after": 64.57, "global": true}') as url:
        answer = send(RestChatApi(url, FixedToken()), outgoing(uuid4()))
    assert answer.pause == Pause(65, everywhere=True)


def test_a_number_of_any_size_in_a_body_is_read():
    digits = b"9" * 5_000
    with answering(429, {}, b'{"retry_after": %b}' % digits) as url:
        assert send(RestChatApi(url, FixedToken()), outgoing(uuid4())).pause == Pause(3_600, everywhere=False)
    with answering(403, {}, b'{"error": "FORBIDDEN", "id": %b}' % digits) as url:
        assert send(RestChatApi(url, FixedToken()), outgoing(uuid4())).detail == "FORBIDDEN"


def test_a_pause_of_unclear_length_is_that_of_the_operator():
    with answering(429, {"Retry-After": "soon"}) as url:
        answer = send(RestChatApi(url, FixedToken(), unclear_pause_seconds=77), outgoing(uuid4()))
    assert answer.pause == Pause(77, everywhere=False)


def test_a_server_that_is_down_can_ask_for_a_pause():
    with answering(503, {"Retry-After": "7"}) as url:
        answer = send(RestChatApi(url, FixedToken()), outgoing(uuid4()))
    assert (answer.server_failed, answer.pause) == (True, Pause(7, everywhere=False))


@pytest.mark.parametrize(
    "body", [b"", b"<html>Sign in</html>", b"[]", b"[" * 60_000, b'{"id": "' + b"x" * 100_000, b"\xff\0"]
)
@pytest.mark.parametrize(("status", "state"), [(200, "pending"), (201, "delivered"), (204, "pending")])
def test_a_malformed_answer_counts_by_its_status_alone(status, state, body):
    with answering(status, {}, body if status != 204 else b"") as url:
        answer = send(RestChatApi(url, FixedToken()), outgoing(uuid4()))
    assert answer.state == state
    if state == "pending":
        assert answer.detail.endswith(f"HTTP {status} to a send; docs/chat-api.md allows 201 and 202")
        assert answer.server_failed


def test_a_wrong_token_leaves_the_message_pending_and_counts_as_a_failure_of_the_server(url, channel):
    answer = send(RestChatApi(url, FixedToken("wrong")), outgoing(channel))
    assert (answer.state, "HTTP 401" in answer.detail) == (DeliveryState.PENDING, True)
    assert answer.server_failed


class ReplacedToken:
    """A service token that has been replaced, by one that has been replaced as well, and so on."""

    def __init__(self, *tokens):
        self._tokens = [ServiceToken(token) for token in tokens]
        self.asked = 0

    def current(self):
        return self._tokens[0]

    def instead_of(self, refused):
        self.asked += 1
        position = self._tokens.index(refused) + 1
        return self._tokens[position] if position < len(self._tokens) else None


class NoToken:
    """A secret that cannot be read, or whose first token can be read and its replacement cannot."""

    def __init__(self, token=None):
        self._token = token

    def current(self):
        if self._token:
            return ServiceToken(self._token)
        raise InfrastructureError("secret chat (GUILDHOOK_CHAT_SECRET): no")

    def instead_of(self, refused):
        raise InfrastructureError("secret chat (GUILDHOOK_CHAT_SECRET): no")


def test_a_token_that_was_replaced_is_read_again_and_the_attempt_repeated_under_its_key(chat_server, url, channel):
    token, sent = ReplacedToken("old", SERVICE_TOKEN), outgoing(channel)
    answer = send(RestChatApi(url, token), sent)
    (message,) = chat_server.replies()
    assert (answer.state, answer.detail, answer.server_failed) == (DeliveryState.DELIVERED, message["id"], False)
    assert token.asked == 1
    # Both attempts have the same key, so a further one finds the same message.
    assert send(RestChatApi(url, FixedToken()), sent).detail == message["id"]


def test_an_attempt_is_repeated_once_and_no_more(channel):
    token = ReplacedToken("old", "older", SERVICE_TOKEN)
    with http_server(Answer(b"", 401)) as server:
        answer = send(RestChatApi(server.url, token), outgoing(channel))
    assert (answer.state, "HTTP 401" in answer.detail) == (DeliveryState.PENDING, True)
    assert len(server.requests) == 2


def test_an_answer_that_trickles_is_given_up_in_the_time_that_is_left(channel):
    over = threading.Event()
    pieces = [b"HTTP/1.1 201 Created\r\nX-Padding: ", *[b"x"] * 900]
    with raw_server(pieces, between=lambda: over.wait(0.05)) as url:
        answer = RestChatApi(url, FixedToken()).send(outgoing(channel), timeout_seconds=0.5)
        over.set()
    assert (answer.state, answer.server_failed) == (DeliveryState.PENDING, True)
    assert answer.detail.endswith("(GUILDHOOK_CHAT_API_URL): ReadTimeoutError")


BROKEN = [
    ({"Content-Length": "0"}, b""),
    ({"Content-Length": "60"}, b'{"id": "7"'),  # the connection is reset before the end
    ({"Content-Length": "3"}, b'{"id": "7"}'),
    ({"Content-Length": "-3"}, b'{"id": "7"}'),
    ({"Content-Length": "many"}, b'{"id": "7"}'),
    ({"Content-Length": "7, 9"}, b'{"id": "7"}'),
    ({"Transfer-Encoding": "chunked"}, b"no chunk"),
    ({"Transfer-Encoding": "chunked"}, b'b\r\n{"id": "7"}\r\n'),  # without the last chunk
    ({"Content-Encoding": "gzip"}, b'{"id": "7"}'),
    ({"Content-Type": "application/json; charset=ebcdic"}, b"\xff\xfe\xfd"),
    ({}, b"<html>Sign in</html>"),
    ({}, b"x" * 100_000),
]


@pytest.mark.parametrize("status", [201, 202])
@pytest.mark.parametrize(("headers", "body"), BROKEN, ids=range(len(BROKEN)))
def test_a_message_is_delivered_whatever_becomes_of_the_body(status, headers, body, channel):
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    with raw_server([f"HTTP/1.1 {status} Ok\r\n{lines}\r\n".encode(), body]) as url:
        answer = send(RestChatApi(url, FixedToken()), outgoing(channel))
    assert (answer.state, answer.server_failed) == (DeliveryState.DELIVERED, False)


def test_a_message_is_delivered_although_the_body_trickles(channel):
    over = threading.Event()
    with http_server(Answer(b"{" * 60, 201, pieces=60), between=lambda: over.wait(0.1)) as server:
        answer = RestChatApi(server.url, FixedToken()).send(outgoing(channel), timeout_seconds=0.5)
        over.set()
    assert (answer.state, answer.server_failed) == (DeliveryState.DELIVERED, False)


def test_the_pause_and_the_code_of_a_response_count_although_its_body_breaks_off(channel):
    with http_server(Answer(b'{"retry_after":', 429, length=60, headers={"Retry-After": "30"})) as server:
        assert send(RestChatApi(server.url, FixedToken()), outgoing(channel)).pause == Pause(30, everywhere=False)
    for body in (b'{"retry_after":', b'{"retry_after": 64.57', b'{"retry_after": 64.57, "message": "slow'):
        with http_server(Answer(body, 429, length=60)) as server:
            assert send(RestChatApi(server.url, FixedToken()), outgoing(channel)).pause == Pause(900, everywhere=False)
    with http_server(Answer(b'{"error": "FORBIDDEN"}', 403, length=60)) as server:
        answer = send(RestChatApi(server.url, FixedToken()), outgoing(channel))
    assert (answer.state, answer.detail) == (DeliveryState.REFUSED, "FORBIDDEN")


CODE = b'{"error": "FORBIDDEN", "message": "No."}'
FROM_ELSEWHERE = [
    b"",
    b"<html><h1>403 Forbidden</h1></html>",
    b'{"message": "Forbidden"}',
    b'{"error": null}',
    b'{"error": ""}',
    b'{"error": "Not Found", "status": 404}',
    b'{"error": "invalid_token"}',
    b'{"error": {"code": "FORBIDDEN"}}',
    b'["FORBIDDEN"]',
    b'"FORBIDDEN"',
    b'{"error": "FORBIDDEN"',
]
DELIVERED = {201, 202}
BY_THEIR_CODE = {400, 402, 403, 404, 405, 406, 409, 410, 411, 413, 414, 415, 422, 423, 424, 426, 431, 451, 499}
RETRIED = {101, 200, 203, 206, 207, 300, 301, 302, 307, 308, 401, 407, 408, 421, 425, 500, 501, 502, 503, 504, 511, 520}


@pytest.mark.parametrize("status", sorted(DELIVERED | BY_THEIR_CODE | RETRIED | {429}))
def test_a_status_and_a_body_make_a_result_that_is_final_or_retried(status, channel):
    """The table of docs/chat-api.md."""
    results = []
    with http_server(*(Answer(body, status) for body in [CODE, *FROM_ELSEWHERE])) as server:
        for _ in [CODE, *FROM_ELSEWHERE]:
            # A new client, since a status of 101 leaves a connection that is of no use.
            result = send(RestChatApi(server.url, FixedToken()), outgoing(channel))
            results.append((result.state.value, result.server_failed))
    of_code = {
        **dict.fromkeys(DELIVERED, ("delivered", False)),
        **dict.fromkeys(BY_THEIR_CODE, ("refused", False)),
        429: ("pending", False),
    }
    of_others = {**of_code, **dict.fromkeys(BY_THEIR_CODE, ("pending", True))}
    failed = ("pending", True)
    assert results == [of_code.get(status, failed)] + [of_others.get(status, failed)] * len(FROM_ELSEWHERE)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_a_code_is_read_in_every_encoding_of_json(encoding, channel):
    with answering(403, {}, CODE.decode().encode(encoding)) as url:
        assert send(RestChatApi(url, FixedToken()), outgoing(channel)).detail == "FORBIDDEN"


def test_a_code_is_read_beside_a_text_in_another_encoding(channel):
    with answering(403, {}, '{"error": "BLOCKED", "message": "für immer"}'.encode("latin-1")) as url:
        assert send(RestChatApi(url, FixedToken()), outgoing(channel)).detail == "BLOCKED"


@pytest.mark.parametrize("token", [NoToken(), NoToken("old")])
def test_a_secret_that_cannot_be_read_leaves_the_message_pending_and_is_named(url, channel, token):
    answer = send(RestChatApi(url, token), outgoing(channel))
    assert (answer.state, answer.server_failed) == (DeliveryState.PENDING, True)
    assert answer.detail == "secret chat (GUILDHOOK_CHAT_SECRET): no"


class SlowToken(FixedToken):
    """A secret that takes a minute to read, by its own clock."""

    time = 0.0

    def now(self):
        return self.time

    def current(self):
        self.time += 60
        return super().current()


def test_a_send_is_not_begun_when_its_secret_took_all_the_time(chat_server, url, channel):
    token = SlowToken()
    api, sent = RestChatApi(url, token, token.now), outgoing(channel)
    answer = api.send(sent, timeout_seconds=50)
    assert (answer.state, answer.server_failed) == (DeliveryState.PENDING, True)
    assert answer.detail.endswith("no time was left for the request after its token was read")
    assert chat_server.replies() == []
    assert api.send(sent, timeout_seconds=70).state is DeliveryState.DELIVERED


def test_a_refusal_carries_the_servers_code(url, channel):
    api = RestChatApi(url, FixedToken())
    for refused, code in [(outgoing(uuid4()), "CHANNEL_NOT_FOUND"), (outgoing(channel, " "), "VALIDATION_ERROR")]:
        answer = send(api, refused)
        assert (answer.state, answer.detail, answer.server_failed) == (DeliveryState.REFUSED, code, False)


def test_a_server_that_is_down_is_named_without_its_password():
    api = RestChatApi("http://user:s3cret@127.0.0.1:1", FixedToken())
    answer = send(api, outgoing(uuid4()))
    assert (answer.state, answer.server_failed) == (DeliveryState.PENDING, True)
    assert answer.detail == "chat API at http://127.0.0.1:1 (GUILDHOOK_CHAT_API_URL): NewConnectionError"
    with pytest.raises(InfrastructureError, match="GUILDHOOK_CHAT_API_URL") as raised:
        api.connect()
    assert "s3cret" not in str(raised.value)


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_not_followed_with_the_token(chat_server, url, channel, status):
    with answering(status, {"Location": f"{url}/api/messages/channel/{channel}"}) as redirecting:
        answer = send(RestChatApi(redirecting, FixedToken()), outgoing(channel))
    assert answer.state is DeliveryState.PENDING
    assert f"HTTP {status} to a send; docs/chat-api.md allows 201 and 202" in answer.detail
    assert chat_server.replies() == []


def test_connecting_accepts_any_answer(url):
    RestChatApi(url, FixedToken("wrong")).connect()


def test_every_message_is_an_event_with_its_author(chat_server, events, url, channel):
    chat_server.say(channel, "ada", "hi", encrypted=True)
    send(RestChatApi(url, FixedToken()), outgoing(channel))
    typed, sent = events
    assert (typed["message"]["author"]["bot"], typed["message"]["encrypted"]) == (False, True)
    assert sent["message"]["author"]["bot"] is True
    assert json.loads(json.dumps(sent)) == sent


def test_a_membership_is_read_from_the_answer_of_the_server(chat_server, url):
    guild, user = uuid4(), uuid4()
    chat_server.add_guild(guild, "Bears \U0001f43b")
    chat_server.add_member(guild, user, ["MANAGE_GUILD"])
    api, membership = RestChatApi(url, FixedToken()), Membership(guild, "Bears \U0001f43b", frozenset({"MANAGE_GUILD"}))
    assert api.member(guild, user) == membership
    assert api.guilds_of(user) == [membership]
    assert api.member(uuid4(), user) is None
    assert api.member(guild, uuid4()) is None
    assert api.guilds_of(uuid4()) == []


@pytest.mark.parametrize("spelling", ["{{{}}}", "urn:uuid:{}"])
def test_the_ids_of_an_answer_are_read_in_every_spelling(spelling):
    guild = {"id": spelling.format(str(GUILD).upper()), "name": "Bears"}
    user, membership = uuid4(), Membership(GUILD, "Bears", frozenset())
    with http_server(Answer(json.dumps({"guild": guild, "permissions": []}).encode())) as server:
        assert RestChatApi(server.url, FixedToken()).member(GUILD, user) == membership
        assert server.requests == [f"/api/guilds/{GUILD}/members/{user}"]
    with http_server(Answer(json.dumps([{**guild, "permissions": []}]).encode())) as server:
        assert RestChatApi(server.url, FixedToken()).guilds_of(user) == [membership]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_half_a_surrogate_in_the_name_of_a_guild_locks_nobody_out(encoding):
    guild = {"id": str(GUILD), "name": "Bears \ud83d"}
    body = json.dumps([{**guild, "permissions": ["MANAGE_GUILD"]}]).encode(encoding)
    with http_server(Answer(body)) as server:
        (membership,) = RestChatApi(server.url, FixedToken()).guilds_of(uuid4())
    assert membership == Membership(GUILD, "Bears \ufffd", frozenset({"MANAGE_GUILD"}))


def test_membership_is_asked_for_with_a_token_that_was_replaced(chat_server, url):
    guild, user = uuid4(), uuid4()
    chat_server.add_member(guild, user)
    token = ReplacedToken("old", SERVICE_TOKEN)
    assert RestChatApi(url, token).member(guild, user).permissions == frozenset()
    assert token.asked == 1
    for wrong in (FixedToken("wrong"), ReplacedToken("old", "older", SERVICE_TOKEN)):
        with pytest.raises(InfrastructureError, match="HTTP 401"):
            RestChatApi(url, wrong).member(guild, user)
    for unread in (NoToken(), NoToken("old")):
        with pytest.raises(InfrastructureError, match=r"secret chat \(GUILDHOOK_CHAT_SECRET\): no"):
            RestChatApi(url, unread).guilds_of(user)


NAMED = f'"id": "{GUILD}", "name": "Bears"'


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (Answer(b"", 200), "not the JSON of docs/chat-api.md"),
        (Answer(b"<html>", 200), "not the JSON of docs/chat-api.md"),
        (Answer(b"null", 200), "not the JSON of docs/chat-api.md"),
        (Answer(b"[" * 60_000, 200), "not the JSON of docs/chat-api.md"),
        (Answer(f'{{"guild": {{{NAMED}}}}}'.encode()), "not the JSON of docs/chat-api.md"),
        (
            Answer(f'{{"guild": {{{NAMED}}}, "permissions": "MANAGE_GUILD"}}'.encode()),
            "not the JSON of docs/chat-api.md",
        ),
        (Answer(b'{"guild": {"id": "7", "name": "x"}, "permissions": []}'), "not the JSON of docs/chat-api.md"),
        (Answer(f'{{"guild": {{"id": "{UUID(int=7)}", "name": "x"}}, "permissions": []}}'.encode()), "another"),
        (Answer(b"", 204), "HTTP 204"),
        (Answer(b"", 403), "HTTP 403"),
        (Answer(b"", 404), "HTTP 404"),
        (Answer(b"<html>404 Not Found</html>", 404), "HTTP 404"),
        (Answer(b'{"message": "Not Found"}', 404), "HTTP 404"),
        (Answer(b"", 429), "HTTP 429"),
        (Answer(b"", 500), "HTTP 500"),
        (Answer(b"", 302, headers={"Location": "https://another.example/"}), "HTTP 302"),
        (Answer(b"{}", length=10), "ProtocolError|IncompleteRead"),
        (Answer(b" " * (1024 * 1024 + 1)), "EndlessAnswerError"),
    ],
)
def test_a_malformed_answer_is_no_statement_about_memberships(answer, why):
    with http_server(answer) as server, pytest.raises(InfrastructureError, match=why) as raised:
        RestChatApi(server.url, FixedToken()).member(GUILD, uuid4())
    assert str(raised.value).startswith(f"chat API at {server.url} (GUILDHOOK_CHAT_API_URL): ")


def test_guilds_must_be_a_list(url):
    for body in (b"{}", b'[{"id": 1}]', b"[7]", f'[{{{NAMED}, "permissions": [7]}}]'.encode()):
        with http_server(Answer(body)) as server, pytest.raises(InfrastructureError, match="is not the JSON of docs"):
            RestChatApi(server.url, FixedToken()).guilds_of(uuid4())


def test_names_of_guilds_are_shortened():
    body = f'[{{"id": "{GUILD}", "name": "{"x" * 900}", "permissions": [], "icon": "new"}}]'.encode()
    with http_server(Answer(body)) as server:
        (membership,) = RestChatApi(server.url, FixedToken()).guilds_of(uuid4())
    assert membership == Membership(GUILD, "x" * 200, frozenset())
