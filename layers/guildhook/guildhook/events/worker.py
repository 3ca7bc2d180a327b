"""The way of a message, from a batch of the queue to the replies in the chat."""

import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from guildhook.errors import InfrastructureError, UnwritableError
from guildhook.events.backoff import Backoff, doubled, jittered
from guildhook.events.batch import ANOTHER_BODY, Batch, QueueRecord, Subject, read_batch
from guildhook.events.budgets import GuildBudget
from guildhook.events.delivery import Sender
from guildhook.events.runner import Found, PassedOver, Postponed, Ran, Runner, Todo
from guildhook.model import Delivery, DeliveryState, InstalledPlugin, Message, OutgoingIntent, QuarantineRules
from guildhook.modules import CacheEvent, ModuleCache, NeededModule, UnavailableModule
from guildhook.plugin_settings.sealing import Sealer
from guildhook.sandbox import Limits, LoadedModule, Sandbox
from guildhook.stage import Stage
from guildhook.store.events import EventStore, Quarantined, RecordedBatch, RunRecord, Snapshot

# A compile may take 25 s, and what it was for is still to be run, written and sent.
_COMPILE_AND_FINISH_SECONDS: Final = 40
# For the outbox, for sending, and for the results.
_RECORD_AND_SEND_SECONDS: Final = 15
# For the results alone, and for telling the queue.
_SETTLE_SECONDS: Final = 4
_RACES: Final = 20
"""How often a batch tries to write a plugin's state, before it leaves that to others and the message to the queue."""
_FIRST_RACE_PAUSE_SECONDS: Final = 0.01
_LONGEST_RACE_PAUSE_SECONDS: Final = 0.1
_SHADOW_REST_SECONDS: Final = 60
"""After the module of a shadow could not be had: S3 can take half a minute to say so."""

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Rules:
    """What the operator decides for all guilds, or for each."""

    limits_of: Callable[[UUID], Limits]
    """Of a guild's runs."""
    budget_of: Callable[[UUID], GuildBudget]
    quarantine: QuarantineRules
    backoff: Backoff


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchReport:
    """What a batch did. Records that are not in `failures` are done and leave the queue."""

    failures: Mapping[str, Postponed]
    """Why a record must come back, and when, by its id: its body is malformed, the infrastructure failed, or its guild
    is over its budget.
    """
    skipped: Mapping[str, str]
    """Why no plugin was given a record, by its id."""
    subjects: Mapping[str, Subject]
    """What records are about, by their ids; not malformed ones."""
    passed_over: Sequence[PassedOver]
    runs: Sequence[RunRecord]
    quarantined: Sequence[Quarantined]
    outgoing: Mapping[str, OutgoingIntent]
    """What was to be sent, by its key."""
    deliveries: Sequence[Delivery]
    orphaned: Sequence[str]
    """Keys of what was sent while its plugin was deleted."""
    modules: Mapping[CacheEvent, int]
    """Where modules were found, and what was thrown away."""
    circuit_open: bool
    """Whether the chat server is left alone at the moment."""
    circuits_opened: int


