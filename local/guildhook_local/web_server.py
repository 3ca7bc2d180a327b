"""Servers that answer in a thread of their own and stop without polling."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from socketserver import TCPServer
from urllib.parse import urlsplit

import uvicorn
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp

_GRACE_SECONDS = 1
"""A server that stops gives its open connections this long to receive their answers."""
_DATE_SECONDS = 1
"""The Date header of answers is renewed this often."""


@contextmanager
def listening(address: str, port: int = 0) -> Iterator[tuple[socket.socket, str]]:
    """Yields the socket and its base URL. Raises OSError if the port is taken or the address is not this machine's."""
    with socket.create_server((address, port)) as listener:
        _answer_at_once(listener)
        yield listener, f"http://{address}:{listener.getsockname()[1]}"


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
def serving_app(app: ASGIApp, listener: socket.socket, name: str) -> Iterator[None]:
    """Serve an ASGI application on a listening socket until the block is left. `name` is the thread's."""
    config = uvicorn.Config(app, log_level="critical", access_log=False, lifespan="off", server_header=False)
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
    """Tell whether a browser sent this request from a page of the server at `url`, under that name.

    A browser sends the Origin header with every method but GET, and another site's script cannot change it. The Host
    header is checked as well, since any name can be made to lead to this machine.
    """
    return named(request, url) and request.headers.get("origin") == url


def named(request: Request, url: str) -> bool:
    """Tell whether the request's Host header is the host and port of `url`."""
    return request.headers.get("host") == urlsplit(url).netloc
