"""A small OpenID Connect provider for this machine. People choose their name and need no password.

It has the authorization code flow with PKCE and nothing else, for one public client.
"""

import base64
import hashlib
import hmac
import html
import re
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit
from uuid import UUID, uuid4

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from guildhook_local.guard import NOT_ENTERED, BrowserSession
from guildhook_local.web_server import from_its_own_page, read_body

CLIENT_ID = "guildhook-page"
AUDIENCE = "guildhook"
ALGORITHM = "EdDSA"
"""The algorithm that tokens are signed with, with Ed25519."""
OPERATOR_AUDIENCE = "guildhook-operators"
OPERATOR_GROUP = "operators"

_CODE_SECONDS = 60
_TOKEN_SECONDS = 3_600
_OPERATOR_TOKEN_SECONDS = 86_400
_MOST_CODES = 1_000
_MAX_FORM_BYTES = 16 * 1024
_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")
"""A code challenge of S256: a SHA-256 digest in base64url."""
_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}")

_CARRIED = ("client_id", "redirect_uri", "response_type", "scope", "state", "nonce", "code_challenge")
"""Parameters that the page of the people hands on."""


@dataclass(frozen=True, slots=True)
class Person:
    name: str
    about: str = ""
    """The rights of the person, shown where one is chosen."""

    @property
    def username(self) -> str:
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class _Grant:
    """The grant that a code stands for."""

    user_id: UUID
    redirect_uri: str
    challenge: str
    nonce: str | None
    scope: str
    until: float


