"""A message, and events that carry it."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from guildhook.chat import ServiceToken
from guildhook.errors import InfrastructureError
from guildhook.model import InstalledPlugin, Message
from guildhook.plugin_settings.sealing import Sealer, SettingsKeys
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


def new_message(guild_id: UUID = MESSAGE.guild_id) -> Message:
    """A message like MESSAGE with an id of its own."""
    return replace(MESSAGE, id=uuid4(), guild_id=guild_id)


def installed_plugin(wasm_sha256: bytes = b"", guild_id: UUID = MESSAGE.guild_id, **fields: Any) -> InstalledPlugin:
    """An installed plugin with an id of its own that may send messages; `fields` replace any other field."""
    return InstalledPlugin(
        **{
            "id": uuid4(),
            "guild_id": guild_id,
            "settings": {},
            "permissions": frozenset({"SEND_MESSAGES"}),
            "wasm_sha256": wasm_sha256,
            "compiled": None,
            **fields,
        }
    )


def shadow_of(plugin: InstalledPlugin, wasm_sha256: bytes) -> InstalledPlugin:
    """A version that shadows the plugin."""
    return replace(plugin, wasm_sha256=wasm_sha256, shadow=True, version_id=uuid4())


class FixedToken:
    """A service token that nobody replaces."""

    def __init__(self, token: str = SERVICE_TOKEN) -> None:
        self._token = ServiceToken(token)

    def current(self) -> ServiceToken:
        return self._token

    def instead_of(self, refused: object) -> None:
        return None


class FixedKeys:
    """Keys that nobody replaces: those of plugins' secrets, unless others are given."""

    def __init__(self, keys: Any = None) -> None:
        self._keys = keys or SettingsKeys("a key that is made for the tests")

    def current(self) -> Any:
        return self._keys

    def instead_of(self, refused: object) -> None:
        return None


class NoKeys:
    """Keys that cannot be read, because Secrets Manager does not answer."""

    def current(self) -> SettingsKeys:
        raise InfrastructureError("no answer")

    def instead_of(self, refused: object) -> None:
        raise InfrastructureError("no answer")


def plugin_with_secret(wasm_sha256: bytes, **fields: Any) -> InstalledPlugin:
    """An installed plugin whose secret `api_key` is "s3cret", sealed with FixedKeys."""
    plugin = installed_plugin(wasm_sha256, **fields)
    return replace(plugin, sealed={"api_key": Sealer(FixedKeys()).seal(plugin.id, "api_key", "s3cret")})


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


def deletion_of(created: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """The event of the deletion of a message, from its message-created event; `fields` replace others."""
    return {
        "type": "message.deleted",
        "guild_id": created["guild_id"],
        "channel_id": created["message"]["channel_id"],
        "message_id": created["message"]["id"],
        **fields,
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


def resource_request(url: str, resource_type: str, request_type: str = "Create", **fields: str) -> dict[str, Any]:
    """A request of CloudFormation to the function of a custom resource; the answer goes to `url`."""
    return {
        "RequestType": request_type,
        "ResponseURL": f"{url}/answer?Signature=s3cret",
        "StackId": "arn:aws:cloudformation:eu-central-1:000000000000:stack/guildhook/6a1d0000",
        "RequestId": "5f1c7a53-0000-4000-8000-000000000001",
        "ResourceType": resource_type,
        "LogicalResourceId": "TheResource",
        "ServiceToken": "arn:aws:lambda:eu-central-1:000000000000:function:guildhook",
        "ResourceProperties": {"ServiceToken": "arn:aws:lambda:eu-central-1:000000000000:function:guildhook"},
        **fields,
    }


def http_request(method: str, path: str) -> dict[str, Any]:
    """An event of an HTTP API of API Gateway, payload format 2.0."""
    return {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": "",
        "headers": {
            "accept": "*/*",
            "content-length": "0",
            "host": "6a1d0000.execute-api.eu-central-1.amazonaws.com",
            "user-agent": "curl/8.14.1",
            "x-amzn-trace-id": "Root=1-6a1d0000-000000000000000000000001",
            "x-forwarded-for": "192.0.2.1",
            "x-forwarded-port": "443",
            "x-forwarded-proto": "https",
        },
        "requestContext": {
            "accountId": "000000000000",
            "apiId": "6a1d0000",
            "domainName": "6a1d0000.execute-api.eu-central-1.amazonaws.com",
            "domainPrefix": "6a1d0000",
            "http": {
                "method": method,
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": "192.0.2.1",
                "userAgent": "curl/8.14.1",
            },
            "requestId": "JKJaXmPLvHcESHA=",
            "routeKey": "$default",
            "stage": "$default",
            "time": "25/Jan/2026:12:00:00 +0000",
            "timeEpoch": 1769342400000,
        },
        "isBase64Encoded": False,
    }
