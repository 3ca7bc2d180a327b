"""The small frozen types that more than one part of the library speaks of."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from hashlib import sha1, sha256
from typing import Any
from uuid import UUID

import msgspec

# Namespace of runs' ids and idempotency keys. Changing it would send every pending message a second time.
_NAMESPACE = UUID("5f0d5c9c-6c0e-5d0e-9d8b-7a4f0c1e2b3a")


class Permission(StrEnum):
    """What a plugin's row can grant. The names are the chat server's."""

    SEND_MESSAGES = "SEND_MESSAGES"


class Outcome(StrEnum):
    """How a run ended. Everything but OK sends nothing."""

    OK = "ok"
    TRAP = "trap"
    OUT_OF_FUEL = "out_of_fuel"
    OUT_OF_MEMORY = "out_of_memory"
    DEADLINE = "deadline"
    HOST_CALL_LIMIT = "host_call_limit"
    INVALID = "invalid"
    """The plugin cannot be loaded or instantiated."""
    INTERNAL = "internal"
    """The fault is guildhook's."""


@dataclass(frozen=True, slots=True)
class Causality:
    """What a bot's message goes back to. It travels with everything that is sent, so that bots that answer bots end."""

    root_id: UUID
    """The message of a person that it all began with."""
    hops: int
    """1 for an answer to that message, 2 for an answer to the answer."""


@dataclass(frozen=True, slots=True)
class Message:
    """A message that was created in a guild; `payload` is what a plugin receives, as compact JSON."""

    id: UUID
    guild_id: UUID
    channel_id: UUID
    created_at: datetime
    payload: str
    causality: Causality | None = None
    """None for a message of a person."""

    @property
    def sha256(self) -> bytes:
        """Of what a plugin receives."""
        return sha256(self.payload.encode()).digest()

    @property
    def causality_of_answers(self) -> Causality:
        return Causality(self.causality.root_id, self.causality.hops + 1) if self.causality else Causality(self.id, 1)


class SendMessage(msgspec.Struct, frozen=True):
    """An intent: a message that a plugin asked to be sent. Both ids are UUIDs in small letters."""

    key: str
    position: int
    channel_id: str
    content: str
    kind: str = "send_message"


def run_id(message_id: UUID, plugin_id: UUID) -> str:
    """Of the plugin's run for the message: a UUIDv5, so that an event that comes twice has the same run."""
    return _uuid5(f"{message_id}/{plugin_id}")


def idempotency_key(message_id: UUID, plugin_id: UUID, position: int) -> str:
    """The key of the send at `position` (from 0) in the plugin's run for the message: a UUIDv5."""
    return _uuid5(f"{message_id}/{plugin_id}/{position}")


def _uuid5(name: str) -> str:
    # As uuid.uuid5 has it, without its objects: they were a tenth of a short run.
    digest = bytearray(sha1(_NAMESPACE.bytes + name.encode(), usedforsecurity=False).digest())
    digest[6] = digest[6] & 0x0F | 0x50
    digest[8] = digest[8] & 0x3F | 0x80
    text = digest.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:32]}"


class HostFunctionCall(msgspec.Struct, frozen=True, gc=False):
    """A call that a plugin made of one of the host's functions."""

    function: str
    """As in "send-message" or "state.set"."""
    denied: str | None
    """Why the plugin did not get what it asked for; None if it did."""


class RunResult(msgspec.Struct, frozen=True):
    """What one run did. `detail` is empty for a run that ended ok."""

    outcome: Outcome
    detail: str
    fuel_used: int
    duration_us: int
    host_calls: int
    logs: tuple[str, ...]
    intents: tuple[SendMessage, ...]
    host_call_bytes: int = 0
    """Of text that passed in host calls, both ways together."""
    state: Mapping[str, str] | None = None
    """The whole new state, of a run that ended ok and changed it."""
    calls: tuple[HostFunctionCall, ...] = ()
    """In their order, as many as `host_calls`: the limit and one more at the most. One in which the run ended is the
    last, and denied.
    """


