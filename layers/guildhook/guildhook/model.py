"""Small frozen types that several rooms of the library share."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from hashlib import sha1, sha256
from typing import Any, Final
from uuid import UUID

import msgspec

# The namespace of run ids and idempotency keys. A change would send every pending message a second time.
_NAMESPACE = UUID("5f0d5c9c-6c0e-5d0e-9d8b-7a4f0c1e2b3a")


class Permission(StrEnum):
    """A permission that a plugin can be granted. The names are those of the chat server."""

    SEND_MESSAGES = "SEND_MESSAGES"


class TokenAlgorithm(StrEnum):
    """An algorithm that access tokens may be signed with, by its name in JOSE (RFC 7518, RFC 8037)."""

    RS256 = "RS256"
    ES256 = "ES256"
    EDDSA = "EdDSA"
    """With Ed25519 alone."""


class Outcome(StrEnum):
    """How a run ended. Only a run that ended with OK has effects."""

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
    """The origin of a bot's message. It is sent with every message, so that chains of bots that answer bots end."""

    root_id: UUID
    """The message of a person that started the chain."""
    hops: int
    """The distance from that message: 1 for an answer to it, 2 for an answer to the answer."""


@dataclass(frozen=True, slots=True)
class Message:
    """A message that was created in a guild. Plugins receive its `payload`, which is compact JSON."""

    id: UUID
    guild_id: UUID
    channel_id: UUID
    created_at: datetime
    payload: str
    causality: Causality | None = None
    """None for a person's message."""
    author_id: str | None = None
    """None if the id that was sent cannot be that of a user."""
    received_payload: str | None = field(default=None, compare=False, repr=False)
    """The payload with ids, times and null as they were sent, if that differs from `payload`."""

    @property
    def sha256(self) -> bytes:
        """The digest of the message as it was sent. Runs of earlier releases are recorded with it."""
        return sha256((self.received_payload or self.payload).encode()).digest()

    @property
    def causality_of_answers(self) -> Causality:
        return Causality(self.causality.root_id, self.causality.hops + 1) if self.causality else Causality(self.id, 1)


class SendMessage(msgspec.Struct, frozen=True):
    """An intent: a plugin asked for this message to be sent. `key` and `channel_id` are UUIDs in lower case."""

    key: str
    position: int
    channel_id: str
    content: str
    kind: str = "send_message"


def run_id(message_id: UUID, plugin_id: UUID) -> str:
    """The id of the plugin's run for the message: a UUIDv5, so that a redelivered event has the same run."""
    return _uuid5(f"{message_id}/{plugin_id}")


def idempotency_key(message_id: UUID, plugin_id: UUID, position: int) -> str:
    """The key of the send at `position` (from 0) in the plugin's run for the message: a UUIDv5."""
    return _uuid5(f"{message_id}/{plugin_id}/{position}")


def _uuid5(name: str) -> str:
    # This is uuid.uuid5 without its objects, which took a tenth of the time of a short run.
    digest = bytearray(sha1(_NAMESPACE.bytes + name.encode(), usedforsecurity=False).digest())
    digest[6] = digest[6] & 0x0F | 0x50
    digest[8] = digest[8] & 0x3F | 0x80
    text = digest.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:32]}"


class HostFunctionCall(msgspec.Struct, frozen=True, gc=False):
    """A plugin's call of a host function."""

    function: str
    """A name such as "send-message" or "state.set"."""
    denied: str | None
    """The reason for which the call was denied, or None if it was not."""


FUEL_PER_CPU_MICROSECOND: Final = 1_700
"""The fuel that a microsecond of CPU time is charged as. A loop of simple instructions uses at least so much."""


class RunResult(msgspec.Struct, frozen=True):
    """The result of one run. `detail` says why it did not end ok, and is empty if it did."""

    outcome: Outcome
    detail: str
    fuel_used: int
    duration_us: int
    host_calls: int
    logs: tuple[str, ...]
    intents: tuple[SendMessage, ...]
    host_call_bytes: int = 0
    """The bytes of text that host calls took and returned."""
    state: Mapping[str, str] | None = None
    """The whole new state, if the run ended ok and changed it."""
    calls: tuple[HostFunctionCall, ...] = ()
    """All host calls in their order: at most one more than the limit. A call that ended the run is the last one, and
    is denied.
    """
    cpu_us: int = 0
    """The CPU time of the thread that ran it. Unlike `duration_us` it does not grow while the machine is busy."""

    @property
    def charged_fuel(self) -> int:
        """The fuel that the run takes from its guild's minute: its fuel or its CPU time, whichever is larger.

        Some instructions take a hundred times the time of others for the same fuel. wasmtime forgets the fuel of the
        innermost functions if a run ends at its deadline or by a memory fault
        (https://github.com/bytecodealliance/wasmtime/issues/13802).
        """
        return max(self.fuel_used, self.cpu_us * FUEL_PER_CPU_MICROSECOND)


class MemoryType(msgspec.Struct, frozen=True):
    """A linear memory that a module declares, in pages of 64 KiB."""

    minimum: int
    maximum: int | None = None


