"""The check that comes before every answer of a server on this machine: its Host, its Origin and a secret of its own.

A request can come from a page of another site in the developer's browser, from another user of the machine or from a
container. A page can make its own name lead to this machine (DNS rebinding), and can send forms and simple requests
without being able to read the answers. It cannot change the headers Host, Origin and Sec-Fetch-Site.
"""

import hmac
import secrets
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Protocol
from urllib.parse import parse_qsl, urlencode, urlsplit

NOT_ENTERED = (
    "This server answers only the person who has started it: open the link that `guildhook serve` has printed."
)
_BEARER = "Bearer "
_PREFLIGHT_SECONDS = 600
HTTP_PORT = 80
"""A URL, and so the Host header, does not name this port."""


@dataclass(frozen=True, slots=True)
class GuardedRequest:
    """A request without its body, as far as guards read it."""

    method: str
    target: str
    """The path and the query, as they were sent."""
    path: str
    """The path without its percent-encoding."""
    headers: Sequence[tuple[str, str]]
    """Their names are in lower case. A name can be there twice."""

    @property
    def query(self) -> str:
        return self.target.partition("?")[2]

    def all(self, name: str) -> list[str]:
        return [value for header, value in self.headers if header == name]

    def only(self, name: str) -> str:
        """The value of a header; empty if it is missing or there twice."""
        values = self.all(name)
        return values[0] if len(values) == 1 else ""


@dataclass(frozen=True, slots=True)
class GuardResponse:
    """The guard's own response, instead of the server's."""

    status: int
    message: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Admitted:
    """The names and the pages that may reach the servers of a stack besides their own. Both may grow at any time."""

    hosts: set[str] = field(default_factory=set)
    """Values of the Host header; a name without a port stands for each server's own port."""
    origins: set[str] = field(default_factory=set)
    """Origins whose pages may send requests, such as `http://127.0.0.1:8470`."""


class SecretCheck(Protocol):
    def body_bytes(self, request: GuardedRequest) -> int:
        """The most bytes of the body that `response` needs; 0 if it needs no body."""

    def response(self, request: GuardedRequest, body: bytes) -> GuardResponse | None:
        """None if the request has the secret. `body` is empty if it is not needed."""


class Guard:
    """Safe for use from several threads."""

    def __init__(
        self, url: str, secret: SecretCheck, admitted: Admitted, origins: Callable[[], Collection[str]] = tuple
    ) -> None:
        """`url` is the server's own. `origins` are those of further pages, for this server alone."""
        self._url = url
        self._netloc = urlsplit(url).netloc
        self._port = urlsplit(url).port or HTTP_PORT
        self._secret = secret
        self._admitted = admitted
        self._more_origins = origins

    def response_without_body(self, request: GuardedRequest) -> GuardResponse | None:
        """The response to a request with a wrong Host or Origin, or to a preflight; None to go on."""
        if not self._is_mine(request.all("host")):
            # A page under any other name could read the answer, since the browser takes the server for its own.
            return GuardResponse(HTTPStatus.MISDIRECTED_REQUEST, f"This server is {self._url}; use that address.")
        origins = request.all("origin")
        if not all(map(self.may_send, origins)) or (not origins and _is_loaded_by_another_page(request)):
            return GuardResponse(HTTPStatus.FORBIDDEN, "This request was sent by another site.")
        if request.method == "OPTIONS" and origins and request.all("access-control-request-method"):
            return GuardResponse(HTTPStatus.NO_CONTENT, headers=_preflight(request))
        return None

    def body_bytes(self, request: GuardedRequest) -> int:
        """The most bytes of the body that `response` needs."""
        return self._secret.body_bytes(request)

    def response(self, request: GuardedRequest, body: bytes) -> GuardResponse | None:
        """The response to a request without the secret, or None if the server may answer."""
        return self._secret.response(request, body)

    def may_send(self, origin: str) -> bool:
        """Tell whether pages of that origin may send requests."""
        return origin == self._url or origin in self._admitted.origins or origin in self._more_origins()

    def _is_mine(self, hosts: Sequence[str]) -> bool:
        names = {name if ":" in name else self._with_port(name) for name in tuple(self._admitted.hosts)}
        return len(hosts) == 1 and hosts[0] in {self._netloc, *names}

    def _with_port(self, name: str) -> str:
        return name if self._port == HTTP_PORT else f"{name}:{self._port}"


