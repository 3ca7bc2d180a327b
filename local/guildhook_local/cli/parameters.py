"""The arguments and options that several commands have."""

from pathlib import Path
from typing import Annotated

import typer

WasmFile = Annotated[
    Path,
    typer.Argument(metavar="PLUGIN.wasm", exists=True, dir_okay=False, readable=False, show_default=False),
]
AsJson = Annotated[
    bool, typer.Option("--json", help="Print one JSON object, and nothing else, on stdout; an error as well.")
]
