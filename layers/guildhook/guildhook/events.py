"""Message-created events, as the chat server puts them on the queue."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec

from guildhook.model import Message

# SNS in EventBridge in SQS is the deepest chain in use.
_MAX_WRAPPERS = 2
_MAX_REASON_CHARS = 300
_MESSAGE_TYPES = ("user", "system")


class MalformedEventError(Exception):
    """The body is no message-created event. The text says why and quotes nothing of the body."""


class _Author(msgspec.Struct, frozen=True):
    id: str
    bot: bool = False


class _Message(msgspec.Struct, frozen=True):
    id: UUID
    channel_id: UUID
    author: _Author
    content: str = ""
    encrypted: bool = False
    message_type: str = "user"
    created_at: datetime | None = None


class _MessageCreated(msgspec.Struct, frozen=True):
    type: str
    guild_id: UUID
    message: _Message


@dataclass(frozen=True, slots=True)
class Event:
    """One message, and why it is kept from plugins if it is."""

    message: Message
    skip: str | None


def parse_event(body: str, sent_at: datetime) -> Event:
    """Read a queue body, unwrapping SNS and EventBridge envelopes.

    `sent_at` stands in for a message that carries no `created_at`.
    Raises MalformedEventError.
    """
    raw = _unwrap(_parse_json(body))
    try:
        event = msgspec.convert(raw, _MessageCreated)
    except msgspec.ValidationError as error:
        raise MalformedEventError(f"not a message.created event: {error}"[:_MAX_REASON_CHARS]) from None
    if event.type != "message.created":
        raise MalformedEventError("not a message.created event: its type is another")
    if event.message.message_type not in _MESSAGE_TYPES:
        raise MalformedEventError(f"message.message_type is none of {', '.join(_MESSAGE_TYPES)}")
    guild_id, message = event.guild_id, event.message
    return Event(
        message=Message(
            id=message.id,
            guild_id=guild_id,
            channel_id=message.channel_id,
            created_at=_with_timezone(message.created_at or sent_at),
            payload=_payload(raw["message"], guild_id),
        ),
        skip=_reason_to_skip(message),
    )


def _parse_json(text: str) -> Any:
    # Not json.loads, which lets lone surrogates and NaN through.
    try:
        return msgspec.json.decode(text)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise MalformedEventError(f"not JSON: {str(error)[:_MAX_REASON_CHARS]}") from None


def _unwrap(event: Any) -> Any:
    for _ in range(_MAX_WRAPPERS):
        match event:
            case {"Type": "Notification", "Message": str(inner)}:
                event = _parse_json(inner)
            case {"detail-type": _, "detail": dict(inner)}:
                event = inner
            case _:
                break
    return event


def _with_timezone(time: datetime) -> datetime:
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def _payload(message: Mapping[str, Any], guild_id: UUID) -> str:
    # The raw object, not the model: fields that guildhook does not know pass through as they came.
    try:
        return msgspec.json.encode({**message, "guild_id": str(guild_id)}).decode()
    except RecursionError as error:
        raise MalformedEventError(f"the message is nested too deeply: {error}") from None


def _reason_to_skip(message: _Message) -> str | None:
    if message.author.bot:
        return "author is a bot"
    if message.message_type == "system":
        return "system message"
    if message.encrypted:
        return "encrypted message"
    return None
