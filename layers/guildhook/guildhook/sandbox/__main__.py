"""The program that child_process.py starts: it reads wasm from stdin and writes the artifact to stdout, a file.

Usage: python -m guildhook.sandbox JOB
JOB is a ChildJob as JSON. The last line of stderr is the SHA-256 of the artifact in hexadecimal. Without an artifact,
the program exits with REPORT_STATUS and a ChildReport on stderr if the reason is the plugin, and with status 1 and a
sentence on stderr if it is the surroundings.
"""

import mmap
import os
import resource
import sys
import threading
from hashlib import sha256
from pathlib import Path
from typing import Final

import msgspec

from guildhook.errors import InfrastructureError, InvalidPluginError
from guildhook.model import RefusalKind
from guildhook.sandbox.compiling.child_process import (
    COMPILING,
    REPORT_STATUS,
    ChildJob,
    ChildReport,
    CompileLimits,
    over_memory,
)
from guildhook.sandbox.engine import Engine
from guildhook.sandbox.first_start import start_once

_STDOUT: Final = 1


def check_surroundings(limits: CompileLimits) -> None:
    """Prove that this process can have everything that the limits allow, so that a failure afterwards is no lack of it.

    Raises InfrastructureError, and the OSError or RuntimeError of the resource that is missing.
    """
    for name, needed in (("RLIMIT_AS", limits.memory_bytes), ("RLIMIT_CPU", limits.cpu_seconds)):
        kind = getattr(resource, name)
        most = resource.getrlimit(kind)[1]
        if most != resource.RLIM_INFINITY and most < needed:
            raise InfrastructureError(f"the compile process has inherited a {name} of {most}; it needs {needed}")
        resource.setrlimit(kind, (most, most))
    mmap.mmap(-1, limits.memory_bytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS).close()
    # The compiler starts a thread for each CPU, and panics if it cannot.
    enough = threading.Event()
    try:
        for _ in os.sched_getaffinity(0):
            threading.Thread(target=enough.wait, daemon=True).start()
    finally:
        enough.set()


def compile_within(engine: Engine, limits: CompileLimits, wasm: bytes) -> bytes:
    """Compile with at most `limits.memory_bytes` of address space. Raises InvalidPluginError, InfrastructureError."""
    unlimited = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (limits.memory_bytes, unlimited[1]))
    try:
        artifact = engine.compile_here(wasm)
    except MemoryError:
        raise InvalidPluginError(over_memory(limits), RefusalKind.MEMORY) from None
    finally:
        # The first start needs more: wasmtime reserves gigabytes of address space for an instance, and uses little.
        resource.setrlimit(resource.RLIMIT_AS, unlimited)
    most = limits.most_artifact_bytes(len(wasm))
    if len(artifact) > most:
        raise InvalidPluginError(
            f"its native code has {len(artifact)} bytes; the limit for an upload of {len(wasm)} bytes is {most}; make "
            "it smaller, and put no data at high addresses"
        )
    return artifact


def write_output(data: bytes) -> None:
    """Replace the content of stdout, which nothing may have mapped yet. Raises OSError."""
    os.ftruncate(_STDOUT, 0)
    os.lseek(_STDOUT, 0, os.SEEK_SET)
    view = memoryview(data)
    while view:
        view = view[os.write(_STDOUT, view) :]


def main(job: ChildJob) -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        check_surroundings(job.limits)
        engine, wasm = Engine(), sys.stdin.buffer.read()
        resource.setrlimit(resource.RLIMIT_CPU, (job.limits.cpu_seconds, resource.getrlimit(resource.RLIMIT_CPU)[1]))
        write_output(COMPILING)
        artifact = compile_within(engine, job.limits, wasm)
        write_output(artifact)
        if job.start:
            start_once(engine, engine.load(Path(f"/proc/self/fd/{_STDOUT}"), job.start.memories), job.start.limits)
        sys.stderr.write(f"{sha256(artifact).hexdigest()}\n")
    except InvalidPluginError as error:
        sys.stderr.write(msgspec.json.encode(ChildReport(error.kind, str(error))).decode())
        sys.exit(REPORT_STATUS)
    except (InfrastructureError, OSError) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main(msgspec.json.decode(sys.argv[1], type=ChildJob))