class Worker:
    def __init__(
        self,
        engine: str,
        sandbox: Sandbox,
        rules: Rules,
        modules: ModuleCache[LoadedModule],
        store: EventStore,
        sender: Sender,
        stage: Stage = nullcontext,
        sealer: Sealer | None = None,
    ) -> None:
        """`engine` is the fingerprint under which artifacts are looked up; `stage` is told of each part of a batch.

        Without `sealer` no plugin that has secrets is run.
        """
        self._engine = engine
        self._sandbox = sandbox
        self._rules = rules
        self._modules = modules
        self._store = store
        self._sender = sender
        self._stage = stage
        self._sealer = sealer
        self._resting: dict[NeededModule, float] = {}
        """Modules of shadows that are not looked for before these times."""

    def connect(self) -> list[InfrastructureError]:
        """Open connections ahead of their first use. Returns why some could not be: a batch tries again."""
        problems = []
        for connect in (self._store.connect, self._sender.connect):
            try:
                connect()
            except InfrastructureError as error:
                problems.append(error)
        return problems

    def process(self, records: Sequence[QueueRecord], deadline: float) -> BatchReport:
        """Run the plugins of every message in the batch and send what they asked for.

        The number of database statements does not depend on the number of messages, guilds or plugins. What has to
        be compiled on the way comes last, and only if it can be done before `deadline`, by time.monotonic().
        Raises nothing for what a record holds or the infrastructure does: both end in `failures`.
        """
        with self._stage("parse"):
            batch = read_batch(records)
        progress = _Progress()
        if batch.guilds:
            self._process(batch, deadline, progress)
        # What is malformed stays so: it comes back at once, and is soon where somebody looks at it.
        malformed = {record_id: Postponed(reason) for record_id, reason in batch.malformed.items()}
        return BatchReport(
            failures={**malformed, **self._coming_back(batch, progress.postponed)},
            skipped={**batch.skipped, **_by_record(batch, progress)},
            subjects=batch.subjects,
            passed_over=progress.passed_over,
            runs=progress.runs,
            quarantined=progress.quarantined,
            outgoing=progress.outgoing,
            deliveries=progress.deliveries,
            orphaned=progress.orphaned,
            modules=self._modules.take_events(),
            circuit_open=self._sender.breaker.is_open,
            circuits_opened=self._sender.breaker.take_opened(),
        )

    def close(self) -> None:
        self._store.close()
        self._sender.close()

    def _process(self, batch: Batch, deadline: float, progress: "_Progress") -> None:
        try:
            # One query: the plugins of all guilds, and what earlier deliveries of these messages did.
            snapshot = self._snapshot(batch.guilds)
        except InfrastructureError as error:
            progress.postpone(batch.guilds, Postponed(str(error)))
            return
        todo = _todo(batch.messages.values(), snapshot)
        shadows = _shadows(batch.messages.values(), snapshot)
        progress.skipped |= _unseen(batch.messages.values(), snapshot)
        left = [outgoing for run in snapshot.runs.values() for outgoing in run.pending]
        runner = Runner(
            self._sandbox,
            self._rules.limits_of,
            self._rules.budget_of,
            snapshot,
            latest_start=deadline - _RECORD_AND_SEND_SECONDS,
            sealer=self._sealer,
        )
        with self._stage("modules"):
            found = self._modules.find(_wanted(plugin for _, plugin in todo))
            # Nothing is fetched for shadows while live versions wait.
            found = {**self._modules.at_hand(_wanted(plugin for _, plugin in shadows)), **found}
        ready = [(message, plugin) for message, plugin in todo if plugin.wasm_sha256 in found]
        uncompiled = [(message, plugin) for message, plugin in todo if plugin.wasm_sha256 not in found]
        # What is to be compiled is waited for: shadows come after it.
        near = [] if uncompiled else [shadow for shadow in shadows if shadow[1].wasm_sha256 in found]
        self._run_and_send(runner, ready, found, left, deadline, progress, near)

        # After all others, so that nobody waits for the compiling of somebody else's plugin.
        if uncompiled:
            self._compile_and_run(runner, uncompiled, deadline, progress)

        # When everything is sent that there is to send.
        late = [
            (message, plugin)
            for message, plugin in shadows
            if (uncompiled or plugin.wasm_sha256 not in found) and message.id not in progress.postponed
        ]
        if late and time.monotonic() <= deadline - _COMPILE_AND_FINISH_SECONDS:
            self._run_late_shadows(runner, late)

    def _run_late_shadows(self, runner: Runner, shadows: Sequence[Todo]) -> None:
        """Those whose modules were not at hand. No message comes back for what goes wrong here."""
        now = time.monotonic()
        self._resting = {wanted: until for wanted, until in self._resting.items() if until > now}
        wanted = [each for each in _wanted(plugin for _, plugin in shadows) if each not in self._resting]
        with self._stage("shadows"):
            found = self._modules.find(wanted)
            missing = [
                each for each in wanted if isinstance(found.get(each.wasm_sha256, _UNCOMPILED), UnavailableModule)
            ]
            self._resting |= dict.fromkeys(missing, now + _SHADOW_REST_SECONDS)
            if uncompiled := [each.wasm_sha256 for each in missing if each.wasm_sha256 not in found]:
                self._modules.ask(uncompiled)
            ran = runner.run([], found, shadows)
            try:
                if not ran.record.empty:
                    self._store.record(ran.record, self._rules.quarantine)
            except InfrastructureError as error:
                _logger.warning("runs of shadows are not recorded: %s", error)

    def _compile_and_run(self, runner: Runner, todo: Sequence[Todo], deadline: float, progress: "_Progress") -> None:
        digests = list(dict.fromkeys(plugin.wasm_sha256 for _, plugin in todo))
        latest_start = deadline - _COMPILE_AND_FINISH_SECONDS
        try:
            with self._stage("compile"):
                compiled = self._modules.compile(digests, self._store.wasm, latest_start)
        except InfrastructureError as error:
            progress.postpone((message.id for message, _ in todo), Postponed(str(error)))
            return
        self._run_and_send(runner, todo, compiled, [], deadline, progress)

    def _run_and_send(
        self,
        runner: Runner,
        todo: Sequence[Todo],
        modules: Found,
        left: Sequence[OutgoingIntent],
        deadline: float,
        progress: "_Progress",
        shadows: Sequence[Todo] = (),
    ) -> None:
        pending = [*left, *self._run_and_record(runner, todo, modules, progress, shadows)]
        sendable = [outgoing for outgoing in pending if outgoing.intent.channel_id not in progress.blocked_channels]
        with self._stage("deliver"):
            deliveries = self._sender.send(sendable, deadline - _SETTLE_SECONDS)
        progress.outgoing |= {outgoing.intent.key: outgoing for outgoing in pending}
        progress.deliveries += deliveries
        progress.note_undelivered(pending, deliveries)
        try:
            if deliveries:
                # One write of what became of it.
                with self._stage("settle"):
                    progress.orphaned += self._store.settle(deliveries)
        except InfrastructureError as error:
            progress.postpone((outgoing.message_id for outgoing in pending), Postponed(str(error)))

    def _run_and_record(
        self,
        runner: Runner,
        todo: Sequence[Todo],
        modules: Found,
        progress: "_Progress",
        shadows: Sequence[Todo] = (),
    ) -> list[OutgoingIntent]:
        """What is to be sent now. One write, before anything is sent; more only where another batch wrote the state of
        the same plugin first. A run is pure, so it can be run again on what the other has left.
        """
        pending: list[OutgoingIntent] = []
        for race in range(_RACES):
            with self._stage("run"):
                ran = runner.run(todo, modules, shadows)
            progress.note(ran.postponed)
            if ran.record.empty:
                return pending
            try:
                with self._stage("record"):
                    recorded = self._store.record(ran.record, self._rules.quarantine)
                pending += progress.note_recorded(ran, recorded)
                todo = [(message, plugin) for message, plugin in todo if plugin.id in recorded.stale]
                if not todo:
                    return pending
                # Full jitter, so that not the same ones win each time.
                time.sleep(jittered(doubled(_FIRST_RACE_PAUSE_SECONDS, race, _LONGEST_RACE_PAUSE_SECONDS)))
                todo, shadows, modules = self._once_more(todo, modules, progress)
            except UnwritableError as error:
                if ran.record.shadow_runs:
                    # Perhaps it is one of theirs: live versions do not suffer for that.
                    return pending + self._run_and_record(runner, todo, modules, progress)
                return pending + self._run_and_record_apart(runner, todo, modules, progress, error)
            except InfrastructureError as error:
                progress.postpone((message.id for message, _ in todo), Postponed(str(error)))
                return pending
        reason = Postponed("other batches keep writing the plugin's state first")
        progress.postpone((message.id for message, _ in todo), reason)
        return pending

    def _once_more(
        self, todo: Sequence[Todo], modules: Found, progress: "_Progress"
    ) -> tuple[Sequence[Todo], Sequence[Todo], Found]:
        """The same messages and plugins, and their shadows, on fresh state. Raises InfrastructureError."""
        messages = {message.id: message for message, _ in todo}
        fresh = self._snapshot({message.id: message.guild_id for message in messages.values()})
        overtaken = {message.id for message, plugin in todo if (message.id, plugin.id) in fresh.runs}
        progress.postpone(overtaken, _OVERTAKEN)
        plugins = {plugin.id for _, plugin in todo}
        again, shadows = (
            [(message, plugin) for message, plugin in given if plugin.id in plugins]
            for given in (_todo(messages.values(), fresh), _shadows(messages.values(), fresh))
        )
        return again, shadows, {**{plugin.wasm_sha256: _UPDATED for _, plugin in again}, **modules}

    def _run_and_record_apart(
        self,
        runner: Runner,
        todo: Sequence[Todo],
        modules: Found,
        progress: "_Progress",
        error: UnwritableError,
    ) -> list[OutgoingIntent]:
        """Run by run, so that what Postgres does not take of one brings back no other's message."""
        if len(todo) == 1:
            progress.postpone((message.id for message, _ in todo), Postponed(str(error)))
            return []
        return [out for each in todo for out in self._run_and_record(runner, [each], modules, progress)]

    def _snapshot(self, guilds: Mapping[UUID, UUID]) -> Snapshot:
        """`guilds` by message. Raises InfrastructureError."""
        with self._stage("snapshot"):
            return self._store.snapshot(set(guilds.values()), guilds, self._engine)

    def _coming_back(self, batch: Batch, postponed: Mapping[UUID, Postponed]) -> dict[str, Postponed]:
        """When records come back, by their ids: later each time, and not before what they have to wait for."""
        why = [(record, reason) for message, reason in postponed.items() for record in batch.records[message]]
        why += [(record, Postponed(ANOTHER_BODY)) for record in batch.second_bodies]
        return {
            record.id: Postponed(reason.reason, max(reason.seconds, self._rules.backoff.seconds(record.receive_count)))
            for record, reason in why
        }


