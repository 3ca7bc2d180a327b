"""A client of the admin API for operators."""

import ipaddress
import time
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

import msgspec
import urllib3

from guildhook.http_bodies import EndlessAnswerError, read_whole
from guildhook.http_deadlines import deadline_pool
from guildhook_local.cli.ending import CommandError, ExitStatus

_PREFIX: Final = "/api/operator"
_MAX_ANSWER_BYTES: Final = 8 * 1024 * 1024
_CONNECT_SECONDS: Final = 5
_TOTAL_SECONDS: Final = 35
"""The HTTP API gives up after 30 s."""
_PAGE: Final = 100
_MOST_WAIT_SECONDS: Final = 60


class AdminClient:
    def __init__(self, url: str, token: str) -> None:
        """Raises CommandError for a URL that a token must not be sent to."""
        parts = urlsplit(url)
        if parts.scheme != "https" and not (parts.scheme == "http" and _is_local(parts.hostname or "")):
            raise CommandError(ExitStatus.USAGE, f"{url} is not the admin API's URL: it begins with https://")
        if not parts.hostname or parts.query or parts.fragment or "@" in parts.netloc:
            reason = "is not the admin API's URL: it has a host, and no user, no query and no fragment"
            raise CommandError(ExitStatus.USAGE, f"{parts.scheme}://{parts.hostname or ''} {reason}")
        self._url = url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {token}", "Accept": "application/json"}
        self._http = deadline_pool(1, urllib3.Retry(connect=1, read=0, redirect=0))

    def get(self, path: str, **query: Any) -> dict[str, Any]:
        """The answer's object. Parameters that are None are left out. Raises CommandError."""
        given = {name: _text(value) for name, value in query.items() if value is not None}
        return self._ask("GET", f"{path}?{urlencode(given)}" if given else path, None)

    def post(self, path: str, **body: Any) -> dict[str, Any]:
        """The answer's object, empty if it has no body. Fields that are None are left out. Raises CommandError."""
        given = {name: value for name, value in body.items() if value is not None}
        return self._ask("POST", path, msgspec.json.encode(given))

    def items(self, path: str, most: int, **query: Any) -> Iterator[Mapping[str, Any]]:
        """The items of a list, page by page, and one more than `most` if there are more. Raises CommandError."""
        cursor, left = None, most + 1
        while left > 0:
            page = self.get(path, **query, cursor=cursor, limit=min(left, _PAGE))
            yield from page["items"][:left]
            left -= len(page["items"])
            cursor = page["next_cursor"]
            if cursor is None:
                return

    def _ask(self, method: str, path: str, body: bytes | None) -> dict[str, Any]:
        status, headers, data = self._send(method, path, body)
        if status == HTTPStatus.TOO_MANY_REQUESTS and headers.get("Retry-After", "").isdecimal():
            time.sleep(min(int(headers["Retry-After"]), _MOST_WAIT_SECONDS))
            status, headers, data = self._send(method, path, body)
        if status == HTTPStatus.NO_CONTENT:
            return {}
        parsed = _object(data)
        if status in (HTTPStatus.OK, HTTPStatus.CREATED) and parsed is not None:
            return parsed
        raise CommandError(_exit_status(status), f"{self._url}: HTTP {status}{_reason(parsed)}")

    def _send(self, method: str, path: str, body: bytes | None) -> tuple[int, Mapping[str, str], bytes]:
        headers = self._headers if body is None else {**self._headers, "Content-Type": "application/json"}
        timeout = urllib3.Timeout(total=_TOTAL_SECONDS, connect=_CONNECT_SECONDS)
        try:
            with self._http.request(
                method,
                f"{self._url}{_PREFIX}{path}",
                body=body,
                headers=headers,
                timeout=timeout,
                redirect=False,
                preload_content=False,
            ) as answer:
                return answer.status, answer.headers, read_whole(answer, _MAX_ANSWER_BYTES, _TOTAL_SECONDS)
        except EndlessAnswerError as error:
            raise CommandError(ExitStatus.UNAVAILABLE, f"{self._url}: {error}") from None
        except urllib3.exceptions.HTTPError as error:
            cause = error.reason if isinstance(error, urllib3.exceptions.MaxRetryError) else None
            reason = type(cause or error).__name__
            raise CommandError(ExitStatus.UNAVAILABLE, f"{self._url} does not answer: {reason}") from None


def _is_local(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _object(data: bytes) -> dict[str, Any] | None:
    try:
        return msgspec.json.decode(data, type=dict[str, Any])
    except (ValueError, RecursionError):
        return None


def _exit_status(status: int) -> ExitStatus:
    if status == HTTPStatus.UNPROCESSABLE_ENTITY:
        return ExitStatus.USAGE
    is_refusal = HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR
    return ExitStatus.REFUSED if is_refusal and status != HTTPStatus.TOO_MANY_REQUESTS else ExitStatus.UNAVAILABLE


def _reason(answer: Mapping[str, Any] | None) -> str:
    """The problem's sentences. API Gateway has its own form."""
    if answer is None:
        return ", and no JSON; is this the URL of the admin API?"
    said = [answer.get("detail") or answer.get("message") or answer.get("error")]
    errors = answer.get("errors")
    if isinstance(errors, list) and errors:
        fields = [each for each in errors if isinstance(each, dict)]
        said = [f"{each.get('pointer', '')} {each.get('message', '')}".strip() for each in fields] or said
    return f": {'; '.join(str(each) for each in said if each)}"
