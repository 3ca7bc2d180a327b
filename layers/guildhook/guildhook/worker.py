"""The way of a message, from a batch of the queue to the replies in the chat."""

import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from guildhook.chat import ChatApi
from guildhook.delivery import deliver
from guildhook.errors import InfrastructureError
from guildhook.events import MalformedEventError, parse_event
from guildhook.model import Delivery, DeliveryState, InstalledPlugin, Message, Outcome, Refusal, RunResult, SendMessage
from guildhook.modules import CacheEvent, ModuleCache, Unavailable, Wanted
from guildhook.sandbox import Limits, Module, Plugin, Sandbox
from guildhook.store import Recorded, RunRecord, Snapshot, Store


@dataclass(frozen=True, slots=True)
class QueueRecord:
    """One record of a batch, by the id that the queue gave it."""

    id: str
    body: str
    sent_at: datetime


@dataclass(frozen=True, slots=True)
class BatchReport:
    """What a batch did. Records that are not in `failures` are done and leave the queue."""

    failures: Mapping[str, str]
    """Why a record must come back, by its id: the body is malformed, or the infrastructure failed."""
    skipped: Mapping[str, str]
    """Why no plugin was given a record, by its id."""
    runs: tuple[RunRecord, ...]
    deliveries: tuple[Delivery, ...]
    modules: Mapping[CacheEvent, int]
    """Where modules were found, and what was thrown away."""


_Todo = tuple[Message, InstalledPlugin]
_Found = Mapping[bytes, Module | Refusal | Unavailable]

# A compile may take 25 s, and what it was for is still to be run, written and sent.
_COMPILE_AND_FINISH_SECONDS = 40


class Worker:
    def __init__(
        self,
        engine: str,
        sandbox: Sandbox,
        limits_of: Callable[[UUID], Limits],
        modules: ModuleCache[Module],
        store: Store,
        chat: ChatApi,
    ) -> None:
        """`engine` is the fingerprint under which artifacts are looked up, `limits_of` the limits of a guild's runs."""
        self._engine = engine
        self._sandbox = sandbox
        self._limits_of = limits_of
        self._modules = modules
        self._store = store
        self._chat = chat

    def connect(self) -> list[InfrastructureError]:
        """Open connections ahead of their first use. Returns why some could not be: a batch tries again."""
        problems = []
        for connect in (self._store.connect, self._chat.connect):
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
        batch = _parse(records)
        done = self._process(batch.messages, deadline)
        failures = {
            record: done.failures[message]
            for message, ids in batch.records.items()
            if message in done.failures
            for record in ids
        }
        return BatchReport(
            failures=batch.malformed | failures,
            skipped=batch.skipped,
            runs=done.runs,
            deliveries=done.deliveries,
            modules=self._modules.take_events(),
        )

    def close(self) -> None:
        self._store.close()
        self._chat.close()

    def _process(self, messages: Mapping[UUID, Message], deadline: float) -> "_Done":
        if not messages:
            return _Done()
        try:
            # One query: the plugins of all guilds, and what earlier deliveries of these messages did.
            guilds = {message.guild_id for message in messages.values()}
            snapshot = self._store.snapshot(guilds, messages, self._engine)
        except InfrastructureError as error:
            return _failed(messages, error)
        todo = [
            (message, plugin)
            for message in messages.values()
            for plugin in snapshot.plugins.get(message.guild_id, ())
            if (message.id, plugin.id) not in snapshot.runs
        ]
        found = self._modules.find(_wanted(plugin for _, plugin in todo))
        ready = [(message, plugin) for message, plugin in todo if plugin.wasm_sha256 in found]
        done = self._run_and_send(ready, found, list(_left_pending(snapshot)))

        # After all others, so that nobody waits for the compiling of somebody else's plugin.
        uncompiled = [(message, plugin) for message, plugin in todo if plugin.wasm_sha256 not in found]
        return done.and_then(self._compile_and_run(uncompiled, deadline)) if uncompiled else done

    def _compile_and_run(self, todo: Sequence[_Todo], deadline: float) -> "_Done":
        digests = list(dict.fromkeys(plugin.wasm_sha256 for _, plugin in todo))
        latest_start = deadline - _COMPILE_AND_FINISH_SECONDS
        try:
            compiled = self._modules.compile(digests, self._store.wasm, latest_start)
        except InfrastructureError as error:
            return _failed((message.id for message, _ in todo), error)
        return self._run_and_send(todo, compiled, [])

    def _run_and_send(self, todo: Iterable[_Todo], modules: _Found, left: Sequence["_Pending"]) -> "_Done":
        failures: dict[UUID, str] = {}
        runs = []
        with self._sandbox.batch():
            for message, plugin in todo:
                match modules[plugin.wasm_sha256]:
                    case Unavailable(reason):
                        failures[message.id] = reason
                    case Refusal(reason):
                        runs.append(_record(message, plugin, 0, _invalid(reason)))
                    case module:
                        runs.append(self._run(message, plugin, module))
        try:
            # One write before anything is sent: the outbox.
            recorded = self._store.record(runs) if runs else Recorded(frozenset(), frozenset())
        except InfrastructureError as error:
            return _failed({message.id for message, _ in todo} | {message_id for message_id, _ in left}, error)
        for message_id, _ in recorded.lost:
            failures[message_id] = "another delivery of the same message is under way"

        # One write of what became of it.
        pending = [*left, *_now_pending(runs, recorded)]
        deliveries = deliver(self._chat, [intent for _, intent in pending])
        failures |= _undelivered(pending, deliveries)
        try:
            if deliveries:
                self._store.settle(deliveries)
        except InfrastructureError as error:
            failures |= dict.fromkeys((message_id for message_id, _ in pending), str(error))
        return _Done(failures, tuple(runs), tuple(deliveries))

    def _run(self, message: Message, plugin: InstalledPlugin, module: Module) -> RunRecord:
        seed = secrets.randbits(63)
        granted = Plugin(plugin.id, module, plugin.permissions, self._limits_of(plugin.guild_id))
        result = self._sandbox.run(granted, message, plugin.settings, message.created_at, seed)
        return _record(message, plugin, seed, result)


