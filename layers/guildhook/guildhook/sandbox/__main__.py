"""The program that child_process.py starts: it reads wasm from stdin and writes the artifact to stdout, a file.

Usage: python -m guildhook.sandbox MEMORY_BYTES ARTIFACT_BYTES START
START is a FirstStart as JSON, or null to compile without starting the plugin.
"""

import resource
import sys
from pathlib import Path

import msgspec

from guildhook.errors import InvalidPluginError
from guildhook.model import Outcome
from guildhook.sandbox.compiling.child_process import REFUSED_STATUS, FirstStart
from guildhook.sandbox.engine import Engine
from guildhook.sandbox.sandbox import Sandbox

_STDOUT = Path("/proc/self/fd/1")


def compile_within(engine: Engine, memory_bytes: int, artifact_bytes: int, wasm: bytes) -> bytes:
    """Compile with at most `memory_bytes` of address space. Raises InvalidPluginError."""
    unlimited = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, unlimited[1]))
    try:
        artifact = engine.compile_here(wasm)
    except MemoryError:
        raise InvalidPluginError(
            f"compiling it needs more than the limit of {memory_bytes} bytes of memory; make it smaller"
        ) from None
    finally:
        # The first start needs more: wasmtime reserves gigabytes of address space for an instance, and uses little.
        resource.setrlimit(resource.RLIMIT_AS, unlimited)
    if len(artifact) > artifact_bytes:
        raise InvalidPluginError(
            f"its native code has {len(artifact)} bytes; the limit is {artifact_bytes}; make it smaller"
        )
    return artifact


def start_once(engine: Engine, artifact: Path, start: FirstStart) -> None:
    """Instantiate the plugin. Raises InvalidPluginError if that does not end `ok`."""
    outcome, detail = Sandbox(engine).start(engine.load(artifact, start.memories), start.limits)
    if outcome is not Outcome.OK:
        raise InvalidPluginError(f"it does not start: {outcome}: {detail}")


def main(memory_bytes: int, artifact_bytes: int, start: FirstStart | None) -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    engine = Engine()
    try:
        sys.stdout.buffer.write(compile_within(engine, memory_bytes, artifact_bytes, sys.stdin.buffer.read()))
        sys.stdout.flush()
        if start:
            start_once(engine, _STDOUT, start)
    except InvalidPluginError as error:
        sys.stderr.write(str(error))
        sys.exit(REFUSED_STATUS)


main(int(sys.argv[1]), int(sys.argv[2]), msgspec.json.decode(sys.argv[3], type=FirstStart | None))