class MemoryType(msgspec.Struct, frozen=True):
    """A linear memory as a module declares it, in pages of 64 KiB."""

    minimum: int
    maximum: int | None


@dataclass(frozen=True, slots=True)
class CompiledModule:
    """Native code for one engine, and the memories that an instance of it has."""

    artifact: bytes
    memories: tuple[MemoryType, ...]


@dataclass(frozen=True, slots=True)
class Artifact:
    """What Postgres vouches for about one compiled module. Digests are raw SHA-256, sizes are bytes."""

    wasm_sha256: bytes
    engine: str
    sha256: bytes
    """Of the native code."""
    size: int
    object_sha256: bytes
    """Of the object in S3, which is the native code compressed."""
    object_size: int
    memories: tuple[MemoryType, ...]


@dataclass(frozen=True, slots=True)
class Refusal:
    """The wasm cannot be compiled, and never will be by this engine."""

    reason: str


@dataclass(frozen=True, slots=True)
class PluginState:
    """What a plugin remembers in its guild: texts by key. It is written only over the version that was read."""

    version: int = 0
    entries: Mapping[str, str] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """In bytes of UTF-8, keys included."""
        return sum(len(key.encode()) + len(value.encode()) for key, value in self.entries.items())


@dataclass(frozen=True, slots=True)
class PluginHealth:
    """How a plugin has fared, as far as its next run must know."""

    failing: bool = False
    """It has failures to its name that a good run would clear."""
    quarantine_seconds: float | None = None
    """Until one run may be tried; 0 or less: now. None: it is not quarantined."""


@dataclass(frozen=True, slots=True)
class InstalledPlugin:
    """A plugin as one of its versions runs, without the wasm; `compiled` is None until that was compiled or refused."""

    id: UUID
    guild_id: UUID
    settings: Mapping[str, Any]
    permissions: frozenset[str]
    wasm_sha256: bytes
    compiled: Artifact | Refusal | None
    bot_messages: bool = False
    """Whether it is given messages of bots."""
    state: PluginState = PluginState()
    health: PluginHealth = PluginHealth()
    version_id: UUID | None = None
    """None if its wasm was written into its row directly."""
    sealed: Mapping[str, bytes] = field(default_factory=dict)
    """Its secrets by name; they are settings that nobody reads but the plugin."""
    keep_content: bool = False
    """Whether its guild has its runs recorded with the messages that they were given."""
    shadow: bool = False
    """It is a version that is not live: it runs on the same messages, and nothing comes of that but a record."""


class OutgoingIntent(msgspec.Struct, frozen=True):
    """An intent on its way to the chat server, the message that it answers, and whose answer it is."""

    message_id: UUID
    guild_id: UUID
    plugin_id: UUID
    intent: SendMessage
    causality: Causality


class DeliveryState(StrEnum):
    """PENDING is retried; the others are final."""

    PENDING = "pending"
    DELIVERED = "delivered"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Delivery:
    """What the chat API made of an intent: `detail` is the id of the message, or why there is none."""

    key: str
    state: DeliveryState
    detail: str
    retry_seconds: float = 0
    """A pending one is not to be tried again before these are over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QuarantineRules:
    """When a plugin is quarantined, and for how long: every pause is twice as long as the one before."""

    most_in_a_row: int = 10
    """Failures."""
    most_in_an_hour: int = 100
    """Failures, by the clock's hours."""
    pause_seconds: int = 300
    longest_pause_seconds: int = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class SpentBudget:
    """What a guild has used of this minute's budget."""

    fuel: int = 0
    sends: int = 0
    log_bytes: int = 0

    def __add__(self, other: "SpentBudget") -> "SpentBudget":
        return SpentBudget(
            fuel=self.fuel + other.fuel, sends=self.sends + other.sends, log_bytes=self.log_bytes + other.log_bytes
        )
