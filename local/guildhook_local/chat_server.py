"""A small chat server with the API of the real one (docs/chat-api.md), and with faults on demand."""

import asyncio
import hmac
import json
import secrets
import threading
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from guildhook.surrogates import replace_half_surrogates
from guildhook_local.guard import Admitted, BearerToken, BrowserSession, Guard, SecretByPath, SecretPath
from guildhook_local.issuer import Issuer, Person
from guildhook_local.web_server import listening, serving_app

MAX_CONTENT_CHARS = 4_000
_ANSWERED_AFTER = timedelta(milliseconds=400)
_RATE_LIMIT = {"X-RateLimit-Limit": "1000", "X-RateLimit-Remaining": "999", "X-RateLimit-Reset": "1"}
_BOT = {
    "id": "5b07c0de-0000-4000-8000-000000000000",
    "username": "guildhook",
    "display_name": "Guildhook",
    "bot": True,
}

MessageJson = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Fault:
    """How the next sends go wrong. With `after_storing` the message is kept and only its answer is lost."""

    times: int = 1
    status: int | None = None
    delay_seconds: float = 0
    retry_after_seconds: int | None = None
    after_storing: bool = False


@dataclass(frozen=True, slots=True)
class Channel:
    guild_id: UUID
    name: str


class ChatServer:
    """Keeps messages in memory; safe to use from any thread. It is the identity provider of its people as well."""

    honours_keys = True
    """True if sends with the same key create one message, as docs/chat-api.md requires."""

    def __init__(self, service_token: str, on_event: Callable[[Mapping[str, Any]], None]) -> None:
        """`on_event` gets the event of every message that is created or deleted, as it goes onto the queue."""
        self.service_token = service_token
        """The only one that it takes; may be replaced at any time."""
        self.url = ""
        """Known when it runs."""
        self.admin_url = ""
        """Where the plugins of its guilds are managed, if anywhere."""
        self.session = BrowserSession()
        """The session of the browsers that may use its pages."""
        self.issuer = Issuer(self.people, self.session)
        self._on_event = on_event
        self._changed = threading.Condition()
        self._guilds: dict[UUID, str] = {}
        self._channels: dict[UUID, Channel] = {}
        self._people: dict[UUID, Person] = {}
        self._messages: dict[str, MessageJson] = {}
        self._by_key: dict[str, MessageJson] = {}
        self._members: dict[tuple[UUID, UUID], frozenset[str]] = {}
        self._subscribers: list[Callable[[MessageJson], None]] = []
        self._faults: deque[Fault] = deque()
        self._faults_lock = threading.Lock()

    def add_guild(self, guild_id: UUID, name: str) -> None:
        self._guilds[guild_id] = name

    def add_channel(self, guild_id: UUID, channel_id: UUID, name: str = "general") -> None:
        """A guild that is not there yet is added, with its id for a name."""
        self._guilds.setdefault(guild_id, str(guild_id))
        self._channels[channel_id] = Channel(guild_id, name)

    def add_person(self, user_id: UUID, person: Person) -> None:
        self._people[user_id] = person

    def add_member(self, guild_id: UUID, user_id: UUID, permissions: Collection[str] = ()) -> None:
        self._members[guild_id, user_id] = frozenset(permissions)

    def guilds(self) -> Mapping[UUID, str]:
        """Their names."""
        return dict(self._guilds)

    def channels(self, guild_id: UUID) -> Mapping[UUID, Channel]:
        return {channel_id: channel for channel_id, channel in self._channels.items() if channel.guild_id == guild_id}

    def members(self, guild_id: UUID) -> Mapping[UUID, Person]:
        """Return the members of the guild that have a name."""
        members = [user_id for guild, user_id in list(self._members) if guild == guild_id]
        return {user_id: self._people[user_id] for user_id in members if user_id in self._people}

    def people(self) -> Mapping[UUID, Person]:
        return dict(self._people)

    def messages(self, channel_id: UUID, most: int) -> list[MessageJson]:
        """The newest, oldest first."""
        with self._changed:
            return [message for message in self._messages.values() if message["channel_id"] == str(channel_id)][-most:]

    def say_as(
        self, channel_id: UUID, user_id: UUID, content: str, created_at: datetime | None = None
    ) -> MessageJson | None:
        """A member of the channel's guild types a message, now unless another time is given. None if there is no such
        member or channel.
        """
        channel = self._channels.get(channel_id)
        person = self.members(channel.guild_id).get(user_id) if channel else None
        if person is None:
            return None
        author = {"id": str(user_id), "username": person.username, "display_name": person.name, "bot": False}
        time = {} if created_at is None else {"created_at": created_at.isoformat()}
        return self._create(channel_id, {"author": author, "content": content, **time})

    def delete(self, message_id: str) -> bool:
        """Delete a message. False if there is none."""
        with self._changed:
            message = self._messages.pop(message_id, None)
        if message is None:
            return False
        channel_id = message["channel_id"]
        guild_id = str(self._channels[UUID(channel_id)].guild_id)
        deleted = {"guild_id": guild_id, "channel_id": channel_id, "message_id": message_id}
        self._on_event({"type": "message.deleted", **deleted})
        return True

    def date_replies(self, since: datetime) -> None:
        """Date each message that a bot has sent since then right after the message that it goes back to."""
        with self._changed:
            for reply in self.replies():
                question = self._messages.get(str(reply.get("causality", {}).get("root")))
                if question and datetime.fromisoformat(reply["created_at"]) >= since:
                    time = datetime.fromisoformat(question["created_at"]) + _ANSWERED_AFTER
                    reply["created_at"] = time.isoformat()

    @contextmanager
    def subscribed(self, subscriber: Callable[[MessageJson], None]) -> Iterator[None]:
        """Call `subscriber` with every new message, from any thread, until the block is left."""
        with self._changed:
            self._subscribers.append(subscriber)
        try:
            yield
        finally:
            with self._changed:
                self._subscribers.remove(subscriber)

    def inject(self, fault: Fault) -> None:
        """Make the next `fault.times` sends go wrong, after the faults injected before."""
        self._faults.append(fault)

    def recover(self) -> None:
        """Forget the faults that are still to come."""
        with self._faults_lock:
            self._faults.clear()

    def say(self, channel_id: UUID, username: str, content: str, **fields: Any) -> MessageJson:
        """A person types a message. `fields` are more fields of the message, such as `encrypted`."""
        author = {"id": str(uuid4()), "username": username, "display_name": username.title(), "bot": False}
        return self._create(channel_id, {"author": author, "content": content, **fields})

    def replies(self) -> list[MessageJson]:
        """The messages of bots, the oldest first."""
        with self._changed:
            return [message for message in self._messages.values() if message["author"]["bot"]]

    def wait_for_replies(self, count: int, timeout_seconds: float) -> list[MessageJson]:
        """Wait for `count` messages of bots, or until the time is over. Returns the messages."""
        with self._changed:
            self._changed.wait_for(lambda: len(self.replies()) >= count, timeout_seconds)
            return self.replies()

    @contextmanager
    def running(
        self,
        address: str = "127.0.0.1",
        port: int = 0,
        more: Sequence[BaseRoute] = (),
        admitted: Admitted | None = None,
    ) -> Iterator[str]:
        """Serve the API, the issuer and `more` until the block is left. Yields its base URL. Raises OSError.

        The API wants the service token, and the path of the issuer is secret. `more` wants the session.
        """
        with listening(address, port) as (listener, url):
            path = f"/oidc/{secrets.token_urlsafe(24)}"
            self.url, self.issuer.url = url, url + path
            self.session.name = f"guildhook-{listener.getsockname()[1]}"
            secret = SecretByPath(
                {"/api/": BearerToken(self._is_token), "/oidc/": SecretPath(f"{path}/"), "/": self.session}
            )
            guard = Guard(url, secret, admitted or Admitted(), self.issuer.origins)
            with serving_app(self._app(path, more), guard, listener, "chat-server"):
                yield url

    def _app(self, issuer_path: str, more: Sequence[BaseRoute]) -> Starlette:
        return Starlette(
            routes=[
                Route("/api/messages/channel/{channel_id:uuid}", self._post_message, methods=["POST"]),
                Route("/api/messages/channel/{channel_id:uuid}", self._list_messages),
                Route("/api/messages/{message_id:uuid}", self._delete_message, methods=["DELETE"]),
                Route("/api/guilds/{guild_id:uuid}/channels", self._list_channels),
                Route("/api/guilds/{guild_id:uuid}/members/{user_id:uuid}", self._get_member),
                Route("/api/guilds/{guild_id:uuid}/members/{user_id:uuid}", self._kick, methods=["DELETE"]),
                Route("/api/users/{user_id:uuid}/guilds", self._list_guilds),
                *self.issuer.routes(issuer_path),
                *more,
            ],
            exception_handlers={HTTPException: _http_error},
        )

    async def _post_message(self, request: Request) -> Response:
        fault = self._next_fault()
        if fault and not fault.after_storing:
            await asyncio.sleep(fault.delay_seconds)
            if fault.status:
                return _fault_answer(fault)
        # In a thread: publishing the event is a request of its own.
        answer = await asyncio.to_thread(self._store_message, request, await request.body())
        if fault and fault.after_storing:
            await asyncio.sleep(fault.delay_seconds)
            return _fault_answer(replace(fault, status=fault.status or 500))
        return answer

    def _store_message(self, request: Request, body: bytes) -> Response:
        channel_id = request.path_params["channel_id"]
        if channel_id not in self._channels:
            return _error(404, "CHANNEL_NOT_FOUND", f"There is no channel {channel_id}.")
        content, nonce, causality = _read_send(body)
        if not content.strip() or len(content) > MAX_CONTENT_CHARS:
            return _error(400, "VALIDATION_ERROR", f"content must have 1 to {MAX_CONTENT_CHARS} characters.")
        key = (request.headers.get("Idempotency-Key") or nonce) if self.honours_keys else None
        with self._changed:
            message = self._by_key.get(key) if key else None
            if message is None:
                message = self._create(channel_id, {"author": _BOT, "content": content, **causality}, key)
        return JSONResponse(message, 201, headers=_RATE_LIMIT)

    async def _list_messages(self, request: Request) -> Response:
        channel_id = str(request.path_params["channel_id"])
        with self._changed:
            return JSONResponse([m for m in self._messages.values() if m["channel_id"] == channel_id])

    def _delete_message(self, request: Request) -> Response:
        message_id = str(request.path_params["message_id"])
        if not self.delete(message_id):
            return _error(404, "MESSAGE_NOT_FOUND", f"There is no message {message_id}.")
        return Response(status_code=204)

    async def _list_channels(self, request: Request) -> Response:
        guild_id = request.path_params["guild_id"]
        channels = self.channels(guild_id).items()
        return JSONResponse(
            [{"id": str(c), "guild_id": str(guild_id), "name": channel.name} for c, channel in channels]
        )

    async def _get_member(self, request: Request) -> Response:
        guild_id, user_id = request.path_params["guild_id"], request.path_params["user_id"]
        permissions = self._members.get((guild_id, user_id))
        if permissions is None:
            return _error(404, "VALIDATION_ERROR", "There is no such member.")
        return JSONResponse({"guild": self._guild(guild_id), "permissions": sorted(permissions)})

    async def _list_guilds(self, request: Request) -> Response:
        user_id = request.path_params["user_id"]
        theirs = [(guild, permissions) for (guild, user), permissions in list(self._members.items()) if user == user_id]
        if not theirs and user_id not in self._people:
            return _error(404, "VALIDATION_ERROR", "There is no such user.")
        return JSONResponse([{**self._guild(guild), "permissions": sorted(has)} for guild, has in theirs])

    def _guild(self, guild_id: UUID) -> dict[str, str]:
        return {"id": str(guild_id), "name": self._guilds.get(guild_id, str(guild_id))}

    async def _kick(self, request: Request) -> Response:
        member = (request.path_params["guild_id"], request.path_params["user_id"])
        if member not in self._members:
            return _error(404, "VALIDATION_ERROR", "There is no such member.")
        del self._members[member]
        return Response(status_code=204)

    def _is_token(self, token: str) -> bool:
        return hmac.compare_digest(token.encode(), self.service_token.encode())

    def _next_fault(self) -> Fault | None:
        with self._faults_lock:
            if not self._faults:
                return None
            fault = self._faults.popleft()
            if fault.times > 1:
                self._faults.appendleft(replace(fault, times=fault.times - 1))
            return fault

    def _create(self, channel_id: UUID, fields: Mapping[str, Any], key: str | None = None) -> MessageJson:
        message: MessageJson = {
            "id": str(uuid4()),
            "channel_id": str(channel_id),
            "encrypted": False,
            "attachments": [],
            "reply_to": None,
            "parent_id": None,
            "created_at": datetime.now(UTC).isoformat(),
            "message_type": "user",
            **fields,
        }
        # The event first: a message that someone sees has its event on the queue.
        guild_id = str(self._channels[channel_id].guild_id)
        self._on_event({"type": "message.created", "guild_id": guild_id, "message": message})
        with self._changed:
            self._messages[message["id"]] = message
            if key:
                self._by_key[key] = message
            self._changed.notify_all()
            subscribers = list(self._subscribers)
        for subscriber in subscribers:
            subscriber(message)
        return message


