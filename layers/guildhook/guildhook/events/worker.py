"""The way of an event, from a batch of the queue to the replies in the chat. It reads from top to bottom."""

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from itertools import chain
from typing import Final
from uuid import UUID

from guildhook.errors import InfrastructureError, RefusedStatementError
from guildhook.events.backoff import Backoff, doubled, jittered
from guildhook.events.batch import QueueRecord, Subject, read_batch
from guildhook.events.budgets import Budgets, GuildBudget
from guildhook.events.checks import DueRun, PassedOver, Postponed
from guildhook.events.delivery import Sender
from guildhook.events.due_runs import needed_modules
from guildhook.events.handling import Handling, messages_of
from guildhook.events.queue_events import UnmarkedAuthors
from guildhook.events.runner import Runner
from guildhook.events.shadows import Shadows
from guildhook.model import Delivery, OutgoingIntent, QuarantineRules
from guildhook.modules import CacheEvent, ModuleCache
from guildhook.plugin_settings.sealing import Sealer
from guildhook.sandbox import Limits, LoadedModule, Sandbox
from guildhook.stage import Stage
from guildhook.store.events import (
    BatchRecord,
    EventStore,
    QuarantinedPlugin,
    RecordedBatch,
    RunRecord,
    Snapshot,
    joined_snapshot,
)

_RACES: Final = 20
"""A batch tries so often to write a plugin's state. Then other batches go first, and the queue keeps the message."""
_FIRST_RACE_PAUSE_SECONDS: Final = 0.01
_LONGEST_RACE_PAUSE_SECONDS: Final = 0.1


@dataclass(frozen=True, slots=True)
class WorkerRules:
    """The operator's rules for all guilds, or for each."""

    limits_of: Callable[[UUID], Limits]
    """Returns the limits of a guild's runs."""
    budget_of: Callable[[UUID], GuildBudget]
    """Returns the budget of a guild."""
    quarantine: QuarantineRules
    backoff: Backoff
    unmarked_authors: UnmarkedAuthors = UnmarkedAuthors.PERSON


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchReport:
    """The results of a batch. Records that are not in `failures` are done and leave the queue."""

    failures: Mapping[str, Postponed]
    """The records that must come back, by their ids: a body is malformed, the infrastructure failed, or a guild is over
    its budget or paused.
    """
    skipped: Mapping[str, str]
    """The reasons why records were given to no plugin, by their ids."""
    unknown_types: Mapping[str, str]
    """The event types and message types that guildhook does not know, by the ids of records, which are skipped."""
    repaired: frozenset[str]
    """The ids of records in which half a surrogate pair was replaced."""
    subjects: Mapping[str, Subject]
    """The message and guild of each record that is not malformed, by its id."""
    passed_over: Sequence[PassedOver]
    runs: Sequence[RunRecord]
    quarantined: Sequence[QuarantinedPlugin]
    outgoing: Mapping[str, OutgoingIntent]
    """The intents that were to be sent, by their keys."""
    deliveries: Sequence[Delivery]
    orphaned: Sequence[str]
    """The keys of intents that were sent while their plugin was deleted."""
    deleted: Collection[Subject]
    """The messages that were deleted in the chat."""
    modules: Mapping[CacheEvent, int]
    """Where modules were found, and how many artifacts were thrown away."""
    circuit_open: bool
    """True while the chat server is spared."""
    circuits_opened: int


