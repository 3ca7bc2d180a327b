"""An HTTP API of API Gateway on this machine: every request is an event of payload format 2.0 for one function.

It has no authorizer: the function checks tokens itself.
"""

import asyncio
import base64
import binascii
import json
import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from guildhook_local.function import Handler, LambdaContext
from guildhook_local.guard import Admitted, Guard, SecretCheck
from guildhook_local.web_server import listening, read_body, serving_app

_logger = logging.getLogger(__name__)

MAX_BODY_BYTES = 10_000_000
"""API Gateway's limit for a request."""

MAX_ANSWER_BYTES = 6_291_556
"""Lambda's limit for the answer of a function that is invoked synchronously, as JSON."""

_API_ID = "local"
_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
_TEXT_TYPES = ("text/", "application/json", "application/xml", "application/javascript")
# As in template.yaml. It is told to the function and not enforced on it.
_FUNCTION_TIMEOUT_SECONDS = 30
# These belong to a connection, and are the server's to write.
_OF_THE_CONNECTION = frozenset({"connection", "content-length", "date", "keep-alive", "transfer-encoding"})


@contextmanager
def http_api(
    handler: Handler,
    secret: SecretCheck,
    address: str = "127.0.0.1",
    port: int = 0,
    function_name: str = "admin_api",
) -> Iterator[str]:
    """Answer requests that have the secret with a function until the block is left. Yields the base URL.

    Raises OSError.
    """
    app = HttpApi(handler, function_name).app
    # No page of another server sends requests to it.
    with (
        listening(address, port) as (listener, url),
        serving_app(app, Guard(url, secret, Admitted()), listener, "http-api"),
    ):
        yield url


class HttpApi:
    def __init__(self, handler: Handler, function_name: str) -> None:
        self._handler = handler
        self._function_name = function_name
        # A sandbox of Lambda has one request at a time, and the function is loaded once.
        self._one_at_a_time = asyncio.Lock()
        self.app = Starlette(routes=[Route("/{path:path}", self._answer, methods=_METHODS)])

    async def _answer(self, request: Request) -> Response:
        try:
            body = await read_body(request, MAX_BODY_BYTES)
        except HTTPException:
            return _message(413, "Request Entity Too Large")
        event = _event(request, body)
        async with self._one_at_a_time:
            try:
                # In a thread: the function blocks, and may ask this process's other servers for something.
                answer = await asyncio.to_thread(self._invoke, event)
            except Exception:
                # API Gateway gives the same answer for every error of a function.
                _logger.exception("function %s failed", self._function_name)
                return _message(500, "Internal Server Error")
        response = _response(answer)
        if response is None:
            _logger.error("function %s gave an answer that API Gateway does not take", self._function_name)
            return _message(500, "Internal Server Error")
        return response

    def _invoke(self, event: dict[str, Any]) -> Any:
        deadline = time.monotonic() + _FUNCTION_TIMEOUT_SECONDS
        answer = self._handler(event, LambdaContext(self._function_name, str(uuid4()), deadline))
        if len(json.dumps(answer, ensure_ascii=False).encode()) > MAX_ANSWER_BYTES:
            raise ValueError(f"the answer has more than the {MAX_ANSWER_BYTES} bytes that Lambda takes")
        return answer


def _event(request: Request, body: bytes) -> dict[str, Any]:
    headers = _joined(request.headers.items())
    cookies = [cookie.strip() for cookie in headers.pop("cookie", "").replace(",", ";").split(";") if cookie.strip()]
    query = _joined(request.query_params.multi_items())
    now = datetime.now(UTC)
    host = headers.get("host", "")
    path = request.scope["path"]
    source_ip = request.client.host if request.client else ""
    event: dict[str, Any] = {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": request.scope["query_string"].decode("latin-1"),
        "headers": {
            **headers,
            "x-forwarded-for": source_ip,
            "x-forwarded-port": host.rpartition(":")[2] if ":" in host else "80",
            "x-forwarded-proto": request.url.scheme,
        },
        "requestContext": {
            "accountId": "000000000000",
            "apiId": _API_ID,
            "domainName": host,
            "domainPrefix": _API_ID,
            "http": {
                "method": request.method,
                "path": path,
                "protocol": f"HTTP/{request.scope['http_version']}",
                "sourceIp": source_ip,
                "userAgent": headers.get("user-agent", ""),
            },
            "requestId": uuid4().hex,
            "routeKey": "$default",
            "stage": "$default",
            "time": now.strftime("%d/%b/%Y:%H:%M:%S +0000"),
            "timeEpoch": int(now.timestamp() * 1000),
        },
        "isBase64Encoded": False,
    }
    if query:
        event["queryStringParameters"] = query
    if cookies:
        event["cookies"] = cookies
    if body:
        text = _text(headers, body)
        event["body"] = base64.b64encode(body).decode() if text is None else text
        event["isBase64Encoded"] = text is None
    return event


def _joined(pairs: Any) -> dict[str, str]:
    """Values of the same name are joined with commas."""
    joined: dict[str, str] = {}
    for name, value in pairs:
        joined[name] = f"{joined[name]},{value}" if name in joined else value
    return joined


def _text(headers: Mapping[str, str], body: bytes) -> str | None:
    """Return the body as a text, or None if API Gateway would pass it on as a binary."""
    if "content-encoding" in headers or not headers.get("content-type", "").startswith(_TEXT_TYPES):
        return None
    try:
        return body.decode()
    except UnicodeDecodeError:
        return None


def _response(answer: Any) -> Response | None:
    """Return the function's answer as a response, or None if API Gateway would not understand it."""
    if not isinstance(answer, dict) or "statusCode" not in answer:
        # The short form: all of it is the body, as JSON.
        return Response(answer if isinstance(answer, str) else json.dumps(answer), media_type="application/json")
    try:
        body = answer.get("body") or ""
        content = base64.b64decode(body, validate=True) if answer.get("isBase64Encoded") else body.encode()
        response = Response(content, int(answer["statusCode"]))
        response.raw_headers += [
            (name.lower().encode("latin-1"), str(value).encode("latin-1"))
            for name, value in (answer.get("headers") or {}).items()
            if name.lower() not in _OF_THE_CONNECTION
        ]
        response.raw_headers += [(b"set-cookie", cookie.encode("latin-1")) for cookie in answer.get("cookies") or ()]
    except (ValueError, TypeError, AttributeError, binascii.Error):
        return None
    return response


def _message(status: int, message: str) -> Response:
    return JSONResponse({"message": message}, status)
