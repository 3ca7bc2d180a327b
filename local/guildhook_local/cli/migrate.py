"""`guildhook migrate`: brings a database up to date."""

import typer

from guildhook_local.cli.ending import CommandError, ExitStatus
from guildhook_local.cli.parameters import AsJson
from guildhook_local.cli.streams import put, put_json


def migrate(context: typer.Context, as_json: AsJson = False) -> None:
    """Bring the database of GUILDHOOK_DATABASE_URL up to date: an empty one, or the chat server's own."""
    # Only here: `run` and `check` need no database driver.
    from guildhook.configuration import MigrateConfiguration, load_configuration  # noqa: PLC0415
    from guildhook.store.migrations import migrate as apply_migrations  # noqa: PLC0415
    from guildhook_local.stack import MIGRATIONS  # noqa: PLC0415

    # The package of a release has the command alone, and a database without steps would be called up to date.
    if not MIGRATIONS.is_dir():
        raise CommandError(
            ExitStatus.UNAVAILABLE,
            f"there is no folder {MIGRATIONS}: run the command in a checkout of this version, or invoke Migrate",
        )
    configuration = load_configuration(MigrateConfiguration, context.obj)
    applied = apply_migrations(configuration.database, MIGRATIONS, configuration.database_roles)
    if as_json:
        put_json({"applied": applied})
    else:
        put("\n".join(f"applied {name}" for name in applied) or "The database is up to date.")
