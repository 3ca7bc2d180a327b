import base64
import json
import ssl
import time
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from uuid import UUID

import jwt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from guildhook.admin.tokens import Actor, InvalidTokenError, NotOperatorError, OperatorRule, SigningKeys, TokenVerifier
from guildhook.errors import InfrastructureError
from guildhook.model import TokenAlgorithm
from http_server import Answer, http_server

ADA = UUID("6a1d0000-0000-4000-8000-00000000ada0")
AUDIENCE = "guildhook"
OPERATORS = OperatorRule("operators-audience", "https://example.org/roles", "operators")
RSA = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
FORGERS = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
WEAK = rsa.generate_private_key(public_exponent=65_537, key_size=1_024)
EC = ec.generate_private_key(ec.SECP256R1())
ED = ed25519.Ed25519PrivateKey.generate()
DISCOVERY, JWKS = "/.well-known/openid-configuration", "/jwks"


def rsa_jwk(key, kid, **fields):
    return {**json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key())), "kid": kid, **fields}


def ec_jwk(key, kid, **fields):
    return {**json.loads(jwt.algorithms.ECAlgorithm.to_jwk(key.public_key())), "kid": kid, **fields}


def ed_jwk(key, kid, **fields):
    return {**json.loads(jwt.algorithms.OKPAlgorithm.to_jwk(key.public_key())), "kid": kid, **fields}


SIGNED = {TokenAlgorithm.RS256: (RSA, "rsa"), TokenAlgorithm.ES256: (EC, "ec"), TokenAlgorithm.EDDSA: (ED, "ed")}
"""Key and key id by algorithm."""


@dataclass
class Clock:
    seconds: float = 0

    def __call__(self):
        return self.seconds


class Issuer:
    def __init__(self, server, clock):
        self._server = server
        self.url = server.url
        self.clock = clock
        self.verifier = self.verifier_of(*TokenAlgorithm)

    def verifier_of(self, *algorithms):
        """A verifier that accepts these algorithms alone."""
        return TokenVerifier(self.url, AUDIENCE, SigningKeys(self.url, self.clock), algorithms)

    @property
    def requests(self):
        return self._server.requests

    def publish(self, *keys, **discovery):
        """Answer the next requests with a discovery document and these keys."""
        document = {"issuer": self.url, "jwks_uri": f"{self.url}{JWKS}", **discovery}
        self.answer(Answer(json.dumps(document).encode()), Answer(json.dumps({"keys": keys}).encode()))

    def answer(self, *answers):
        self._server.answers[:] = [Answer(status=500)] * len(self.requests) + list(answers)

    def token(self, key=RSA, kid="rsa", algorithm="RS256", headers=(), **claims):
        """A valid token with other claims. None leaves a claim out."""
        now = int(time.time())
        given = {"iss": self.url, "sub": str(ADA), "aud": AUDIENCE, "iat": now, "exp": now + 600, "name": "Ada"}
        payload = {name: value for name, value in {**given, **claims}.items() if value is not None}
        return jwt.encode(payload, key, algorithm, {"kid": kid, **dict(headers)})


@contextmanager
def serving(*answers):
    with http_server(*answers) as server:
        yield Issuer(server, Clock())


@pytest.fixture
def issuer():
    with serving() as issuer:
        issuer.publish(rsa_jwk(RSA, "rsa"), ec_jwk(EC, "ec"), ed_jwk(ED, "ed"))
        yield issuer


def refused(issuer, token, verifier=None):
    """The reason for the refusal, which must not quote the token."""
    with pytest.raises(InvalidTokenError) as raised:
        (verifier or issuer.verifier).verify(token)
    text = str(raised.value)
    assert not [part for part in token.split(".") if part and part in text]
    return text


def test_a_valid_token_names_the_actor_and_its_keys_are_read_once(issuer):
    assert issuer.verifier.verify(issuer.token()) == Actor(ADA, "Ada")
    assert issuer.verifier.verify(issuer.token(EC, "ec", "ES256", name="Eve")) == Actor(ADA, "Eve")
    assert issuer.verifier.verify(issuer.token(ED, "ed", "EdDSA", name="Edd")) == Actor(ADA, "Edd")
    assert issuer.requests == [DISCOVERY, JWKS]


