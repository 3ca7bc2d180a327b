"""Access tokens of the identity provider, and the keys that they are signed with."""

import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from threading import Lock
from typing import Any, Final
from urllib.parse import urlsplit
from uuid import UUID

import jwt
import msgspec
import urllib3
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from guildhook.errors import InfrastructureError
from guildhook.http_bodies import EndlessAnswerError, read_whole
from guildhook.http_deadlines import deadline_pool
from guildhook.model import TokenAlgorithm

_OTHER_ALGORITHMS: Final = frozenset(
    (
        *(f"{kind}{bits}" for kind in ("HS", "RS", "PS", "ES") for bits in (256, 384, 512)),
        *("ES256K", "Ed25519", "Ed448"),
    )
).difference(TokenAlgorithm)
"""Names of algorithms that an error may quote from a token. A token with any other name counts as not signed."""
_LEEWAY_SECONDS: Final = 30
"""The most by which the clocks of issuer and server may differ."""
_MAX_TOKEN_BYTES: Final = 8 * 1024
_MAX_NAME_CHARS: Final = 64
_CLAIMS_OF_NAME: Final = ("name", "preferred_username", "username")

_MAX_DOCUMENT_BYTES: Final = 64 * 1024
_MOST_KEYS: Final = 50
_LARGEST_RSA_BITS: Final = 8_192
_CONNECT_SECONDS: Final = 2
_TOTAL_SECONDS: Final = 5
_CONNECTIONS: Final = 1
_FRESH_SECONDS: Final = 300
_USABLE_SECONDS: Final = 3_600
"""The time for which known keys are used while the issuer is out of reach."""
_REST_SECONDS: Final = 10
"""The least time between two readings of the keys, since anybody can send a token with an unknown key."""
_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


class InvalidTokenError(Exception):
    """The token does not identify an actor. The text tells its sender why, and quotes nothing of the token."""


@dataclass(frozen=True, slots=True)
class Actor:
    id: UUID
    """The id of a user of the chat server."""
    name: str
    """The name from the token: one line, for people to read."""


@dataclass(frozen=True, slots=True)
class OperatorRule:
    """The tokens that make their actor an operator: those for this audience whose claim contains the group."""

    audience: str
    """It is another one than that of guild admins, so that no token of the admin page is an operator's."""
    claim: str
    group: str

    def admits(self, claims: Mapping[str, Any]) -> bool:
        """Tell whether the claim is a list with the group in it, or a text with the group as one of its words."""
        found = claims.get(self.claim)
        return self.group in (found if isinstance(found, list) else found.split() if isinstance(found, str) else ())


class NotOperatorError(Exception):
    """The token is valid and for operators, but its actor is not one. The text names the claim."""


