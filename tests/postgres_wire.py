"""A server that speaks as much of PostgreSQL's protocol as a connection needs: it takes any password, and keeps it."""

import socketserver
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BufferedIOBase

from guildhook_local.web_server import serving

_SSL_REQUEST, _GSS_REQUEST = 80877103, 80877104
_CLEARTEXT_PASSWORD = 3
_TEXT = 25


@dataclass(slots=True)
class WireServer:
    url: str
    """The password of the user ada."""
    logins: list[tuple[str, str]] = field(default_factory=list)
    """User and password of each connection."""


@contextmanager
def wire_server(announced: str, actual: int) -> Iterator[WireServer]:
    """`announced` is the version in its greeting, such as "15.4", and `actual` the version that a query returns."""

    class Connection(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            parameters = _startup(self.rfile, self.wfile)
            self._send(b"R", struct.pack("!i", _CLEARTEXT_PASSWORD))
            password = _message(self.rfile)[1].rstrip(b"\0").decode()
            server.logins.append((parameters["user"], password))
            self._send(b"R", struct.pack("!i", 0))
            for name, value in {"server_version": announced, "client_encoding": "UTF8"}.items():
                self._send(b"S", f"{name}\0{value}\0".encode())
            self._send(b"Z", b"I")
            while (kind := _message(self.rfile)[0]) not in (b"X", b""):
                if kind in b"QS":
                    self._answer(extended=kind == b"S")

        def _answer(self, *, extended: bool) -> None:
            if extended:
                self._send(b"1")
                self._send(b"2")
            name = b"server_version_num\0"
            self._send(b"T", struct.pack("!h", 1) + name + struct.pack("!ihihih", 0, 0, _TEXT, -1, -1, 0))
            value = str(actual).encode()
            self._send(b"D", struct.pack("!hi", 1, len(value)) + value)
            self._send(b"C", b"SHOW\0")
            self._send(b"Z", b"I")

        def _send(self, kind: bytes, body: bytes = b"") -> None:
            self.wfile.write(kind + struct.pack("!i", len(body) + 4) + body)

    class Listening(socketserver.ThreadingTCPServer):
        daemon_threads = True

    listening = Listening(("127.0.0.1", 0), Connection)
    server = WireServer(f"postgresql://ada@127.0.0.1:{listening.server_address[1]}/chat")
    with serving(listening):
        yield server


def _startup(incoming: BufferedIOBase, outgoing: BufferedIOBase) -> dict[str, str]:
    while True:
        (length,) = struct.unpack("!i", incoming.read(4))
        body = incoming.read(length - 4)
        (code,) = struct.unpack("!i", body[:4])
        if code not in (_SSL_REQUEST, _GSS_REQUEST):
            break
        outgoing.write(b"N")
    words = body[4:].rstrip(b"\0").decode().split("\0")
    return dict(zip(words[::2], words[1::2], strict=True))


def _message(incoming: BufferedIOBase) -> tuple[bytes, bytes]:
    """Read the kind and the body of a message; both are empty at the end of the connection."""
    head = incoming.read(5)
    if len(head) < 5:
        return b"", b""
    (length,) = struct.unpack("!i", head[1:])
    return head[:1], incoming.read(length - 4)
