"""`guildhook schema`: puts a description of the settings into a plugin."""

from hashlib import sha256
from pathlib import Path
from typing import Annotated

import typer

from guildhook.errors import InvalidPluginError, InvalidSchemaError
from guildhook.plugin_settings.schema import check_schema
from guildhook.sandbox import with_settings_schema
from guildhook_local.cli import files
from guildhook_local.cli.ending import CommandError, ExitStatus
from guildhook_local.cli.parameters import AsJson, WasmFile
from guildhook_local.cli.streams import put_json


def schema(
    plugin: WasmFile,
    schema: Annotated[
        Path,
        typer.Argument(metavar="SCHEMA.json", exists=True, dir_okay=False, readable=False, show_default=False),
    ],
    out: Annotated[
        Path,
        typer.Option("-o", "--output", metavar="OUT.wasm", dir_okay=False, show_default=False, help="File to write."),
    ],
    as_json: AsJson = False,
) -> None:
    """Write the plugin with a description of its settings, in place of the one that it may have."""
    section = files.read_json_file(schema).encode()
    try:
        check_schema(section)
        wasm = with_settings_schema(files.read_wasm(plugin), section)
    except InvalidSchemaError as error:
        raise CommandError(ExitStatus.REFUSED, f"{schema.name} is refused: {error}") from None
    except InvalidPluginError as error:
        raise CommandError(ExitStatus.REFUSED, f"{plugin.name} is refused: {error}") from None
    files.write_file("--output", out, wasm)
    if as_json:
        put_json({"wasm_sha256": sha256(wasm).hexdigest(), "wasm_bytes": len(wasm)})
