"""The program that child_process.py starts: it reads wasm from stdin and writes the artifact to stdout, a file.

Usage: python -m guildhook.sandbox JOB
JOB is a ChildJob as JSON. Without an artifact, the program exits with REPORT_STATUS and a ChildReport on stderr if the
reason is the plugin, and with status 1 and a sentence on stderr if it is the surroundings.
"""

import mmap
import os
import resource
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Final

import msgspec

from guildhook.errors import InfrastructureError, InvalidPluginError
from guildhook.model import Outcome, RefusalKind
from guildhook.sandbox.compiling.child_process import (
    COMPILING,
    REPORT_STATUS,
    ChildJob,
    ChildReport,
    CompileLimits,
    FirstStart,
    over_memory,
)
from guildhook.sandbox.engine import Engine
from guildhook.sandbox.sandbox import Sandbox

_STDOUT: Final = 1
_PATIENCE: Final = 20
"""The deadline of a first start in wall time, as a multiple of its limit in CPU time: the machine may be busy."""


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
    if len(artifact) > limits.artifact_bytes:
        raise InvalidPluginError(
            f"its native code has {len(artifact)} bytes; the limit is {limits.artifact_bytes}; make it smaller"
        )
    return artifact


def start_once(engine: Engine, artifact: Path, start: FirstStart) -> None:
    """Instantiate the plugin. The limit on its time counts CPU time here, which a busy machine does not change.

    Raises InvalidPluginError if that does not end `ok` by the plugin's own fault, and InfrastructureError otherwise.
    """
    limit_ms = start.limits.deadline_ms
    module = engine.load(artifact, start.memories)
    began = time.process_time()
    outcome, detail = Sandbox(engine).start(module, replace(start.limits, deadline_ms=limit_ms * _PATIENCE))
    used_ms = round((time.process_time() - began) * 1000)
    if used_ms > limit_ms and outcome in (Outcome.OK, Outcome.DEADLINE):
        reason = f"it does not start: {Outcome.DEADLINE}: it used {used_ms} ms of CPU time; the limit is {limit_ms} ms"
        raise InvalidPluginError(reason, RefusalKind.CPU_SECONDS)
    if outcome in (Outcome.DEADLINE, Outcome.INTERNAL):
        raise InfrastructureError(f"its first start ended as {outcome}: {detail}")
    if outcome is not Outcome.OK:
        raise InvalidPluginError(f"it does not start: {outcome}: {detail}")


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
        write_output(compile_within(engine, job.limits, wasm))
        if job.start:
            start_once(engine, Path(f"/proc/self/fd/{_STDOUT}"), job.start)
    except InvalidPluginError as error:
        sys.stderr.write(msgspec.json.encode(ChildReport(error.kind, str(error))).decode())
        sys.exit(REPORT_STATUS)
    except (InfrastructureError, OSError) as error:
        sys.exit(str(error))


main(msgspec.json.decode(sys.argv[1], type=ChildJob))