@pytest.mark.parametrize("signed", TokenAlgorithm)
@pytest.mark.parametrize("accepted", TokenAlgorithm)
def test_exactly_the_algorithm_of_the_deployment_is_accepted(issuer, accepted, signed):
    key, kid = SIGNED[signed]
    token, verifier = issuer.token(key, kid, signed), issuer.verifier_of(accepted)
    if signed is accepted:
        assert verifier.verify(token) == Actor(ADA, "Ada")
    else:
        assert refused(issuer, token, verifier) == (
            f"the token is signed with {signed}, and this deployment takes {accepted}; its operator can set "
            f"JwtAlgorithm (GUILDHOOK_JWT_ALGORITHM) to {signed}"
        )
        assert issuer.requests == []


@pytest.mark.parametrize("signed", ["RS384", "RS512", "PS256"])
def test_another_algorithm_of_rsa_is_named_with_the_way_out(issuer, signed):
    token = issuer.token(algorithm=signed)
    for verifier, takes in (
        (issuer.verifier, "RS256 or ES256 or EdDSA"),
        (issuer.verifier_of(TokenAlgorithm.RS256), "RS256"),
    ):
        assert refused(issuer, token, verifier) == (
            f"the token is signed with {signed}, and this deployment takes {takes}; its operator can let the identity "
            "provider sign with RS256 or ES256 or EdDSA, and set JwtAlgorithm (GUILDHOOK_JWT_ALGORITHM) to it"
        )


@pytest.mark.parametrize(
    ("claims", "name"),
    [
        ({"name": None, "preferred_username": "ada"}, "ada"),
        ({"name": 7, "username": "ada.l"}, "ada.l"),
        ({"name": None}, str(ADA)),
        ({"name": "\u202e\0 \n"}, str(ADA)),
        ({"name": " A\0d\ud800a\u2028\n\x1b[31m\u202e "}, "Ada[31m"),
        ({"name": "\U0001f600" * 100}, "\U0001f600" * 64),
    ],
)
def test_a_name_is_one_line_that_can_be_stored_and_shown(issuer, claims, name):
    assert issuer.verifier.verify(issuer.token(**claims)).name == name


@pytest.mark.parametrize("aud", [AUDIENCE, ["another", AUDIENCE]])
def test_an_audience_of_several_is_enough(issuer, aud):
    assert issuer.verifier.verify(issuer.token(aud=aud)).id == ADA


def test_a_token_without_an_audience_is_for_the_client_it_was_made_for(issuer):
    assert issuer.verifier.verify(issuer.token(aud=None, client_id=AUDIENCE, token_use="access")).id == ADA
    assert "another audience" in refused(issuer, issuer.token(aud=None, client_id="another"))
    assert "another audience" in refused(issuer, issuer.token(aud=None))


@pytest.mark.parametrize("claim", [["others", "operators"], "others operators", "operators"])
def test_a_token_for_operators_with_their_group_is_an_operators(issuer, claim):
    token = issuer.token(aud=OPERATORS.audience, **{OPERATORS.claim: claim})
    assert issuer.verifier.verify_operator(token, OPERATORS) == Actor(ADA, "Ada")
    assert "another audience" in refused(issuer, token)


@pytest.mark.parametrize("claim", [None, [], ["Operators"], [["operators"]], "operators2", {"operators": True}, 1])
def test_a_token_without_the_group_is_no_operators(issuer, claim):
    token = issuer.token(aud=OPERATORS.audience, **{OPERATORS.claim: claim})
    with pytest.raises(NotOperatorError, match="roles does not contain the group"):
        issuer.verifier.verify_operator(token, OPERATORS)


def test_the_group_in_a_token_for_admins_makes_no_operator(issuer):
    with pytest.raises(InvalidTokenError, match="another audience"):
        issuer.verifier.verify_operator(issuer.token(**{OPERATORS.claim: ["operators"]}), OPERATORS)


