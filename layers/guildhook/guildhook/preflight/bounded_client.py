"""GET requests of a preflight: to HTTPS alone, without redirects, with bounds for time and bytes."""

import re
import socket
import ssl
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

import urllib3
from urllib3.util import Url, parse_url

from guildhook.http_bodies import EndlessAnswerError, read_whole
from guildhook.http_deadlines import deadline_pool
from guildhook.preflight.addresses import Reach, is_allowed

MAX_BODY_BYTES: Final = 64 * 1024
TOTAL_SECONDS: Final = 5
"""The time of one attempt at one address."""
_CONNECT_SECONDS: Final = 2
_MOST_ADDRESSES: Final = 4
_PAUSES_SECONDS: Final = (0, 1)
"""The pauses before the attempts of a request that gets no answer."""
_PORTS: Final = {"https": 443, "http": 80}
_NO_SUCH_ADDRESS: Final = (socket.EAI_NONAME, socket.EAI_NODATA, socket.EAI_ADDRFAMILY)
"""The errors by which a name server says that there is no address. With any other, none has answered."""

Resolve = Callable[[str, int], Sequence[str]]
"""The numeric addresses of a host. Raises OSError, or UnicodeError for a name that no name server can have."""


class AnswerFault(Enum):
    """The reason for a missing answer."""

    MALFORMED = "malformed"
    NOT_HTTPS = "not https"
    NO_ADDRESS = "no address"
    NO_NAME_SERVER = "no name server"
    FORBIDDEN_ADDRESS = "forbidden address"
    NO_CONNECTION = "no connection"
    NO_TLS = "no tls"
    CERTIFICATE = "certificate"
    BROKEN = "broken"
    TOO_LARGE = "too large"


@dataclass(frozen=True, slots=True)
class BoundedAnswer:
    status: int
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class MissingAnswer:
    fault: AnswerFault
    host: str = ""
    port: int = 0
    has_ipv6: bool = True
    """False if the host has addresses, and all of them are of IPv4."""


def resolve_host(host: str, port: int) -> Sequence[str]:
    """The addresses in the order in which they should be tried. Raises OSError and UnicodeError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


class BoundedClient:
    """A name is resolved once for each attempt, all its addresses are checked, and only these are connected to."""

    def __init__(
        self,
        reach: Reach,
        *,
        allow_http: bool = False,
        ipv6_only: bool = False,
        resolve: Resolve = resolve_host,
        pauses: Sequence[float] = _PAUSES_SECONDS,
    ) -> None:
        """With `ipv6_only`, addresses of IPv4 are not tried."""
        self._reach = reach
        self.allow_http = allow_http
        self._ipv6_only = ipv6_only
        self._resolve = resolve
        self._pauses = pauses

    def get(self, url: str, token: str | None = None) -> BoundedAnswer | MissingAnswer:
        """The answer, whatever its status. `token` is sent as a bearer token."""
        try:
            parts = parse_url(url)
        except urllib3.exceptions.LocationParseError:
            return MissingAnswer(AnswerFault.MALFORMED)
        if parts.scheme != "https" and not (self.allow_http and parts.scheme == "http"):
            return MissingAnswer(AnswerFault.NOT_HTTPS)
        if not parts.host or parts.auth:
            return MissingAnswer(AnswerFault.MALFORMED)
        answer: BoundedAnswer | MissingAnswer = MissingAnswer(AnswerFault.BROKEN)
        for pause in self._pauses:
            time.sleep(pause)
            answer = self._attempt(parts, {"Authorization": f"Bearer {token}"} if token else {})
            if isinstance(answer, BoundedAnswer) or not may_pass_later(answer):
                break
        return answer

    def _attempt(self, parts: Url, headers: dict[str, str]) -> BoundedAnswer | MissingAnswer:
        host, port = (parts.host or "").strip("[]"), parts.port or _PORTS[parts.scheme or "https"]
        try:
            addresses = self._resolve(host, port)
        except UnicodeError:
            return MissingAnswer(AnswerFault.NO_ADDRESS, host, port)
        except OSError as error:
            has_no_address = isinstance(error, socket.gaierror) and error.errno in _NO_SUCH_ADDRESS
            return MissingAnswer(AnswerFault.NO_ADDRESS if has_no_address else AnswerFault.NO_NAME_SERVER, host, port)
        has_ipv6 = any(":" in address for address in addresses)
        if not all(is_allowed(address, self._reach) for address in addresses):
            return MissingAnswer(AnswerFault.FORBIDDEN_ADDRESS, host, port, has_ipv6)
        tried = [address for address in addresses if ":" in address or not self._ipv6_only]
        fault = AnswerFault.NO_CONNECTION
        for address in tried[:_MOST_ADDRESSES]:
            try:
                return _get(parts, address, port, host, headers)
            except (urllib3.exceptions.NewConnectionError, urllib3.exceptions.ConnectTimeoutError):
                continue
            except urllib3.exceptions.SSLError as error:
                is_of_certificate = isinstance(error.args[0], (ssl.SSLCertVerificationError, ssl.CertificateError))
                fault = AnswerFault.CERTIFICATE if is_of_certificate else AnswerFault.NO_TLS
            except EndlessAnswerError:
                fault = AnswerFault.TOO_LARGE
            except urllib3.exceptions.HTTPError:
                fault = AnswerFault.BROKEN
            break
        return MissingAnswer(fault, host, port, has_ipv6)


def _get(parts: Url, address: str, port: int, host: str, headers: dict[str, str]) -> BoundedAnswer:
    """The answer of this address of the host. Raises urllib3's HTTPError."""
    numeric = f"[{address}]" if ":" in address else address
    url = Url(parts.scheme, None, numeric, port, parts.path or "/", parts.query).url
    http = deadline_pool(1, retries=False, server_hostname=host)
    with (
        http,
        http.request(
            "GET",
            url,
            headers={"Host": parts.netloc or host, **headers},
            timeout=urllib3.Timeout(total=TOTAL_SECONDS, connect=_CONNECT_SECONDS),
            redirect=False,
            preload_content=False,
        ) as answer,
    ):
        return BoundedAnswer(answer.status, read_whole(answer, MAX_BODY_BYTES, TOTAL_SECONDS))


