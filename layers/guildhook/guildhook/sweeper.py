"""Periodic cleanup: requeue pending intents, expire old ones and unfinished checks, adopt wasm that was written into
plugins directly, and delete old rows.
"""

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from guildhook.aws.queues import Queue, QueueMessage
from guildhook.configuration import SweepConfiguration
from guildhook.events.queue_events import DeliveryDue
from guildhook.stage import Stage
from guildhook.store.upkeep import ExpiredIntent, UpkeepStore
from guildhook.versions.compile_queue import CompileQueue

_AT_ONCE: Final = 1_000
"""Rows that one statement changes, so that it holds locks briefly."""
_ADOPTED_AT_ONCE: Final = 20
"""The limit is lower here, since the wasm is copied."""
_ABANDONED_HOURS: Final = 24
_REQUESTS_HOURS: Final = 24
_STUCK_MINUTES: Final = 60
"""The time after which a check whose function was ended, and that left no record, is taken for lost."""
_STUCK: Final = "its check was interrupted, and did not end"


@dataclass(slots=True)
class SweepReport:
    """The work that a sweep has done so far."""

    requeued: int = 0
    """Messages with intents that are due."""
    given_up: list[ExpiredIntent] = field(default_factory=list)
    """Intents that are refused now."""
    forgotten: int = 0
    """Messages that were deleted in the chat, and whose runs are deleted now."""
    runs: int = 0
    """Runs deleted, those of shadows included."""
    usage: int = 0
    """Counts of runs, budgets and requests deleted, and notes of messages that were deleted in the chat."""
    audit: int = 0
    """Entries of the audit log deleted."""
    abandoned: int = 0
    """Versions deleted, since their file never came."""
    stuck: list[tuple[UUID, UUID]] = field(default_factory=list)
    """Ids of versions whose check is taken for lost, and of their plugins."""
    adopted: list[UUID] = field(default_factory=list)
    """Ids of versions made of wasm that was written into plugins directly."""


def sweep(
    store: UpkeepStore,
    events: Queue,
    compiles: CompileQueue,
    configuration: SweepConfiguration,
    in_time: Callable[[], bool],
    swept: SweepReport,
    stage: Stage = nullcontext,
) -> None:
    """Work while `in_time` returns True; the next sweep does the rest. Raises InfrastructureError.

    `swept` is updated as the work goes on, so that it is complete if a later step fails: the expired intents cannot be
    found out afterwards.
    """
    with stage("give_up"):
        while in_time() and (late := store.give_up(configuration.give_up_after_hours, _AT_ONCE)):
            swept.given_up += late
    with stage("requeue"):
        while in_time() and (due := store.take_due(configuration.requeue_after_seconds, _AT_ONCE)):
            messages = [DeliveryDue(guild_id, message_id) for guild_id, message_id in due]
            # Intents that are not sent are claimed again after the same period.
            swept.requeued += events.send(
                [QueueMessage(message.to_json(), str(message.guild_id)) for message in messages], in_time
            )
    with stage("versions"):
        _sweep_versions(store, compiles, in_time, swept)
    with stage("forget"):
        _forget_messages(store, in_time, swept)
        while in_time() and (forgotten := store.forget_runs(configuration.keep_runs_days, _AT_ONCE)):
            swept.runs += forgotten
        while in_time() and (forgotten := store.forget_usage(configuration.keep_usage_days, _AT_ONCE)):
            swept.usage += forgotten
        while in_time() and (forgotten := store.forget_budgets(configuration.keep_usage_days, _AT_ONCE)):
            swept.usage += forgotten
        while in_time() and (forgotten := store.forget_deletions(configuration.keep_runs_days, _AT_ONCE)):
            swept.usage += forgotten
        while in_time() and (forgotten := store.forget_shadow_runs(configuration.keep_runs_days, _AT_ONCE)):
            swept.runs += forgotten
        while in_time() and (forgotten := store.forget_audit(configuration.keep_audit_days, _AT_ONCE)):
            swept.audit += forgotten
        while in_time() and (forgotten := store.forget_requests(_REQUESTS_HOURS, _AT_ONCE)):
            swept.usage += forgotten


def _forget_messages(store: UpkeepStore, in_time: Callable[[], bool], swept: SweepReport) -> None:
    while in_time():
        messages, runs = store.forget_messages(_AT_ONCE)
        swept.forgotten += messages
        swept.runs += runs
        if not messages:
            return


def _sweep_versions(
    store: UpkeepStore, compiles: CompileQueue, in_time: Callable[[], bool], swept: SweepReport
) -> None:
    while in_time() and (abandoned := store.forget_abandoned(_ABANDONED_HOURS, _AT_ONCE)):
        swept.abandoned += abandoned
    while in_time() and (stuck := store.give_up_stuck(_STUCK_MINUTES, _STUCK, _AT_ONCE)):
        swept.stuck += stuck
    while in_time() and (adopted := store.adopt(_ADOPTED_AT_ONCE)):
        swept.adopted += adopted
        compiles.ask_versions(adopted, in_time)  # a version that is not asked for is unchecked
    while in_time() and (unchecked := store.take_unchecked(_STUCK_MINUTES, _AT_ONCE)):
        compiles.ask_versions(unchecked, in_time)
