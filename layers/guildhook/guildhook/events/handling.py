"""One batch on its way through the worker, and the runs of it that are not recorded yet."""

import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final
from uuid import UUID

from guildhook.events.backoff import Backoff
from guildhook.events.batch import ANOTHER_BODY, Batch
from guildhook.events.budgets import Budgets, GuildBudget
from guildhook.events.checks import DueRun, FoundModule, OpenedSettings, PassedOver, Postponed
from guildhook.events.due_runs import find_due_runs
from guildhook.events.quarantine import health_after, judge
from guildhook.model import Delivery, DeliveryState, InstalledPlugin, OutgoingIntent, PluginHealth, PluginState
from guildhook.store.events import (
    BatchRecord,
    DelayedMessage,
    QuarantinedPlugin,
    RecordedBatch,
    RunKey,
    RunRecord,
    Snapshot,
)

_COMPILE_AND_FINISH_SECONDS: Final = 40
"""A compile in the worker may take 25 s; its runs are then still to be made, recorded and sent."""
_RECORD_AND_SEND_SECONDS: Final = 15
"""The reserve for the outbox, for sending and for the results."""
_SETTLE_SECONDS: Final = 6
"""The reserve for the results alone, and for telling the queue."""
_TELL_QUEUE_SECONDS: Final = 4
"""The reserve for telling the queue, which takes 3 s at the most (aws/queues.py)."""
_ARRIVAL_SECONDS: Final = 10
"""A batch waits so long for modules that are fetched, so that a slow S3 does not delay its other plugins further."""
_SHADOW_SECONDS: Final = 1
"""The time of all shadows of a batch together: the replies of live versions wait until these runs are recorded."""

_PAUSE_OF_A_GUILD: Final = Backoff(first_seconds=600, longest_seconds=7_200)
"""The pauses of a message whose guild is paused. The nine that the queue allows by default last 6 to 13 hours."""

_OVERTAKEN: Final = Postponed("another delivery of the same message is under way")
_BEING_DELETED: Final = Postponed("its plugin is being deleted")
_NOT_TRIED: Final = Delivery(
    "", DeliveryState.PENDING, "no time was left to send it, or an earlier message to its channel is still to be sent"
)


@dataclass(slots=True)
class UnrecordedRuns:
    """The runs of one attempt, which ends with one write.

    Nothing of them is recorded or sent yet, so an attempt that loses a race for a plugin's state is made again.
    """

    settings: dict[UUID, OpenedSettings] = field(default_factory=dict)
    """The settings of the attempt's plugins, by plugin."""
    runs: list[RunRecord] = field(default_factory=list)
    shadow_runs: list[RunRecord] = field(default_factory=list)
    passed_over: list[PassedOver] = field(default_factory=list)
    postponed: dict[UUID, Postponed] = field(default_factory=dict)
    """The messages that must come back since a plugin could not run on them."""
    written_bytes: int = 0
    """The bytes of logs and messages in all runs."""
    _states: dict[UUID, PluginState] = field(default_factory=dict)
    _health: dict[UUID, PluginHealth] = field(default_factory=dict)
    _delayed: dict[UUID, DelayedMessage] = field(default_factory=dict)

    def record(self) -> BatchRecord:
        """Return everything that the attempt has to write down."""
        return BatchRecord(
            runs=self.runs,
            states=self._states,
            judgements=judge(self.runs),
            passed_over=Counter(passed.plugin.id for passed in self.passed_over),
            delayed=list(self._delayed.values()),
            shadow_runs=self.shadow_runs,
        )

    def state_of(self, plugin: InstalledPlugin) -> PluginState:
        """Return the state that the plugin's next run starts with."""
        return self._states.get(plugin.id, plugin.state)

    def health_of(self, plugin: InstalledPlugin) -> PluginHealth:
        """Return the health that counts for the plugin's next run; a shadow has no part in its live version's."""
        if plugin.shadow or not self._health:
            return plugin.health
        return self._health.get(plugin.id, plugin.health)

    def add(self, run: RunRecord) -> None:
        """Take a run of a live version."""
        plugin = run.plugin
        self.runs.append(run)
        self.written_bytes += _written_bytes(run)
        health = health_after(plugin.health, run.result)
        if health is not plugin.health:
            self._health[plugin.id] = health
        if run.result.state is not None:
            self._states[plugin.id] = PluginState(self.state_of(plugin).version, run.result.state)

    def add_shadow(self, run: RunRecord) -> None:
        """Take a run of a shadow. It changes neither state nor health."""
        self.shadow_runs.append(run)
        self.written_bytes += _written_bytes(run)

    def delay(self, run: DueRun, exceeded: str, seconds: float) -> None:
        """Postpone a message since its guild has `exceeded` its budget, and record that it did."""
        message_id, guild_id = run.message.id, run.plugin.guild_id
        self.postponed[message_id] = Postponed(f"guild {guild_id} is over its budget: {exceeded}", seconds)
        self._delayed[message_id] = DelayedMessage(message_id, guild_id, exceeded)