class Worker:
    def __init__(
        self,
        engine: str,
        sandbox: Sandbox,
        rules: WorkerRules,
        modules: ModuleCache[LoadedModule],
        store: EventStore,
        sender: Sender,
        stage: Stage = nullcontext,
        sealer: Sealer | None = None,
    ) -> None:
        """`engine` is the fingerprint under which artifacts are looked up; `stage` surrounds each step of a batch.

        Without `sealer`, plugins with secrets do not run.
        """
        self._engine = engine
        self._rules = rules
        self._modules = modules
        self._store = store
        self._sender = sender
        self._stage = stage
        self._runner = Runner(sandbox, rules.limits_of, sealer)
        self._shadows = Shadows(self._runner, modules, store, rules.quarantine, stage)

    def connect(self) -> list[InfrastructureError]:
        """Open the connections before their first use. Return the errors; a batch tries again."""
        problems = []
        for connect in (self._store.connect, self._sender.connect):
            try:
                connect()
            except InfrastructureError as error:
                problems.append(error)
        return problems

    def close(self) -> None:
        self._store.close()
        self._sender.close()

    def process(self, records: Sequence[QueueRecord], deadline: float) -> BatchReport:
        """Run the plugins of every message in the batch, and send their messages.

        The number of database statements does not depend on the number of messages, guilds or plugins. A batch with
        deletions of messages costs one more. Modules that
        must be compiled come last, and only if that can end before `deadline`, by time.monotonic(). No statement, fetch
        or send is waited for beyond it. Nothing is raised for the content of a record or a failure of the
        infrastructure: both end in `failures`.
        """
        with self._stage("parse"):
            batch = read_batch(records, self._rules.unmarked_authors)
        handling = Handling(batch, deadline)
        with self._store.within(handling.latest_statement):
            if batch.guilds:
                self._handle(handling)
            if batch.deletions:
                self._note_deletions(handling)
        return BatchReport(
            failures=handling.records_to_return(self._rules.backoff),
            skipped=handling.skipped_records(),
            unknown_types=batch.unknown_types,
            repaired=batch.repaired,
            subjects=batch.subjects,
            passed_over=handling.passed_over,
            runs=handling.runs,
            quarantined=handling.quarantined,
            outgoing=handling.outgoing,
            deliveries=handling.deliveries,
            orphaned=handling.orphaned,
            deleted=() if handling.deletions_postponed else list(batch.deletions),
            modules=self._modules.take_events(),
            circuit_open=self._sender.breaker.is_open,
            circuits_opened=self._sender.breaker.take_opened(),
        )

    def _handle(self, handling: Handling) -> None:
        """Take a batch from its snapshot to its replies, step by step."""
        if not self._read_snapshot(handling):
            return
        self._find_modules(handling)
        self._run_and_record(handling, handling.ready)
        self._deliver(handling)
        # Modules are compiled last, so that no message waits for the compile of another guild's plugin.
        if handling.uncompiled and self._compile(handling):
            self._run_and_record(handling, handling.uncompiled)
            self._deliver(handling)
        self._shadows.run_late(handling)

    def _read_snapshot(self, handling: Handling) -> bool:
        """Read everything about the batch's guilds and messages with one statement."""
        snapshot = self._snapshot_or_postponed(handling, handling.batch.guilds)
        if snapshot is None:
            return False
        plugins = chain.from_iterable(snapshot.plugins.values())

        def budget_of(guild_id: UUID) -> GuildBudget:
            return self._rules.budget_of(guild_id).raised_by(snapshot.raised.get(guild_id))

        budgets = Budgets(budget_of, snapshot.spent, plugins, snapshot.minute_seconds_left)
        handling.begin(snapshot, budgets)
        return True

    def _snapshot_or_postponed(self, handling: Handling, guilds: Mapping[UUID, UUID]) -> Snapshot | None:
        """Read the snapshot of messages and their guilds, and postpone the messages for which that fails.

        If PostgreSQL refuses the statement, each guild is tried alone, so that only the guild at fault waits.
        """
        try:
            return self._snapshot(guilds)
        except InfrastructureError as error:
            apart = set(guilds.values()) if isinstance(error, RefusedStatementError) else set()
            if len(apart) <= 1:
                handling.postpone(guilds, Postponed(str(error)))
                return None
        messages = [{message: guild for message, guild in guilds.items() if guild == each} for each in apart]
        parts = [self._snapshot_or_postponed(handling, each) for each in messages]
        read = [part for part in parts if part]
        return joined_snapshot(read) if read else None

    def _find_modules(self, handling: Handling) -> None:
        """Find the modules of live versions. No module of a shadow is fetched while live versions wait."""
        with self._stage("modules"):
            handling.modules |= self._modules.find(needed_modules(handling.ready), handling.latest_arrival())
        handling.uncompiled = [run for run in handling.ready if run.plugin.wasm_sha256 not in handling.modules]
        if handling.uncompiled:
            handling.ready = [run for run in handling.ready if run.plugin.wasm_sha256 in handling.modules]

    def _run_and_record(self, handling: Handling, due: Sequence[DueRun]) -> None:
        """Run the plugins and record the runs with one write, before anything is sent.

        If another batch has written a plugin's state first, its runs are made again on the new state: a run is pure,
        and nothing of it was recorded.
        """
        for race in range(_RACES):
            with self._stage("run"):
                runs = self._runner.run(handling, due)
                self._shadows.run_beside(handling, runs)
                record = runs.record()
            handling.note_attempt(runs)
            if record.empty:
                return
            try:
                recorded = self._record(record)
                handling.note_recorded(runs, recorded)
                due = [run for run in due if run.plugin.id in recorded.stale]
                if not due:
                    return
                # Full jitter, so that not the same batch wins each time.
                time.sleep(jittered(doubled(_FIRST_RACE_PAUSE_SECONDS, race, _LONGEST_RACE_PAUSE_SECONDS)))
                messages = {run.message.id: run.message.guild_id for run in due}
                due = handling.begin_again(due, self._snapshot(messages))
            except RefusedStatementError as error:
                self._record_apart(handling, due, error)
                return
            except InfrastructureError as error:
                handling.postpone(messages_of(due), Postponed(str(error)))
                return
        handling.postpone(messages_of(due), Postponed("other batches keep writing the plugin's state first"))

    def _record(self, record: BatchRecord) -> RecordedBatch:
        """Write an attempt down. Raises InfrastructureError."""
        with self._stage("record"):
            try:
                return self._store.record(record, self._rules.quarantine)
            except RefusedStatementError:
                if not record.shadow_runs:
                    raise
                # The refused row may be a shadow's, and live versions must not suffer from that.
                return self._store.record(replace(record, shadow_runs=()), self._rules.quarantine)

    def _record_apart(self, handling: Handling, due: Sequence[DueRun], error: RefusedStatementError) -> None:
        """Run and record guild by guild, and a guild's runs one by one, so that a row that PostgreSQL refuses brings
        back only its own message, and costs other guilds one statement each.
        """
        if len(due) == 1:
            handling.postpone(messages_of(due), Postponed(str(error)))
            return
        guilds = dict.fromkeys(run.message.guild_id for run in due)
        apart = [[run for run in due if run.message.guild_id == guild] for guild in guilds]
        for part in apart if len(guilds) > 1 else [[run] for run in due]:
            self._run_and_record(handling, part)

    def _deliver(self, handling: Handling) -> None:
        """Send the intents that are recorded, and record the results with one write."""
        intents = handling.take_unsent()
        with self._stage("deliver"):
            deliveries = self._sender.send(handling.sendable(intents), handling.latest_send)
        handling.note_deliveries(intents, deliveries)
        if not deliveries:
            return
        try:
            with self._stage("settle"):
                handling.orphaned += self._store.settle(deliveries)
        except InfrastructureError as error:
            handling.postpone((intent.message_id for intent in intents), Postponed(str(error)))

    def _note_deletions(self, handling: Handling) -> None:
        """Note with one write which messages were deleted in the chat. It comes last, so that no reply waits for it."""
        messages = [(message.guild_id, message.message_id) for message in handling.batch.deletions]
        try:
            with self._stage("note_deletions"):
                self._store.note_deletions(messages)
        except InfrastructureError as error:
            handling.deletions_postponed = Postponed(str(error))

    def _compile(self, handling: Handling) -> bool:
        """Compile modules that were found nowhere, for this process, while the compile function is asked as well."""
        needed = needed_modules(handling.uncompiled)
        try:
            with self._stage("compile"):
                handling.modules |= self._modules.compile(needed, self._store.wasm, handling.latest_compile)
        except InfrastructureError as error:
            handling.postpone(messages_of(handling.uncompiled), Postponed(str(error)))
            return False
        return True

    def _snapshot(self, guilds: Mapping[UUID, UUID]) -> Snapshot:
        """`guilds` are the guilds of messages, by message. Raises InfrastructureError."""
        with self._stage("snapshot"):
            return self._store.snapshot(set(guilds.values()), guilds, self._engine)
