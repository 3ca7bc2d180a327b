"""The identity provider of the admins: its discovery document, its keys, and the audience of its tokens."""

import re
from typing import Any, Final

import msgspec
import urllib3
from urllib3.util import Url, parse_url

from guildhook.admin.tokens import key_algorithms
from guildhook.model import TokenAlgorithm
from guildhook.preflight.bounded_client import (
    BoundedAnswer,
    BoundedClient,
    MissingAnswer,
    may_pass_later,
    reason_of,
    without_user,
)
from guildhook.preflight.findings import Finding, Verdict

_DISCOVERY: Final = "/.well-known/openid-configuration"
_AUDIENCE: Final = re.compile(r"[!-~]{1,255}")
_COGNITO: Final = re.compile(r"https://cognito-idp\.[a-z0-9-]+\.amazonaws\.com(\.cn)?/.+")
_BUSY: Final = (429, 500, 502, 503, 504)


def check_issuer(
    client: BoundedClient,
    issuer: str,
    keys_host: str = "",
    algorithm: TokenAlgorithm = TokenAlgorithm.RS256,
    *,
    in_ipv6_network: bool = False,
) -> list[Finding]:
    """Ask for the discovery document and for the keys. `keys_host` is the host of the keys, with its port unless that
    is 443, if it is not the issuer's. `algorithm` is the one that the deployment accepts.
    """
    answer = client.get(f"{issuer.rstrip('/')}{_DISCOVERY}")
    found = _document("discovery", f"JwtIssuer {without_user(issuer)}", _DISCOVERY, answer, in_ipv6_network)
    url = found if isinstance(found, Finding) else _keys_url(found, issuer, keys_host, client.allow_http)
    if isinstance(url, Finding):
        return [url]
    discovered = Finding(
        "discovery", Verdict.PASSED, f"JwtIssuer {issuer}: its discovery document names it and its keys"
    )
    found = _document("keys", f"Keys of JwtIssuer {issuer}", "jwks_uri", client.get(url), in_ipv6_network)
    return [discovered, found if isinstance(found, Finding) else _keys(found, issuer, algorithm)]


def check_audience(issuer: str, audience: str, client_id: str = "") -> Finding:
    """Check the form of an audience. Only a token shows whether the provider uses it."""
    if not _AUDIENCE.fullmatch(audience):
        return Finding(
            "audience", Verdict.FAILED, "JwtAudience must have 1 to 255 characters of visible ASCII; correct it"
        )
    if _COGNITO.fullmatch(issuer) and client_id and audience != client_id:
        return Finding(
            "audience",
            Verdict.FAILED,
            f"JwtAudience {audience} is not JwtClientId {client_id}: access tokens of Cognito have no aud, and their "
            "client_id is the id of the app client; set JwtAudience to it",
        )
    return Finding(
        "audience",
        Verdict.UNCHECKED,
        f"JwtAudience {audience}: only an access token shows whether its aud or client_id is this; sign in after the "
        "deploy, or look into a token",
    )


def _document(
    check: str, subject: str, place: str, answer: BoundedAnswer | MissingAnswer, in_ipv6_network: bool
) -> dict[str, Any] | Finding:
    """The JSON object of an answer, or the finding that there is none."""
    if isinstance(answer, MissingAnswer):
        verdict = Verdict.UNAVAILABLE if may_pass_later(answer) else Verdict.FAILED
        return Finding(check, verdict, f"{subject}: {reason_of(answer, in_ipv6_network=in_ipv6_network)}")
    if answer.status in _BUSY:
        return Finding(check, Verdict.UNAVAILABLE, f"{subject}: HTTP {answer.status} for {place}; try again later")
    if answer.status != 200:
        reason = f"HTTP {answer.status} for {place}, without redirects; correct the URL of the provider"
        return Finding(check, Verdict.FAILED, f"{subject}: {reason}")
    try:
        return msgspec.json.decode(answer.body, type=dict[str, Any])
    except (ValueError, RecursionError):
        reason = f"{place} is not a JSON object; correct the URL of the provider"
        return Finding(check, Verdict.FAILED, f"{subject}: {reason}")


def _keys_url(document: dict[str, Any], issuer: str, keys_host: str, allow_http: bool) -> str | Finding:
    """The URL of the keys, which is on the issuer's host or on the one that the operator names."""
    named, url = document.get("issuer"), document.get("jwks_uri")
    if named != issuer:
        differs = "names another issuer; JwtIssuer must equal it to the letter"
        if isinstance(named, str) and named.rstrip("/") == issuer.rstrip("/"):
            differs = f"names it {'with' if named.endswith('/') else 'without'} a slash at the end; write JwtIssuer so"
        return _failed("discovery", f"JwtIssuer {issuer}: its discovery document {differs}")
    keys = _parsed(url)
    if keys is None or not (keys.scheme == "https" or (allow_http and keys.scheme == "http")):
        return _failed("discovery", f"JwtIssuer {issuer}: jwks_uri of its discovery document is no URL with https://")
    if _place(keys) not in (_place(parse_url(issuer)), keys_host.lower()):
        return _failed(
            "discovery",
            f"JwtIssuer {issuer}: jwks_uri of its discovery document is on another host. If that host is the "
            "provider's, name it: JwtKeysHost",
        )
    return str(url)


def _keys(document: dict[str, Any], issuer: str, algorithm: TokenAlgorithm) -> Finding:
    try:
        found = sorted(set(key_algorithms(document)))
    except ValueError as error:
        return _failed("keys", f"Keys of JwtIssuer {issuer}: {error}")
    if algorithm in found:
        return Finding("keys", Verdict.PASSED, f"JwtIssuer {issuer}: it has keys for {algorithm}")
    has = f"only for {' and '.join(found)}" if found else f"for none of {', '.join(TokenAlgorithm)}"
    way = f"let the provider sign access tokens with {algorithm}, with keys that have kid and use sig"
    if found:
        way = f"{way}, or set JwtAlgorithm={found[0]}"
    return _failed("keys", f"JwtIssuer {issuer}: it has keys {has}, and this deployment accepts {algorithm}; {way}")


def _parsed(url: object) -> Url | None:
    """The parts of a URL with a host and without a user."""
    try:
        parts = parse_url(url) if isinstance(url, str) else None
    except urllib3.exceptions.LocationParseError:
        return None
    return parts if parts and parts.host and not parts.auth else None


def _place(url: Url) -> str:
    """Host, and port unless it is the scheme's own, in lower case."""
    default = {"https": 443, "http": 80}.get(url.scheme or "")
    port = "" if url.port in (None, default) else f":{url.port}"
    return f"{url.host}{port}".lower()


def _failed(check: str, sentence: str) -> Finding:
    return Finding(check, Verdict.FAILED, sentence)
