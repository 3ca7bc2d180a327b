"""The program: its commands, the options of all of them, and the way from its arguments to an exit status."""

import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Annotated, Any, Final, NoReturn

import typer
import typer.main
from typer._completion_classes import completion_init
from typer.completion import shell_complete

from guildhook_local.built_environment import continue_in_built_environment
from guildhook_local.cli import streams
from guildhook_local.cli.admin import admin
from guildhook_local.cli.check import check
from guildhook_local.cli.compiled_modules import prune, public_keys, recompile
from guildhook_local.cli.demo import demo
from guildhook_local.cli.ending import CommandError, Ending, ExitStatus, as_json, ending_of, wants_json
from guildhook_local.cli.migrate import migrate
from guildhook_local.cli.preflight import preflight
from guildhook_local.cli.run import run
from guildhook_local.cli.schema import schema
from guildhook_local.cli.serve import serve
from guildhook_local.cli.visible_text import visible
from guildhook_local.cli.whole_help import WholeHelpCommand, WholeHelpGroup

NAME: Final = "guildhook"
_COMPLETE: Final = "_GUILDHOOK_COMPLETE"
"""The variable with which a shell asks for completions."""


class Shell(StrEnum):
    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


app = typer.Typer(
    add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None, invoke_without_command=True
)
for command in (run, check, schema, demo, serve, preflight, migrate, recompile, prune, public_keys):
    app.command(cls=WholeHelpCommand)(command)
app.add_typer(admin, name="admin", cls=WholeHelpGroup)


def _show_version(wanted: bool) -> None:
    if wanted:
        # Only here: it takes a sixth of the time of a start.
        from importlib.metadata import version as installed_version  # noqa: PLC0415

        streams.put(f"{NAME} {installed_version(NAME)}")
        raise typer.Exit


def _show_completion(context: typer.Context, shell: Shell | None) -> None:
    if shell is not None:
        shell_complete(context.command, {}, NAME, _COMPLETE, f"source_{shell}")
        raise typer.Exit


@app.callback()
def program(
    context: typer.Context,
    version: Annotated[  # noqa: ARG001 - the callbacks of options act
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
    show_completion: Annotated[  # noqa: ARG001
        Shell | None,
        typer.Option(
            metavar="SHELL",
            callback=_show_completion,
            is_eager=True,
            help="Show the completion script for bash, zsh or fish and exit.",
        ),
    ] = None,
) -> None:
    """Runs the WebAssembly plugins of a chat server's guilds."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help(), err=True)
        raise typer.Exit(ExitStatus.USAGE)


def main(arguments: Sequence[str] | None = None, environment: Mapping[str, str] = os.environ) -> NoReturn:
    """Run the command that `arguments` name: those of this process unless they are given.

    `environment` configures the commands. Raises SystemExit with a status of ExitStatus.
    """
    if arguments is None and sys.argv[1:2] in (["demo"], ["serve"]):
        continue_in_built_environment()
    streams.prepare()
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        _check_temporary_folder()
        status = _run(given, environment)
        streams.flush()
    except KeyboardInterrupt:
        status = ExitStatus.INTERRUPTED
    except Exception as error:
        ending = ending_of(error)
        if ending is None:
            raise
        _show(ending, wants_json(given))
        status = ending.status
    sys.exit(status)


def _run(arguments: Sequence[str], environment: Mapping[str, str]) -> int:
    command: Any = typer.main.get_command(app)
    completion_init()  # makes Typer's completions of shells known
    if environment.get(_COMPLETE):
        command.main(arguments, NAME, _COMPLETE)
    colour = False if environment.get("NO_COLOR") or environment.get("TERM") == "dumb" else None
    try:
        with command.make_context(NAME, list(arguments), obj=environment, color=colour) as context:
            command.invoke(context)
    except typer.Exit as ended:
        return ended.exit_code
    return ExitStatus.DONE


def _check_temporary_folder() -> None:
    try:
        tempfile.gettempdir().encode()
    except OSError:
        reason = "no folder for temporary files can be written to; set TMPDIR to one"
        raise CommandError(ExitStatus.UNAVAILABLE, reason) from None
    except UnicodeEncodeError:
        reason = "TMPDIR is not UTF-8, which wasmtime needs; set TMPDIR to another folder"
        raise CommandError(ExitStatus.USAGE, reason) from None


def _show(ending: Ending, in_json: bool) -> None:
    try:
        if in_json:
            streams.put(as_json(ending))
        streams.flush()
    except CommandError:
        # Nobody reads standard output any more, so the reason goes to the other stream.
        streams.abandon(sys.stdout)
        in_json = False
    if not in_json:
        streams.note(f"{NAME}: {visible(ending.message)}")
