"""Finds, exports and erases the data of a person or a guild. Nothing but a person invokes it (docs/privacy.md).

Takes {"action": "find", "export" or "erase"} with "user_id" or "guild_id", as guildhook/erasure/erasure_request.py
defines it. Returns the work that it has done, the place to continue at unless all is done, and the copies that it does
not reach.
"""

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from guildhook.aws.s3_objects import ObjectWriter
from guildhook.configuration import ErasureConfiguration, load_configuration
from guildhook.erasure import carry_out, read_erasure_request
from guildhook.erasure.erasure_request import PersonSubject
from guildhook.erasure.retention import remainders_of_guild, remainders_of_person
from guildhook.observability import create_telemetry
from guildhook.startup import Function
from guildhook.store.erasure import ErasureStore

_FINISH_MILLISECONDS = 90_000
"""The time for the last statement, and for the last file of an export."""
_ANSWER_SECONDS = 5
"""The part of the function's time in which no statement is waited for."""


def create(environment: Mapping[str, str]) -> Function:
    """Raises ConfigurationError."""
    telemetry = create_telemetry(environment)
    configuration = load_configuration(ErasureConfiguration, environment)
    store = ErasureStore(configuration.database)
    bucket = ObjectWriter(configuration.aws, configuration.artifact_bucket)

    def handle(event: Any, context: Any) -> dict[str, Any]:
        """Raises UnknownEventError, and InfrastructureError: the same event does the rest."""
        request = read_erasure_request(event)
        deadline = time.monotonic() + context.get_remaining_time_in_millis() / 1000 - _ANSWER_SECONDS
        with telemetry.stage("erase"), store.within(deadline):
            report = carry_out(
                request, store, bucket, lambda: context.get_remaining_time_in_millis() > _FINISH_MILLISECONDS
            )
        is_person = isinstance(request.subject, PersonSubject)
        # An id in the log would outlive the rows.
        extra = {
            "action": request.action,
            "subject": "user" if is_person else "guild",
            "done": report.cursor is None,
            "rows": (report.found + report.exported + report.erased).total(),
        }
        telemetry.logger.info("erasure", extra=extra)
        remainders = remainders_of_person if is_person else remainders_of_guild
        now = datetime.now(UTC)
        return {
            "action": request.action,
            **report.answer(),
            "not_reached": [remainder.answer(now) for remainder in remainders(configuration)],
        }

    return Function(telemetry.handler(handle), store.close)
