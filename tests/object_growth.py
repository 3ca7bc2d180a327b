"""Counts the Python objects that runs of plugins leave behind, in a process that has no threads of other tests."""

import base64
import gc
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from guildhook.sandbox import Engine, LoadedPlugin, Sandbox, inspect
from samples import MESSAGE, PLUGIN_ID, TIME, limits

RUNS = 500


def object_growth(plugins: Sequence[bytes]) -> list[int]:
    """The number of objects that RUNS runs of each plugin leave behind."""
    ended = subprocess.run(
        [sys.executable, __file__],
        input=json.dumps([base64.b64encode(wasm).decode() for wasm in plugins]),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


def _growth(engine: Engine, wasm: bytes, path: Path) -> int:
    path.write_bytes(engine.compile_here(wasm))
    module = engine.load(path, inspect(wasm).memories)
    sandbox, plugin = Sandbox(engine), LoadedPlugin(PLUGIN_ID, module, frozenset(), limits(fuel=50_000))
    sandbox.run(plugin, MESSAGE, {}, TIME, 1)
    gc.collect()
    gc.disable()  # the runs must leave nothing that only a garbage collection would free
    before = len(gc.get_objects())
    for _ in range(RUNS):
        sandbox.run(plugin, MESSAGE, {}, TIME, 1)
    growth = len(gc.get_objects()) - before
    gc.enable()
    return growth


def main() -> None:
    plugins = [base64.b64decode(text) for text in json.load(sys.stdin)]
    engine = Engine()
    with TemporaryDirectory() as folder:
        growths = [_growth(engine, wasm, Path(folder, f"{i}.cwasm")) for i, wasm in enumerate(plugins)]
    print(json.dumps(growths))


if __name__ == "__main__":
    main()
