import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from uuid import uuid4

import pytest

from guildhook.chat import RestChatApi
from guildhook.errors import InfrastructureError
from guildhook.model import DeliveryState, SendMessage
from guildhook_local.chat_server import Fault
from samples import SERVICE_TOKEN


@pytest.fixture
def url(chat_server):
    with chat_server.running() as url:
        yield url


@pytest.fixture
def channel(chat_server):
    guild, channel = uuid4(), uuid4()
    chat_server.add_channel(guild, channel)
    return channel


def intent(channel, content="hello"):
    return SendMessage(str(uuid4()), 0, str(channel), content)


def test_a_message_is_delivered_under_its_key(chat_server, url, channel):
    delivery = RestChatApi(url, SERVICE_TOKEN).send(sent := intent(channel, "grüße \U0001f600"))
    (message,) = chat_server.replies()
    assert (delivery.key, delivery.state, delivery.detail) == (sent.key, DeliveryState.DELIVERED, message["id"])
    assert (message["content"], message["channel_id"]) == ("grüße \U0001f600", str(channel))


def test_the_same_key_is_one_message(chat_server, url, channel):
    api, sent = RestChatApi(url, SERVICE_TOKEN), intent(channel)
    assert api.send(sent) == api.send(sent)
    assert len(chat_server.replies()) == 1


@pytest.mark.parametrize(
    "fault",
    [
        Fault(status=500),
        Fault(status=503, times=2),
        Fault(status=429, retry_after_seconds=3_600),
        Fault(after_storing=True),
    ],
)
def test_a_fault_that_passes_is_retried_at_once(chat_server, url, channel, fault):
    chat_server.inject(fault)
    assert RestChatApi(url, SERVICE_TOKEN).send(intent(channel)).state is DeliveryState.DELIVERED
    assert len(chat_server.replies()) == 1


@pytest.mark.parametrize(("status", "detail"), [(500, "HTTP 500"), (429, "HTTP 429")])
def test_a_fault_that_stays_leaves_it_pending(chat_server, url, channel, status, detail):
    chat_server.inject(Fault(status=status, times=100))
    delivery = RestChatApi(url, SERVICE_TOKEN).send(intent(channel))
    assert delivery.state is DeliveryState.PENDING
    assert delivery.detail == f"chat API at {url} (GUILDHOOK_CHAT_API_URL): {detail}"
    assert chat_server.replies() == []


def test_a_wrong_token_is_the_operators_to_mend(url, channel):
    delivery = RestChatApi(url, "wrong").send(intent(channel))
    assert (delivery.state, "HTTP 401" in delivery.detail) == (DeliveryState.PENDING, True)


def test_a_refusal_carries_the_servers_code(url, channel):
    api = RestChatApi(url, SERVICE_TOKEN)
    for refused, code in [(intent(uuid4()), "CHANNEL_NOT_FOUND"), (intent(channel, " "), "VALIDATION_ERROR")]:
        delivery = api.send(refused)
        assert (delivery.state, delivery.detail) == (DeliveryState.REFUSED, code)


def test_a_server_that_is_down_is_named_without_its_password():
    api = RestChatApi("http://user:s3cret@127.0.0.1:1", SERVICE_TOKEN)
    delivery = api.send(intent(uuid4()))
    assert delivery.state is DeliveryState.PENDING
    assert delivery.detail == "chat API at http://127.0.0.1:1 (GUILDHOOK_CHAT_API_URL): NewConnectionError"
    with pytest.raises(InfrastructureError, match="GUILDHOOK_CHAT_API_URL") as raised:
        api.connect()
    assert "s3cret" not in str(raised.value)


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_not_followed_with_the_token(chat_server, url, channel, status):
    class Redirecting(BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(status)
            self.send_header("Location", url + self.path)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Redirecting) as server:
        threading.Thread(target=server.serve_forever).start()
        api = RestChatApi(f"http://127.0.0.1:{server.server_port}", SERVICE_TOKEN)
        delivery = api.send(intent(channel))
        api.close()
        server.shutdown()
    assert delivery.state is DeliveryState.PENDING
    assert f"HTTP {status}, which is no answer to a send" in delivery.detail
    assert chat_server.replies() == []


def test_connecting_takes_any_answer(url):
    RestChatApi(url, "wrong").connect()


def test_every_message_is_an_event_with_its_author(chat_server, events, url, channel):
    chat_server.say(channel, "ada", "hi", encrypted=True)
    RestChatApi(url, SERVICE_TOKEN).send(intent(channel))
    typed, sent = events
    assert (typed["message"]["author"]["bot"], typed["message"]["encrypted"]) == (False, True)
    assert sent["message"]["author"]["bot"] is True
    assert json.loads(json.dumps(sent)) == sent
