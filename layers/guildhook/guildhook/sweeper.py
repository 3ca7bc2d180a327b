"""What nobody waits for any more, or waits for in vain: puts back what is still to be sent, and deletes what is old."""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Final

from guildhook.events import DeliveryDue
from guildhook.settings import SweepSettings
from guildhook.sqs import Queue, QueueMessage
from guildhook.stage import Stage
from guildhook.store import GivenUp, Store

_AT_ONCE: Final = 1_000
"""Rows a statement: it must not hold locks for long."""


@dataclass(frozen=True, slots=True)
class Swept:
    requeued: int
    """Messages whose answers are due."""
    given_up: Sequence[GivenUp]
    """Refused now."""
    runs: int
    """Deleted."""
    usage: int
    """Counts of runs and budgets deleted."""


def sweep(
    store: Store, events: Queue, settings: SweepSettings, in_time: Callable[[], bool], stage: Stage = nullcontext
) -> Swept:
    """Goes on while `in_time`; what is left is there for the next sweep. Raises InfrastructureError."""
    given_up: list[GivenUp] = []
    with stage("give_up"):
        while in_time() and (late := store.give_up(settings.give_up_after_hours, _AT_ONCE)):
            given_up += late
    requeued = 0
    with stage("requeue"):
        while in_time() and (due := store.take_due(settings.requeue_after_seconds, _AT_ONCE)):
            messages = [DeliveryDue(guild_id, message_id) for guild_id, message_id in due]
            events.send([QueueMessage(message.to_json(), str(message.guild_id)) for message in messages])
            requeued += len(due)
    with stage("forget"):
        runs = _all(lambda: store.forget_runs(settings.keep_runs_days, _AT_ONCE), in_time)
        usage = _all(lambda: store.forget_usage(settings.keep_usage_days, _AT_ONCE), in_time)
    return Swept(requeued=requeued, given_up=given_up, runs=runs, usage=usage)


def _all(forget: Callable[[], int], in_time: Callable[[], bool]) -> int:
    total = 0
    while in_time() and (forgotten := forget()):
        total += forgotten
    return total