@dataclass(frozen=True, slots=True)
class _Batch:
    messages: Mapping[UUID, Message]
    records: Mapping[UUID, Sequence[str]]
    """The records that carry a message: the queue may deliver it more than once, even in one batch."""
    skipped: dict[str, str]
    malformed: dict[str, str]


@dataclass(frozen=True, slots=True)
class _Done:
    failures: Mapping[UUID, str] = field(default_factory=dict)
    """By message."""
    runs: tuple[RunRecord, ...] = ()
    deliveries: tuple[Delivery, ...] = ()

    def and_then(self, later: "_Done") -> "_Done":
        return _Done({**self.failures, **later.failures}, self.runs + later.runs, self.deliveries + later.deliveries)


_Pending = tuple[UUID, SendMessage]
"""What is to be sent, with the message that it answers."""


def _parse(records: Sequence[QueueRecord]) -> _Batch:
    messages: dict[UUID, Message] = {}
    ids: dict[UUID, list[str]] = {}
    skipped: dict[str, str] = {}
    malformed: dict[str, str] = {}
    for record in records:
        try:
            event = parse_event(record.body, record.sent_at)
        except MalformedEventError as error:
            malformed[record.id] = str(error)
            continue
        if event.skip:
            skipped[record.id] = event.skip
        else:
            messages.setdefault(event.message.id, event.message)
            ids.setdefault(event.message.id, []).append(record.id)
    return _Batch(messages, ids, skipped, malformed)


def _wanted(plugins: Iterable[InstalledPlugin]) -> Iterable[Wanted]:
    by_digest = {plugin.wasm_sha256: plugin.compiled for plugin in plugins}
    return [Wanted(digest, compiled) for digest, compiled in by_digest.items()]


def _failed(messages: Iterable[UUID], error: InfrastructureError) -> _Done:
    return _Done(dict.fromkeys(messages, str(error)))


def _record(message: Message, plugin: InstalledPlugin, seed: int, result: RunResult) -> RunRecord:
    return RunRecord(plugin, message.id, message.created_at, message.channel_id, seed, result)


def _invalid(reason: str) -> RunResult:
    return RunResult(Outcome.INVALID, reason, fuel_used=0, duration_us=0, host_calls=0, logs=(), intents=())


def _left_pending(snapshot: Snapshot) -> Iterator[_Pending]:
    """By earlier deliveries of the same messages."""
    for earlier in snapshot.runs.values():
        for intent in earlier.pending:
            yield earlier.message_id, intent


def _now_pending(runs: Iterable[RunRecord], recorded: Recorded) -> Iterator[_Pending]:
    for run in runs:
        for intent in run.result.intents:
            if intent.key in recorded.pending:
                yield run.message_id, intent


def _undelivered(pending: Iterable[_Pending], deliveries: Iterable[Delivery]) -> dict[UUID, str]:
    """Why a message has replies that are still to be sent; those behind a pending one were not even tried."""
    results = {delivery.key: delivery for delivery in deliveries}
    reasons = {}
    for message_id, intent in pending:
        result = results.get(intent.key)
        if result is None:
            reasons[message_id] = "an earlier message to the same channel is still to be sent"
        elif result.state is DeliveryState.PENDING:
            reasons[message_id] = result.detail
    return reasons
