"""The child process of child.py: wasm on stdin, the artifact on stdout.

Usage: -m guildhook.sandbox MEMORY_BYTES ARTIFACT_BYTES
"""

import resource
import sys

from guildhook.errors import InvalidPluginError
from guildhook.sandbox.child import REFUSED_STATUS
from guildhook.sandbox.engine import Engine


def compile_within(memory_bytes: int, artifact_bytes: int, wasm: bytes) -> bytes:
    """Raises InvalidPluginError."""
    engine = Engine()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    try:
        artifact = engine.compile_here(wasm)
    except MemoryError:
        raise InvalidPluginError(f"compiling it needs more than the limit of {memory_bytes} bytes of memory") from None
    if len(artifact) > artifact_bytes:
        raise InvalidPluginError(f"compiled it has {len(artifact)} bytes; the limit is {artifact_bytes}")
    return artifact


try:
    sys.stdout.buffer.write(compile_within(int(sys.argv[1]), int(sys.argv[2]), sys.stdin.buffer.read()))
except InvalidPluginError as error:
    sys.stderr.write(str(error))
    sys.exit(REFUSED_STATUS)
