"""A message, and events that carry it."""

import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from guildhook.chat import ServiceToken
from guildhook.model import Message
from guildhook.sandbox import Limits

CHANNEL = "6a1d0000-0000-4000-8000-000000000003"
TIME = datetime(2026, 1, 25, 12, 0, 0, 250, tzinfo=UTC)
MESSAGE = Message(
    id=UUID("6a1d0000-0000-4000-8000-000000000002"),
    guild_id=UUID("6a1d0000-0000-4000-8000-000000000001"),
    channel_id=UUID(CHANNEL),
    created_at=TIME,
    payload='{"content":"hello"}',
)
SERVICE_TOKEN = "service-token"


class FixedToken:
    """A service token that nobody replaces."""

    def __init__(self, token: str = SERVICE_TOKEN) -> None:
        self._token = ServiceToken(token)

    def current(self) -> ServiceToken:
        return self._token

    def instead_of(self, refused: object) -> None:
        return None


# Deadlines are wall time, and a busy machine can stop a test for longer than production waits.
DEADLINE_MS = 10_000


def limits(**fields: int) -> Limits:
    return Limits(**{"deadline_ms": DEADLINE_MS, **fields})


PLUGIN_ID = UUID("6a1d0000-0000-4000-8000-000000000009")


def event(guild_id: object = None, channel_id: object = None, **message: Any) -> dict[str, Any]:
    """A message-created event with a message of its own; `message` are fields of it."""
    return {
        "type": "message.created",
        "guild_id": str(guild_id or uuid4()),
        "message": {
            "id": str(uuid4()),
            "channel_id": str(channel_id or uuid4()),
            "author": {"id": str(uuid4()), "username": "ada", "display_name": "Ada", "bot": False},
            "content": "!ping",
            "encrypted": False,
            "attachments": [],
            "reply_to": None,
            "parent_id": None,
            "created_at": TIME.isoformat(),
            "message_type": "user",
            **message,
        },
    }


def sqs_event(*bodies: str | dict[str, Any]) -> dict[str, Any]:
    """A batch as Lambda hands it over; the records are called record-0, record-1, …"""
    return {
        "Records": [
            {
                "messageId": f"record-{i}",
                "receiptHandle": f"handle-{i}",
                "body": body if isinstance(body, str) else json.dumps(body),
                "attributes": {
                    "ApproximateReceiveCount": "1",
                    "SentTimestamp": "1769342400000",
                    "SenderId": "chat",
                    "ApproximateFirstReceiveTimestamp": "1769342400000",
                },
                "messageAttributes": {},
                "md5OfBody": "0" * 32,
                "eventSource": "aws:sqs",
                "eventSourceARN": "arn:aws:sqs:eu-central-1:000000000000:events",
                "awsRegion": "eu-central-1",
            }
            for i, body in enumerate(bodies)
        ]
    }


def failed_records(answer: dict[str, Any]) -> list[str]:
    return sorted(item["itemIdentifier"] for item in answer["batchItemFailures"])