def test_a_token_for_both_audiences_is_no_operators_since_the_admin_page_may_hold_it(issuer):
    token = issuer.token(aud=[AUDIENCE, OPERATORS.audience], **{OPERATORS.claim: ["operators"]})
    assert issuer.verifier.verify(token).id == ADA
    with pytest.raises(InvalidTokenError, match="operators need one for theirs alone"):
        issuer.verifier.verify_operator(token, OPERATORS)


def test_clocks_may_differ_by_half_a_minute(issuer):
    now = int(time.time())
    assert issuer.verifier.verify(issuer.token(iat=now + 15, nbf=now + 15)).id == ADA
    assert issuer.verifier.verify(issuer.token(exp=now - 15)).id == ADA


@pytest.mark.parametrize(
    ("claims", "why"),
    [
        ({"exp": 1_000_000_000}, "the token has expired; sign in again"),
        ({"exp": None}, "the token has no exp"),
        ({"exp": "soon"}, "malformed"),
        ({"exp": 1e999}, "malformed"),
        ({"nbf": 4_000_000_000}, "the clock of"),
        ({"iat": 4_000_000_000}, "the clock of"),
        ({"iss": "https://another.example"}, "of another issuer"),
        ({"iss": None}, "the token has no iss"),
        ({"aud": "another"}, "for another audience"),
        ({"aud": "another", "client_id": AUDIENCE}, "for another audience"),
        ({"aud": [AUDIENCE * 2, 7]}, "for another audience"),
        ({"aud": {AUDIENCE: 1}}, "for another audience"),
        ({"token_use": "id"}, "send the access token"),
        ({"sub": None}, "the token has no sub"),
        ({"sub": "ada"}, "not a UUID"),
        ({"sub": f"{{{ADA}}}"}, "not a UUID"),
        ({"sub": f"{ADA}\n"}, "not a UUID"),
    ],
)
def test_a_token_with_a_wrong_claim_is_refused(issuer, claims, why):
    assert why in refused(issuer, issuer.token(**claims))


@pytest.mark.parametrize(("claims", "why"), [({"sub": 7}, "malformed"), ({"iss": ["x"]}, "of another issuer")])
def test_a_claim_that_is_not_a_text_is_refused(issuer, claims, why):
    given = {"iss": issuer.url, "sub": str(ADA), "aud": AUDIENCE, "exp": int(time.time()) + 600, **claims}
    token = jwt.api_jws.encode(
        json.dumps(given).encode(), RSA, "RS256", {"kid": "rsa"}
    )  # encode() would refuse this value.
    assert why in refused(issuer, token)


def encoded(part):
    return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()


def test_a_token_that_nobody_has_signed_is_refused(issuer):
    unsigned = jwt.encode({"sub": str(ADA)}, None, "none", {"kid": "rsa"})
    why = "the token is not signed with RS256 or ES256 or EdDSA"
    assert refused(issuer, unsigned) == why
    _, payload, signature = issuer.token().split(".")
    for algorithm in ("none", "None", "NONE", "", "rs256", "eddsa", "RSA", None, 7, ["RS256"], {"RS256": 1}):
        header = encoded({"alg": algorithm, "kid": "rsa"})
        assert refused(issuer, f"{header}.{payload}.{signature}") == why
    assert issuer.requests == []


@pytest.mark.parametrize(("key", "kid"), SIGNED.values(), ids=SIGNED)
def test_the_public_key_is_no_secret_to_sign_with(issuer, monkeypatch, key, kid):
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    # PyJWT refuses to sign with a public key. This removes the check.
    signer = jwt.api_jws.PyJWS(algorithms=["HS256"])
    monkeypatch.setattr(signer.get_algorithm_by_name("HS256"), "prepare_key", lambda key: key)
    now = int(time.time())
    claims = {"iss": issuer.url, "sub": str(ADA), "aud": AUDIENCE, "exp": now + 600}
    token = signer.encode(json.dumps(claims).encode(), public, "HS256", {"kid": kid})
    assert "is signed with HS256, and this deployment takes" in refused(issuer, token)
    assert issuer.requests == []
    # Nor does it verify under the name of the key's own algorithm.
    _, payload, signature = token.split(".")
    for algorithm in TokenAlgorithm:
        header = encoded({"alg": algorithm, "kid": kid})
        assert "signature is not that of the issuer" in refused(issuer, f"{header}.{payload}.{signature}")


