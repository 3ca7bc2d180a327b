"""What nobody waits for any more, or waits for in vain: puts back what is still to be sent, and deletes what is old."""

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Final

from guildhook.events import DeliveryDue
from guildhook.settings import SweepSettings
from guildhook.sqs import Queue, QueueMessage
from guildhook.stage import Stage
from guildhook.store import GivenUp, Store

_AT_ONCE: Final = 1_000
"""Rows a statement: it must not hold locks for long."""


@dataclass(slots=True)
class Swept:
    """What has been done so far."""

    requeued: int = 0
    """Messages whose answers are due."""
    given_up: list[GivenUp] = field(default_factory=list)
    """Refused now."""
    runs: int = 0
    """Deleted."""
    usage: int = 0
    """Counts of runs and budgets deleted."""


def sweep(
    store: Store,
    events: Queue,
    settings: SweepSettings,
    in_time: Callable[[], bool],
    swept: Swept,
    stage: Stage = nullcontext,
) -> None:
    """Goes on while `in_time`; what is left is there for the next sweep. Raises InfrastructureError.

    `swept` says what was done, also if the rest fails: nobody finds out afterwards what was given up.
    """
    with stage("give_up"):
        while in_time() and (late := store.give_up(settings.give_up_after_hours, _AT_ONCE)):
            swept.given_up += late
    with stage("requeue"):
        while in_time() and (due := store.take_due(settings.requeue_after_seconds, _AT_ONCE)):
            messages = [DeliveryDue(guild_id, message_id) for guild_id, message_id in due]
            events.send([QueueMessage(message.to_json(), str(message.guild_id)) for message in messages])
            swept.requeued += len(due)
    with stage("forget"):
        while in_time() and (forgotten := store.forget_runs(settings.keep_runs_days, _AT_ONCE)):
            swept.runs += forgotten
        while in_time() and (forgotten := store.forget_usage(settings.keep_usage_days, _AT_ONCE)):
            swept.usage += forgotten
