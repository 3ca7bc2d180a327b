"""The child process of child_process.py: wasm on stdin; the artifact on stdout, which is a file.

Usage: -m guildhook.sandbox MEMORY_BYTES ARTIFACT_BYTES START
START is null, or what the plugin may use when it is started once, and its memories, as JSON.
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
    """Raises InvalidPluginError."""
    unlimited = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, unlimited[1]))
    try:
        artifact = engine.compile_here(wasm)
    except MemoryError:
        raise InvalidPluginError(f"compiling it needs more than the limit of {memory_bytes} bytes of memory") from None
    finally:
        # wasmtime reserves gigabytes of address space for an instance's memory, and uses little of it.
        resource.setrlimit(resource.RLIMIT_AS, unlimited)
    if len(artifact) > artifact_bytes:
        raise InvalidPluginError(f"compiled it has {len(artifact)} bytes; the limit is {artifact_bytes}")
    return artifact


def start_once(engine: Engine, artifact: Path, start: FirstStart) -> None:
    """Raises InvalidPluginError."""
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