def test_a_signature_must_be_that_of_the_key_it_names(issuer):
    assert "signature is not that of the issuer" in refused(issuer, issuer.token(FORGERS))
    for algorithm, (key, own) in SIGNED.items():
        for kid in {"rsa", "ec", "ed"} - {own}:
            assert "signature is not that of the issuer" in refused(issuer, issuer.token(key, kid, algorithm))
    header, payload, signature = issuer.token().split(".")
    another = encoded({**json.loads(base64.urlsafe_b64decode(payload + "==")), "sub": str(UUID(int=7))})
    assert "signature is not that of the issuer" in refused(issuer, f"{header}.{another}.{signature}")


@pytest.mark.parametrize("headers", [{"crit": ["x"], "x": 1}, {"b64": False, "crit": ["b64"]}])
def test_a_critical_header_that_is_not_supported_is_refused(issuer, headers):
    assert "malformed" in refused(issuer, issuer.token(headers=headers))


@pytest.mark.parametrize(
    "token",
    ["", ".", "..", "a.b.c", "...", "grüße", "\ud800", f"{'W' * 4_000}.e30.", f"{encoded([])}.e30.e30", "e30.e30.e30"],
)
def test_a_malformed_token_is_refused_without_a_request_to_the_issuer(issuer, token):
    with pytest.raises(InvalidTokenError):
        issuer.verifier.verify(token)
    assert issuer.requests == []


def test_a_token_that_is_nested_deeply_is_refused(issuer):
    payload = base64.urlsafe_b64encode(b"[" * 5_000).rstrip(b"=").decode()
    assert "not signed" in refused(issuer, f"{encoded({})}.{payload}.e30")
    token = jwt.api_jws.encode(b"[" * 5_000, RSA, "RS256", {"kid": "rsa"})
    assert "malformed" in refused(issuer, token)


def test_a_token_of_more_than_8_kib_is_not_looked_at(issuer):
    assert issuer.verifier.verify(issuer.token(more="x" * 5_000)).id == ADA
    issuer.requests.clear()
    assert "more than 8192 bytes" in refused(issuer, issuer.token(more="x" * 8_000))
    assert issuer.requests == []


def test_a_key_must_be_named(issuer):
    token = jwt.encode({"sub": str(ADA)}, RSA, "RS256")
    assert "kid" in refused(issuer, token)


def test_an_unknown_key_id_reads_the_keys_again_but_at_a_bounded_rate(issuer):
    issuer.verifier.verify(issuer.token())
    issuer.publish(rsa_jwk(RSA, "rsa"), rsa_jwk(FORGERS, "new"))
    assert "a key that the issuer does not have" in refused(issuer, issuer.token(FORGERS, "new"))
    assert len(issuer.requests) == 2
    issuer.clock.seconds = 10
    assert issuer.verifier.verify(issuer.token(FORGERS, "new")).id == ADA
    for kid in ("a", "b", "c"):
        assert "a key that the issuer does not have" in refused(issuer, issuer.token(FORGERS, kid))
    assert len(issuer.requests) == 4


def test_a_key_that_the_issuer_has_withdrawn_is_good_for_five_minutes_more(issuer):
    issuer.verifier.verify(issuer.token())
    issuer.publish(ec_jwk(EC, "ec"))
    issuer.clock.seconds = 299
    assert issuer.verifier.verify(issuer.token()).id == ADA
    issuer.clock.seconds = 300
    assert "a key that the issuer does not have" in refused(issuer, issuer.token())