_UNCOMPILED: Final = UnavailableModule("it is not compiled yet")
_UPDATED: Final = UnavailableModule("the plugin was updated meanwhile")
_OVERTAKEN: Final = Postponed("another delivery of the same message is under way")
_BEING_DELETED: Final = Postponed("its plugin is being deleted")


@dataclass(slots=True)
class _Progress:
    """What has come of a batch so far."""

    postponed: dict[UUID, Postponed] = field(default_factory=dict)
    """By message."""
    skipped: dict[UUID, str] = field(default_factory=dict)
    """By message."""
    passed_over: list[PassedOver] = field(default_factory=list)
    runs: list[RunRecord] = field(default_factory=list)
    quarantined: list[Quarantined] = field(default_factory=list)
    outgoing: dict[str, OutgoingIntent] = field(default_factory=dict)
    deliveries: list[Delivery] = field(default_factory=list)
    orphaned: list[str] = field(default_factory=list)
    blocked_channels: set[str] = field(default_factory=set)
    """With a message that is still to be sent: nothing may overtake it."""

    def postpone(self, messages: Iterable[UUID], why: Postponed) -> None:
        self.note(dict.fromkeys(messages, why))

    def note(self, postponed: Mapping[UUID, Postponed]) -> None:
        """The first reason stays, and the longest wait counts."""
        for message_id, why in postponed.items():
            before = self.postponed.get(message_id, why)
            self.postponed[message_id] = Postponed(before.reason, max(before.seconds, why.seconds))

    def note_recorded(self, ran: Ran, recorded: RecordedBatch) -> list[OutgoingIntent]:
        """What of it is to be sent."""
        runs = [run for run in ran.record.runs if run.plugin.id not in recorded.stale | recorded.busy]
        self.runs += runs
        self.passed_over += ran.passed_over
        self.quarantined += recorded.quarantined
        self.postpone((message_id for message_id, _ in recorded.lost), _OVERTAKEN)
        self.postpone((run.message.id for run in ran.record.runs if run.plugin.id in recorded.busy), _BEING_DELETED)
        return [outgoing for run in runs for outgoing in run.outgoing() if outgoing.intent.key in recorded.pending]

    def note_undelivered(self, pending: Iterable[OutgoingIntent], deliveries: Iterable[Delivery]) -> None:
        results = {delivery.key: delivery for delivery in deliveries}
        for outgoing in pending:
            result = results.get(outgoing.intent.key, _NOT_TRIED)
            if result.state is DeliveryState.PENDING:
                self.blocked_channels.add(outgoing.intent.channel_id)
                self.postpone([outgoing.message_id], Postponed(result.detail, result.retry_seconds))


