"""Sends messages and reads memberships over the REST API of docs/chat-api.md."""

import json
import re
import time
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, TypeVar
from uuid import UUID

import msgspec
import urllib3

from guildhook.aws.secrets import Rotating
from guildhook.chat.asked_pauses import asked_pause
from guildhook.chat.protocol import Membership, Pause, SendResult, ServiceToken
from guildhook.errors import InfrastructureError
from guildhook.http_bodies import read_arriving, read_whole
from guildhook.http_deadlines import deadline_pool
from guildhook.model import DeliveryState, OutgoingIntent
from guildhook.surrogates import replace_half_surrogates
from guildhook.uuids import canonical_spelling, read_uuid

_CONNECT_SECONDS = 2
_SEND_SECONDS = 5
"""The time of one attempt, from connecting to the last byte of the response."""
# With the 5 s of the database this is below the 10 s in which Lambda lets a function start.
_CONNECT_TIMEOUT = urllib3.Timeout(total=2)
_CONNECTIONS = 16
_MAX_RESPONSE_BYTES = 64 * 1024
_MAX_MEMBERSHIPS_BYTES = 1024 * 1024
_MEMBERSHIPS_SECONDS = 5
_MAX_NAME_CHARS = 200
_DELIVERED = (HTTPStatus.CREATED, HTTPStatus.ACCEPTED)
_NEVER_FINAL = (
    # A wrong token is for the operator to mend, so it is a failure of the server and not of the plugin.
    HTTPStatus.UNAUTHORIZED,
    HTTPStatus.PROXY_AUTHENTICATION_REQUIRED,
    HTTPStatus.REQUEST_TIMEOUT,
    HTTPStatus.MISDIRECTED_REQUEST,
    HTTPStatus.TOO_EARLY,
    HTTPStatus.TOO_MANY_REQUESTS,
)
"""The client errors that are not about the message, whatever their body."""
_ERROR_CODE = re.compile(r"[A-Z][A-Z0-9_]{0,63}")

Kind = TypeVar("Kind")


class _Id(UUID):
    """A UUID in any of the spellings that guildhook accepts. msgspec itself reads two of them."""


class _Guild(msgspec.Struct):
    id: _Id
    name: str


class _Member(msgspec.Struct):
    guild: _Guild
    permissions: list[str]


class _GuildOfUser(_Guild):
    permissions: list[str]