def test_known_keys_do_for_an_hour_while_the_issuer_is_out_of_reach(issuer):
    issuer.verifier.verify(issuer.token())
    issuer.answer(Answer(status=500))
    for issuer.clock.seconds in (300, 301, 3_599):
        assert issuer.verifier.verify(issuer.token()).id == ADA
    assert len(issuer.requests) == 4
    with pytest.raises(InfrastructureError, match=r"HTTP 500 for /\.well-known"):
        issuer.verifier.verify(issuer.token(kid="unknown"))
    issuer.clock.seconds = 3_600
    with pytest.raises(InfrastructureError, match="HTTP 500"):
        issuer.verifier.verify(issuer.token())
    issuer.publish(rsa_jwk(RSA, "rsa"))
    issuer.clock.seconds = 3_610
    assert issuer.verifier.verify(issuer.token()).id == ADA


def test_an_issuer_that_is_out_of_reach_is_named_and_asked_again_after_ten_seconds(issuer):
    issuer.answer(Answer(status=503))
    for _ in range(3):
        with pytest.raises(InfrastructureError) as raised:
            issuer.verifier.verify(issuer.token())
    assert str(raised.value).startswith(f"issuer {issuer.url} (GUILDHOOK_JWT_ISSUER): HTTP 503")
    assert len(issuer.requests) == 1
    issuer.publish(rsa_jwk(RSA, "rsa"))
    issuer.clock.seconds = 10
    assert issuer.verifier.verify(issuer.token()).id == ADA


def test_an_issuer_that_refuses_connections_is_an_infrastructure_error():
    nowhere = "http://127.0.0.1:1"
    verifier = TokenVerifier(nowhere, AUDIENCE, SigningKeys(nowhere))
    token = jwt.encode({"sub": str(ADA)}, RSA, "RS256", {"kid": "rsa"})
    with pytest.raises(InfrastructureError, match=r"NewConnectionError|MaxRetryError"):
        verifier.verify(token)


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (Answer(b"<html>"), "is not JSON as it should be"),
        (Answer(b"[" * 60_000), "is not JSON as it should be"),
        (Answer(b"[]"), "is not JSON as it should be"),
        (Answer(b"{}"), "names another issuer"),
        (Answer(b'{"issuer": "https://another.example"}'), "names another issuer"),
        (Answer(b"{" + b" " * 70_000, pieces=7), "the answer has more than 65536 bytes"),
        (Answer(b"{}", length=100), "ProtocolError|IncompleteRead"),
        (Answer(status=302, headers={"Location": "https://another.example"}), "HTTP 302"),
    ],
)
def test_a_discovery_document_must_be_one(issuer, answer, why):
    issuer.answer(answer)
    with pytest.raises(InfrastructureError, match=why):
        issuer.verifier.verify(issuer.token())
    assert issuer.requests == [DISCOVERY]


@pytest.mark.parametrize(
    "uri", [None, 7, "", "/jwks", "file:///etc/passwd", "ftp://127.0.0.1/jwks", "http:", "https://[", "http://a b"]
)
def test_the_address_of_the_keys_must_be_a_url(issuer, uri):
    issuer.publish(jwks_uri=uri)
    with pytest.raises(InfrastructureError):
        issuer.verifier.verify(issuer.token())
    assert issuer.requests == [DISCOVERY]


