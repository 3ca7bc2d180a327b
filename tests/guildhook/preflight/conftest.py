import ssl

import pytest

from certificates import self_signed
from guildhook.preflight import BoundedClient, Reach


@pytest.fixture
def client():
    """Creates a client that may ask servers of this machine without TLS, and tries once."""

    def client(reach=Reach.MACHINE, **options):
        return BoundedClient(reach, **{"allow_http": True, "pauses": (0,), **options})

    return client


@pytest.fixture
def tls(tmp_path, monkeypatch):
    """A server's side of TLS with a certificate for chat.example.org, whose authority the clients trust."""
    certificate, key = self_signed("chat.example.org")
    path = tmp_path / "chat.pem"
    path.write_bytes(key + certificate)
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context