_NOT_TRIED: Final = Delivery(
    "", DeliveryState.PENDING, "no time was left to send it, or an earlier message to its channel is still to be sent"
)


def _by_record(batch: Batch, progress: _Progress) -> dict[str, str]:
    """Why records are skipped, unless they come back for something else."""
    return {
        record.id: reason
        for message_id, reason in progress.skipped.items()
        if message_id not in progress.postponed
        for record in batch.records[message_id]
    }


def _todo(messages: Iterable[Message], snapshot: Snapshot) -> list[Todo]:
    return [
        (message, plugin)
        for message in messages
        if not _has_another_body(message, snapshot)
        for plugin in _takers(message, snapshot)
        if (message.id, plugin.id) not in snapshot.runs
    ]


def _shadows(messages: Iterable[Message], snapshot: Snapshot) -> list[Todo]:
    return [
        (message, plugin)
        for message in messages
        if not _has_another_body(message, snapshot)
        for plugin in _takers(message, snapshot, shadow=True)
        if (message.id, plugin.version_id) not in snapshot.shadow_runs
    ]


def _unseen(messages: Iterable[Message], snapshot: Snapshot) -> dict[UUID, str]:
    """Why messages that could be given to plugins are given to none."""
    reasons = {}
    answered = {message_id for message_id, _ in snapshot.runs}
    for message in messages:
        if _has_another_body(message, snapshot):
            reasons[message.id] = ANOTHER_BODY
        elif message.id not in answered and not _takers(message, snapshot):
            reasons[message.id] = "no enabled plugin of its guild takes it"
    return reasons


def _takers(message: Message, snapshot: Snapshot, *, shadow: bool = False) -> list[InstalledPlugin]:
    plugins = snapshot.plugins.get(message.guild_id, ())
    return [
        plugin for plugin in plugins if plugin.shadow is shadow and (message.causality is None or plugin.bot_messages)
    ]


def _has_another_body(message: Message, snapshot: Snapshot) -> bool:
    digests = {run.message_sha256 for run in snapshot.runs.values() if run.message_id == message.id} - {None}
    return bool(digests) and digests != {message.sha256}


def _wanted(plugins: Iterable[InstalledPlugin]) -> Iterable[NeededModule]:
    by_digest = {plugin.wasm_sha256: plugin.compiled for plugin in plugins}
    return [NeededModule(digest, compiled) for digest, compiled in by_digest.items()]
