"""Cleans up on a schedule: puts pending messages back on the queue, ends checks that did not end, makes versions of
wasm that was written into plugins directly, and deletes old rows.

The result has the numbers of these things. An invocation with an event that is neither empty nor of a schedule fails.
"""

import time
from collections.abc import Mapping, Sequence
from typing import Any

from guildhook.aws.queues import Queue
from guildhook.configuration import SweepConfiguration, load_configuration
from guildhook.errors import UnknownEventError
from guildhook.observability import create_telemetry, report_sweep
from guildhook.startup import Function
from guildhook.store.upkeep import UpkeepStore
from guildhook.sweeper import SweepReport, sweep
from guildhook.versions.compile_queue import CompileQueue

_FINISH_MILLISECONDS = 20_000
_SCHEDULERS = ("aws.events", "aws.scheduler")
"""A rule of EventBridge with a schedule, and EventBridge Scheduler."""
_NO_DETAIL: Sequence[object] = (None, {}, "{}")
_REPORT_SECONDS = 5
"""The part of the function's time in which no statement is waited for."""


def create(environment: Mapping[str, str]) -> Function:
    """Raises ConfigurationError."""
    telemetry = create_telemetry(environment)
    configuration = load_configuration(SweepConfiguration, environment)
    store = UpkeepStore(configuration.database)
    events = Queue(configuration.aws, configuration.event_queue_url, "GUILDHOOK_EVENT_QUEUE_URL")
    compiles = CompileQueue(configuration.aws, configuration.compile_queue_url)

    def handle(event: Any, context: Any) -> dict[str, int]:
        """Raises UnknownEventError, and InfrastructureError: the schedule tries again."""
        if not _is_due(event):
            raise UnknownEventError("this function takes events of a schedule, and {}")
        swept = SweepReport()
        try:
            with store.within(time.monotonic() + context.get_remaining_time_in_millis() / 1000 - _REPORT_SECONDS):
                sweep(
                    store,
                    events,
                    compiles,
                    configuration,
                    in_time=lambda: context.get_remaining_time_in_millis() > _FINISH_MILLISECONDS,
                    swept=swept,
                    stage=telemetry.stage,
                )
        finally:
            report_sweep(telemetry, swept)
        return {
            "requeued": swept.requeued,
            "given_up": len(swept.given_up),
            "messages_forgotten": swept.forgotten,
            "runs_deleted": swept.runs,
            "usage_deleted": swept.usage,
            "audit_deleted": swept.audit,
            "versions_abandoned": swept.abandoned,
            "versions_stuck": len(swept.stuck),
            "versions_adopted": len(swept.adopted),
        }

    return Function(telemetry.handler(handle), store.close)


def _is_due(event: Any) -> bool:
    match event:
        case None:
            return True
        case {"detail-type": "Scheduled Event", "source": str(source), **fields}:
            # Such an event holds nothing. Another one of this name could hold records, or be of somebody's own.
            return source in _SCHEDULERS and fields.get("detail") in _NO_DETAIL and "Records" not in fields
        case dict():
            return not event
    return False