class BrowserSession:
    """A browser's: a link has the secret, and a cookie keeps it.

    Browsers send cookies to every port of a host. The name has the port, so that two systems do not take each
    other's.
    """

    PARAMETER = "key"

    def __init__(self) -> None:
        self.name = "guildhook"
        self._secret = secrets.token_urlsafe(32)

    def link(self, url: str) -> str:
        """The address to open in a browser."""
        return f"{url}/?{urlencode({self.PARAMETER: self._secret})}"

    @property
    def cookie(self) -> str:
        """The Cookie header of the requests that have it."""
        return f"{self.name}={self._secret}"

    def body_bytes(self, request: GuardedRequest) -> int:  # noqa: ARG002 - the signature of SecretCheck
        return 0

    def response(self, request: GuardedRequest, body: bytes) -> GuardResponse | None:  # noqa: ARG002 - see above
        parameters = parse_qsl(request.query, keep_blank_values=True)
        if any(name == self.PARAMETER and _same(value, self._secret) for name, value in parameters):
            return self._entered(request, [pair for pair in parameters if pair[0] != self.PARAMETER])
        if self.is_open(request.all("cookie")):
            return None
        return GuardResponse(HTTPStatus.FORBIDDEN, NOT_ENTERED)

    def is_open(self, cookies: Sequence[str]) -> bool:
        """Tell whether one of the Cookie headers has the secret."""
        pairs = [pair.strip().partition("=") for header in cookies for pair in header.split(";")]
        return any(name == self.name and _same(value, self._secret) for name, _, value in pairs)

    def _entered(self, request: GuardedRequest, parameters: Sequence[tuple[str, str]]) -> GuardResponse:
        # One slash: two would begin with the name of another host. Browsers take a backslash for a slash.
        path = "/" + request.target.partition("?")[0].lstrip("/\\")
        headers = {
            "Location": f"{path}?{urlencode(parameters)}" if parameters else path,
            "Set-Cookie": f"{self.cookie}; Path=/; HttpOnly; SameSite=Strict",
            "Referrer-Policy": "no-referrer",
        }
        return GuardResponse(HTTPStatus.SEE_OTHER, headers=headers)


class BearerToken:
    def __init__(self, is_valid: Callable[[str], bool]) -> None:
        self._is_valid = is_valid

    def body_bytes(self, request: GuardedRequest) -> int:  # noqa: ARG002 - the signature of SecretCheck
        return 0

    def response(self, request: GuardedRequest, body: bytes) -> GuardResponse | None:  # noqa: ARG002 - see above
        given = request.only("authorization")
        if given.startswith(_BEARER) and self._is_valid(given.removeprefix(_BEARER)):
            return None
        return GuardResponse(HTTPStatus.UNAUTHORIZED, "The bearer token is missing or wrong.")


class SecretPath:
    """A part of the path that cannot be guessed."""

    def body_bytes(self, request: GuardedRequest) -> int:  # noqa: ARG002 - the signature of SecretCheck
        return 0

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix

    def response(self, request: GuardedRequest, body: bytes) -> GuardResponse | None:  # noqa: ARG002 - see above
        if _same(request.path[: len(self._prefix)], self._prefix):
            return None
        return GuardResponse(HTTPStatus.FORBIDDEN, "This path is wrong.")


class EitherSecret:
    """One of two secrets is enough. The second one's response is that to a request with neither."""

    def __init__(self, first: SecretCheck, second: SecretCheck) -> None:
        self._first = first
        self._second = second

    def body_bytes(self, request: GuardedRequest) -> int:
        return max(self._first.body_bytes(request), self._second.body_bytes(request))

    def response(self, request: GuardedRequest, body: bytes) -> GuardResponse | None:
        if self._first.response(request, body) is None:
            return None
        return self._second.response(request, body)


class SecretByPath:
    """Another secret for each part of a server. The path begins with the part's prefix; the first one counts."""

    def __init__(self, parts: Mapping[str, SecretCheck]) -> None:
        """The prefix of the last part is `/`, which stands for all other paths."""
        self._parts = parts

    def body_bytes(self, request: GuardedRequest) -> int:
        return self._part(request).body_bytes(request)

    def response(self, request: GuardedRequest, body: bytes) -> GuardResponse | None:
        return self._part(request).response(request, body)

    def _part(self, request: GuardedRequest) -> SecretCheck:
        return next(part for prefix, part in self._parts.items() if request.path.startswith(prefix) or prefix == "/")


def _same(given: str, secret: str) -> bool:
    return hmac.compare_digest(given.encode(errors="replace"), secret.encode())


def _is_loaded_by_another_page(request: GuardedRequest) -> bool:
    """Tell whether a browser says that a page of another origin loads this as a part of itself, such as a script.

    It has no Origin header then. A link that a person follows is no part of a page.
    """
    foreign = any(value not in ("same-origin", "none") for value in request.all("sec-fetch-site"))
    followed = request.only("sec-fetch-mode") == "navigate" and request.only("sec-fetch-dest") == "document"
    return foreign and not followed


def _preflight(request: GuardedRequest) -> dict[str, str]:
    return {
        "Access-Control-Allow-Origin": request.only("origin"),
        "Access-Control-Allow-Methods": request.only("access-control-request-method"),
        "Access-Control-Allow-Headers": request.only("access-control-request-headers"),
        "Access-Control-Max-Age": str(_PREFLIGHT_SECONDS),
        "Vary": "Origin",
    }
