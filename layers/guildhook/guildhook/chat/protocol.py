"""What guildhook asks of a chat server."""

import re
from dataclasses import dataclass, field
from typing import Protocol
from uuid import UUID

from guildhook.model import DeliveryState, OutgoingIntent

_TOKEN = re.compile(r"[!-~]+")
"""What a header takes: visible ASCII."""


@dataclass(frozen=True, slots=True)
class ServiceToken:
    """What the secret of the chat server has."""

    chat_api_token: str = field(repr=False)

    def __post_init__(self) -> None:
        if not _TOKEN.fullmatch(self.chat_api_token):
            raise ValueError("chat_api_token is empty, or has something else in it than visible ASCII characters")


@dataclass(frozen=True, slots=True)
class Pause:
    """The server asks to be left alone for a while: in one channel, or by everything that guildhook sends."""

    seconds: float
    everywhere: bool


@dataclass(frozen=True, slots=True)
class SendResult:
    """What the chat server made of one attempt: `detail` is the id of the message, or why there is none."""

    state: DeliveryState
    detail: str
    server_failed: bool = False
    """It did not do its part, and would not for another message either; a refusal or a pause is no failure."""
    pause: Pause | None = None


class ChatApi(Protocol):
    def send(self, outgoing: OutgoingIntent, timeout_seconds: float) -> SendResult:
        """Try once to deliver a message under its idempotency key. Called from several threads at once.

        Never raises for what the server or the network did: a fault that may pass leaves it pending,
        a refusal for good is refused with the server's code.
        """

    def connect(self) -> None:
        """Open a connection ahead of its first use. Raises InfrastructureError."""

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Membership:
    """Somebody's, in a guild."""

    guild_id: UUID
    guild_name: str
    permissions: frozenset[str]
    """All that they have there, by whatever way: as an owner, by a role."""


class Members(Protocol):
    def member(self, guild_id: UUID, user_id: UUID) -> Membership | None:
        """None for who is no member, and for what is no guild. Raises InfrastructureError."""

    def guilds_of(self, user_id: UUID) -> list[Membership]:
        """Of somebody unknown: none. Raises InfrastructureError."""