_IPV6: Final = (
    "{host} has no IPv6 address (no AAAA record), and the stack's network reaches the internet by IPv6 alone. "
    "Give it an IPv6 address, or use subnets of your own (SubnetIds){more}"
)
_REASONS: Final = {
    AnswerFault.MALFORMED: "this is not a URL with a host and without a user",
    AnswerFault.NOT_HTTPS: "it does not start with https://, and a preflight asks nothing else; use https://",
    AnswerFault.NO_ADDRESS: "the name {host} does not resolve; correct it, or add its record to the DNS",
    AnswerFault.NO_NAME_SERVER: "no name server has answered for {host}; look at the DNS of this network, and try "
    "again",
    AnswerFault.FORBIDDEN_ADDRESS: "{host} resolves to an address of this machine or of a network that a preflight "
    "must not enter; give it a public address",
    AnswerFault.NO_CONNECTION: "{host} accepts no connection on port {port}; start it, or open its firewall",
    AnswerFault.NO_TLS: "{host} does not speak TLS on port {port}; correct the port, or set up HTTPS there",
    AnswerFault.CERTIFICATE: "the certificate of {host} is not valid, not for this name or not of a public authority; "
    "replace it",
    AnswerFault.BROKEN: f"{{host}} gave no whole answer within {TOTAL_SECONDS} s; look at its log, and try again",
    AnswerFault.TOO_LARGE: f"the answer of {{host}} has more than {MAX_BODY_BYTES} bytes or takes longer than "
    f"{TOTAL_SECONDS} s; correct the URL",
}


def reason_of(missing: MissingAnswer, *, in_ipv6_network: bool, more_ways: str = "") -> str:
    """A clause for the operator. `more_ways` are the other ways out for a host without an address of IPv6."""
    needs_ipv6 = missing.fault is AnswerFault.NO_CONNECTION and in_ipv6_network and not missing.has_ipv6
    text = _IPV6 if needs_ipv6 else _REASONS[missing.fault]
    return text.format(host=missing.host, port=missing.port, more=more_ways)


def without_user(url: str) -> str:
    """The URL for a sentence: without a user and a password, which an operator may have written into it."""
    return re.sub(r"//.*@", "//", url)


def may_pass_later(missing: MissingAnswer) -> bool:
    return missing.fault in (AnswerFault.NO_NAME_SERVER, AnswerFault.NO_CONNECTION, AnswerFault.BROKEN)
