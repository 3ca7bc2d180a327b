"""Message-created events, as the chat server puts them on the queue."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal
from uuid import UUID

import pydantic_core
from pydantic import BaseModel, ConfigDict, ValidationError

from guildhook.model import Message

# SNS in EventBridge in SQS is the deepest chain in use.
_MAX_WRAPPERS = 2
_MAX_REASON_CHARS = 300


class MalformedEventError(Exception):
    """The body is no message-created event. The text says why and quotes nothing of the body."""


class _Author(BaseModel):
    model_config = ConfigDict(extra="ignore")

    id: str
    bot: bool = False


class _Message(BaseModel):
    model_config = ConfigDict(extra="ignore")

    id: UUID
    channel_id: UUID
    author: _Author
    content: str = ""
    encrypted: bool = False
    message_type: Literal["user", "system"] = "user"
    created_at: datetime | None = None


class _MessageCreated(BaseModel):
    model_config = ConfigDict(extra="ignore")

    type: Literal["message.created"]
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
        event = _MessageCreated.model_validate(raw)
    except ValidationError as error:
        raise MalformedEventError(_explain(error)) from None
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
    # Not json.loads: its recursion limit is the interpreter's, and it lets lone surrogates and NaN through.
    try:
        return pydantic_core.from_json(text, allow_inf_nan=False)
    except ValueError as error:
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


def _explain(error: ValidationError) -> str:
    problems = error.errors(include_url=False, include_context=False, include_input=False)
    text = "; ".join(f"{'.'.join(map(str, p['loc'])) or 'event'}: {p['msg']}" for p in problems)
    return f"not a message.created event: {text}"[:_MAX_REASON_CHARS]


def _with_timezone(time: datetime) -> datetime:
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def _payload(message: Mapping[str, Any], guild_id: UUID) -> str:
    # The raw object, not the model: fields that guildhook does not know pass through as they came.
    fields = {**message, "guild_id": str(guild_id)}
    try:
        return json.dumps(fields, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    except ValueError:
        raise MalformedEventError("a number in the message is not finite") from None


def _reason_to_skip(message: _Message) -> str | None:
    if message.author.bot:
        return "author is a bot"
    if message.message_type == "system":
        return "system message"
    if message.encrypted:
        return "encrypted message"
    return None
