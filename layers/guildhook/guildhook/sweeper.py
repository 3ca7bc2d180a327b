"""What nobody waits for any more, or waits for in vain: puts back what is still to be sent, ends checks that did not
end, makes versions of what was written into plugins directly, and deletes what is old.
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
"""Rows a statement: it must not hold locks for long."""
_ADOPTED_AT_ONCE: Final = 20
"""Their wasm is copied."""
_ABANDONED_HOURS: Final = 24
_REQUESTS_HOURS: Final = 24
_STUCK_MINUTES: Final = 60
"""Longer than the queue tries for."""
_STUCK: Final = "guildhook did not finish checking it; upload it again"


@dataclass(slots=True)
class Swept:
    """What has been done so far."""

    requeued: int = 0
    """Messages whose answers are due."""
    given_up: list[ExpiredIntent] = field(default_factory=list)
    """Refused now."""
    runs: int = 0
    """Deleted."""
    usage: int = 0
    """Counts of runs, budgets and requests deleted."""
    audit: int = 0
    """Entries deleted."""
    abandoned: int = 0
    """Versions deleted whose file never came."""
    stuck: list[tuple[UUID, UUID]] = field(default_factory=list)
    """Versions refused now, and their plugins."""
    adopted: list[UUID] = field(default_factory=list)
    """Versions made."""


def sweep(
    store: UpkeepStore,
    events: Queue,
    compiles: CompileQueue,
    configuration: SweepConfiguration,
    in_time: Callable[[], bool],
    swept: Swept,
    stage: Stage = nullcontext,
) -> None:
    """Goes on while `in_time`; what is left is there for the next sweep. Raises InfrastructureError.

    `swept` says what was done, also if the rest fails: nobody finds out afterwards what was given up.
    """
    with stage("give_up"):
        while in_time() and (late := store.give_up(configuration.give_up_after_hours, _AT_ONCE)):
            swept.given_up += late
    with stage("requeue"):
        while in_time() and (due := store.take_due(configuration.requeue_after_seconds, _AT_ONCE)):
            messages = [DeliveryDue(guild_id, message_id) for guild_id, message_id in due]
            events.send([QueueMessage(message.to_json(), str(message.guild_id)) for message in messages])
            swept.requeued += len(due)
    with stage("versions"):
        _sweep_versions(store, compiles, in_time, swept)
    with stage("forget"):
        while in_time() and (forgotten := store.forget_runs(configuration.keep_runs_days, _AT_ONCE)):
            swept.runs += forgotten
        while in_time() and (forgotten := store.forget_usage(configuration.keep_usage_days, _AT_ONCE)):
            swept.usage += forgotten
        while in_time() and (forgotten := store.forget_budgets(configuration.keep_usage_days, _AT_ONCE)):
            swept.usage += forgotten
        while in_time() and (forgotten := store.forget_shadow_runs(configuration.keep_runs_days, _AT_ONCE)):
            swept.runs += forgotten
        while in_time() and (forgotten := store.forget_audit(configuration.keep_audit_days, _AT_ONCE)):
            swept.audit += forgotten
        while in_time() and (forgotten := store.forget_requests(_REQUESTS_HOURS, _AT_ONCE)):
            swept.usage += forgotten


def _sweep_versions(store: UpkeepStore, compiles: CompileQueue, in_time: Callable[[], bool], swept: Swept) -> None:
    while in_time() and (abandoned := store.forget_abandoned(_ABANDONED_HOURS, _AT_ONCE)):
        swept.abandoned += abandoned
    while in_time() and (stuck := store.refuse_stuck(_STUCK_MINUTES, _STUCK, _AT_ONCE)):
        swept.stuck += stuck
    while in_time() and (adopted := store.adopt(_ADOPTED_AT_ONCE)):
        swept.adopted += adopted
        compiles.ask_versions(adopted)
    while in_time() and (unchecked := store.take_unchecked(_STUCK_MINUTES, _AT_ONCE)):
        compiles.ask_versions(unchecked)
