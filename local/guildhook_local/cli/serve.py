"""`guildhook serve`: the whole system on this machine."""

import io
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

from guildhook_local.cli.ending import CommandError, ExitStatus
from guildhook_local.cli.progress import working
from guildhook_local.cli.streams import put
from guildhook_local.cli.visible_text import visible

if TYPE_CHECKING:
    from guildhook_local.serve import Served


def serve(
    port: Annotated[
        int,
        typer.Option(
            metavar="PORT",
            min=0,
            max=65_534,
            help="Port of the admin page; the chat page has the next one. 0 takes any two.",
        ),
    ] = 8470,
    listen: Annotated[
        str, typer.Option(metavar="ADDRESS", help="Address to listen on, such as 172.17.0.1 for Docker on Linux.")
    ] = "127.0.0.1",
    sam_env: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", dir_okay=False, show_default=False, help="File to write the environment for sam local to."
        ),
    ] = None,
    verbose: Annotated[bool, typer.Option(help="Show the functions' own log, on stderr.")] = False,
) -> None:
    """Run the whole system on this machine until it is interrupted: the admin page, a chat, and a sample guild."""
    # Only here: the embedded stack takes a second to import, which `run` and `check` need not wait for.
    from guildhook_local.serve import (  # noqa: PLC0415
        PortTakenError,
        converse,
        interrupts,
        missing_pages,
        serving,
        write_environment,
    )
    from guildhook_local.web_server import bound  # noqa: PLC0415

    interrupted = interrupts()
    try:
        bound(listen).close()
    except OSError as error:
        raise CommandError(ExitStatus.USAGE, f"--listen: cannot listen on {listen}: {error}") from None
    # The functions print their log, which is led elsewhere; this is the stream that people see.
    out = sys.stdout
    log = (sys.stderr or io.StringIO()) if verbose else io.StringIO()
    try:
        with (
            working("Starting …") as status,
            redirect_stdout(log),
            serving(listen, port) as served,
        ):
            if status:
                status.stop()
            _show(out, served, missing_pages())
            if sam_env:
                write_environment(sam_env, served.system)
                credentials = visible(str(sam_env.with_name("credentials")))
                options = f"AWS_SHARED_CREDENTIALS_FILE={credentials} sam local … --env-vars {visible(str(sam_env))}"
                _row(out, "sam local", options)
            put("Type a message, such as !ping. Ctrl-C ends.", out)
            typed = sys.stdin.fileno() if sys.stdin else None
            converse(served, typed, lambda name, content: put(f"{visible(name)}: {visible(content)}", out), interrupted)
    except PortTakenError as error:
        raise CommandError(ExitStatus.USAGE, f"--port: {error}") from None


def _show(out: TextIO, served: "Served", missing: Sequence[str]) -> None:
    system = served.system
    keys = system.aws.keys
    _row(out, "admin page", served.admin_link)
    _row(out, "chat page", served.chat_link)
    _row(out, "database", system.database_url)
    _row(out, "AWS", system.aws.endpoint)
    _row(out, "AWS keys", f"{keys.access_key_id} {keys.secret_access_key}")
    for person in system.chat.people().values():
        _row(out, "sign in as", f"{visible(person.name)}, who {visible(person.about)}")
    variables = f"GUILDHOOK_ADMIN_URL={served.admin_url} GUILDHOOK_ADMIN_TOKEN={served.operator_token}"
    _row(out, "operator", f"export {variables}")
    for page in missing:
        label = typer.style(f"{'not built':<12}", fg=typer.colors.RED, bold=True)
        put(f"{label} {page}; `make page` does it, with Node 20 or newer", out)


def _row(out: TextIO, label: str, text: str) -> None:
    put(f"{typer.style(f'{label:<12}', bold=True)} {text}", out)
