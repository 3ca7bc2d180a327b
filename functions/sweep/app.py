"""Lambda, on a schedule: puts back on the queue what is still to be sent, ends checks that did not end, makes versions
of wasm that was written into plugins directly, and deletes old rows.

The event is not read; out, what was done.
"""

import sys
from typing import Any

from guildhook.errors import ConfigurationError
from guildhook.modules import CompileQueue
from guildhook.observability import create_telemetry, report_sweep
from guildhook.settings import SweepSettings, load_settings
from guildhook.sqs import Queue
from guildhook.store import Store, VersionStore
from guildhook.sweeper import Swept, sweep

_FINISH_MILLISECONDS = 20_000

try:
    telemetry = create_telemetry()
    settings = load_settings(SweepSettings)
except ConfigurationError as error:
    sys.exit(f"guildhook: {error}")
store = Store(settings.database)
versions = VersionStore(settings.database)
events = Queue(settings.event_queue_url, "GUILDHOOK_EVENT_QUEUE_URL")
compiles = CompileQueue(settings.compile_queue_url)


def close() -> None:
    store.close()
    versions.close()


@telemetry.handler
def handler(_event: Any, context: Any) -> dict[str, int]:
    """Raises InfrastructureError: the schedule tries again."""
    swept = Swept()
    try:
        sweep(
            store,
            versions,
            events,
            compiles,
            settings,
            in_time=lambda: context.get_remaining_time_in_millis() > _FINISH_MILLISECONDS,
            swept=swept,
            stage=telemetry.stage,
        )
    finally:
        report_sweep(telemetry, swept)
    return {
        "requeued": swept.requeued,
        "given_up": len(swept.given_up),
        "runs_deleted": swept.runs,
        "usage_deleted": swept.usage,
        "audit_deleted": swept.audit,
        "versions_abandoned": swept.abandoned,
        "versions_stuck": len(swept.stuck),
        "versions_adopted": len(swept.adopted),
    }