class RestChatApi:
    def __init__(
        self,
        base_url: str,
        token: Rotating[ServiceToken],
        now: Callable[[], float] = time.monotonic,
        unclear_pause_seconds: float = 900,
    ) -> None:
        """`unclear_pause_seconds` are the pause if the server asks for one and its length cannot be understood."""
        self._base_url = base_url.rstrip("/")
        self._address = urllib3.util.parse_url(self._base_url)._replace(auth=None).url
        self._token = token
        self._now = now
        self._unclear_pause_seconds = unclear_pause_seconds
        self._http = deadline_pool(_CONNECTIONS, retries=False)

    def connect(self) -> None:
        """Open a connection ahead of its first use; any response counts. Raises InfrastructureError."""
        try:
            self._http.request("HEAD", self._base_url, timeout=_CONNECT_TIMEOUT, redirect=False)
        except urllib3.exceptions.HTTPError as error:
            raise InfrastructureError(self._failure(_reason(error))) from None

    def send(self, outgoing: OutgoingIntent, timeout_seconds: float) -> SendResult:
        ends = self._now() + timeout_seconds
        try:
            token = self._token.current()
            # Reading the secret takes time as well. No request is started after the deadline: nobody waits for it.
            left = ends - self._now()
            if left <= 0:
                return self._pending("no time was left for the request after its token was read", server_failed=True)
            status, headers, answer = self._post(outgoing, token, left)
            if status == HTTPStatus.UNAUTHORIZED:
                # The token may have been rotated since it was read.
                replaced, left = self._token.instead_of(token), ends - self._now()
                if replaced and left > 0:
                    status, headers, answer = self._post(outgoing, replaced, left)
        except InfrastructureError as error:
            return SendResult(DeliveryState.PENDING, str(error), server_failed=True)
        except urllib3.exceptions.HTTPError as error:
            return self._pending(_reason(error), server_failed=True)
        return self._understood(status, headers, answer)

    def _post(
        self, outgoing: OutgoingIntent, token: ServiceToken, timeout_seconds: float
    ) -> tuple[int, Mapping[str, str], Mapping[str, Any]]:
        """Status, headers and body, as much of it as arrived. Raises urllib3's HTTPError if there is no status."""
        seconds = min(timeout_seconds, _SEND_SECONDS)
        intent, causality = outgoing.intent, outgoing.causality
        body = {
            "content": intent.content,
            "nonce": intent.key,
            "causality": {"root": str(causality.root_id), "hops": causality.hops},
        }
        response = self._http.request(
            "POST",
            f"{self._base_url}/api/messages/channel/{intent.channel_id}",
            body=json.dumps(body),
            headers={
                "Authorization": f"Bearer {token.chat_api_token}",
                "Content-Type": "application/json",
                "Idempotency-Key": intent.key,
            },
            timeout=urllib3.Timeout(total=seconds, connect=_CONNECT_SECONDS),
            redirect=False,  # the token goes to the configured server alone
            preload_content=False,
        )
        with response:
            return response.status, response.headers, _object(read_arriving(response, _MAX_RESPONSE_BYTES, seconds))

    def member(self, guild_id: UUID, user_id: UUID) -> Membership | None:
        found = self._ask(f"guilds/{guild_id}/members/{user_id}", _Member)
        if found is None:
            return None
        if found.guild.id != guild_id:
            raise InfrastructureError(self._failure(f"it was asked for guild {guild_id}, and answered for another"))
        return _membership(found.guild, found.permissions)

    def guilds_of(self, user_id: UUID) -> list[Membership]:
        found = self._ask(f"users/{user_id}/guilds", list[_GuildOfUser])
        return [_membership(guild, guild.permissions) for guild in found or []]

    def _ask(self, path: str, kind: type[Kind]) -> Kind | None:
        """GET a path and decode the answer; None for HTTP 404 with a code. Raises InfrastructureError otherwise."""
        try:
            token = self._token.current()
            status, body = self._get(path, token)
            if status == HTTPStatus.UNAUTHORIZED:
                # The token may have been rotated since it was read.
                replaced = self._token.instead_of(token)
                if replaced:
                    status, body = self._get(path, replaced)
        except urllib3.exceptions.HTTPError as error:
            raise InfrastructureError(self._failure(_reason(error))) from None
        if status == HTTPStatus.NOT_FOUND and _error_code(_object(body)):
            return None
        if status != HTTPStatus.OK:
            raise InfrastructureError(
                self._failure(
                    f"HTTP {status} to a question about members; docs/chat-api.md allows 200, or 404 with a code"
                )
            )
        try:
            return msgspec.json.decode(replace_half_surrogates(_decoded(body)), type=kind, dec_hook=_read_id)
        except (ValueError, RecursionError):
            raise InfrastructureError(self._failure("its answer is not the JSON of docs/chat-api.md")) from None

    def _get(self, path: str, token: ServiceToken) -> tuple[int, bytes]:
        """Status and body. Raises urllib3's HTTPError."""
        response = self._http.request(
            "GET",
            f"{self._base_url}/api/{path}",
            headers={"Authorization": f"Bearer {token.chat_api_token}"},
            timeout=urllib3.Timeout(total=_MEMBERSHIPS_SECONDS, connect=_CONNECT_SECONDS),
            redirect=False,  # the token goes to the configured server alone
            preload_content=False,
        )
        with response:
            return response.status, read_whole(response, _MAX_MEMBERSHIPS_BYTES, _MEMBERSHIPS_SECONDS)

    def _understood(self, status: int, headers: Mapping[str, str], answer: Mapping[str, Any]) -> SendResult:
        """The table of docs/chat-api.md: a refusal is final only if the chat API itself has spoken."""
        if status in _DELIVERED:
            message_id = _text(answer.get("id"))
            return SendResult(DeliveryState.DELIVERED, canonical_spelling(message_id) or message_id)
        is_refusal = 400 <= status < 500 and status not in _NEVER_FINAL
        code = _error_code(answer)
        if is_refusal and code:
            return SendResult(DeliveryState.REFUSED, code)
        limited = status == HTTPStatus.TOO_MANY_REQUESTS
        pause = asked_pause(headers, answer, time.time(), self._unclear_pause_seconds, limited=limited)
        reason = f"HTTP {status}"
        if is_refusal:
            reason = f"{reason} without an error code of docs/chat-api.md, which a proxy may have sent"
        elif status < HTTPStatus.BAD_REQUEST:
            reason = f"{reason} to a send; docs/chat-api.md allows 201 and 202"
        return self._pending(reason, server_failed=not limited, pause=pause)

    def close(self) -> None:
        self._http.clear()

    def _pending(self, reason: str, *, server_failed: bool = False, pause: Pause | None = None) -> SendResult:
        return SendResult(DeliveryState.PENDING, self._failure(reason), server_failed, pause)

    def _failure(self, reason: str) -> str:
        return f"chat API at {self._address} (GUILDHOOK_CHAT_API_URL): {reason}"


def _read_id(kind: type[_Id], value: Any) -> _Id:
    """Raises ValueError and TypeError, which msgspec turns into its own error."""
    if not isinstance(value, str):
        raise TypeError("not a text")
    return kind(str(read_uuid(value)))


def _membership(guild: _Guild, permissions: list[str]) -> Membership:
    return Membership(guild.id, guild.name[:_MAX_NAME_CHARS], frozenset(permissions))


def _reason(error: urllib3.exceptions.HTTPError) -> str:
    return type(error).__name__


def _decoded(body: bytes) -> str:
    """The text of JSON in any encoding of Unicode."""
    return body.decode(json.detect_encoding(body), errors="replace")


def _object(body: bytes) -> dict[str, Any]:
    """The JSON object, in which whole numbers are floats; an empty one if the body is anything else.

    If the body breaks off in an object that asks for a pause, its length is a text that cannot be understood.
    """
    try:
        # As an int, a number of thousands of digits would be an error.
        answer = json.loads(_decoded(body), parse_int=float)
    except (ValueError, RecursionError):
        return {"retry_after": "unreadable"} if b'"retry_after"' in body else {}
    return answer if isinstance(answer, dict) else {}


def _error_code(answer: Mapping[str, Any]) -> str | None:
    code = answer.get("error")
    return code if isinstance(code, str) and _ERROR_CODE.fullmatch(code) else None


def refusal_code(body: bytes) -> str | None:
    """The code in a body with which the chat server itself refuses a request; None in any other body."""
    return _error_code(_object(body))


def _text(value: Any) -> str:
    """The value as a text that Postgres can store, without NUL or lone surrogates, cut to 200 characters."""
    return value.encode(errors="replace").decode().replace("\0", "")[:200] if isinstance(value, str) else ""
