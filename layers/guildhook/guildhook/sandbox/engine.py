"""The wasmtime engine of the process: its configuration, and how it compiles and loads modules."""

import hashlib
import json
import math
import os
import platform
import re
import resource
import threading
import weakref
from dataclasses import dataclass
from errno import EACCES, ENOMEM, EPERM
from functools import cache, lru_cache
from pathlib import Path
from typing import Final

import wasmtime
from wasmtime import WasmtimeError
from wasmtime.component import Component, ExportIndex

from guildhook.errors import InfrastructureError, InvalidPluginError, UnloadableArtifactError
from guildhook.model import CompiledModule, MemoryType
from guildhook.sandbox.binary.component import read_component
from guildhook.sandbox.binary.reading import RefusedBinaryError
from guildhook.sandbox.c_api import address
from guildhook.sandbox.compiling.child_process import CompileLimits, FirstStart, compile_in_child
from guildhook.sandbox.compiling.inspection import inspect
from guildhook.sandbox.compiling.wrapper import wrap, wrapper_digest
from guildhook.sandbox.limits import Limits

# A fixed target for each architecture, not the CPU of this machine: code compiled on one host must run on all.
_TARGETS: Final = {"x86_64": "x86_64-unknown-linux-gnu", "aarch64": "aarch64-unknown-linux-gnu"}

# The configuration of wasmtime. It is a part of the fingerprint, so a change here recompiles all plugins. Proposals
# that no supported toolchain needs are off, to avoid their bugs.
FLAGS: Final[dict[str, bool | int | str]] = {
    "consume_fuel": True,
    "epoch_interruption": True,
    "wasm_component_model": True,
    # Calls between components are compiled to modules with the memories of both; wasmtime panics without this flag.
    "wasm_multi_memory": True,
    "wasm_threads": False,
    "wasm_tail_call": False,
    "wasm_memory64": False,
    "wasm_relaxed_simd": False,
    "wasm_exceptions": False,
    "wasm_function_references": False,
    "wasm_gc": False,
    "wasm_stack_switching": False,
    "wasm_wide_arithmetic": False,
    "wasm_custom_page_sizes": False,
    "wasm_component_model_map": False,
    "wasm_component_model_implements": False,
    "gc_support": False,
    "shared_memory": False,
    # A replay must give the same bits, and hosts differ in the bits of a NaN.
    "cranelift_nan_canonicalization": True,
    "max_wasm_stack": 512 * 1024,
}

# Component async is on by default and has no public switch. No plugin needs it, and below 50.0.1 a guest could escape
# through it (CVE-2026-115384). Its support in every store is off as well, which makes a run a tenth faster.
SWITCHED_OFF: Final = ("wasm_component_model_async", "concurrency_support")

TICK_SECONDS: Final = 0.005
"""The interval at which the epoch advances; deadlines are exact to this interval."""

_STACK_BYTES: Final = 2 * 1024 * 1024
"""Guest, wasmtime and host functions share the stack of their thread. On a smaller one the process overflows its stack
before the guest reaches its own limit, which is `max_wasm_stack`.
"""

_DETAIL_CHARS: Final = 500
_REASON_CHARS: Final = 2_000


@dataclass(frozen=True, slots=True)
class LoadedModule:
    """A plugin's code, loaded and ready to be instantiated many times."""

    component: Component
    on_message: ExportIndex
    memories: tuple[MemoryType, ...]
    addresses: tuple[int, int]
    """The addresses of `component` and `on_message` in wasmtime."""


class Engine:
    """Compiles and loads modules, and advances the epoch, in which deadlines are measured."""

    def __init__(self, compile_limits: CompileLimits = CompileLimits()) -> None:  # noqa: B008 - the default is frozen
        """Raises InfrastructureError if the process may not have the stack that guests need."""
        _claim_stack()
        self._compile_limits = compile_limits
        triple = target()
        self.wasmtime = wasmtime.Engine(_config(triple))
        stop = threading.Event()
        # The epoch needs a thread, since a guest in a loop never returns. Calls into wasmtime release the GIL.
        threading.Thread(target=_tick, args=(self.wasmtime, stop), name="epoch", daemon=True).start()
        weakref.finalize(self, stop.set)

    @property
    def fingerprint(self) -> str:
        """Names everything on which an artifact depends, the plugin aside."""
        return _fingerprint(target())

    def compile(self, wasm: bytes, start_limits: Limits | None = None) -> CompiledModule:
        """Inspect a plugin, and compile it in a child process that is bounded in time and memory.

        With `start_limits`, the child also starts the plugin once under these limits, without a message.
        Raises InvalidPluginError for what holds on every machine, else InfrastructureError.
        """
        inspection = inspect(wasm)
        if not inspection.accepted:
            raise InvalidPluginError("; ".join(inspection.reasons)[:_REASON_CHARS])
        start = FirstStart(start_limits, inspection.memories) if start_limits else None
        return CompiledModule(compile_in_child(wasm, self._compile_limits, start), inspection.memories)

    def compile_here(self, wasm: bytes) -> bytes:
        """Compile a plugin that inspection accepted. Returns the artifact.

        Time and memory are unbounded, and the process can crash: call `compile` for untrusted plugins.

        Raises InvalidPluginError, InfrastructureError, and MemoryError.
        """
        try:
            with Component(self.wasmtime, wrap(wasm, read_component(wasm))) as component:
                return bytes(component.serialize())
        except RefusedBinaryError as refused:
            raise InvalidPluginError(str(refused)) from None
        except WasmtimeError as error:
            fault = os_error(error)
            if fault is None:
                raise InvalidPluginError(f"it does not compile: {_causes(error)}") from None
            if fault.errno == ENOMEM:
                raise MemoryError from None
            raise InfrastructureError(f"cannot compile: {fault.strerror}") from None

    def load(self, path: Path, memories: tuple[MemoryType, ...]) -> LoadedModule:
        """Map a compiled artifact. The file must not change while the module lives.

        A loaded artifact is native code: the caller must have checked that the compiler wrote these bytes.
        Raises InfrastructureError if the file cannot be mapped, and UnloadableArtifactError, which is one, if it is
        damaged or another engine compiled it. Neither says anything about the plugin, which has compiled.
        """
        try:
            component = Component.deserialize_file(self.wasmtime, str(path))
        except WasmtimeError as error:
            fault = os_error(error)
            if fault:
                remedy = "; its folder must not be mounted noexec" if fault.errno in (EACCES, EPERM) else ""
                raise InfrastructureError(f"cannot map {path}: {fault.strerror}{remedy}") from None
            raise UnloadableArtifactError(f"the native code in {path} does not load: {last_cause(error)}") from None
        on_message = component.get_export_index("on-message")
        if on_message is None:
            raise UnloadableArtifactError(f"the native code in {path} exports no function on-message")
        return LoadedModule(component, on_message, memories, (address(component), address(on_message)))