@pytest.fixture
def certificate(tmp_path):
    """A file with a key and a self-signed certificate for 127.0.0.1."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "issuer")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(EC.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False)
        .sign(EC, hashes.SHA256())
    )
    path = tmp_path / "issuer.pem"
    key = EC.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(key + certificate.public_bytes(Encoding.PEM))
    return path


@contextmanager
def serving_with_tls(certificate):
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate)
    with http_server(tls=tls) as server:
        yield Issuer(server, Clock())


def test_the_certificate_of_an_issuer_is_verified(certificate):
    with serving_with_tls(certificate) as issuer, pytest.raises(InfrastructureError, match=r"SSLError|MaxRetryError"):
        issuer.verifier.verify(issuer.token())
    assert issuer.requests == []


def test_keys_of_an_issuer_with_tls_are_read_over_tls_alone(certificate, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with serving_with_tls(certificate) as issuer:
        issuer.publish(rsa_jwk(RSA, "rsa"), jwks_uri=f"http://{issuer.url.removeprefix('https://')}{JWKS}")
        with pytest.raises(InfrastructureError, match="does not start with https://"):
            issuer.verifier.verify(issuer.token())
        assert issuer.requests == [DISCOVERY]
        issuer.clock.seconds = 10
        issuer.publish(rsa_jwk(RSA, "rsa"))
        assert issuer.verifier.verify(issuer.token()).id == ADA


@pytest.mark.parametrize(
    "keys", [None, {}, "x", [rsa_jwk(RSA, "rsa")] * 51], ids=["none", "object", "text", "too many"]
)
def test_a_key_set_is_a_list_of_not_too_many(issuer, keys):
    issuer.publish()
    document = Answer(json.dumps({"keys": keys}).encode())
    issuer.answer(issuer._server.answers[0], document)
    with pytest.raises(InfrastructureError, match=r"key set|more than 65536"):
        issuer.verifier.verify(issuer.token())


@pytest.mark.parametrize(
    "nonsense",
    [
        7,
        {},
        {"kid": "rsa"},
        {"kid": "rsa", "kty": "RSA"},
        {"kid": "rsa", "kty": "RSA", "n": "!", "e": "AQAB"},
        {"kid": "rsa", "kty": "RSA", "alg": ["RS256"]},
        {"kid": "rsa", "kty": "oct", "k": "c2VjcmV0"},
        {"kid": 7, "kty": "RSA"},
        rsa_jwk(RSA, "rsa", use="enc"),
        rsa_jwk(RSA, "rsa", alg="RS512"),
        rsa_jwk(RSA, "rsa", alg="RSA-OAEP"),
        rsa_jwk(RSA, "rsa", alg="ES256"),
        rsa_jwk(RSA, "rsa", alg="EdDSA"),
        rsa_jwk(RSA, "rsa", alg="HS256"),
        rsa_jwk(RSA, "rsa", alg="none"),
        json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(RSA)) | {"kid": "rsa"},  # a private key
    ],
)
def test_keys_of_other_kinds_are_passed_over(issuer, nonsense):
    issuer.publish(nonsense, ec_jwk(EC, "ec"))
    assert issuer.verifier.verify(issuer.token(EC, "ec", "ES256")).id == ADA
    assert "a key that the issuer does not have" in refused(issuer, issuer.token())


def test_a_key_that_is_too_short_signs_nothing(issuer):
    issuer.publish(rsa_jwk(WEAK, "weak"))
    with pytest.warns(match="below"):
        token = issuer.token(WEAK, "weak")
    assert "malformed" in refused(issuer, token)


OTHER_KEYS = {
    "P-384 as ES256": ("ES256", "ES384", ec.generate_private_key(ec.SECP384R1()), ec_jwk),
    "secp256k1 as ES256": ("ES256", "ES256K", ec.generate_private_key(ec.SECP256K1()), ec_jwk),
    "Ed448": ("EdDSA", "EdDSA", ed448.Ed448PrivateKey.generate(), ed_jwk),
}


@pytest.mark.parametrize(("named", "signed", "key", "jwk"), OTHER_KEYS.values(), ids=OTHER_KEYS)
@pytest.mark.parametrize("says_so", [True, False], ids=["with alg", "without"])
def test_other_curves_are_not_those_of_the_algorithms(issuer, named, signed, key, jwk, says_so):
    issuer.publish(jwk(key, "key", **({"alg": named} if says_so else {})))
    _, payload, signature = issuer.token(key, "key", signed).split(".")
    token = f"{encoded({'alg': named, 'kid': 'key'})}.{payload}.{signature}"
    assert "a key that the issuer does not have" in refused(issuer, token)
    if signed != named:
        assert f"signed with {signed}" in refused(issuer, issuer.token(key, "key", signed))
