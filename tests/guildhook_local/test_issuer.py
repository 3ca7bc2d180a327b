import base64
import hashlib
import html
import re
import time
from urllib.parse import parse_qsl, urlencode, urlsplit
from uuid import uuid4

import jwt
import pytest
import urllib3

from guildhook_local.issuer import AUDIENCE, CLIENT_ID, Issuer, Person

ADA = uuid4()
BACK = "http://127.0.0.1:8470/signed-in"
ORIGIN = "http://127.0.0.1:8470"
VERIFIER = "v" * 43
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
ASKED = {
    "client_id": CLIENT_ID,
    "redirect_uri": BACK,
    "response_type": "code",
    "scope": "openid profile",
    "state": "<the state>",
    "nonce": "the nonce",
    "code_challenge": CHALLENGE,
    "code_challenge_method": "S256",
}


@pytest.fixture
def issuer(chat_server):
    chat_server.add_person(ADA, Person("Ada <3", "may do everything"))
    chat_server.issuer.allow(BACK)
    with chat_server.running():
        yield chat_server.issuer


@pytest.fixture
def http(issuer):
    with urllib3.PoolManager(retries=False) as pool:

        def http(method, path, fields=None, headers=None):
            body = urlencode(fields) if method == "POST" else None
            query = f"?{urlencode(fields)}" if fields and method == "GET" else ""
            headers = {"Content-Type": "application/x-www-form-urlencoded", **(headers or {})}
            return pool.request(method, f"{issuer.url}{path}{query}", body=body, headers=headers, redirect=False)

        yield http


def own(issuer):
    return {"Origin": issuer.url.partition("/oidc")[0], "Cookie": issuer.session.cookie}


@pytest.fixture
def sign_in(http, issuer):
    """Chooses Ada; returns the parameters with which the browser goes back to the admin page."""

    def sign_in(**asked):
        response = http("POST", "/authorize", {**ASKED, "user": ADA, **asked}, own(issuer))
        assert response.status == 303
        where, _, query = response.headers["Location"].partition("?")
        assert where == BACK
        return dict(parse_qsl(query))

    return sign_in


def exchange(http, code, **fields):
    grant = {"grant_type": "authorization_code", "client_id": CLIENT_ID, "redirect_uri": BACK, "code": code}
    return http("POST", "/token", {**grant, "code_verifier": VERIFIER, **fields}, {"Origin": ORIGIN})


def test_discovery_says_where_everything_is(http, issuer):
    response = http("GET", "/.well-known/openid-configuration", headers={"Origin": ORIGIN})
    document = response.json()
    assert document["issuer"] == issuer.url
    assert document["code_challenge_methods_supported"] == ["S256"]
    assert response.headers["Access-Control-Allow-Origin"] == ORIGIN
    for name in ("authorization_endpoint", "token_endpoint", "jwks_uri", "end_session_endpoint"):
        assert document[name].startswith(f"{issuer.url}/")


def test_a_person_is_chosen_on_a_page_and_the_code_is_changed_for_tokens(http, issuer, sign_in):
    page = http("GET", "/authorize", ASKED)
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert f"form-action 'self' {ORIGIN}" in policy
    assert html.escape("Ada <3") in page.data.decode()
    carried = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', page.data.decode())
    assert {name: html.unescape(value) for name, value in carried} == ASKED
    answer = sign_in()
    assert answer["state"] == "<the state>"
    response = exchange(http, answer["code"])
    assert (response.status, response.headers["Cache-Control"]) == (200, "no-store")
    assert response.headers["Access-Control-Allow-Origin"] == ORIGIN
    tokens = response.json()
    keys = jwt.PyJWKSet.from_dict(http("GET", "/jwks").json())

    def claims(token, audience):
        key = keys[jwt.get_unverified_header(token)["kid"]]
        return jwt.decode(token, key, algorithms=["EdDSA"], audience=audience, issuer=issuer.url)

    access, identity = claims(tokens["access_token"], AUDIENCE), claims(tokens["id_token"], CLIENT_ID)
    assert (access["sub"], access["name"], access["preferred_username"]) == (str(ADA), "Ada <3", "ada <3")
    assert (identity["sub"], identity["nonce"]) == (str(ADA), "the nonce")
    assert access["exp"] - access["iat"] == tokens["expires_in"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"code_verifier": "w" * 43},
        {"code_verifier": ""},
        {"redirect_uri": "http://127.0.0.1:8470/other"},
        {"client_id": "another"},
        {"grant_type": "password"},
    ],
)
def test_a_code_is_valid_only_for_the_request_that_obtained_it(http, sign_in, wrong):
    response = exchange(http, sign_in()["code"], **wrong)
    assert response.status == 400
    assert response.json()["error"] in ("invalid_grant", "invalid_client", "unsupported_grant_type")


