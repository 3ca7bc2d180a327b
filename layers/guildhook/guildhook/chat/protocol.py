"""The protocol that guildhook uses with a chat server."""

import re
from dataclasses import dataclass, field
from typing import Protocol
from uuid import UUID

from guildhook.model import DeliveryState, OutgoingIntent

_TOKEN = re.compile(r"[!-~]+")
"""The characters that a header can hold: visible ASCII."""


@dataclass(frozen=True, slots=True)
class ServiceToken:
    """The content of the chat server's secret in Secrets Manager."""

    chat_api_token: str = field(repr=False)

    def __post_init__(self) -> None:
        if not _TOKEN.fullmatch(self.chat_api_token):
            raise ValueError(
                "chat_api_token is empty or has characters other than visible ASCII; store the token alone"
            )


@dataclass(frozen=True, slots=True)
class Pause:
    """The server has asked for no sends for some seconds: in one channel, or everywhere."""

    seconds: float
    everywhere: bool


@dataclass(frozen=True, slots=True)
class SendResult:
    """The result of one attempt to send. `detail` is the id of the message, or the reason why there is none."""

    state: DeliveryState
    detail: str
    server_failed: bool = False
    """True if the server failed, and would fail for other messages too. A refusal or a pause is no failure."""
    pause: Pause | None = None


class ChatApi(Protocol):
    def send(self, outgoing: OutgoingIntent, timeout_seconds: float) -> SendResult:
        """Try once to deliver a message under its idempotency key. It must be thread-safe.

        It raises nothing for faults of the server or the network: a temporary fault gives `pending`, and a permanent
        refusal gives `refused` with the server's code.
        """

    def connect(self) -> None:
        """Open a connection ahead of its first use. Raises InfrastructureError."""

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Membership:
    """The membership of a user in a guild."""

    guild_id: UUID
    guild_name: str
    permissions: frozenset[str]
    """All permissions of the user there, as an owner or by roles."""


class Members(Protocol):
    def member(self, guild_id: UUID, user_id: UUID) -> Membership | None:
        """None if the user is not a member, or if there is no such guild. Raises InfrastructureError."""

    def guilds_of(self, user_id: UUID) -> list[Membership]:
        """The memberships of a user; none for an unknown user. Raises InfrastructureError."""
