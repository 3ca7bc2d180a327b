"""What a batch reads from Postgres, and what it leaves behind there."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from guildhook.model import (
    InstalledPlugin,
    Message,
    Outcome,
    OutgoingIntent,
    PluginState,
    RunResult,
    SpentBudget,
    run_id,
)

RunKey = tuple[UUID, UUID]
"""Message id and plugin id."""
ShadowKey = tuple[UUID, UUID | None]
"""Message id and version id."""


@dataclass(frozen=True, slots=True)
class RecordedRun:
    """A run that an earlier delivery recorded, and what of it is still to be sent."""

    message_id: UUID
    plugin_id: UUID
    message_sha256: bytes | None
    """Of what it was given; None if a version recorded it that did not keep that."""
    pending: tuple[OutgoingIntent, ...]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All that a batch needs to know before it runs anything."""

    plugins: Mapping[UUID, tuple[InstalledPlugin, ...]]
    """Enabled ones by guild, in the order of their creation; after them those versions that shadow one."""
    runs: Mapping[RunKey, RecordedRun]
    spent: Mapping[UUID, SpentBudget]
    """By guild; those that have used nothing in this minute are not there."""
    minute_seconds_left: float
    shadow_runs: frozenset[ShadowKey] = frozenset()
    """Those that an earlier delivery recorded."""


@dataclass(frozen=True, slots=True)
class RunRecord:
    """A finished run on its way into the outbox."""

    plugin: InstalledPlugin
    message: Message
    seed: int
    result: RunResult
    fuel_limit: int

    @property
    def id(self) -> str:
        return run_id(self.message.id, self.plugin.id)

    @property
    def key(self) -> RunKey:
        return self.message.id, self.plugin.id

    @property
    def wrote_state(self) -> bool:
        return self.result.state is not None

    @property
    def spent(self) -> SpentBudget:
        """Of its guild's budget."""
        log_bytes = sum(len(line.encode()) for line in self.result.logs)
        if self.plugin.shadow:
            # It sends nothing; what it would have sent is written down like its log.
            return SpentBudget(fuel=self.result.fuel_used, log_bytes=log_bytes + self.content_bytes)
        return SpentBudget(fuel=self.result.fuel_used, sends=len(self.result.intents), log_bytes=log_bytes)

    @property
    def content_bytes(self) -> int:
        """Of what it sends, or would send."""
        return sum(len(intent.content.encode()) for intent in self.result.intents)

    @property
    def kept_message(self) -> str | None:
        """What the plugin was given, where that is recorded."""
        return self.message.payload if self.plugin.keep_content and self.memorable else None

    @property
    def memorable(self) -> bool:
        """Whether it leaves a row. Others are only counted: most runs of most plugins have nothing to say."""
        result = self.result
        return bool(result.intents or result.logs or self.wrote_state or result.outcome is not Outcome.OK)

    def outgoing(self) -> Iterator[OutgoingIntent]:
        message, plugin = self.message, self.plugin
        for intent in self.result.intents:
            yield OutgoingIntent(message.id, plugin.guild_id, plugin.id, intent, message.causality_of_answers)


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """How a plugin fared in a batch, where it failed or had failed before."""

    plugin: InstalledPlugin
    failures: int
    failures_in_a_row: int
    """At the end of the batch."""
    recovered: bool
    """It ran well at least once."""
    last_error: str


@dataclass(frozen=True, slots=True)
class Delayed:
    """A message that has to wait, since its guild is over its budget."""

    message_id: UUID
    guild_id: UUID
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchRecord:
    """All that a batch leaves behind before it sends anything."""

    runs: Sequence[RunRecord] = ()
    states: Mapping[UUID, PluginState] = field(default_factory=dict)
    """What the runs made of their plugins' state, by plugin, with the version that they began with."""
    judgements: Sequence[Judgement] = ()
    passed_over: Mapping[UUID, int] = field(default_factory=dict)
    """How many messages a plugin was not given since it is quarantined."""
    delayed: Sequence[Delayed] = ()
    shadow_runs: Sequence[RunRecord] = ()

    @property
    def empty(self) -> bool:
        return not (self.runs or self.passed_over or self.delayed or self.shadow_runs)


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A plugin that this batch's failures have quarantined, or for longer than before."""

    plugin_id: UUID
    reason: str
    last_error: str
    pause_seconds: float
    pauses: int
    """This one included."""


@dataclass(frozen=True, slots=True)
class GivenUp:
    """An intent that was pending for too long, and whose it was."""

    key: str
    message_id: UUID
    guild_id: UUID
    plugin_id: UUID
    run_id: UUID


@dataclass(frozen=True, slots=True)
class Recorded:
    pending: frozenset[str] = frozenset()
    """Keys of the intents to deliver now; the others of these runs are refused."""
    lost: frozenset[RunKey] = frozenset()
    """Runs that another delivery of the same message recorded first."""
    stale: frozenset[UUID] = frozenset()
    """Plugins whose state another batch wrote first: nothing of their runs is recorded."""
    busy: frozenset[UUID] = frozenset()
    """Plugins that somebody is about to delete: nothing of their runs is recorded."""
    quarantined: tuple[Quarantined, ...] = ()
