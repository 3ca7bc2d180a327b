"""A small HTTP server on this machine that answers a GET, a POST or a PUT as a test wants it to."""

import socket
import ssl
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import StreamRequestHandler, ThreadingTCPServer

from guildhook_local.web_server import serving


@dataclass(frozen=True, slots=True)
class Answer:
    body: bytes = b""
    status: int = 200
    length: int | None = None
    """Content-Length, if it is not that of the body: the connection breaks off after the body."""
    pieces: int = 1
    """The body is sent in that many."""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Upload:
    headers: Mapping[str, str]
    body: bytes


@dataclass(slots=True)
class Server:
    """Answers the first request with the first answer, and every one after the last with the last."""

    url: str
    answers: list[Answer]
    between: Callable[[], object]
    """Called before each piece of a body."""
    requests: list[str] = field(default_factory=list)
    """The paths asked for."""
    headers: list[Mapping[str, str]] = field(default_factory=list)
    """The headers of each request."""
    uploads: list[Upload] = field(default_factory=list)
    """The uploads by PUT."""


@contextmanager
def http_server(
    *answers: Answer, between: Callable[[], object] = lambda: None, tls: ssl.SSLContext | None = None
) -> Iterator[Server]:
    class Handler(BaseHTTPRequestHandler):
        def handle(self) -> None:
            with suppress(ssl.SSLError):  # the client may refuse the certificate
                super().handle()

        def do_GET(self) -> None:
            self._answer()

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self._answer()

        def do_PUT(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            server.uploads.append(Upload(dict(self.headers), body))
            self._answer()

        def _answer(self) -> None:
            server.requests.append(self.path)
            server.headers.append(dict(self.headers))
            answer = server.answers[min(len(server.requests), len(server.answers)) - 1]
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer.body) if answer.length is None else answer.length))
            self.end_headers()
            size = -(-len(answer.body) // answer.pieces) or 1
            for start in range(0, len(answer.body), size):
                server.between()
                self.wfile.write(answer.body[start : start + size])

        def log_message(self, *_: object) -> None:
            """Log nothing: the test knows its requests."""

    listening = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if tls:
        # Each connection's own thread shakes hands, as it reads: a client that is silent must not hold up accept().
        listening.socket = tls.wrap_socket(listening.socket, server_side=True, do_handshake_on_connect=False)
    scheme = "https" if tls else "http"
    server = Server(f"{scheme}://127.0.0.1:{listening.server_port}", list(answers), between)
    with serving(listening):
        yield server


@contextmanager
def raw_server(*responses: Sequence[bytes], between: Callable[[], object] = lambda: None) -> Iterator[str]:
    """The URL of a server that answers the requests of each connection with these bytes, and calls `between` after
    each piece of them. After the last response it closes the connection.
    """

    class Handler(StreamRequestHandler):
        def handle(self) -> None:
            with suppress(OSError):  # the client may have closed the connection
                for response in responses:
                    self._read_request()
                    for piece in response:
                        self.wfile.write(piece)
                        between()

        def _read_request(self) -> None:
            length = 0
            while (line := self.rfile.readline()).strip():
                name, _, value = line.partition(b":")
                length = int(value) if name.lower() == b"content-length" else length
            self.rfile.read(length)

    class RawServer(ThreadingTCPServer):
        daemon_threads = True
        address_family = socket.AF_INET

    listening = RawServer(("127.0.0.1", 0), Handler)
    with serving(listening):
        yield f"http://127.0.0.1:{listening.server_address[1]}"
