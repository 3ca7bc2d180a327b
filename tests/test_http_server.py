import socket
import ssl
from urllib.parse import urlsplit

from http_server import http_server

_HANDSHAKE_FAILED = b"\x15"
"""The first byte of a TLS record that is an alert."""


def test_a_client_that_never_begins_its_handshake_keeps_no_other_client_waiting():
    with http_server(tls=ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)) as server:
        address = (urlsplit(server.url).hostname, urlsplit(server.url).port)
        # The silent client is gone before the server stops, so that even a server which waits for it can stop.
        with socket.create_connection(address), socket.create_connection(address, timeout=60) as other:
            other.sendall(b"\x16\x03\x01\x00\x04nope")
            assert other.recv(1) == _HANDSHAKE_FAILED
