"""Decides whether an upload is accepted, without compiling it: bounded in time and memory whatever it holds."""

from dataclasses import dataclass

from guildhook.errors import InvalidPluginError
from guildhook.model import MemoryType, Permission
from guildhook.sandbox.binary.component import (
    COMPONENT_HEADER,
    SCHEMA_SECTION,
    Component,
    read_component,
    without_section,
)
from guildhook.sandbox.binary.core_module import MODULE_HEADER
from guildhook.sandbox.binary.reading import RefusedBinaryError
from guildhook.sandbox.binary.writing import encoded_name, encoded_section
from guildhook.sandbox.compiling.wrapper import available, linked, needs_wasi, wasi_memories
from guildhook.sandbox.memory_limit import limit_per_memory, too_much_memory

MAX_WASM_BYTES = 32 * 1024 * 1024
"""The size of an uploaded plugin."""
_MAX_REASONS = 20
_MAX_IMPORTS = 100
"""The imports of a plugin. WASI has 30 interfaces; the rest is room for one interface in two versions."""
_MAX_EXPORTS = 100
"""The exports of a plugin."""
_SHOWN_CHARS = 200
_EXPORT = "on-message"
_WRAP_HINT = "wrap it with `wasm-tools component embed wit/plugin.wit` and `wasm-tools component new`"
_BUILD_HINT = "build a component for the world guildhook:plugin/plugin (wit/plugin.wit)"


@dataclass(frozen=True, slots=True)
class Inspection:
    """What an upload is told. `reasons` is empty exactly when the plugin is accepted."""

    reasons: tuple[str, ...]
    imports: tuple[str, ...]
    exports: tuple[str, ...]
    unavailable: tuple[str, ...]
    """Imports that are linked, since toolchains name them without a need, and do nothing: files and sockets."""
    needs: frozenset[Permission]
    """Without them, calls of the plugin are refused."""
    memories: tuple[MemoryType, ...]
    """Of an instance, WASI's included."""
    wasm_bytes: int
    settings_schema: bytes | None
    """What it says of its settings, which is not looked at here; 64 KiB at the most."""

    @property
    def accepted(self) -> bool:
        return not self.reasons


def inspect(wasm: bytes, memory_bytes: int | None = None) -> Inspection:
    """Judge an upload, for runs with a cap of `memory_bytes` if it is given.

    Raises nothing: whatever is wrong becomes a reason.
    """
    component = Component()
    memories: tuple[MemoryType, ...] = ()
    reasons = _wrong_kind(wasm)
    if not reasons:
        try:
            component = read_component(wasm)
            memories = (*component.memories, *(wasi_memories() if needs_wasi(component.imports) else ()))
            reasons = _broken_rules(component)
            if memory_bytes is not None and limit_per_memory(memories, memory_bytes) is None:
                reasons.append(too_much_memory(memories, memory_bytes))
        except RefusedBinaryError as refused:
            reasons = [str(refused)]
    return Inspection(
        reasons=tuple(reasons[:_MAX_REASONS]),
        imports=tuple(component.imports[:_MAX_IMPORTS]),
        exports=tuple(component.exports[:_MAX_EXPORTS]),
        unavailable=tuple(name for name in component.imports[:_MAX_IMPORTS] if linked(name) and not available(name)),
        needs=frozenset({Permission.SEND_MESSAGES} if "send-message" in component.uses else ()),
        memories=memories,
        wasm_bytes=len(wasm),
        settings_schema=component.settings_schema,
    )


def with_settings_schema(wasm: bytes, schema: bytes) -> bytes:
    """The same component, saying this of its settings and nothing else.

    Raises InvalidPluginError for what is not a component.
    """
    for reason in _wrong_kind(wasm):
        raise InvalidPluginError(reason)
    try:
        return without_section(wasm, SCHEMA_SECTION) + encoded_section(b"\0", encoded_name(SCHEMA_SECTION) + schema)
    except RefusedBinaryError as refused:
        raise InvalidPluginError(str(refused)) from None


def _wrong_kind(wasm: bytes) -> list[str]:
    if len(wasm) > MAX_WASM_BYTES:
        return [f"the file has {len(wasm)} bytes; the limit is {MAX_WASM_BYTES}"]
    if wasm.startswith(COMPONENT_HEADER):
        return []
    if not wasm:
        return [f"the file is empty; {_BUILD_HINT}"]
    if wasm.startswith(MODULE_HEADER):
        return [f"this is a core module, not a component; {_WRAP_HINT}"]
    if wasm.startswith(b"\x7fELF"):
        return ["this is a precompiled file, which is native code; upload the .wasm component it was made from"]
    if wasm.lstrip()[:1] == b"(":
        return ["this is WebAssembly text; convert it with `wasm-tools parse -o plugin.wasm`"]
    return [f"this is not a WebAssembly component; {_BUILD_HINT}"]


def _broken_rules(component: Component) -> list[str]:
    for names, verb, most in (
        (component.imports, "imports", _MAX_IMPORTS),
        (component.exports, "exports", _MAX_EXPORTS),
    ):
        if len(names) > most:
            return [f"{verb} {len(names)} interfaces and functions; the limit is {most}"]
    reasons = [
        f"imports {_shown(name)}, which plugins cannot have; there are guildhook:plugin@1 (wit/plugin.wit) and "
        f"WASI 0.2 without HTTP. {_hint(name)}"
        for name in component.imports
        if not linked(name)
    ]
    if _EXPORT not in component.exports:
        reasons.append(f"exports no function {_EXPORT!r}; {_BUILD_HINT}")
    return reasons


def _shown(name: str) -> str:
    """A name that the plugin's author chose, printable and not too long."""
    return repr(name if len(name) <= _SHOWN_CHARS else f"{name[:_SHOWN_CHARS]}…")


def _hint(interface: str) -> str:
    if interface.startswith("wasi:http/"):
        return "Build without it (jco: --disable http, or disableFeatures: ['http', 'fetch-event'])"
    if interface.startswith("wasi:"):
        return "Build for WASI 0.2 (wasm32-wasip2)"
    return "Build without it"