def test_a_code_is_valid_once(http, sign_in):
    code = sign_in()["code"]
    assert [exchange(http, code).status for _ in range(2)] == [200, 400]
    failed = sign_in()["code"]
    assert exchange(http, failed, code_verifier="w" * 43).status == 400
    assert exchange(http, failed).status == 400


def test_a_code_is_valid_for_a_minute(http, issuer, sign_in, monkeypatch):
    code = sign_in()["code"]
    monkeypatch.setattr(issuer, "_now", lambda: time.time() + 61)
    assert exchange(http, code).json() == {"error": "invalid_grant"}


@pytest.mark.parametrize(
    "wrong", [{"client_id": "another"}, {"redirect_uri": "https://elsewhere.example/signed-in"}, {"redirect_uri": ""}]
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_another_redirect_uri_or_client_is_refused(http, issuer, method, wrong):
    response = http(method, "/authorize", {**ASKED, "user": ADA, **wrong}, own(issuer))
    assert (response.status, response.headers.get("Location")) == (400, None)


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"scope": "profile"}, "invalid_scope"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge": ""}, "invalid_request"),
    ],
)
def test_without_pkce_or_openid_there_is_no_code(sign_in, wrong, error):
    answer = sign_in(**wrong)
    assert (answer["error"], answer["state"]) == (error, "<the state>")
    assert "code" not in answer


def test_nobody_is_signed_in_without_being_asked(http):
    response = http("GET", "/authorize", {**ASKED, "prompt": "none"})
    assert dict(parse_qsl(urlsplit(response.headers["Location"]).query))["error"] == "login_required"


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": None},
        {"Origin": "https://elsewhere.example"},
        {"Origin": ORIGIN},  # its pages may ask for tokens, and sign nobody in
        {"Cookie": None},
        {"Cookie": "guildhook-1=guess"},
    ],
)
def test_a_sign_in_from_another_site_or_browser_is_refused(http, issuer, headers):
    given = {name: value for name, value in (own(issuer) | headers).items() if value is not None}
    response = http("POST", "/authorize", {**ASKED, "user": ADA}, given)
    assert (response.status, response.headers.get("Location")) == (403, None)


def test_the_issuer_knows_its_own_tokens(issuer, chat_server):
    assert issuer.has_signed(issuer.issue(ADA, "Ada", exp=5, aud=None))
    other = Issuer(chat_server.people, chat_server.session)
    for token in ("", "guess", other.issue(ADA, "Ada"), jwt.encode({"sub": str(ADA)}, "k" * 32, "HS256")):
        assert not issuer.has_signed(token)


def test_an_unknown_person_cannot_sign_in(http, issuer):
    assert http("POST", "/authorize", {**ASKED, "user": uuid4()}, own(issuer)).status == 400
    assert http("POST", "/authorize", {**ASKED, "user": "ada"}, own(issuer)).status == 400


def test_other_origins_read_nothing(http):
    for path in ("/.well-known/openid-configuration", "/jwks"):
        response = http("GET", path, headers={"Origin": "https://elsewhere.example"})
        assert "Access-Control-Allow-Origin" not in response.headers


def test_the_end_of_a_session_goes_back_to_the_page_alone(http):
    back = http("GET", "/end-session", {"post_logout_redirect_uri": f"{ORIGIN}/", "state": "s"})
    assert (back.status, back.headers["Location"]) == (303, f"{ORIGIN}/?state=s")
    for elsewhere in ("https://elsewhere.example/", "http://127.0.0.1:8470@elsewhere.example/", "/oidc"):
        response = http("GET", "/end-session", {"post_logout_redirect_uri": elsewhere})
        assert (response.status, response.headers.get("Location")) == (200, None)


def test_a_large_form_is_not_read(http, issuer):
    assert http("POST", "/token", {"code": "x" * 20_000}).status == 413


def test_a_token_can_be_made_as_a_test_wants_it(issuer):
    claims = jwt.decode(issuer.issue(ADA, "Ada", exp=5, aud=None), options={"verify_signature": False})
    assert (claims["iss"], claims["sub"], claims["exp"]) == (issuer.url, str(ADA), 5)
    assert "aud" not in claims
