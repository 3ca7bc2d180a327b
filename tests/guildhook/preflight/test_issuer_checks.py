import json
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from guildhook.model import TokenAlgorithm
from guildhook.preflight import Reach, Verdict, check_audience, check_issuer
from http_server import Answer, http_server

DISCOVERY, JWKS = "/.well-known/openid-configuration", "/jwks"
RSA = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
EC = ec.generate_private_key(ec.SECP256R1())
ED = ed25519.Ed25519PrivateKey.generate()


def jwk(key, kid="key", **fields):
    kinds: dict[type, Any] = {
        rsa.RSAPrivateKey: jwt.algorithms.RSAAlgorithm,
        ec.EllipticCurvePrivateKey: jwt.algorithms.ECAlgorithm,
        ed25519.Ed25519PrivateKey: jwt.algorithms.OKPAlgorithm,
    }
    (kind,) = (kind for of, kind in kinds.items() if isinstance(key, of))
    return {**json.loads(kind.to_jwk(key.public_key())), "kid": kid, **fields}


@pytest.fixture
def provider():
    with http_server() as server:
        yield server


@pytest.fixture
def checked(provider, client):
    """The findings for a provider with these keys and other fields in its discovery document."""

    def checked(*keys, discovery=None, jwks=None, reach=Reach.MACHINE, keys_host="", algorithm="RS256", **fields):
        document = {"issuer": provider.url, "jwks_uri": f"{provider.url}{JWKS}", **fields}
        provider.requests.clear()
        provider.answers[:] = [
            discovery or Answer(json.dumps(document).encode()),
            jwks or Answer(json.dumps({"keys": keys}).encode()),
        ]
        return check_issuer(client(reach), provider.url, keys_host, TokenAlgorithm(algorithm))

    return checked


def failed(findings, verdict=Verdict.FAILED):
    """The sentence of the last finding, which is the one that did not pass."""
    assert [finding.verdict for finding in findings[:-1]] == [Verdict.PASSED] * (len(findings) - 1)
    assert findings[-1].verdict is verdict
    return findings[-1].sentence


def test_a_provider_with_keys_passes(checked, provider):
    findings = checked(jwk(RSA))
    assert [(finding.check, finding.verdict) for finding in findings] == [
        ("discovery", Verdict.PASSED),
        ("keys", Verdict.PASSED),
    ]
    assert provider.requests == [DISCOVERY, JWKS]
    # The provider is told nothing that others should not know.
    assert not any("Authorization" in headers for headers in provider.headers)


def test_the_keys_of_another_algorithm_pass_where_it_is_accepted(checked):
    assert checked(jwk(EC), algorithm="ES256")[-1].verdict is Verdict.PASSED
    assert checked(jwk(ED), algorithm="EdDSA")[-1].verdict is Verdict.PASSED
    assert checked(jwk(EC), jwk(RSA, "other"))[-1].verdict is Verdict.PASSED


def test_keys_for_another_algorithm_are_named_with_the_one_that_is_accepted(checked, provider):
    assert failed(checked(jwk(EC))) == (
        f"JwtIssuer {provider.url}: it has keys only for ES256, and this deployment accepts RS256; let the provider "
        "sign access tokens with RS256, with keys that have kid and use sig, or set JwtAlgorithm=ES256"
    )


@pytest.mark.parametrize(
    "key",
    [
        jwk(RSA, use="enc"),
        {name: value for name, value in jwk(RSA).items() if name != "kid"},
        jwk(RSA, alg="RS512"),
        {"kty": "oct", "k": "c2VjcmV0", "kid": "a"},
        {"kty": "RSA", "kid": "a"},
        "s3cret",
    ],
)
def test_a_key_that_guildhook_does_not_use_does_not_count(checked, key):
    sentence = failed(checked(key))
    assert "it has keys for none of RS256, ES256, EdDSA" in sentence
    assert "s3cret" not in sentence


@pytest.mark.parametrize("jwks", [b"{}", b'{"keys": 7}', json.dumps({"keys": [{}] * 51}).encode()])
def test_a_key_set_without_a_list_of_keys_fails(checked, jwks):
    assert "its key set has no list of keys, or more than 50 keys" in failed(checked(jwks=Answer(jwks)))


@pytest.mark.parametrize("part", ["discovery", "jwks"])
@pytest.mark.parametrize(
    ("answer", "verdict", "reason"),
    [
        (Answer(b"s3cret", status=404), Verdict.FAILED, "HTTP 404 for {place}, without redirects"),
        (Answer(status=301, headers={"Location": "/s3cret"}), Verdict.FAILED, "HTTP 301 for {place}"),
        (Answer(b"s3cret", status=503), Verdict.UNAVAILABLE, "HTTP 503 for {place}; try again later"),
        (Answer(b"<html>s3cret"), Verdict.FAILED, "{place} is not a JSON object"),
        (Answer(b'["s3cret"]'), Verdict.FAILED, "{place} is not a JSON object"),
        (Answer(b"[" * 60_000), Verdict.FAILED, "{place} is not a JSON object"),
        (Answer(b" " * 65_537), Verdict.FAILED, "has more than 65536 bytes"),
        (Answer(b"{", length=2), Verdict.UNAVAILABLE, "gave no whole answer within 5 s"),
    ],
)
def test_a_document_that_cannot_be_used_fails_without_being_quoted(checked, part, answer, verdict, reason):
    sentence = failed(checked(jwk(RSA), **{part: answer}), verdict)
    assert reason.format(place=DISCOVERY if part == "discovery" else "jwks_uri") in sentence
    assert "s3cret" not in sentence