def os_error(error: WasmtimeError) -> OSError | None:
    """The error of the operating system for which wasmtime failed, or None if the cause is another one.

    The innermost cause must be the text of such an error and nothing else. While artifacts are mapped and components
    are instantiated, no text of a guest is the innermost cause. A plugin that does not validate could choose such a
    text; it is then tried again, and not accepted.
    """
    cause = last_cause(error)
    found = re.search(r" \(os error (\d{1,3})\)$", cause)
    number = int(found[1]) if found else 0
    return OSError(number, os.strerror(number)) if cause == f"{os.strerror(number)} (os error {number})" else None


def last_cause(error: WasmtimeError) -> str:
    """The innermost cause of a wasmtime error: one line of at most 500 characters, without control characters.

    The lines above it are dropped, since they can hold names of any length that the guest chose.
    """
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    # wasmtime numbers the causes if there are several.
    return printable(re.sub(r"^\d+: ", "", lines[-1]) if lines else "unknown fault")[:_DETAIL_CHARS]


def _causes(error: WasmtimeError) -> str:
    """All causes of a wasmtime error on one line, without control characters: which import, which type."""
    lines = str(error).rpartition("Caused by:")[2].splitlines()
    return printable("; ".join(line.strip() for line in lines if line.strip()))[:_DETAIL_CHARS]


def printable(text: str) -> str:
    """A guest's text, safe to show: characters that control a terminal or break a line are replaced."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


@lru_cache
def ticks(milliseconds: int) -> int:
    """The number of epochs after which at least `milliseconds` have passed."""
    return math.ceil(milliseconds / 1000 / TICK_SECONDS) + 1


def _claim_stack() -> None:
    """Raise the limit on the stack of the main thread, and the size of later threads, if a shell has lowered them.

    Raises InfrastructureError if that is not allowed.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_STACK)
    if soft == resource.RLIM_INFINITY or soft >= _STACK_BYTES:
        return
    if hard != resource.RLIM_INFINITY and hard < _STACK_BYTES:
        raise InfrastructureError(
            f"the stack of this process is limited to {hard} bytes; plugins need {_STACK_BYTES}; raise `ulimit -s`"
        )
    resource.setrlimit(resource.RLIMIT_STACK, (_STACK_BYTES, hard))
    threading.stack_size(_STACK_BYTES)


def _tick(engine: wasmtime.Engine, stop: threading.Event) -> None:
    while not stop.wait(TICK_SECONDS):
        engine.increment_epoch()


def target() -> str:
    machine = platform.machine()
    if machine not in _TARGETS:
        raise RuntimeError(f"this machine is {machine}; guildhook runs on {' and '.join(_TARGETS)}")
    return _TARGETS[machine]


def _config(triple: str) -> wasmtime.Config:
    config = wasmtime.Config()
    config.target = triple
    for name, value in FLAGS.items():
        setattr(config, name, value)
    for name in SWITCHED_OFF:
        getattr(wasmtime._bindings, f"wasmtime_config_{name}_set")(config.ptr(), False)  # noqa: SLF001
    return config


@cache
def _fingerprint(triple: str) -> str:
    # Imported here: it is a sixth of the start of the process that compiles a plugin, which needs no fingerprint.
    from importlib.metadata import version  # noqa: PLC0415

    wasmtime_version = version("wasmtime")
    settings = json.dumps([wasmtime_version, triple, FLAGS, SWITCHED_OFF, wrapper_digest()], sort_keys=True)
    return f"wasmtime-{wasmtime_version}-{triple}-{hashlib.sha256(settings.encode()).hexdigest()[:16]}"
