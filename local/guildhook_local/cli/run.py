"""`guildhook run`: one run of a plugin, as in production, which sends nothing."""

from collections.abc import Mapping
from typing import Annotated, Any, Final
from uuid import NAMESPACE_OID, uuid5

import typer

from guildhook.errors import InvalidPluginError, InvalidSchemaError
from guildhook.model import Outcome, Permission, RunResult
from guildhook.plugin_settings.schema import check_schema, check_settings
from guildhook.sandbox import Engine, Inspection, Limits, LoadedPlugin, Sandbox, inspect
from guildhook.whole_numbers import with_whole_numbers
from guildhook_local.cli import files, streams
from guildhook_local.cli.compiled_plugins import plugin_loader
from guildhook_local.cli.ending import CommandError, ExitStatus
from guildhook_local.cli.parameters import AsJson, WasmFile
from guildhook_local.cli.progress import working
from guildhook_local.cli.streams import put, put_json
from guildhook_local.cli.visible_text import visible

_LARGEST_NUMBER: Final = 2**63 - 1


def _number(number: int) -> int:
    """Not Typer's own bounds: help shows them as one word, which is too long for narrow terminals."""
    if not 0 <= number <= _LARGEST_NUMBER:
        raise typer.BadParameter(f"{number} is not in the range of 0 to {_LARGEST_NUMBER}")
    return number


def run(
    context: typer.Context,
    plugin: WasmFile,
    message: Annotated[
        str,
        typer.Option(
            metavar="TEXT|@FILE|-",
            help="Content of the message. A file or stdin (-) holds the content, or in JSON a message or its event.",
        ),
    ] = "",
    settings: Annotated[
        str | None,
        typer.Option(
            metavar="JSON|@FILE|-", help="The plugin's settings, an object that its schema takes.", show_default=False
        ),
    ] = None,
    secrets: Annotated[
        str | None,
        typer.Option(
            metavar="JSON|@FILE|-",
            help="The secrets that join the settings, an object of texts.",
            show_default=False,
        ),
    ] = None,
    state: Annotated[
        str, typer.Option(metavar="JSON|@FILE|-", help="The state from earlier runs, an object of texts.")
    ] = "{}",
    allow: Annotated[
        list[Permission] | None, typer.Option(metavar="PERMISSION", help="Grant one: SEND_MESSAGES. Repeatable.")
    ] = None,
    fuel: Annotated[
        int, typer.Option(metavar="N", callback=_number, help="Fuel of the run.", show_default=False)
    ] = Limits().fuel,
    deadline_ms: Annotated[
        int,
        typer.Option(
            metavar="N",
            min=1,
            max=60_000,
            help="Time of the run in milliseconds, for a busy machine.",
            show_default=False,
        ),
    ] = Limits().deadline_ms,
    seed: Annotated[int, typer.Option(metavar="N", callback=_number, help="Seed of the run's random numbers.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Run one plugin exactly as production would, sending nothing."""
    files.check_one_reads_stdin(message=message, settings=settings, secrets=secrets, state=state)
    limits = Limits(fuel=fuel, deadline_ms=deadline_ms)
    given = files.read_message("--message", message)
    if files.is_meant_as_json(message):
        streams.note("guildhook: --message is taken as text; @FILE and - take a message in JSON")
    new_settings = None if settings is None else files.read_object("--settings", settings)
    secret_values = {} if secrets is None else files.read_secrets("--secrets", secrets)
    old_state = files.read_texts("--state", state)

    wasm = files.read_wasm(plugin)
    engine = Engine()
    try:
        with plugin_loader(engine, wasm, context.obj) as loader:
            inspection = inspect(wasm)
            _check_settings(inspection, new_settings, secret_values)
            loaded = LoadedPlugin(
                uuid5(NAMESPACE_OID, loader.wasm_sha256.hex()),
                loader.load(inspection, lambda: working(f"Compiling {plugin.name}")),
                frozenset(allow or ()),
                limits,
            )
    except InvalidPluginError as error:
        result = RunResult(Outcome.INVALID, str(error), 0, 0, 0, (), ())
    else:
        all_settings = {**with_whole_numbers(new_settings or {}), **secret_values}
        result = Sandbox(engine).run(loaded, given, all_settings, given.created_at, seed, old_state)
    if as_json:
        put_json(_as_json(result))
    else:
        _show(result, limits)
    raise typer.Exit(ExitStatus.DONE if result.outcome is Outcome.OK else ExitStatus.REFUSED)


def _check_settings(inspection: Inspection, settings: Mapping[str, Any] | None, secrets: Mapping[str, str]) -> None:
    """Hold settings against the plugin's schema, as the admin API does when they are saved.

    Raises InvalidPluginError if the schema is not valid, since no upload of the plugin would be accepted; CommandError
    if the settings are refused.
    """
    try:
        section = inspection.settings_schema
        schema = None if section is None else check_schema(section)
    except InvalidSchemaError as error:
        raise InvalidPluginError(f"its settings schema is refused: {error}") from None
    errors = [] if settings is None else check_settings(schema, settings, secrets)
    if errors:
        reasons = "; ".join(f"{pointer} {message}".lstrip() for pointer, message in errors)
        raise CommandError(ExitStatus.REFUSED, f"--settings are refused: {reasons}")


def _as_json(result: RunResult) -> dict[str, Any]:
    return {
        "outcome": result.outcome,
        "detail": result.detail,
        "fuel_used": result.fuel_used,
        "duration_us": result.duration_us,
        "cpu_us": result.cpu_us,
        "host_calls": result.host_calls,
        "host_call_bytes": result.host_call_bytes,
        "state": result.state,
        "logs": result.logs,
        "intents": [
            {
                "kind": intent.kind,
                "channel_id": intent.channel_id,
                "content": intent.content,
                "key": intent.key,
            }
            for intent in result.intents
        ],
        "calls": result.calls,
    }


def _show(result: RunResult, limits: Limits) -> None:
    colour = typer.colors.GREEN if result.outcome is Outcome.OK else typer.colors.RED
    put(f"{typer.style(result.outcome, fg=colour, bold=True)} {visible(result.detail)}".rstrip(" "))
    put(
        f"{result.fuel_used:,} of {limits.fuel:,} fuel, {result.duration_us:,} µs ({result.cpu_us:,} µs of CPU), "
        f"{result.host_calls} of {limits.host_calls} host calls, "
        f"{result.host_call_bytes:,} of {limits.host_call_bytes:,} bytes in them"
    )
    log, send, state = (typer.style(f"{label:<5}", dim=True) for label in ("log", "send", "state"))
    for line in result.logs:
        put(f"{log} {visible(line)}")
    for intent in result.intents:
        put(f"{send} {visible(intent.content)} {typer.style(f'to channel {intent.channel_id}', dim=True)}")
    for key, value in (result.state or {}).items():
        put(f"{state} {visible(key)}: {visible(value)}")
    if result.state is not None and not result.state:
        put(f"{state} {typer.style('is empty now', dim=True)}")
