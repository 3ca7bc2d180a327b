"""Brings the database up to date. It connects to the database itself, not to a proxy.

Takes a request of CloudFormation for a Custom::Migration, or an empty event; returns the names of the migrations that
it applied to the latter. An invocation with any other event fails.
"""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from guildhook.aws.custom_resources import is_resource_request, provide
from guildhook.configuration import MigrateConfiguration, load_configuration
from guildhook.errors import UnknownEventError
from guildhook.observability import create_telemetry
from guildhook.startup import Function
from guildhook.store.migrations import migrate

_MIGRATIONS = Path(__file__).parent / "migrations"
_ANSWER_SECONDS = 40
"""The part of the function's time that is kept for the answer to CloudFormation, which takes 33 s at the most."""


def create(environment: Mapping[str, str]) -> Function:
    """Raises ConfigurationError."""
    telemetry = create_telemetry(environment)
    configuration = load_configuration(MigrateConfiguration, environment)

    def handle(event: Any, context: Any) -> dict[str, Any]:
        """Raises InfrastructureError, MigrationError and UnknownEventError."""
        deadline = time.monotonic() + context.get_remaining_time_in_millis() / 1000 - _ANSWER_SECONDS
        if is_resource_request(event):
            provide(event, {"Custom::Migration": lambda: {"Applied": len(bring_up_to_date(deadline))}})
            return {}
        if event not in (None, {}):
            raise UnknownEventError("this function takes requests of CloudFormation, and {}")
        return {"applied": bring_up_to_date(deadline)}

    def bring_up_to_date(deadline: float) -> list[str]:
        with telemetry.stage("migrate"):
            applied = migrate(configuration.database, _MIGRATIONS, configuration.database_roles, deadline=deadline)
        for migration in applied:
            telemetry.logger.info("migration applied", extra={"migration": migration})
        return applied

    return Function(telemetry.handler(handle))