class Issuer:
    def __init__(
        self, people: Callable[[], Mapping[UUID, Person]], session: BrowserSession, now: Callable[[], float] = time.time
    ) -> None:
        """Only browsers of the session can sign in."""
        self.url = ""
        """The URL is set when the server listens. Its path cannot be guessed."""
        self._people = people
        self.session = session
        self._now = now
        self._redirect_uris: set[str] = set()
        self._grants: dict[str, _Grant] = {}
        self._grants_lock = threading.Lock()

    def allow(self, redirect_uri: str) -> None:
        """Send people who have signed in there, and nowhere else."""
        self._redirect_uris.add(redirect_uri)

    def issue(self, user_id: UUID, name: str, **claims: Any) -> str:
        """An access token. `claims` are more of them, or other ones; None leaves one out."""
        now = int(self._now())
        return self._signed(
            {
                "iss": self.url,
                "sub": str(user_id),
                "aud": AUDIENCE,
                "client_id": CLIENT_ID,
                "iat": now,
                "exp": now + _TOKEN_SECONDS,
                "jti": str(uuid4()),
                "name": name,
                "preferred_username": Person(name).username,
                **claims,
            }
        )

    def issue_operator(self, user_id: UUID, name: str, **claims: Any) -> str:
        """An operator's access token, with `claims` as `issue` takes them. It is for a shell, and valid for a day."""
        return self.issue(
            user_id,
            name,
            **{
                "aud": OPERATOR_AUDIENCE,
                "groups": [OPERATOR_GROUP],
                "exp": int(self._now()) + _OPERATOR_TOKEN_SECONDS,
                **claims,
            },
        )

    def has_signed(self, token: str) -> bool:
        """Tell whether a token is the issuer's own. Its time and its claims are for others to check."""
        try:
            jwt.api_jws.decode(token, self._key.public_key(), algorithms=[ALGORITHM])
        except jwt.InvalidTokenError:
            return False
        return True

    def routes(self, prefix: str) -> list[Route]:
        return [
            Route(f"{prefix}/.well-known/openid-configuration", self._discovery),
            Route(f"{prefix}/jwks", self._jwks),
            Route(f"{prefix}/authorize", self._authorize, methods=["GET"]),
            Route(f"{prefix}/authorize", self._sign_in, methods=["POST"]),
            Route(f"{prefix}/token", self._token, methods=["POST"]),
            Route(f"{prefix}/end-session", self._end_session),
            Route(f"{prefix}/style.css", self._style),
        ]

    @cached_property
    def _key(self) -> Ed25519PrivateKey:
        return Ed25519PrivateKey.generate()

    @cached_property
    def _key_id(self) -> str:
        return uuid4().hex

    def _signed(self, claims: Mapping[str, Any]) -> str:
        given = {name: value for name, value in claims.items() if value is not None}
        return jwt.encode(given, self._key, algorithm=ALGORITHM, headers={"kid": self._key_id})

    async def _discovery(self, request: Request) -> Response:
        document = {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "jwks_uri": f"{self.url}/jwks",
            "end_session_endpoint": f"{self.url}/end-session",
            "response_types_supported": ["code"],
            "response_modes_supported": ["query"],
            "grant_types_supported": ["authorization_code"],
            "code_challenge_methods_supported": ["S256"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": [ALGORITHM],
            "token_endpoint_auth_methods_supported": ["none"],
            "scopes_supported": ["openid", "profile"],
            "claims_supported": ["sub", "name", "preferred_username"],
        }
        return JSONResponse(document, headers=self._cors(request))

    async def _jwks(self, request: Request) -> Response:
        key = jwt.algorithms.OKPAlgorithm.to_jwk(self._key.public_key(), as_dict=True)
        return JSONResponse(
            {"keys": [{**key, "kid": self._key_id, "use": "sig", "alg": ALGORITHM}]}, headers=self._cors(request)
        )

    async def _authorize(self, request: Request) -> Response:
        asked = request.query_params
        refused = self._refused(asked)
        if refused:
            return refused
        if "none" in asked.get("prompt", "").split():
            # There is no session here by which anybody could be known.
            return _back(asked, {"error": "login_required"})
        return self._page(_people_page(self._people(), asked), form_target=_origin(asked["redirect_uri"]))

    async def _sign_in(self, request: Request) -> Response:
        if not from_its_own_page(request, _origin(self.url)):
            return self._page(_error_page("This form was sent by another site."), HTTPStatus.FORBIDDEN)
        # The page of `sam local start-api`, which has no guard, tells everybody the path of this issuer.
        if not self.session.is_open(request.headers.getlist("cookie")):
            return self._page(_error_page(NOT_ENTERED), HTTPStatus.FORBIDDEN)
        form = await _form(request)
        refused = self._refused(form)
        if refused:
            return refused
        user_id = _uuid(form.get("user", ""))
        if user_id is None or user_id not in self._people():
            return self._page(_error_page("There is no such person."), HTTPStatus.BAD_REQUEST)
        code = secrets.token_urlsafe(32)
        grant = _Grant(
            user_id=user_id,
            redirect_uri=form["redirect_uri"],
            challenge=form["code_challenge"],
            nonce=form.get("nonce"),
            scope=form["scope"],
            until=self._now() + _CODE_SECONDS,
        )
        with self._grants_lock:
            self._grants[code] = grant
            while len(self._grants) > _MOST_CODES:
                del self._grants[next(iter(self._grants))]
        return _back(form, {"code": code})

    def _refused(self, asked: Mapping[str, str]) -> Response | None:
        """Return the refusal of a request to sign in, or None. Only a known redirect URI gets the reason."""
        if asked.get("client_id") != CLIENT_ID:
            return self._page(_error_page("There is no such client_id."), HTTPStatus.BAD_REQUEST)
        if asked.get("redirect_uri") not in self._redirect_uris:
            return self._page(_error_page("The redirect_uri is not one of the admin page's."), HTTPStatus.BAD_REQUEST)
        if asked.get("response_type") != "code":
            return _back(asked, {"error": "unsupported_response_type"})
        if "openid" not in asked.get("scope", "").split():
            return _back(asked, {"error": "invalid_scope"})
        if asked.get("code_challenge_method") != "S256" or not _CHALLENGE.fullmatch(asked.get("code_challenge", "")):
            return _back(asked, {"error": "invalid_request", "error_description": "PKCE with S256 is needed"})
        return None

    async def _token(self, request: Request) -> Response:
        form = await _form(request)
        headers = {"Cache-Control": "no-store", **self._cors(request)}
        if form.get("grant_type") != "authorization_code":
            return JSONResponse({"error": "unsupported_grant_type"}, 400, headers=headers)
        if form.get("client_id") != CLIENT_ID:
            return JSONResponse({"error": "invalid_client"}, 400, headers=headers)
        # The code is removed first, since each code can be tried only once.
        with self._grants_lock:
            grant = self._grants.pop(form.get("code", ""), None)
        if grant is None or not self._holds(grant, form):
            return JSONResponse({"error": "invalid_grant"}, 400, headers=headers)
        person = self._people().get(grant.user_id)
        if person is None:
            return JSONResponse({"error": "invalid_grant"}, 400, headers=headers)
        access = self.issue(grant.user_id, person.name, scope=grant.scope)
        identity = self.issue(grant.user_id, person.name, aud=CLIENT_ID, client_id=None, nonce=grant.nonce)
        return JSONResponse(
            {
                "access_token": access,
                "id_token": identity,
                "token_type": "Bearer",
                "expires_in": _TOKEN_SECONDS,
                "scope": grant.scope,
            },
            headers=headers,
        )

    def _holds(self, grant: _Grant, form: Mapping[str, str]) -> bool:
        verifier = form.get("code_verifier", "")
        return (
            self._now() < grant.until
            and form.get("redirect_uri") == grant.redirect_uri
            and _VERIFIER.fullmatch(verifier) is not None
            and hmac.compare_digest(_challenge(verifier), grant.challenge)
        )

    async def _end_session(self, request: Request) -> Response:
        back = request.query_params.get("post_logout_redirect_uri", "")
        if back and _origin(back) in self.origins():
            state = request.query_params.get("state")
            return RedirectResponse(f"{back}?{urlencode({'state': state})}" if state else back, HTTPStatus.SEE_OTHER)
        return self._page(_document("Signed out", "<p>You are signed out. You can close this page.</p>"))

    async def _style(self, _request: Request) -> Response:
        return Response(_STYLE, media_type="text/css")

    def origins(self) -> set[str]:
        """The origins of the pages that people sign in for."""
        return {_origin(uri) for uri in self._redirect_uris}

    def _cors(self, request: Request) -> dict[str, str]:
        """The admin page is of another origin, and asks from within."""
        origin = request.headers.get("origin")
        allowed = {"Access-Control-Allow-Origin": origin} if origin in self.origins() else {}
        return {"Vary": "Origin", **allowed}

    def _page(self, page: str, status: int = HTTPStatus.OK, form_target: str = "") -> Response:
        policy = (
            "default-src 'none'; style-src 'self'; frame-ancestors 'none'; base-uri 'none'; "
            # A browser asks it for where the form's answer redirects to as well.
            f"form-action 'self' {form_target}"
        )
        headers = {
            "Content-Security-Policy": policy.strip(),
            "X-Content-Type-Options": "nosniff",
            "Cache-Control": "no-store",
            # Not no-referrer: with that a form would say that it comes from nowhere.
            "Referrer-Policy": "same-origin",
        }
        return HTMLResponse(page, status, headers=headers)


def _back(asked: Mapping[str, str], answer: Mapping[str, str]) -> Response:
    state = {"state": asked["state"]} if asked.get("state") else {}
    # 303: a browser that has sent a form comes with a GET.
    return RedirectResponse(f"{asked['redirect_uri']}?{urlencode({**answer, **state})}", HTTPStatus.SEE_OTHER)


async def _form(request: Request) -> dict[str, str]:
    body = await read_body(request, _MAX_FORM_BYTES)
    # A repeated parameter is refused, since it is ambiguous.
    pairs = parse_qsl(body.decode("latin-1"), max_num_fields=32)
    names = [name for name, _ in pairs]
    return {name: value for name, value in pairs if names.count(name) == 1}


def _challenge(verifier: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def _people_page(people: Mapping[UUID, Person], asked: Mapping[str, str]) -> str:
    carried = "".join(_hidden(name, asked[name]) for name in _CARRIED if name in asked)
    buttons = "".join(
        f'<li><button name="user" value="{user_id}">{html.escape(person.name)}'
        f"<small>{html.escape(person.about)}</small></button></li>"
        for user_id, person in people.items()
    )
    method = _hidden("code_challenge_method", "S256")
    return _document(
        "Sign in",
        f'<p>Who are you? This is a sample: nobody has a password.</p><form method="post">{carried}{method}'
        f"<ul>{buttons}</ul></form>",
    )


def _hidden(name: str, value: str) -> str:
    return f'<input type="hidden" name="{name}" value="{html.escape(value)}">'


def _error_page(text: str) -> str:
    return _document("Sign-in failed", f"<p>{html.escape(text)}</p>")


def _document(title: str, content: str) -> str:
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title} - the sample chat server</title>'
        '<meta name="viewport" content="width=device-width"><meta name="color-scheme" content="light dark">'
        f'<link rel="stylesheet" href="style.css"></head><body><main><h1>{title}</h1>{content}</main></body></html>'
    )


_STYLE = """\
:root { color-scheme: light dark; font: 1rem/1.5 system-ui, sans-serif; }
body { margin: 0; }
main { max-width: 26rem; margin: 12vh auto; padding: 0 1rem; }
ul { list-style: none; margin: 0; padding: 0; display: grid; gap: 0.5rem; }
button { width: 100%; padding: 0.75rem 1rem; font: inherit; text-align: left; cursor: pointer; border-radius: 0.5rem;
  border: 1px solid GrayText; background: Canvas; color: CanvasText; }
button:hover { border-color: LinkText; }
button:focus-visible { outline: 3px solid LinkText; outline-offset: 2px; }
small { display: block; }
"""
