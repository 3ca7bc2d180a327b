import threading
from contextlib import contextmanager

import pytest
import urllib3

from guildhook.http_deadlines import deadline_pool, head_deadline_pool
from http_server import Answer, http_server, raw_server

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def get(pool, url, seconds=60.0):
    with pool.request("GET", url, timeout=urllib3.Timeout(total=seconds), preload_content=False) as response:
        return response.status, response.read()


@contextmanager
def trickling(response):
    """The URL of a server that sends a byte every 50 ms, until the block is left."""
    over = threading.Event()
    pieces = [response[i : i + 1] for i in range(len(response))]
    with raw_server(pieces, between=lambda: over.wait(0.05)) as url:
        try:
            yield url
        finally:
            over.set()


@pytest.mark.parametrize(
    "response",
    [
        b"HTTP/1.1 200 OK" + b" " * 900,
        b"HTTP/1.1 200 OK\r\nX-Padding: " + b"x" * 900,
        b"HTTP/1.1 102 Processing\r\n\r\n" * 100,
    ],
    ids=["status", "headers", "interim responses"],
)
@pytest.mark.parametrize("pool", [deadline_pool, head_deadline_pool])
def test_a_response_that_trickles_before_its_body_ends_with_the_time(pool, response):
    with trickling(response) as url, pytest.raises(urllib3.exceptions.ReadTimeoutError):
        get(pool(1, retries=False), url, seconds=0.5)


@pytest.mark.parametrize("framing", [b"Content-Length: 900\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n384\r\n"])
def test_a_body_that_trickles_ends_with_the_time(framing):
    head = b"HTTP/1.1 200 OK\r\n" + framing
    over = threading.Event()
    with raw_server([head, *[b"x"] * 900], between=lambda: over.wait(0.05)) as url:
        try:
            with pytest.raises(urllib3.exceptions.ReadTimeoutError):
                get(deadline_pool(1, retries=False), url, seconds=0.5)
        finally:
            over.set()


def test_the_time_for_a_head_is_not_that_of_the_body():
    pause = threading.Event()
    with raw_server(
        [b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", *[b"x"] * 9], between=lambda: pause.wait(0.1)
    ) as url:
        assert get(head_deadline_pool(1, retries=False), url, seconds=0.6) == (200, b"x" * 9)


def test_a_body_that_falls_silent_ends_with_the_time():
    over = threading.Event()
    with raw_server([b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"], between=over.wait) as url:
        try:
            with pytest.raises(urllib3.exceptions.ReadTimeoutError):
                get(head_deadline_pool(1, retries=False), url, seconds=0.3)
        finally:
            over.set()


def test_a_connection_serves_several_requests_each_with_its_own_time():
    with http_server(Answer(b"ok")) as server:
        pool = deadline_pool(1, retries=False)
        assert [get(pool, server.url, seconds) for seconds in (60, 30, 60)] == [(200, b"ok")] * 3


def test_a_response_without_a_timeout_is_waited_for():
    with http_server(Answer(b"ok")) as server:
        response = deadline_pool(1, retries=False).request("GET", server.url, timeout=None)
    assert response.data == b"ok"


@pytest.mark.parametrize("interim", [b"100 Continue", b"102 Processing", b"103 Early Hints\r\nLink: </a.css>"])
def test_an_interim_response_is_passed_over_and_the_next_request_has_its_own_answer(interim):
    first = b"HTTP/1.1 " + interim + b"\r\n\r\nHTTP/1.1 201 Created\r\nContent-Length: 5\r\n\r\nfirst"
    with raw_server([first], [OK]) as url:
        pool = deadline_pool(1, retries=False)
        assert [get(pool, url), get(pool, url)] == [(201, b"first"), (200, b"ok")]


def test_another_protocol_ends_the_connection():
    with raw_server([b"HTTP/1.1 101 Switching Protocols\r\n\r\n" + OK]) as url:
        pool = deadline_pool(1, retries=False)
        with pool.request("GET", url, preload_content=False) as response:
            assert response.status == 101
        with pool.request("GET", url, preload_content=False) as response:
            assert response.status == 101


def test_a_response_with_two_lengths_has_a_status_and_the_body_up_to_the_end_of_the_connection():
    head = b"HTTP/1.1 201 Created\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n"
    with raw_server([head, b"hello"]) as url:
        assert get(deadline_pool(1, retries=False), url) == (201, b"hello")
