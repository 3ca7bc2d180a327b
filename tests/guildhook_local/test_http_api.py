import base64
import json
import os
from concurrent.futures import ThreadPoolExecutor

import pytest
import urllib3

from guildhook_local.guard import BrowserSession
from guildhook_local.http_api import MAX_ANSWER_BYTES, MAX_BODY_BYTES, http_api


@pytest.fixture
def ask():
    """Asks an HTTP API with this function behind it; returns the response, and the event that the function got."""

    def ask(function, method="GET", path="/", **options):
        events = []

        def handler(event, context):
            assert context.get_remaining_time_in_millis() > 0
            events.append(event)
            return function(event) if callable(function) else function

        headers = urllib3.HTTPHeaderDict(options.pop("headers", {}))
        headers.add("Cookie", SESSION.cookie)
        with http_api(handler, SESSION) as url, urllib3.PoolManager(retries=False) as http:
            response = http.request(method, url + path, redirect=False, headers=headers, **options)
        return response, events[0] if events else None

    return ask


SESSION = BrowserSession()
OK = {"statusCode": 200}


def test_a_request_is_an_event_of_format_2(ask):
    headers = urllib3.HTTPHeaderDict({"Cookie": "a=1; b=2", "X-Twice": "1"})
    headers.add("X-Twice", "2")
    _, event = ask(OK, "GET", "/api/a%20b?x=1&x=2&y=%C3%A9", headers=headers)
    assert (event["version"], event["rawPath"], event["rawQueryString"]) == ("2.0", "/api/a b", "x=1&x=2&y=%C3%A9")
    assert event["queryStringParameters"] == {"x": "1,2", "y": "é"}
    assert event["cookies"] == ["a=1", "b=2", SESSION.cookie]
    assert event["headers"]["x-twice"] in ("1,2", "1, 2")
    assert "cookie" not in event["headers"]
    asked = event["requestContext"]["http"]
    assert (asked["method"], asked["path"], asked["sourceIp"]) == ("GET", "/api/a b", "127.0.0.1")
    assert "body" not in event
    assert event["isBase64Encoded"] is False


@pytest.mark.parametrize(
    ("content_type", "body", "is_base64"),
    [
        ("application/json", b'{"a": "\xc3\xa9"}', False),
        ("text/plain; charset=utf-8", b"text", False),
        ("application/wasm", b"\0asm", True),
        ("application/json", b"\xff", True),
    ],
)
def test_a_body_that_is_not_text_comes_in_base64(ask, content_type, body, is_base64):
    _, event = ask(OK, "PUT", "/", body=body, headers={"Content-Type": content_type})
    assert event["isBase64Encoded"] is is_base64
    assert (base64.b64decode(event["body"]) if is_base64 else event["body"].encode()) == body


def test_the_functions_answer_is_the_response(ask):
    answer = {
        "statusCode": 201,
        "headers": {"Content-Type": "application/octet-stream", "X-Own": "1", "Content-Length": "999"},
        "cookies": ["a=1; Secure", "b=2"],
        "body": base64.b64encode(b"\0\xff").decode(),
        "isBase64Encoded": True,
    }
    response, _ = ask(answer)
    assert (response.status, response.data) == (201, b"\0\xff")
    assert (response.headers["Content-Type"], response.headers["X-Own"]) == ("application/octet-stream", "1")
    assert response.headers.getlist("Set-Cookie") == ["a=1; Secure", "b=2"]


def test_an_answer_without_a_status_is_the_body(ask):
    response, _ = ask({"a": 1})
    assert (response.status, response.headers["Content-Type"], response.json()) == (200, "application/json", {"a": 1})


def failing(_event):
    raise SystemError("secret")


@pytest.mark.parametrize(
    "function",
    [
        failing,
        {"statusCode": "many"},
        {"statusCode": 200, "body": "no base64", "isBase64Encoded": True},
        {"statusCode": 200, "body": 5},
        {"statusCode": 200, "body": "x" * MAX_ANSWER_BYTES},
        {"statusCode": 200, "body": b"bytes are no JSON"},
    ],
)
def test_a_failure_is_answered_without_its_text(ask, function):
    response, _ = ask(function)
    assert (response.status, response.json()) == (500, {"message": "Internal Server Error"})


def test_a_body_that_is_too_large_reaches_no_function(ask):
    response, event = ask(OK, "POST", body=b"x" * (MAX_BODY_BYTES + 1))
    assert (response.status, response.json()) == (413, {"message": "Request Entity Too Large"})
    assert event is None


def test_the_function_has_one_request_at_a_time():
    inside, most = [], 0

    def handler(_event, _context):
        nonlocal most
        inside.append(1)
        # Another request would run now, if the API allowed two at a time.
        for _ in range(100):
            os.sched_yield()
        most = max(most, len(inside))
        inside.pop()
        return OK

    with http_api(handler, SESSION) as url, ThreadPoolExecutor(4) as threads:
        statuses = list(
            threads.map(lambda _: urllib3.request("GET", url, headers={"Cookie": SESSION.cookie}).status, range(20))
        )
    assert (statuses, most) == ([200] * 20, 1)


def test_a_taken_port_is_an_error():
    with http_api(lambda *_: OK, SESSION) as url:
        port = int(url.rpartition(":")[2])
        with pytest.raises(OSError, match="in use"), http_api(lambda *_: OK, SESSION, port=port):
            pass


def test_the_admin_api_answers(system):
    with http_api(system.admin_handler, SESSION) as url:
        response = urllib3.request("GET", f"{url}/api/health", headers={"Cookie": SESSION.cookie})
    assert (response.status, json.loads(response.data)["status"]) == (200, "ok")