class SigningKeys:
    """The public keys of an issuer, by OpenID Connect discovery. Safe for use from several threads.

    Keys are read again after five minutes, and when a token names an unknown key. While the issuer is out of reach,
    known keys are used for an hour.
    """

    def __init__(self, issuer: str, now: Callable[[], float] = time.monotonic) -> None:
        self._issuer = issuer
        self._now = now
        self._http = deadline_pool(_CONNECTIONS, urllib3.Retry(connect=1, read=0, redirect=0))
        self._lock = Lock()
        self._keys: Mapping[str, jwt.PyJWK] = {}
        self._read_at = self._tried_at = float("-inf")
        self._problem = ""

    def find(self, key_id: str) -> jwt.PyJWK | None:
        """The key, or None if the issuer does not have it. Raises InfrastructureError if the issuer is out of reach."""
        if self._now() - self._read_at < _FRESH_SECONDS and key_id in self._keys:
            return self._keys[key_id]
        with self._lock:
            age = self._now() - self._read_at
            if (key_id not in self._keys or age >= _FRESH_SECONDS) and self._now() - self._tried_at >= _REST_SECONDS:
                self._read()
            if self._problem and (key_id not in self._keys or self._now() - self._read_at >= _USABLE_SECONDS):
                raise InfrastructureError(f"issuer {self._issuer} (GUILDHOOK_JWT_ISSUER): {self._problem}")
            return self._keys.get(key_id)

    def _read(self) -> None:
        """Read the issuer's keys, or set the problem that prevented it."""
        self._tried_at = self._now()
        try:
            self._keys, self._problem = _keys(self._get(self._discover())), ""
            self._read_at = self._now()
        except EndlessAnswerError as error:
            self._problem = str(error)
        except urllib3.exceptions.HTTPError as error:
            self._problem = type(error).__name__
        except ValueError as error:
            self._problem = str(error)

    def _discover(self) -> str:
        """The URL of the keys. It has the discovery document's scheme, or a safer one.

        Raises urllib3's HTTPError, and ValueError.
        """
        document = self._get(f"{self._issuer.rstrip('/')}/.well-known/openid-configuration")
        if document.get("issuer") != self._issuer:
            raise ValueError("its discovery document names another issuer")
        url = document.get("jwks_uri")
        schemes = ("https", "http") if urlsplit(self._issuer).scheme == "http" else ("https",)
        if not isinstance(url, str) or urlsplit(url).scheme not in schemes:
            raise ValueError(f"jwks_uri of its discovery document does not start with {' or '.join(schemes)}://")
        return url

    def _get(self, url: str) -> dict[str, Any]:
        """The JSON object at the URL. Raises urllib3's HTTPError, and ValueError that says what is wrong."""
        timeout = urllib3.Timeout(total=_TOTAL_SECONDS, connect=_CONNECT_SECONDS)
        with self._http.request("GET", url, timeout=timeout, redirect=False, preload_content=False) as answer:
            if answer.status != HTTPStatus.OK:
                raise ValueError(f"HTTP {answer.status} for {urlsplit(url).path}")
            body = read_whole(answer, _MAX_DOCUMENT_BYTES, _TOTAL_SECONDS)
        try:
            return msgspec.json.decode(body, type=dict[str, Any])
        except (ValueError, RecursionError):
            raise ValueError(f"{urlsplit(url).path} is not JSON as it should be") from None


class TokenVerifier:
    def __init__(
        self,
        issuer: str,
        audience: str,
        keys: SigningKeys,
        algorithms: Sequence[TokenAlgorithm] = tuple(TokenAlgorithm),
        operators: OperatorRule | None = None,
    ) -> None:
        """`audience` must be in a token's `aud`, or be its `client_id` if it has no `aud`.

        A token must be signed with one of the algorithms. Without `operators` nobody is one.
        """
        self._issuer = issuer
        self._audience = audience
        self._keys = keys
        self._algorithms = algorithms
        self.operators = operators

    def verify(self, token: str) -> Actor:
        """The actor whom the token names. Raises InvalidTokenError, and InfrastructureError if there are no keys."""
        claims = self._checked_claims(token, self._audience)
        return Actor(_subject(claims), _name(claims))

    def verify_operator(self, token: str, rule: OperatorRule) -> Actor:
        """The operator whom the token names. Raises NotOperatorError, and as `verify` does.

        A token for the admins' audience as well is refused, since the admin page may hold it.
        """
        claims = self._checked_claims(token, rule.audience)
        if self._audience in _audiences(claims):
            raise InvalidTokenError("the token is for the admins' audience too; operators need one for theirs alone")
        if not rule.admits(claims):
            raise NotOperatorError(f"the token's claim {rule.claim} does not contain the group of operators")
        return Actor(_subject(claims), _name(claims))

    def _checked_claims(self, token: str, audience: str) -> Mapping[str, Any]:
        if len(token) > _MAX_TOKEN_BYTES or not token.isascii():
            raise InvalidTokenError(f"the token has more than {_MAX_TOKEN_BYTES} bytes, or characters other than ASCII")
        try:
            claims = self._claims(token)
        except jwt.ExpiredSignatureError:
            raise InvalidTokenError("the token has expired; sign in again") from None
        except jwt.ImmatureSignatureError:
            raise InvalidTokenError(
                f"the token is not valid yet: its time is more than {_LEEWAY_SECONDS} s in the future; the clock of "
                "the identity provider or of this server is wrong"
            ) from None
        except jwt.InvalidIssuerError:
            raise InvalidTokenError("the token is of another issuer") from None
        except jwt.MissingRequiredClaimError as error:
            raise InvalidTokenError(f"the token has no {error.claim}") from None
        except jwt.PyJWTError:
            raise InvalidTokenError("the token is malformed, or its signature is not that of the issuer") from None
        _check_audience(claims, audience)
        return claims

    def _claims(self, token: str) -> dict[str, Any]:
        """The verified claims. Raises PyJWTError, InvalidTokenError and InfrastructureError."""
        header = jwt.get_unverified_header(token)
        algorithm = header.get("alg")
        if algorithm not in self._algorithms:
            raise InvalidTokenError(_refusal(algorithm, self._algorithms))
        key_id = header.get("kid")
        if not isinstance(key_id, str):
            raise InvalidTokenError("the token does not say with which key it is signed (kid)")
        key = self._keys.find(key_id)
        if key is None:
            raise InvalidTokenError("the token is signed with a key that the issuer does not have; sign in again")
        return jwt.decode(
            token,
            key,  # PyJWT compares the key's algorithm with that of the token.
            algorithms=[str(algorithm)],
            issuer=self._issuer,
            leeway=_LEEWAY_SECONDS,
            options={
                "require": ["exp", "iss", "sub"],
                "verify_aud": False,  # The audience is checked below: some providers use client_id instead.
                "enforce_minimum_key_length": True,
            },
        )