class Handling:
    """One batch with its deadlines, its remaining work and its results.

    Each step of the worker takes its work from the handling, and leaves its results there.
    """

    def __init__(self, batch: Batch, deadline: float) -> None:
        """`deadline` is the time by time.monotonic() at which the process must have answered the queue."""
        self.batch = batch
        self.latest_compile = deadline - _COMPILE_AND_FINISH_SECONDS
        self.latest_start = deadline - _RECORD_AND_SEND_SECONDS
        """No run starts later."""
        self.latest_send = deadline - _SETTLE_SECONDS
        self.latest_statement = deadline - _TELL_QUEUE_SECONDS
        """Statements that have no answer by then are abandoned."""

        # Still to be done
        self.ready: list[DueRun] = []
        """The runs of live versions. Those whose modules are not found are moved to `uncompiled`."""
        self.uncompiled: list[DueRun] = []
        self.shadows: list[DueRun] = []
        self.shadow_seconds_left = float(_SHADOW_SECONDS)
        self.unsent: list[OutgoingIntent] = []
        """The intents to deliver next, in their order."""

        # Known so far
        self.budgets = Budgets(lambda _guild_id: GuildBudget(), {})
        self.modules: dict[bytes, FoundModule] = {}
        """The modules that were found or compiled, by the digest of their wasm."""
        self.states_before: dict[RunKey, PluginState] = {}
        """The state that runs of live versions started with, while there are shadows that start with the same."""
        self._blocked_channels: set[str] = set()
        """The channels with an intent that is still to be sent: no later one may overtake it."""

        # Done
        self.postponed: dict[UUID, Postponed] = {}
        """The messages that must come back."""
        self.skipped: dict[UUID, str] = {}
        """The reasons why messages were given to no plugin, by message."""
        self.passed_over: list[PassedOver] = []
        self.runs: list[RunRecord] = []
        self.quarantined: list[QuarantinedPlugin] = []
        self.outgoing: dict[str, OutgoingIntent] = {}
        """The intents that were to be sent, by their keys."""
        self.deliveries: list[Delivery] = []
        self.orphaned: list[str] = []
        """The keys of intents that were sent while their plugin was deleted."""
        self.deletions_postponed: Postponed | None = None
        """The reason why the deletions of messages must come back; None if they are noted."""

    def latest_arrival(self) -> float:
        """Return the time by time.monotonic() until which the batch waits for modules that it asks for now."""
        return min(time.monotonic() + _ARRIVAL_SECONDS, self.latest_start)

    def begin(self, snapshot: Snapshot, budgets: Budgets) -> None:
        """Take from the snapshot the runs that are due, and the intents that earlier deliveries have not sent.

        Messages that are postponed already are those whose guilds could not be read.
        """
        known = [message for message in self.batch.messages.values() if message.id not in self.postponed]
        due = find_due_runs(known, snapshot)
        unsent = [
            intent
            for run in snapshot.runs.values()
            for intent in run.pending
            if (intent.guild_id, intent.message_id) not in snapshot.deleted
        ]
        guilds = {run.message.id: run.message.guild_id for run in due.live}
        guilds |= {intent.message_id: intent.guild_id for intent in unsent}
        waiting = self._wait_for_guilds(snapshot.paused, guilds)
        self.ready = [run for run in due.live if run.message.id not in waiting]
        self.shadows = [run for run in due.shadows if run.message.guild_id not in snapshot.paused]
        self.skipped = due.skipped
        self.unsent = [intent for intent in unsent if intent.message_id not in waiting]
        self.budgets = budgets

    def _wait_for_guilds(self, paused: Mapping[UUID, str], guilds: Mapping[UUID, UUID]) -> set[UUID]:
        """Postpone the messages whose guild is paused; `guilds` has the guild of each message. Return them."""
        waiting = {message_id for message_id, guild_id in guilds.items() if guild_id in paused}
        for message_id in waiting:
            guild_id = guilds[message_id]
            why = f"guild {guild_id} is paused by an operator: {paused[guild_id]}"
            self.postpone([message_id], Postponed(why, backoff=_PAUSE_OF_A_GUILD))
        return waiting

    def begin_again(self, lost: Sequence[DueRun], snapshot: Snapshot) -> list[DueRun]:
        """Return the runs again that lost a race for their plugin's state, with the state of the new snapshot.

        Runs of plugins that were disabled meanwhile are not due any more. Shadows of these plugins run again as well.
        """
        messages = {run.message.id: run.message for run in lost}
        plugins = {run.plugin.id for run in lost}
        recorded = [run.message.id for run in lost if (run.message.id, run.plugin.id) in snapshot.runs]
        self.postpone(recorded, _OVERTAKEN)
        due = find_due_runs(messages.values(), snapshot)
        others = [run for run in self.shadows if run.plugin.id not in plugins or run.message.id not in messages]
        self.shadows = [*others, *(run for run in due.shadows if run.plugin.id in plugins)]
        return [run for run in due.live if run.plugin.id in plugins]

    def postpone(self, messages: Iterable[UUID], why: Postponed) -> None:
        """Note that messages must come back. The first reason of each stays, and its longest wait counts."""
        for message_id in messages:
            before = self.postponed.get(message_id, why)
            self.postponed[message_id] = replace(before, seconds=max(before.seconds, why.seconds))

    def note_attempt(self, runs: UnrecordedRuns) -> None:
        """Note which messages the attempt could not handle, before anything of it is recorded."""
        for message_id, why in runs.postponed.items():
            self.postpone([message_id], why)

    def note_recorded(self, attempt: UnrecordedRuns, recorded: RecordedBatch) -> None:
        """Note the runs of an attempt that PostgreSQL recorded; their intents are to be sent now."""
        runs = [run for run in attempt.runs if run.plugin.id not in recorded.stale | recorded.busy]
        self.runs += runs
        self.passed_over += attempt.passed_over
        self.quarantined += recorded.quarantined
        self.postpone((message_id for message_id, _ in recorded.lost), _OVERTAKEN)
        self.postpone((run.message.id for run in attempt.runs if run.plugin.id in recorded.busy), _BEING_DELETED)
        self.unsent += (intent for run in runs for intent in run.outgoing() if intent.intent.key in recorded.pending)

    def take_unsent(self) -> list[OutgoingIntent]:
        intents, self.unsent = self.unsent, []
        self.outgoing |= {each.intent.key: each for each in intents}
        return intents

    def sendable(self, intents: Iterable[OutgoingIntent]) -> list[OutgoingIntent]:
        """Return the intents that overtake no earlier one of their channel."""
        return [each for each in intents if each.intent.channel_id not in self._blocked_channels]

    def note_deliveries(self, intents: Iterable[OutgoingIntent], deliveries: Sequence[Delivery]) -> None:
        """Note the results of sending; messages of intents that are still pending must come back."""
        self.deliveries += deliveries
        results = {delivery.key: delivery for delivery in deliveries}
        for each in intents:
            result = results.get(each.intent.key, _NOT_TRIED)
            if result.state is DeliveryState.PENDING:
                self._blocked_channels.add(each.intent.channel_id)
                self.postpone([each.message_id], Postponed(result.detail, result.retry_seconds))

    def records_to_return(self, backoff: Backoff) -> dict[str, Postponed]:
        """Return the records that must come back, by their ids.

        They wait longer each time, and at least as long as their reason asks. A malformed record stays malformed, so
        it returns at once, and soon becomes a dead letter, for which there is an alarm.
        """
        batch = self.batch
        reasons = [(record, why) for message_id, why in self.postponed.items() for record in batch.records[message_id]]
        reasons += [(record, Postponed(ANOTHER_BODY)) for record in batch.second_bodies]
        if why := self.deletions_postponed:
            reasons += [(record, why) for records in batch.deletions.values() for record in records]
        malformed = {record_id: Postponed(reason) for record_id, reason in batch.malformed.items()}
        return malformed | {
            record.id: Postponed(why.reason, max(why.seconds, (why.backoff or backoff).seconds(record.receive_count)))
            for record, why in reasons
        }

    def skipped_records(self) -> Mapping[str, str]:
        """Return the reasons why records were given to no plugin, by their ids, unless they must come back."""
        skipped = {
            record.id: reason
            for message_id, reason in self.skipped.items()
            if message_id not in self.postponed
            for record in self.batch.records[message_id]
        }
        return {**self.batch.skipped, **skipped}


def messages_of(runs: Iterable[DueRun]) -> list[UUID]:
    return [run.message.id for run in runs]


def _written_bytes(run: RunRecord) -> int:
    if not run.memorable:  # most runs leave no row
        return 0
    logged = sum(len(line.encode()) for line in run.result.logs)
    return logged + run.content_bytes + len((run.kept_message or "").encode())
