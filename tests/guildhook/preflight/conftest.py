import ssl
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

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
    key = ec.generate_private_key(ec.SECP256R1())
    name, now = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "chat.example.org")]), datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("chat.example.org")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path / "chat.pem"
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(private + certificate.public_bytes(Encoding.PEM))
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context