def _check_audience(claims: Mapping[str, Any], audience: str) -> None:
    if audience not in _audiences(claims):
        raise InvalidTokenError("the token is for another audience")
    if claims.get("token_use", "access") != "access":
        raise InvalidTokenError("this is an identity token; send the access token")


def _audiences(claims: Mapping[str, Any]) -> list[Any]:
    found = claims.get("aud", claims.get("client_id"))
    return found if isinstance(found, list) else [found]


def _keys(document: Mapping[str, Any]) -> dict[str, jwt.PyJWK]:
    """The keys that tokens may be signed with, by id. Raises ValueError."""
    found = document.get("keys")
    if not isinstance(found, list) or len(found) > _MOST_KEYS:
        raise ValueError(f"its key set has no list of keys, or more than {_MOST_KEYS} keys")
    keys = {}
    for item in found:
        if not isinstance(item, dict) or item.get("use", "sig") != "sig" or not isinstance(item.get("kid"), str):
            continue
        try:
            key = jwt.PyJWK(item)
        except (jwt.PyJWTError, TypeError, NotImplementedError):
            continue  # PyJWT does not know this kind of key, or the key is malformed, or for tokens without signatures.
        if _is_public(key):
            keys[item["kid"]] = key
    return keys


def key_algorithms(document: Mapping[str, Any]) -> list[str]:
    """The algorithm of each key in a key set that tokens may be signed with. Raises ValueError."""
    return [str(key.algorithm_name) for key in _keys(document).values()]


def _is_public(key: jwt.PyJWK) -> bool:
    """Tell whether it is a public key for the algorithm that it names, or that follows from its type."""
    match key.algorithm_name, key.key:
        case TokenAlgorithm.RS256, RSAPublicKey(key_size=bits):
            return bits <= _LARGEST_RSA_BITS
        case TokenAlgorithm.ES256, EllipticCurvePublicKey(curve=SECP256R1()):
            return True
        case TokenAlgorithm.EDDSA, Ed25519PublicKey():
            return True
    return False


def _refusal(found: object, accepted: Sequence[TokenAlgorithm]) -> str:
    """The reason to refuse the algorithm that a token names. It quotes known names alone."""
    takes = " or ".join(accepted)
    if found in tuple(TokenAlgorithm):
        return (
            f"the token is signed with {found}, and this deployment takes {takes}; its operator can set JwtAlgorithm "
            f"(GUILDHOOK_JWT_ALGORITHM) to {found}"
        )
    if isinstance(found, str) and found in _OTHER_ALGORITHMS:
        return (
            f"the token is signed with {found}, and this deployment takes {takes}; its operator can let the identity "
            f"provider sign with {' or '.join(TokenAlgorithm)}, and set JwtAlgorithm (GUILDHOOK_JWT_ALGORITHM) to it"
        )
    return f"the token is not signed with {takes}"


def _subject(claims: Mapping[str, Any]) -> UUID:
    subject = claims["sub"]
    if not _UUID.fullmatch(subject):
        raise InvalidTokenError("the token's sub is not a UUID; it must be the id of a user of the chat server")
    return UUID(subject)


def _name(claims: Mapping[str, Any]) -> str:
    for claim in _CLAIMS_OF_NAME:
        name = claims.get(claim)
        if isinstance(name, str):
            # The name is stored, and shown in lists and logs.
            printable = "".join(character for character in name if character.isprintable()).strip()
            if printable:
                return printable[:_MAX_NAME_CHARS]
    return str(_subject(claims))
