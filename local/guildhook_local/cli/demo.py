"""`guildhook demo`: one message the whole way on the embedded stack."""

import sys
import tempfile
from contextlib import redirect_stdout
from typing import Annotated

import typer

from guildhook_local.cli import streams
from guildhook_local.cli.ending import CommandError, ExitStatus
from guildhook_local.cli.parameters import AsJson
from guildhook_local.cli.progress import working
from guildhook_local.cli.streams import put, put_json
from guildhook_local.cli.visible_text import visible


def demo(
    as_json: AsJson = False,
    verbose: Annotated[bool, typer.Option(help="Show the function's own log, on stderr.")] = False,
) -> None:
    """Send one message the whole way on the embedded stack: queue, function, plugin, reply."""
    # Only here: the embedded stack takes a second to import, which `run` and `check` need not wait for.
    from guildhook_local.demo import DemoError, run_demo  # noqa: PLC0415

    with tempfile.TemporaryFile("w+") as log:
        try:
            # In this order: the status line takes stdout as well, and would show the function's log above itself.
            with (
                working("Starting") as status,
                redirect_stdout((sys.stderr or log) if verbose else log),
            ):
                result = run_demo(lambda step: status.update(f"{step} …") if status else None)
        except DemoError as error:
            log.seek(0)
            for line in log:
                streams.note(visible(line.rstrip("\n")))
            raise CommandError(ExitStatus.UNAVAILABLE, str(error)) from None
    if as_json:
        put_json(result)
    else:
        for step in result.timeline:
            at, name = typer.style(f"{step.at_ms:7.1f} ms", dim=True), typer.style(f"{step.name:<15}", bold=True)
            put(f"{at}  {name} {visible(step.text)}")
        if result.succeeded:
            put(typer.style("The message went the whole way.", fg=typer.colors.GREEN))
        else:
            put(typer.style("No pong came.", fg=typer.colors.RED))
    raise typer.Exit(ExitStatus.DONE if result.succeeded else ExitStatus.REFUSED)
