"""`guildhook check`: the verdict that an upload of a plugin would get."""

from dataclasses import replace
from typing import Any

import typer

from guildhook.errors import InvalidPluginError, InvalidSchemaError
from guildhook.plugin_settings.schema import check_schema, secret_names
from guildhook.sandbox import Engine, Inspection, Limits, inspect
from guildhook.sandbox.first_start import start_once
from guildhook.sandbox.limits import WASM_PAGE_BYTES
from guildhook_local.cli import files
from guildhook_local.cli.compiled_plugins import PluginLoader, plugin_loader
from guildhook_local.cli.ending import ExitStatus
from guildhook_local.cli.parameters import AsJson, WasmFile
from guildhook_local.cli.progress import working
from guildhook_local.cli.streams import put, put_json
from guildhook_local.cli.visible_text import visible


def check(context: typer.Context, plugin: WasmFile, as_json: AsJson = False) -> None:
    """Inspect and compile a plugin, and show the verdict that an upload would get."""
    wasm = files.read_wasm(plugin)
    schema: dict[str, Any] | None = None
    with plugin_loader(Engine(), wasm, context.obj) as loader:
        inspection = inspect(wasm, Limits().memory_bytes)
        if inspection.accepted:
            try:
                _start_once(loader, inspection, plugin.name)
                if inspection.settings_schema is not None:
                    schema = check_schema(inspection.settings_schema)
            except InvalidPluginError as error:
                inspection = replace(inspection, reasons=(str(error),))
            except InvalidSchemaError as error:
                inspection = replace(inspection, reasons=(f"its settings schema is refused: {error}",))
    if as_json:
        put_json(_as_json(inspection, schema))
    else:
        _show(plugin.name, inspection, schema)
    raise typer.Exit(ExitStatus.DONE if inspection.accepted else ExitStatus.REFUSED)


def _start_once(loader: PluginLoader, inspection: Inspection, name: str) -> None:
    """Compile a plugin, and start it once without a message, as after an upload.

    Raises InvalidPluginError, InfrastructureError.
    """
    module = loader.load(inspection, lambda: working(f"Compiling {name}"))
    start_once(loader.engine, module, Limits())


def _as_json(inspection: Inspection, schema: dict[str, Any] | None) -> dict[str, Any]:
    return {
        "accepted": inspection.accepted,
        "reasons": inspection.reasons,
        "warnings": inspection.warnings,
        "imports": inspection.imports,
        "unavailable": inspection.unavailable,
        "exports": inspection.exports,
        "needs": sorted(inspection.needs),
        "memories": inspection.memories,
        "settings_schema": schema,
        "wasm_bytes": inspection.wasm_bytes,
    }


def _show(name: str, inspection: Inspection, schema: dict[str, Any] | None) -> None:
    verdict, colour = ("accepted", typer.colors.GREEN) if inspection.accepted else ("refused", typer.colors.RED)
    put(f"{typer.style(verdict, fg=colour, bold=True)} {visible(name)}, {inspection.wasm_bytes:,} bytes")
    for reason in inspection.reasons:
        put(f"{typer.style('reason', fg=typer.colors.RED)}   {visible(reason)}")
    for warning in inspection.warnings:
        put(f"{typer.style('warning', fg=typer.colors.YELLOW)}  {visible(warning)}")
    for item in inspection.imports:
        note = typer.style(" (imported, not available)", dim=True) if item in inspection.unavailable else ""
        _row("imports", f"{visible(item)}{note}")
    if inspection.memories:
        start = sum(memory.minimum for memory in inspection.memories) * WASM_PAGE_BYTES
        _row("memory", f"{start:,} bytes to start with, in {len(inspection.memories)}")
    for need in sorted(inspection.needs):
        _row("needs", visible(need))
    if schema is not None:
        settings = schema.get("properties", {})
        _row("schema", f"of {len(settings)} {'setting' if len(settings) == 1 else 'settings'}")
        for setting in settings:
            secret = typer.style(" (secret)", dim=True) if setting in secret_names(schema) else ""
            _row("setting", f"{visible(setting)}{secret}")


def _row(label: str, text: str) -> None:
    put(f"{typer.style(label, dim=True)}{' ' * (9 - len(label))}{text}")
