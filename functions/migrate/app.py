"""Lambda: brings the database up to date, straight to it and not through a proxy.

In, a request of CloudFormation for a Custom::Migration, or any other JSON; out, for the latter, what was applied.
"""

import sys
from pathlib import Path
from typing import Any

from guildhook.aws.custom_resources import is_resource_request, provide
from guildhook.configuration import MigrateConfiguration, load_configuration
from guildhook.errors import ConfigurationError
from guildhook.observability import create_telemetry
from guildhook.store.migrations import migrate

_MIGRATIONS = Path(__file__).parent / "migrations"

try:
    telemetry = create_telemetry()
    configuration = load_configuration(MigrateConfiguration)
except ConfigurationError as error:
    sys.exit(f"guildhook: {error}")


@telemetry.handler
def handler(event: Any, _context: Any) -> dict[str, Any]:
    """Raises InfrastructureError and MigrationError."""
    if is_resource_request(event):
        provide(event, "Custom::Migration", lambda: {"Applied": len(bring_up_to_date())})
        return {}
    return {"applied": bring_up_to_date()}


def bring_up_to_date() -> list[str]:
    with telemetry.stage("migrate"):
        applied = migrate(configuration.database, _MIGRATIONS, configuration.database_roles)
    for migration in applied:
        telemetry.logger.info("migration applied", extra={"migration": migration})
    return applied
