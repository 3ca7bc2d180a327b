"""The message that a plugin is given where there is no real one, and the guild that it comes from."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from guildhook.events.malformed_events import MalformedEventError
from guildhook.events.queue_events import Event, SkippedMessage, parse_event
from guildhook.model import Message

GUILD_ID = UUID("6a1d0000-0000-4000-8000-000000000001")
CHANNEL_ID = UUID("6a1d0000-0000-4000-8000-000000000003")
_TIME = datetime(2026, 1, 25, 12, 0, tzinfo=UTC)
_MESSAGE: dict[str, Any] = {
    "id": "6a1d0000-0000-4000-8000-000000000002",
    "channel_id": str(CHANNEL_ID),
    "author": {
        "id": "6a1d0000-0000-4000-8000-000000000004",
        "username": "ada",
        "display_name": "Ada",
        "bot": False,
    },
    "content": "",
    "encrypted": False,
    "attachments": [],
    "reply_to": None,
    "parent_id": None,
    "created_at": _TIME.isoformat(),
    "message_type": "user",
}

MESSAGE_FIELDS = frozenset({*_MESSAGE, "guild_id"})
"""The fields by which a JSON object is known as a message."""


def sample_message(fields: Mapping[str, Any]) -> Message:
    """The same message each time, with `fields` in the place of its own. A field that is null is one that is missing.

    Raises MalformedEventError.
    """
    given = {name: value for name, value in fields.items() if value is not None or name not in MESSAGE_FIELDS}
    message = {**_MESSAGE, **given}
    guild_id = message.pop("guild_id", str(GUILD_ID))
    event = {"type": "message.created", "guild_id": guild_id, "message": message}
    parsed = parse_event(json.dumps(event), _TIME)
    if isinstance(parsed, SkippedMessage):
        raise MalformedEventError(f"no plugin gets it: {parsed.skip}")
    assert isinstance(parsed, Event)
    return parsed.message