def _read_send(body: bytes) -> tuple[str, str | None, dict[str, Any]]:
    """Return the content, the nonce, and the fields that name the causality, which the message's event repeats."""
    try:
        text = body.decode(json.detect_encoding(body))
        # json.loads would take half surrogates and NaN, which no answer can hold.
        send = msgspec.json.decode(replace_half_surrogates(text))
        content, nonce, causality = send["content"], send.get("nonce"), send.get("causality")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise HTTPException(400, "The body must be a JSON object with content.") from None
    if not isinstance(content, str):
        raise HTTPException(400, "content must be a string.")
    return content, nonce if isinstance(nonce, str) else None, {} if causality is None else {"causality": causality}


def _fault_answer(fault: Fault) -> Response:
    headers = {} if fault.retry_after_seconds is None else {"Retry-After": str(fault.retry_after_seconds)}
    return _error(fault.status or 500, "INTERNAL_ERROR", "A fault was asked for.", headers)


def _error(status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> Response:
    return JSONResponse({"error": code, "message": message}, status, headers={**_RATE_LIMIT, **(headers or {})})


async def _http_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    code = _CODES.get(error.status_code, "INTERNAL_ERROR")
    return _error(error.status_code, code, str(error.detail))


_CODES = {400: "VALIDATION_ERROR", 401: "FORBIDDEN", 403: "FORBIDDEN", 413: "VALIDATION_ERROR"}