@dataclass(frozen=True, slots=True)
class CompiledModule:
    """Native code for one engine, and the memories of an instance."""

    artifact: bytes
    memories: tuple[MemoryType, ...]


@dataclass(frozen=True, slots=True)
class Artifact:
    """A compiled module as the compile function vouches for it. Digests are raw SHA-256; sizes are in bytes."""

    wasm_sha256: bytes
    engine: str
    sha256: bytes
    """The digest of the native code."""
    size: int
    object_sha256: bytes
    """The digest of the object in S3, which is the compressed native code."""
    object_size: int
    memories: tuple[MemoryType, ...]
    signature: bytes = b""
    """The compile function's signature of all other fields; empty if there is none."""


class RefusalKind(StrEnum):
    """The ground for a refusal. Each holds on every machine; the last three depend on the limits of a compile."""

    PLUGIN = "plugin"
    """The inspection, the compiler's validation, or the size of the native code."""
    START = "start"
    """The first start, under the limits that the operator has set. It is tried again if it is asked for again."""
    CPU_SECONDS = "cpu_seconds"
    """The compile, or the first start, used up its CPU time."""
    MEMORY = "memory"
    """The compile needed more memory than its limit, twice."""
    CRASH = "crash"
    """The compiler crashed, twice."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """The verdict that an engine cannot compile a wasm. It is final for that engine."""

    reason: str
    kind: RefusalKind = RefusalKind.PLUGIN


@dataclass(frozen=True, slots=True)
class FailedCompile:
    """The compiles of a wasm have failed through no fault of the plugin. They are tried again."""

    reason: str
    due: bool
    """The next try should have begun by now. False while it is awaited, and after the last one."""
    given_up: bool
    """The last try is over: only an admin's or an operator's request begins another one."""


@dataclass(frozen=True, slots=True)
class PluginState:
    """The texts that a plugin remembers in its guild, by key. A write succeeds only over the version that was read."""

    version: int = 0
    entries: Mapping[str, str] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """The bytes of all keys and values in UTF-8."""
        return sum(len(key.encode()) + len(value.encode()) for key, value in self.entries.items())


@dataclass(frozen=True, slots=True)
class PluginHealth:
    """The failures of a plugin, as far as they matter to its next run."""

    failing: bool = False
    """Failures are recorded that a successful run clears."""
    quarantine_seconds: float | None = None
    """The time until one run may be tried; 0 or less means now. None if the plugin is not quarantined."""


@dataclass(frozen=True, slots=True)
class InstalledPlugin:
    """A version of a plugin that is to run. `compiled` is None until its wasm was compiled or refused, or a compile
    failed.
    """

    id: UUID
    guild_id: UUID
    settings: Mapping[str, Any]
    permissions: frozenset[str]
    wasm_sha256: bytes
    compiled: Artifact | Refusal | FailedCompile | None
    bot_messages: bool = False
    """The plugin receives messages of bots as well."""
    state: PluginState = PluginState()
    health: PluginHealth = PluginHealth()
    version_id: UUID | None = None
    """None if the wasm was written into the plugin's row directly."""
    sealed: Mapping[str, bytes] = field(default_factory=dict)
    """The sealed values of the plugin's settings, by name. Only the plugin reads them in plain text."""
    keep_content: bool = False
    """The guild records runs together with their messages."""
    shadow: bool = False
    """The version is not live: it runs on the same messages, but its runs are only recorded."""


class OutgoingIntent(msgspec.Struct, frozen=True):
    """An intent on its way to the chat server, with the message and the plugin that it comes from."""

    message_id: UUID
    guild_id: UUID
    plugin_id: UUID
    intent: SendMessage
    causality: Causality


class DeliveryState(StrEnum):
    """The state of a delivery. PENDING is retried; the others are final."""

    PENDING = "pending"
    DELIVERED = "delivered"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Delivery:
    """The chat server's reply to an intent. `detail` is the sent message's id, or the reason why none was sent."""

    key: str
    state: DeliveryState
    detail: str
    retry_seconds: float = 0
    """The time for which a pending delivery is not tried again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QuarantineRules:
    """The limits after which a plugin is quarantined. Each pause is twice as long as the one before."""

    most_in_a_row: int = 10
    """The most consecutive failures."""
    most_in_an_hour: int = 100
    """The most failures within an hour of the clock."""
    pause_seconds: int = 300
    """The first pause."""
    longest_pause_seconds: int = 86_400
    """The longest pause."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RaisedBudget:
    """Limits of a guild's minute that an operator has raised for some time; None where nothing is raised."""

    fuel: int | None = None
    sends: int | None = None
    log_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SpentBudget:
    """The part of this minute's budget that a guild has spent."""

    fuel: int = 0
    sends: int = 0
    log_bytes: int = 0

    def __add__(self, other: "SpentBudget") -> "SpentBudget":
        return SpentBudget(
            fuel=self.fuel + other.fuel, sends=self.sends + other.sends, log_bytes=self.log_bytes + other.log_bytes
        )
