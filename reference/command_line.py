"""The reference of the command line, from the commands themselves."""

from collections.abc import Iterator
from typing import Any

import typer.main

from guildhook_local.cli import app
from guildhook_local.cli.ending import ExitStatus
from reference.attributes import described_attributes
from reference.markdown import code, sentence, table, whole_page


def page() -> str:
    group: Any = typer.main.get_command(app)
    # Typer brings a copy of Click, whose types have no stubs.
    commands = [part for command in group.commands.values() for part in _command(command)]
    intro = (
        "`guildhook` runs from `.venv/bin/guildhook` after `make demo` or `make serve`. "
        "[Writing a plugin](../plugins.md#the-command-line) describes files, settings and the cache of `run` and "
        "`check`. With `--json`, a command that fails prints "
        '`{"error": {"exit_status": N, "message": "…"}}` on standard output.'
    )
    described = described_attributes(ExitStatus)
    return whole_page(
        "Command line",
        intro,
        table(("exit status", "meaning"), [(code(str(int(each))), described[each.name]) for each in ExitStatus]),
        table(("option", "meaning", "default"), [_option(option) for option in group.params]),
        *commands,
    )


def _command(command: Any, group: str = "guildhook", level: int = 2) -> Iterator[str]:
    yield f"{'#' * level} {group} {command.name}"
    arguments = [parameter for parameter in command.params if parameter.param_type_name == "argument"]
    options = [parameter for parameter in command.params if parameter.param_type_name == "option"]
    within = getattr(command, "commands", {})
    usage = [group, command.name, *(["[OPTIONS]"] if options else []), *map(_argument, arguments)]
    usage += ["COMMAND"] if within else []
    yield code(" ".join(usage))
    yield command.help
    yield table(("option", "meaning", "default"), [_option(option) for option in options])
    for each in within.values():
        yield from _command(each, f"{group} {command.name}", level + 1)


def _argument(argument: Any) -> str:
    name = str(argument.metavar or argument.name.upper())
    return name if argument.required else f"[{name}]"


def _option(option: Any) -> tuple[str, str, str]:
    value = "" if option.is_flag else f" {option.metavar or option.type.name.upper()}"
    names = ", ".join(code(f"{name}{value}") for name in [*option.opts, *option.secondary_opts])
    if option.required:
        return names, sentence(option.help or ""), "required"
    is_shown = option.default is not None and option.default is not False and option.default != ""
    return names, sentence(option.help or ""), code(str(option.default)) if is_shown else ""
