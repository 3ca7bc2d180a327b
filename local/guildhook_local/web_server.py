"""Serves an ASGI application from a thread of its own."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import uvicorn
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp


@contextmanager
def listening(address: str, port: int = 0) -> Iterator[tuple[socket.socket, str]]:
    """The socket and its base URL. Raises OSError if the port is taken, or the address is not this machine's."""
    with socket.create_server((address, port)) as listener:
        yield listener, f"http://{address}:{listener.getsockname()[1]}"


@contextmanager
def serving_app(app: ASGIApp, listener: socket.socket, name: str) -> Iterator[None]:
    """Answer what comes to the socket until the block is left. `name` is the thread's."""
    config = uvicorn.Config(
        app,
        log_level="critical",
        access_log=False,
        lifespan="off",
        server_header=False,
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([listener],), name=name)
    thread.start()
    try:
        yield
    finally:
        server.should_exit = True
        thread.join()


async def read_body(request: Request, most_bytes: int) -> bytes:
    """Raises HTTPException 413 as soon as it is more than that."""
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > most_bytes:
            raise HTTPException(413, f"The body has more than {most_bytes} bytes.")
    return bytes(body)


def from_its_own_page(request: Request, url: str) -> bool:
    """Whether a browser sent this from a page of the server at `url`, by that name of it. A browser says from where
    with whatever is not a GET, and another site's script cannot change it; the host is asked as well, since any name
    can be made to lead to this machine.
    """
    return named(request, url) and request.headers.get("origin") == url


def named(request: Request, url: str) -> bool:
    return request.headers.get("host") == urlsplit(url).netloc
