"""The `guildhook` command. Exit status: 0 done, 1 the plugin failed or was refused, 2 wrong usage."""

import hashlib
import io
import json
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, redirect_stdout
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn
from uuid import NAMESPACE_OID, uuid5

import msgspec
import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress

from guildhook.errors import (
    ConfigurationError,
    InfrastructureError,
    InvalidPluginError,
    InvalidSchemaError,
    MigrationError,
)
from guildhook.events.malformed_events import MalformedEventError
from guildhook.model import Artifact, Message, Outcome, Permission, Refusal, RunResult
from guildhook.plugin_settings.schema import check_schema, secret_names
from guildhook.sandbox import (
    Engine,
    Inspection,
    Limits,
    LoadedPlugin,
    Sandbox,
    inspect,
    printable,
    with_settings_schema,
)
from guildhook.sandbox.limits import WASM_PAGE_BYTES
from guildhook_local.built_environment import continue_in_built_environment
from guildhook_local.sample import sample_message

if TYPE_CHECKING:
    from guildhook.versions.compiler import Compiler
    from guildhook_local.serve import Served

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Runs the WebAssembly plugins of a chat server's guilds.",
)

WasmFile = Annotated[
    Path,
    typer.Argument(metavar="PLUGIN.wasm", exists=True, dir_okay=False, readable=True, show_default=False),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object, and nothing else, on stdout.")]


@app.command()
def run(
    plugin: WasmFile,
    message: Annotated[
        str,
        typer.Option(
            metavar="TEXT|@FILE|-",
            help="Content of the message. A file or stdin (-) holds the content, or a message object in JSON.",
        ),
    ] = "",
    settings: Annotated[str, typer.Option(metavar="JSON", help="The plugin's settings, an object.")] = "{}",
    state: Annotated[str, typer.Option(metavar="JSON", help="The state from earlier runs, an object of texts.")] = "{}",
    allow: Annotated[
        list[Permission] | None, typer.Option(metavar="PERMISSION", help="Grant one: SEND_MESSAGES. Repeatable.")
    ] = None,
    fuel: Annotated[
        int, typer.Option(metavar="N", min=0, max=2**63 - 1, help="Fuel of the run.", show_default=False)
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
    as_json: AsJson = False,
) -> None:
    """Run one plugin exactly as production would, sending nothing."""
    limits = Limits(fuel=fuel, deadline_ms=deadline_ms)
    given = _message(message), _settings(settings), _state(state)
    result = _run(plugin.read_bytes(), *given, frozenset(allow or ()), limits)
    if as_json:
        _print_json(_run_as_json(result))
    else:
        _show_run(result, limits)
    raise typer.Exit(0 if result.outcome is Outcome.OK else 1)


@app.command()
def check(plugin: WasmFile, as_json: AsJson = False) -> None:
    """Inspect and compile a plugin, and show the verdict that an upload would get."""
    wasm = plugin.read_bytes()
    inspection = inspect(wasm, Limits().memory_bytes)
    if inspection.accepted:
        try:
            Engine().compile(wasm, Limits())
        except InvalidPluginError as error:
            inspection = replace(inspection, reasons=(str(error),))
    if inspection.accepted and inspection.settings_schema is not None:
        try:
            check_schema(inspection.settings_schema)
        except InvalidSchemaError as error:
            inspection = replace(inspection, reasons=(f"its settings schema is refused: {error}",))
    if as_json:
        _print_json(_inspection_as_json(inspection))
    else:
        _show_inspection(plugin.name, inspection)
    raise typer.Exit(0 if inspection.accepted else 1)


@app.command()
def schema(
    plugin: WasmFile,
    schema: Annotated[
        Path,
        typer.Argument(metavar="SCHEMA.json", exists=True, dir_okay=False, readable=True, show_default=False),
    ],
    out: Annotated[
        Path,
        typer.Option("-o", "--output", metavar="OUT.wasm", dir_okay=False, show_default=False, help="File to write."),
    ],
) -> None:
    """Write the plugin with a description of its settings, in place of the one that it may have."""
    said = schema.read_bytes()
    try:
        check_schema(said)
        wasm = with_settings_schema(plugin.read_bytes(), said)
    except InvalidSchemaError as error:
        _end_refused(schema, str(error))
    except InvalidPluginError as error:
        _end_refused(plugin, str(error))
    try:
        out.write_bytes(wasm)
    except OSError as error:
        raise typer.BadParameter(f"cannot write {out}: {error.strerror}", param_hint="--output") from None


@app.command()
def demo(
    as_json: AsJson = False,
    verbose: Annotated[bool, typer.Option(help="Show the function's own log, on stderr.")] = False,
) -> None:
    """Send one message the whole way on the embedded stack: queue, function, plugin, reply."""
    # Only here: the embedded stack takes a second to import, which `run` and `check` need not wait for.
    from guildhook_local.demo import DemoError, run_demo  # noqa: PLC0415

    out, progress = Console(highlight=False, soft_wrap=True), Console(stderr=True)
    with tempfile.TemporaryFile("w+") as log:
        try:
            # In this order: the status line takes stdout as well, and would show the function's log above itself.
            with progress.status("Starting") as status, redirect_stdout(sys.stderr if verbose else log):
                result = run_demo(lambda step: status.update(f"{step} …"))
        except DemoError as error:
            log.seek(0)
            progress.print(f"{log.read()}[red]{escape(str(error))}", highlight=False)
            raise typer.Exit(1) from None
    if as_json:
        _print_json(asdict(result))
    else:
        for step in result.timeline:
            out.print(f"[dim]{step.at_ms:7.1f} ms[/]  [bold]{step.name:<15}[/] {escape(step.text)}")
        out.print("[green]The message went the whole way.[/]" if result.succeeded else "[red]No pong came.[/]")
    raise typer.Exit(0 if result.succeeded else 1)


@app.command()
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
        raise typer.BadParameter(f"cannot listen on {listen}: {error}", param_hint="--listen") from None
    out, progress = Console(file=sys.stdout, highlight=False, soft_wrap=True), Console(stderr=True)
    log = sys.stderr if verbose else io.StringIO()
    try:
        with progress.status("Starting …") as status, redirect_stdout(log), serving(listen, port) as served:
            status.stop()
            _show_served(out, served, missing_pages())
            if sam_env:
                write_environment(sam_env, served.system)
                credentials = sam_env.with_name("credentials")
                out.print(
                    f"[bold]sam local[/]    AWS_SHARED_CREDENTIALS_FILE={escape(str(credentials))} sam local … "
                    f"--env-vars {escape(str(sam_env))}"
                )
            out.print("Type a message, such as !ping. Ctrl-C ends.")
            typed = sys.stdin.fileno() if sys.stdin else None
            converse(served, typed, lambda name, content: out.print(f"{_shown(name)}: {_shown(content)}"), interrupted)
    except PortTakenError as error:
        raise typer.BadParameter(str(error), param_hint="--port") from None


@app.command()
def migrate(context: typer.Context, as_json: AsJson = False) -> None:
    """Bring the database of GUILDHOOK_DATABASE_URL up to date: an empty one, or the chat server's own."""
    # Only here: `run` and `check` need no database driver.
    from guildhook.configuration import MigrateConfiguration, load_configuration  # noqa: PLC0415
    from guildhook.store.migrations import migrate as apply_migrations  # noqa: PLC0415
    from guildhook_local.stack import MIGRATIONS  # noqa: PLC0415

    configuration = load_configuration(MigrateConfiguration, context.obj)
    applied = apply_migrations(configuration.database, MIGRATIONS, configuration.database_roles)
    if as_json:
        _print_json({"applied": applied})
    else:
        typer.echo("\n".join(f"applied {name}" for name in applied) or "The database is up to date.")


@app.command()
def recompile(context: typer.Context, as_json: AsJson = False) -> None:
    """Compile every enabled plugin that this version has no compiled module of.

    It reads the variables of the compile function. After an update of wasmtime it compiles all plugins: run it before
    the new version receives messages.
    """
    with _compiler(context.obj) as compiler, Progress(console=Console(stderr=True), transient=True) as progress:
        compiled, refused = 0, []
        for digest in progress.track(compiler.uncompiled(), description="Compiling"):
            match compiler.compile_stored(digest):
                case Refusal(reason):
                    refused.append({"wasm_sha256": digest.hex(), "reason": reason})
                case Artifact():
                    compiled += 1
    if as_json:
        _print_json({"compiled": compiled, "refused": refused})
    else:
        typer.echo(f"{compiled} compiled, {len(refused)} refused")
        for refusal in refused:
            typer.echo(f"{refusal['wasm_sha256']}: {printable(refusal['reason'])}")


@app.command()
def prune(
    context: typer.Context,
    older_than_days: Annotated[int, typer.Option(min=0, metavar="DAYS", help="Keep younger modules.")] = 30,
    as_json: AsJson = False,
) -> None:
    """Delete compiled modules of other versions of guildhook, and of plugins that are gone."""
    with _compiler(context.obj) as compiler:
        pruned = compiler.prune(older_than_days)
    if as_json:
        _print_json({"pruned": pruned})
    else:
        typer.echo(f"compiled modules deleted: {pruned}")


def _end_refused(file: Path, reason: str) -> NoReturn:
    typer.echo(f"{printable(file.name)} is refused: {printable(reason)}", err=True)
    raise typer.Exit(1)


def main(arguments: Sequence[str] | None = None, environment: Mapping[str, str] = os.environ) -> None:
    """Run the command that `arguments` name: those of this process unless they are given.

    `environment` configures the commands that use a database or a bucket. Raises SystemExit.
    """
    if arguments is None and sys.argv[1:2] in (["demo"], ["serve"]):
        continue_in_built_environment()
    try:
        app(arguments, obj=environment)
    except (ConfigurationError, InfrastructureError, MigrationError) as error:
        sys.exit(f"guildhook: {error}")


@contextmanager
def _compiler(environment: Mapping[str, str]) -> Iterator["Compiler"]:
    # Only here: `run` and `check` need neither database nor bucket.
    from guildhook.configuration import CompilerConfiguration, load_configuration  # noqa: PLC0415
    from guildhook.modules import ArtifactBucket  # noqa: PLC0415
    from guildhook.store.compiling import CompileStore  # noqa: PLC0415
    from guildhook.versions.compiler import Compiler  # noqa: PLC0415

    configuration = load_configuration(CompilerConfiguration, environment)
    with closing(CompileStore(configuration.database)) as store:
        bucket = ArtifactBucket(configuration.aws, configuration.artifact_bucket)
        yield Compiler(Engine(), configuration.largest_limits(), bucket, store)


def _run(
    wasm: bytes,
    message: Message,
    settings: dict[str, Any],
    state: dict[str, str],
    permissions: frozenset[str],
    limits: Limits,
) -> RunResult:
    engine = Engine()
    try:
        compiled = engine.compile(wasm)
    except InvalidPluginError as error:
        return RunResult(Outcome.INVALID, str(error), 0, 0, 0, (), ())
    plugin_id = uuid5(NAMESPACE_OID, hashlib.sha256(wasm).hexdigest())
    with tempfile.NamedTemporaryFile(prefix="guildhook-", suffix=".cwasm") as file:
        file.write(compiled.artifact)
        file.flush()
        plugin = LoadedPlugin(plugin_id, engine.load(Path(file.name), compiled.memories), permissions, limits)
        return Sandbox(engine).run(plugin, message, settings, message.created_at, seed=0, state=state)


def _message(argument: str) -> Message:
    try:
        return sample_message(_message_fields(argument))
    except MalformedEventError as error:
        raise typer.BadParameter(str(error), param_hint="--message") from None


def _message_fields(argument: str) -> dict[str, Any]:
    if argument != "-" and not argument.startswith("@"):
        return {"content": argument}
    try:
        text = sys.stdin.read() if argument == "-" else Path(argument[1:]).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise typer.BadParameter(f"cannot read {argument}: {error}", param_hint="--message") from None
    fields = _json_or_none(text)
    return fields if isinstance(fields, dict) else {"content": text.removesuffix("\n")}


def _settings(argument: str) -> dict[str, Any]:
    settings = _json_or_none(argument)
    if not isinstance(settings, dict):
        raise typer.BadParameter("not a JSON object", param_hint="--settings")
    return settings


def _state(argument: str) -> dict[str, str]:
    state = _json_or_none(argument)
    if not isinstance(state, dict) or not all(isinstance(value, str) for value in state.values()):
        raise typer.BadParameter("not a JSON object of texts", param_hint="--state")
    return state


def _json_or_none(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _run_as_json(result: RunResult) -> dict[str, Any]:
    return {
        "outcome": result.outcome,
        "detail": result.detail,
        "fuel_used": result.fuel_used,
        "duration_us": result.duration_us,
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
        "calls": [msgspec.structs.asdict(call) for call in result.calls],
    }


def _inspection_as_json(inspection: Inspection) -> dict[str, Any]:
    return {
        "accepted": inspection.accepted,
        "reasons": inspection.reasons,
        "imports": inspection.imports,
        "unavailable": inspection.unavailable,
        "exports": inspection.exports,
        "needs": sorted(inspection.needs),
        "memories": [msgspec.structs.asdict(memory) for memory in inspection.memories],
        "settings_schema": _schema(inspection),
        "wasm_bytes": inspection.wasm_bytes,
    }


def _show_served(out: Console, served: "Served", missing: Sequence[str]) -> None:
    system = served.system
    keys = system.aws.keys
    out.print(f"[bold]admin page[/]   {served.admin_link}")
    out.print(f"[bold]chat page[/]    {served.chat_link}")
    out.print(f"[bold]database[/]     {escape(system.database_url)}")
    out.print(f"[bold]AWS[/]          {system.aws.endpoint}")
    out.print(f"[bold]AWS keys[/]     {keys.access_key_id} {keys.secret_access_key}")
    for person in system.chat.people().values():
        out.print(f"[bold]sign in as[/]   {_shown(person.name)}, who {_shown(person.about)}")
    for page in missing:
        out.print(f"[bold red]not built[/]    {escape(page)}; `make page` does it, with Node 20 or newer")


def _schema(inspection: Inspection) -> dict[str, Any] | None:
    """The settings schema of an accepted plugin."""
    section = inspection.settings_schema
    return check_schema(section) if inspection.accepted and section is not None else None


def _print_json(value: dict[str, Any]) -> None:
    print(json.dumps(value))


def _shown(text: str) -> str:
    return escape(printable(text))


def _show_run(result: RunResult, limits: Limits) -> None:
    out = Console(highlight=False, soft_wrap=True)
    colour = "green" if result.outcome is Outcome.OK else "red"
    out.print(f"[bold {colour}]{result.outcome}[/] {_shown(result.detail)}")
    out.print(
        f"{result.fuel_used:,} of {limits.fuel:,} fuel, {result.duration_us:,} µs, "
        f"{result.host_calls} of {limits.host_calls} host calls, "
        f"{result.host_call_bytes:,} of {limits.host_call_bytes:,} bytes in them"
    )
    for line in result.logs:
        out.print(f"[dim]log[/]   {_shown(line)}")
    for intent in result.intents:
        out.print(f"[dim]send[/]  {_shown(intent.content)} [dim]to channel {intent.channel_id}[/]")
    if result.state is not None:
        for key, value in result.state.items():
            out.print(f"[dim]state[/] {_shown(key)}: {_shown(value)}")
        if not result.state:
            out.print("[dim]state[/] [dim]is empty now[/]")


def _show_inspection(name: str, inspection: Inspection) -> None:
    out = Console(highlight=False, soft_wrap=True)
    verdict = "[bold green]accepted" if inspection.accepted else "[bold red]refused"
    out.print(f"{verdict}[/] {_shown(name)}, {inspection.wasm_bytes:,} bytes")
    for reason in inspection.reasons:
        out.print(f"[red]reason[/]   {_shown(reason)}")
    for item in inspection.imports:
        note = " [dim](imported, not available)" if item in inspection.unavailable else ""
        out.print(f"[dim]imports[/]  {_shown(item)}{note}")
    if inspection.memories:
        start = sum(memory.minimum for memory in inspection.memories) * WASM_PAGE_BYTES
        out.print(f"[dim]memory[/]   {start:,} bytes to start with, in {len(inspection.memories)}")
    for need in sorted(inspection.needs):
        out.print(f"[dim]needs[/]    {need}")
    schema = _schema(inspection)
    if schema is not None:
        settings = schema.get("properties", {})
        out.print(f"[dim]schema[/]   of {len(settings)} {'setting' if len(settings) == 1 else 'settings'}")
        for setting in settings:
            out.print(
                f"[dim]setting[/]  {_shown(setting)}{' [dim](secret)' if setting in secret_names(schema) else ''}"
            )
