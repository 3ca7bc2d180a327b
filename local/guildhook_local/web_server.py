"""Servers that answer in a thread of their own and stop without polling. Each has a guard in front of it."""

import asyncio
import json
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from http import HTTPStatus
from io import BytesIO
from socketserver import TCPServer
from typing import TYPE_CHECKING, Any

import uvicorn
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from werkzeug.serving import WSGIRequestHandler, make_server

from guildhook.errors import InfrastructureError
from guildhook_local.guard import HTTP_PORT, Guard, GuardedRequest, GuardResponse

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_REACHED_SECONDS = 5
_GRACE_SECONDS = 1
"""A server that stops gives its open connections this long to receive their answers."""
_DATE_SECONDS = 1
"""The Date header of answers is renewed this often."""


@contextmanager
def listening(address: str, port: int = 0) -> Iterator[tuple[socket.socket, str]]:
    """Yields the socket and its base URL. Raises OSError if the port is taken or the address is not this machine's."""
    with bound(address, port) as listener:
        _answer_at_once(listener)
        yield listener, base_url(address, listener.getsockname()[1])


def bound(address: str, port: int = 0) -> socket.socket:
    """A listening socket on an address of IPv4 or IPv6. Raises OSError."""
    if not address:
        # Python would listen on all networks of the machine.
        raise OSError("an address is needed")
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        return socket.create_server((address, port), family=family)
    except (TypeError, UnicodeError):
        # Python converts a name to ASCII first.
        raise OSError("it is not the name of a host") from None


def check_reachable(address: str) -> None:
    """Raises InfrastructureError if this machine does not reach its own servers at the address."""
    try:
        with bound(address) as listener, socket.create_connection(listener.getsockname()[:2], _REACHED_SECONDS):
            pass
    except OSError as error:
        raise InfrastructureError(
            f"this machine does not reach itself at {address}: {error.strerror or error}; is the network interface of "
            "that address up? (`ip link set lo up` is for the loopback's)"
        ) from None


def base_url(address: str, port: int) -> str:
    """The URL as browsers write it: they leave out the port of the scheme, also in Host and Origin."""
    return f"http://{in_url(address)}" if port == HTTP_PORT else f"http://{in_url(address)}:{port}"


def in_url(address: str) -> str:
    """An address of IPv6 is in brackets in a URL."""
    return f"[{address}]" if ":" in address else address


@contextmanager
def serving(server: TCPServer) -> Iterator[None]:
    """Run a server of the standard library, which listens already, until the block is left; then close it."""
    with server:
        _answer_at_once(server.socket)
        # A poll interval of None waits for connections alone, so stopping has to wake the thread.
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": None}, name="server")
        thread.start()
        try:
            yield
        finally:
            # A listening socket that is shut down counts as readable from then on.
            server.socket.shutdown(socket.SHUT_RDWR)
            server.shutdown()
            thread.join()


@contextmanager
def serving_app(app: ASGIApp, guard: Guard, listener: socket.socket, name: str) -> Iterator[None]:
    """Serve an ASGI application on a listening socket until the block is left. `name` is the thread's."""
    config = uvicorn.Config(
        _guarded_app(app, guard), log_level="critical", access_log=False, lifespan="off", server_header=False, ws="none"
    )
    loop, server = asyncio.new_event_loop(), _Server(config)

    def run() -> None:
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(server.serve([listener]))

    thread = threading.Thread(target=run, name=name)
    thread.start()
    try:
        yield
    finally:
        # The loop is closed already if the server has failed.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(server.stop.set)
        thread.join()


def _answer_at_once(listener: socket.socket) -> None:
    """Let the listener's connections send each part of an answer without waiting for the part before it."""
    # Headers and body are two writes: without this, the body waits 40 ms for the client's delayed acknowledgement.
    # asyncio sets the option by itself only where the socket knows its protocol: python/cpython#148783.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


