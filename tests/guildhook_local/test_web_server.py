import asyncio
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event
from urllib.parse import urlsplit

import pytest
import urllib3
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from guildhook.errors import InfrastructureError
from guildhook_local.aws import aws_server
from guildhook_local.guard import Admitted, Guard
from guildhook_local.web_server import base_url, check_reachable, listening, serving, serving_app

# This many stops would take 25 s with a poll of half a second, and 10 s with a poll of a fifth.
STOPS = 50
SOON_SECONDS = 9


@pytest.fixture
def soon():
    """Fail a test that takes as long as polling would."""
    started = time.monotonic()
    yield
    assert time.monotonic() - started < SOON_SECONDS


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"hi")

    def log_message(self, *_):
        pass


def served():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    return server, f"http://127.0.0.1:{server.server_port}"


def hello(*more):
    async def answer(_request):
        return PlainTextResponse("hi")

    return Starlette(routes=[Route("/", answer), *more])


class Open:
    """A check of a secret that lets everybody in."""

    def body_bytes(self, _request):
        return 0

    def response(self, _request, _body):
        return None


def guard(url):
    return Guard(url, Open(), Admitted())


def waits_between_parts(connection):
    return connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 0


def test_the_body_of_an_applications_answer_does_not_wait_for_its_headers():
    with (
        listening("127.0.0.1") as (listener, _url),
        socket.create_connection(listener.getsockname()),
        listener.accept()[0] as accepted,
    ):
        assert not waits_between_parts(accepted)


def test_the_body_of_a_servers_answer_does_not_wait_for_its_headers():
    seen = []

    class Looking(Handler):
        def do_GET(self):
            seen.append(waits_between_parts(self.request))
            super().do_GET()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Looking)
    with serving(server):
        get(f"http://127.0.0.1:{server.server_port}")
    assert seen == [False]


def test_a_server_that_has_answered_nothing_stops_at_once(soon):
    for _ in range(STOPS):
        server, _url = served()
        with serving(server):
            pass


def test_a_server_stops_at_once_beside_a_client_that_keeps_its_connection(soon):
    with urllib3.PoolManager(retries=False) as http:
        for _ in range(STOPS):
            server, url = served()
            with serving(server):
                assert http.request("GET", url).data == b"hi"


def test_a_server_that_has_stopped_refuses_connections():
    server, _url = served()
    with serving(server):
        pass
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(server.server_address)


def test_moto_stops_at_once(soon):
    for _ in range(STOPS):
        with aws_server() as aws:
            pass
    address = urlsplit(aws.endpoint)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((address.hostname, address.port))


def test_an_application_that_has_answered_nothing_stops_at_once(soon):
    for _ in range(STOPS):
        with listening("127.0.0.1") as (listener, url), serving_app(hello(), guard(url), listener, "test"):
            pass


def test_an_application_stops_at_once_beside_a_client_that_keeps_its_connection(soon):
    with urllib3.PoolManager(retries=False) as http:
        for _ in range(STOPS):
            with listening("127.0.0.1") as (listener, url), serving_app(hello(), guard(url), listener, "test"):
                assert http.request("GET", url).data == b"hi"


def test_an_application_stops_at_once_where_the_client_has_left_its_request(soon):
    entered = Event()

    async def sleep(_request):
        entered.set()
        await asyncio.sleep(60)

    with (
        listening("127.0.0.1") as (listener, url),
        serving_app(hello(Route("/sleep", sleep)), guard(url), listener, "test"),
    ):
        with urllib3.PoolManager(retries=False) as http, pytest.raises(urllib3.exceptions.ReadTimeoutError):
            http.request("GET", f"{url}/sleep", timeout=0.1)
        assert entered.is_set()


def get(url):
    with urllib3.PoolManager(retries=False) as http:
        return http.request("GET", url)


def test_an_application_ends_a_request_that_goes_on_for_too_long(soon):
    entered = Event()

    async def sleep(_request):
        entered.set()
        await asyncio.sleep(60)

    with listening("127.0.0.1") as (listener, url), ThreadPoolExecutor(1) as pool:
        with serving_app(hello(Route("/sleep", sleep)), guard(url), listener, "test"):
            answer = pool.submit(get, f"{url}/sleep")
            assert entered.wait(60)
        assert answer.result().status == 500


def test_an_answer_in_progress_arrives_whole():
    size = 20_000_000
    entered, left = Event(), Event()

    async def answer(_request):
        entered.set()
        await asyncio.to_thread(left.wait)
        return PlainTextResponse(b"x" * size)

    with listening("127.0.0.1") as (listener, url), ThreadPoolExecutor(1) as pool:
        with serving_app(hello(Route("/slow", answer)), guard(url), listener, "test"):
            response = pool.submit(get, f"{url}/slow")
            assert entered.wait(60)
            left.set()
        assert len(response.result().data) == size


def test_an_address_that_this_machine_does_not_reach_is_named_with_the_way_out():
    with pytest.raises(InfrastructureError, match=r"does not reach itself at 192\.0\.2\.1: .*ip link set lo up"):
        check_reachable("192.0.2.1")
    check_reachable("127.0.0.1")


def test_an_address_of_ipv6_is_in_brackets_in_a_url():
    assert base_url("::1", 8470) == "http://[::1]:8470"
    assert base_url("127.0.0.1", 8470) == "http://127.0.0.1:8470"
