"""Rebuilds the committed WebAssembly, and builds more of it for tests."""

import os
import subprocess
import sys
from pathlib import Path

BIN = Path(sys.executable).parent


def rebuild(folder: Path, out: Path) -> bytes:
    """Builds with `make` in `folder`, with a cache of its own next to `out`."""
    cache = str(out.with_suffix(".zig"))
    environment = {**os.environ, "ZIG_GLOBAL_CACHE_DIR": cache, "ZIG_LOCAL_CACHE_DIR": cache}
    command = ["make", "--directory", str(folder), f"PYTHON={sys.executable}", f"OUT={out}"]
    subprocess.run(command, check=True, capture_output=True, env=environment)
    return out.read_bytes()


def dummy_component(wit: str, world: str, folder: Path) -> bytes:
    """A component that imports and exports all of a world, and whose functions are traps."""
    source, core, out = folder / "world.wit", folder / "core.wasm", folder / "dummy.wasm"
    source.write_text(wit)
    embed: list[str | Path] = ["embed", "--dummy", "--world", world, source, "-o", core]
    for command in (embed, ["new", core, "-o", out]):
        subprocess.run([BIN / "wasm-tools", "component", *command], check=True, capture_output=True)
    return out.read_bytes()
