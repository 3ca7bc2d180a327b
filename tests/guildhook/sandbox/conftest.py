from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from samples import MESSAGE, PLUGIN_ID, TIME

from guildhook.model import RunResult
from guildhook.sandbox import Engine, Limits, Module, Plugin, Sandbox


@pytest.fixture
def load(engine: Engine, tmp_path: Path) -> Callable[[bytes], Module]:
    def load(wasm: bytes) -> Module:
        compiled = engine.compile(wasm)
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.cwasm"
        path.write_bytes(compiled.artifact)
        return engine.load(path, compiled.memories)

    return load


@pytest.fixture
def run(engine: Engine, load: Callable[[bytes], Module]) -> Callable[..., RunResult]:
    """Runs a plugin, with SEND_MESSAGES granted unless `permissions` say otherwise."""

    def run(
        wasm: bytes,
        permissions: frozenset[str] = frozenset({"SEND_MESSAGES"}),
        settings: dict[str, Any] | None = None,
        limits: Limits | None = None,
        seed: int = 1,
    ) -> RunResult:
        sandbox = Sandbox(engine, limits or Limits())
        return sandbox.run(Plugin(PLUGIN_ID, load(wasm), permissions), MESSAGE, settings or {}, TIME, seed)

    return run