def test_a_discovery_document_of_another_issuer_fails_without_its_name(checked, provider):
    sentence = failed(checked(issuer="https://s3cret.example.org"))
    assert "names another issuer; JwtIssuer must equal it to the letter" in sentence
    assert "s3cret" not in sentence
    assert "names it with a slash at the end; write JwtIssuer so" in failed(checked(issuer=f"{provider.url}/"))
    assert "names another issuer" in failed(checked(issuer=7))


@pytest.mark.parametrize(
    "uri",
    ["http://169.254.169.254/latest/s3cret", "http://127.0.0.1:1/s3cret", "http://localhost/s3cret"],
)
def test_keys_on_another_host_are_not_fetched(checked, provider, uri):
    sentence = failed(checked(jwks_uri=uri))
    assert "is on another host. If that host is the provider's, name it: JwtKeysHost" in sentence
    assert "s3cret" not in sentence
    assert provider.requests == [DISCOVERY]


@pytest.mark.parametrize("uri", ["file:///etc/s3cret", "//s3cret", "http://me:s3cret@127.0.0.1/", "http://[", 7, None])
def test_a_uri_of_keys_that_is_none_is_not_fetched(checked, provider, uri):
    sentence = failed(checked(jwks_uri=uri))
    assert "jwks_uri of its discovery document is no URL with https://" in sentence
    assert "s3cret" not in sentence
    assert provider.requests == [DISCOVERY]


def test_keys_are_fetched_from_a_host_that_the_operator_names(checked):
    with http_server(Answer(json.dumps({"keys": [jwk(RSA)]}).encode())) as other:
        named = other.url.removeprefix("http://")
        assert checked(jwks_uri=f"{other.url}/keys", keys_host=named)[-1].verdict is Verdict.PASSED
        assert "another host" in failed(checked(jwks_uri=f"{other.url}/keys", keys_host="127.0.0.1"))
    assert other.requests == ["/keys"]


def test_a_named_host_is_no_way_to_this_machine(checked, provider):
    sentence = failed(checked(jwk(RSA), reach=Reach.INTERNET))
    assert sentence.startswith(f"JwtIssuer {provider.url}: 127.0.0.1 resolves to an address of this machine")
    assert provider.requests == []


def test_an_issuer_without_https_is_not_asked(client):
    with http_server(Answer()) as server:
        (finding,) = check_issuer(client(allow_http=False), server.url)
    assert finding.verdict is Verdict.FAILED
    assert "it does not start with https://" in finding.sentence
    assert server.requests == []


def test_an_issuer_that_is_down_may_pass_later(client):
    (finding,) = check_issuer(client(), "http://127.0.0.1:1")
    assert finding.verdict is Verdict.UNAVAILABLE
    assert finding.sentence == (
        "JwtIssuer http://127.0.0.1:1: 127.0.0.1 accepts no connection on port 1; start it, or open its firewall"
    )


def test_the_slash_at_the_end_of_an_issuer_is_not_doubled(client):
    with http_server(Answer(status=404)) as server:
        check_issuer(client(), f"{server.url}/realm/")
    assert server.requests == [f"/realm{DISCOVERY}"]


def test_only_a_token_shows_the_audience():
    finding = check_audience("https://login.example.org", "guildhook", "page")
    assert finding.verdict is Verdict.UNCHECKED
    assert "only an access token shows whether its aud or client_id is this" in finding.sentence


@pytest.mark.parametrize("audience", ["", "a b", "a" * 256, "ü"])
def test_an_audience_of_another_form_fails(audience):
    assert check_audience("https://login.example.org", audience).verdict is Verdict.FAILED


@pytest.mark.parametrize(
    ("audience", "client_id", "verdict"),
    [("abc", "abc", Verdict.UNCHECKED), ("guildhook", "abc", Verdict.FAILED), ("guildhook", "", Verdict.UNCHECKED)],
)
def test_the_audience_of_cognito_is_the_client(audience, client_id, verdict):
    finding = check_audience("https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_AbCd", audience, client_id)
    assert finding.verdict is verdict
    if verdict is Verdict.FAILED:
        assert finding.sentence.startswith("JwtAudience guildhook is not JwtClientId abc: access tokens of Cognito")


def test_a_password_in_the_url_is_not_shown(client):
    (finding,) = check_issuer(client(), "https://me:s3cret@login.example.org")
    assert finding.sentence.startswith("JwtIssuer https://login.example.org: this is not a URL with a host")