class _Server(uvicorn.Server):
    """Waits for events where uvicorn's own server polls ten times a second."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.stop = asyncio.Event()

    async def main_loop(self) -> None:
        while not self.stop.is_set():
            # This renews the Date header.
            await self.on_tick(0)
            with suppress(TimeoutError):
                await asyncio.wait_for(self.stop.wait(), _DATE_SECONDS)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:  # noqa: ARG002 - uvicorn's signature
        for server in self.servers:
            server.close()
        # A connection closes at once if it is idle, and after its answer otherwise.
        for connection in list(self.server_state.connections):
            connection.shutdown()
        loop = asyncio.get_running_loop()
        ends = loop.time() + _GRACE_SECONDS
        while self.server_state.connections and loop.time() < ends:  # noqa: ASYNC110 - uvicorn has no event for this
            await asyncio.sleep(0.001)
        # Nobody waits for these requests any more.
        for task in self.server_state.tasks:
            task.cancel()


async def read_body(request: Request, most_bytes: int) -> bytes:
    """Raises HTTPException 413 as soon as the body has more than `most_bytes`."""
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > most_bytes:
            raise HTTPException(413, f"The body has more than {most_bytes} bytes.")
    return bytes(body)


def from_its_own_page(request: Request, url: str) -> bool:
    """Tell whether a browser sent this request from a page of the server at `url`, and of no other one.

    A browser sends the Origin header with every method but GET, and another site's script cannot change it.
    """
    return request.headers.get("origin") == url


@contextmanager
def serving_wsgi(
    app: "WSGIApplication",
    guard_of: Callable[[str], Guard],
    address: str,
    request_handler: type[WSGIRequestHandler],
) -> Iterator[str]:
    """Serve a WSGI application on a free port until the block is left. Yields the base URL, which has its guard."""
    with bound(address) as listener:
        url = base_url(address, listener.getsockname()[1])
        server = make_server(
            address,
            listener.getsockname()[1],
            _guarded_wsgi(app, guard_of(url)),
            threaded=True,
            request_handler=request_handler,
            fd=listener.fileno(),
        )
        with serving(server):
            yield url


def _guarded_app(app: ASGIApp, guard: Guard) -> ASGIApp:
    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in scope["headers"]]
        target = scope["raw_path"].decode("latin-1")
        if scope["query_string"]:
            target += "?" + scope["query_string"].decode("latin-1")
        request = GuardedRequest(scope["method"], target, scope["path"], headers)
        response, body = guard.response_without_body(request), b""
        if response is None:
            try:
                body = await _body(receive, most) if (most := guard.body_bytes(request)) else b""
            except HTTPException as error:
                response = GuardResponse(error.status_code, error.detail)
            else:
                # In a thread: a signature of a large body takes a while.
                response = (
                    guard.response(request, body)
                    if not most
                    else await asyncio.to_thread(guard.response, request, body)
                )
        if response is not None:
            await _asgi_response(response)(scope, receive, send)
        else:
            await app(scope, _replayed(body, receive) if most else receive, send)

    return answer


async def _body(receive: Receive, most_bytes: int) -> bytes:
    """Raises HTTPException 413."""
    body, more = bytearray(), True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > most_bytes:
            raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"The body has more than {most_bytes} bytes.")
    return bytes(body)


def _replayed(body: bytes, receive: Receive) -> Receive:
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return messages.pop() if messages else await receive()

    return replay


def _asgi_response(response: GuardResponse) -> Response:
    return Response(_text(response), response.status, headers=_headers(response))


def _guarded_wsgi(app: "WSGIApplication", guard: Guard) -> "WSGIApplication":
    def answer(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        request = _wsgi_request(environ)
        response = guard.response_without_body(request)
        if response is None:
            most, length = guard.body_bytes(request), _content_length(environ)
            if most and (not 0 <= length <= most or environ.get("wsgi.input_terminated")):
                response = GuardResponse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"The body needs 0 to {most} bytes.")
            else:
                body = environ["wsgi.input"].read(length) if most else b""
                if most:
                    environ["wsgi.input"] = BytesIO(body)
                response = guard.response(request, body)
        origin = request.only("origin")
        if response is None:
            return app(environ, _for_pages_of(origin, start_response))
        headers = _headers(response) | {"Content-Length": str(len(_text(response))), "Connection": "close"}
        start_response(f"{response.status} {HTTPStatus(response.status).phrase}", list(headers.items()))
        return [_text(response)]

    return answer


def _content_length(environ: "WSGIEnvironment") -> int:
    """Return -1 for a header that is no number."""
    text = environ.get("CONTENT_LENGTH") or "0"
    return int(text) if text.isascii() and text.isdigit() else -1


def _wsgi_request(environ: "WSGIEnvironment") -> GuardedRequest:
    named = [(name[5:].replace("_", "-").lower(), value) for name, value in environ.items() if name.startswith("HTTP_")]
    typed = [
        (name.replace("_", "-").lower(), environ[name])
        for name in ("CONTENT_TYPE", "CONTENT_LENGTH")
        if environ.get(name)
    ]
    return GuardedRequest(environ["REQUEST_METHOD"], environ["REQUEST_URI"], environ["PATH_INFO"], [*named, *typed])


def _for_pages_of(origin: str, start_response: "StartResponse") -> "StartResponse":
    """Let only the pages read a response that the guard lets send requests: the application says it of all pages."""

    def start(status: str, headers: list[tuple[str, str]], *more: Any) -> Any:
        kept = [(name, value) for name, value in headers if not name.lower().startswith("access-control-")]
        if origin:
            kept += [
                ("Access-Control-Allow-Origin", origin),
                ("Access-Control-Expose-Headers", "ETag"),
                ("Vary", "Origin"),
            ]
        return start_response(status, kept, *more)

    return start


def _text(response: GuardResponse) -> bytes:
    return json.dumps({"error": "FORBIDDEN", "message": response.message}).encode() if response.message else b""


def _headers(response: GuardResponse) -> dict[str, str]:
    kind = {"Content-Type": "application/json"} if response.message else {}
    return {**kind, "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", **response.headers}
