"""Everything that a batch leaves behind in the database, and the answer of the statement that writes it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

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
from guildhook.store.events.snapshot import RunKey


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
        """The run's share of its guild's budget."""
        log_bytes = sum(len(line.encode()) for line in self.result.logs)
        if self.plugin.shadow:
            # A shadow sends nothing; the content of its intents is stored with its log, and counts like it.
            return SpentBudget(fuel=self.result.charged_fuel, log_bytes=log_bytes + self.content_bytes)
        return SpentBudget(fuel=self.result.charged_fuel, sends=len(self.result.intents), log_bytes=log_bytes)

    @property
    def content_bytes(self) -> int:
        """Size in UTF-8 of the messages that the run sends or, for a shadow, would send."""
        return sum(len(intent.content.encode()) for intent in self.result.intents)

    @property
    def kept_message(self) -> str | None:
        """The plugin's input, if the guild keeps it."""
        return self.message.payload if self.plugin.keep_content and self.memorable else None

    @property
    def memorable(self) -> bool:
        """True if the run leaves a row. Other runs are only counted, since most runs of most plugins do nothing."""
        result = self.result
        return bool(result.intents or result.logs or self.wrote_state or result.outcome is not Outcome.OK)

    def outgoing(self) -> Iterator[OutgoingIntent]:
        message, plugin = self.message, self.plugin
        for intent in self.result.intents:
            yield OutgoingIntent(message.id, plugin.guild_id, plugin.id, intent, message.causality_of_answers)


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """The good and failed runs of a plugin in one batch, for a plugin that failed now or had failed before.

    The statement that records the batch decides about quarantine from this.
    """

    plugin: InstalledPlugin
    failures: int
    failures_in_a_row: int
    """The number at the end of the batch."""
    recovered: bool
    """True if at least one run was good."""
    last_error: str


@dataclass(frozen=True, slots=True)
class DelayedMessage:
    """A message that has to wait, since its guild is over its budget."""

    message_id: UUID
    guild_id: UUID
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchRecord:
    """Everything that a batch leaves behind before it sends anything."""

    runs: Sequence[RunRecord] = ()
    states: Mapping[UUID, PluginState] = field(default_factory=dict)
    """New state by plugin, with the version that the runs began with."""
    judgements: Sequence[Judgement] = ()
    passed_over: Mapping[UUID, int] = field(default_factory=dict)
    """Number of messages that a plugin did not get because it is quarantined, by plugin."""
    delayed: Sequence[DelayedMessage] = ()
    shadow_runs: Sequence[RunRecord] = ()

    @property
    def empty(self) -> bool:
        return not (self.runs or self.passed_over or self.delayed or self.shadow_runs)


@dataclass(frozen=True, slots=True)
class QuarantinedPlugin:
    """A plugin whose quarantine was begun or prolonged by this batch's failures."""

    plugin_id: UUID
    reason: str
    last_error: str
    pause_seconds: float
    pauses: int
    """The number of pauses in a row, this one included."""


@dataclass(frozen=True, slots=True)
class RecordedBatch:
    """The part of a batch that was recorded, and the reasons why other parts were not."""

    pending: frozenset[str] = frozenset()
    """Keys of the intents to deliver now; the others of these runs are refused."""
    lost: frozenset[RunKey] = frozenset()
    """Runs that another delivery of the same message recorded first."""
    stale: frozenset[UUID] = frozenset()
    """Plugins whose state another batch wrote first: none of their runs is recorded."""
    busy: frozenset[UUID] = frozenset()
    """Plugins that another transaction is deleting: none of their runs is recorded."""
    quarantined: tuple[QuarantinedPlugin, ...] = ()


def batch_parameters(batch: BatchRecord) -> dict[str, Jsonb]:
    """Return the statement's parameters."""
    return {
        "runs": Jsonb([_run_row(run) for run in batch.runs]),
        "new_states": Jsonb(
            [
                {"plugin_id": str(plugin_id), "version": state.version, "entries": dict(state.entries)}
                for plugin_id, state in batch.states.items()
            ]
        ),
        "judged": Jsonb([_judgement_row(judgement) for judgement in batch.judgements]),
        "passed_over": Jsonb(
            [{"plugin_id": str(plugin_id), "messages": count} for plugin_id, count in batch.passed_over.items()]
        ),
        "delayed": Jsonb([{"guild_id": str(delayed.guild_id), "reason": delayed.reason} for delayed in batch.delayed]),
        "shadow_runs": Jsonb([_shadow_run_row(run) for run in batch.shadow_runs]),
    }


def recorded_batch(
    pending: Iterable[str],
    lost: Iterable[tuple[str, str]],
    stale: Iterable[UUID],
    busy: Iterable[UUID],
    quarantined: Iterable[Mapping[str, Any]],
) -> RecordedBatch:
    """Convert the columns of the statement's one row."""
    return RecordedBatch(
        pending=frozenset(pending),
        lost=frozenset((UUID(message_id), UUID(plugin_id)) for message_id, plugin_id in lost),
        stale=frozenset(stale),
        busy=frozenset(busy),
        quarantined=tuple(QuarantinedPlugin(**{**item, "plugin_id": UUID(item["plugin_id"])}) for item in quarantined),
    )


def _run_row(run: RunRecord) -> dict[str, Any]:
    message, result, causality, spent = run.message, run.result, run.message.causality_of_answers, run.spent
    version_id = run.plugin.version_id
    return {
        "id": run.id if run.memorable else None,
        "message_id": str(message.id),
        "plugin_id": str(run.plugin.id),
        "guild_id": str(run.plugin.guild_id),
        "event_channel_id": str(message.channel_id),
        "outcome": result.outcome,
        "detail": result.detail,
        "fuel_used": result.fuel_used,
        "duration_us": result.duration_us,
        "cpu_us": result.cpu_us,
        "charged_fuel": spent.fuel,
        "host_calls": result.host_calls,
        "logs": list(result.logs),
        "seed": run.seed,
        "message_time": message.created_at.isoformat(),
        "message_sha256": message.sha256.hex(),
        "root_message_id": str(causality.root_id),
        "hops": causality.hops,
        "version_id": version_id and str(version_id),
        "fuel_limit": run.fuel_limit,
        # A run without a row has no use for its calls.
        "calls": [[call.function, call.denied] for call in result.calls] if run.memorable else None,
        "message": run.kept_message,
        "author_id": message.author_id,
        "sends": spent.sends,
        "log_bytes": spent.log_bytes,
        "memorable": run.memorable,
        "wrote_state": run.wrote_state,
        "intents": [
            {
                "key": intent.key,
                "position": intent.position,
                "kind": intent.kind,
                "channel_id": intent.channel_id,
                "content": intent.content,
            }
            for intent in result.intents
        ],
    }


def _shadow_run_row(run: RunRecord) -> dict[str, Any]:
    # The keys of the live version's intents are left out: there must be no way to send a shadow's.
    intents = [
        {"kind": intent.kind, "channel_id": intent.channel_id, "content": intent.content}
        for intent in run.result.intents
    ]
    return {**_run_row(run), "intents": intents}


def _judgement_row(judgement: Judgement) -> dict[str, Any]:
    return {
        "plugin_id": str(judgement.plugin.id),
        "judged_sha256": judgement.plugin.wasm_sha256.hex(),
        "failures": judgement.failures,
        "failures_in_a_row": judgement.failures_in_a_row,
        "recovered": judgement.recovered,
        "last_error": judgement.last_error,
    }
