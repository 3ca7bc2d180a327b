"""Decides whether an upload is accepted, without compiling it. Time and memory are bounded for any input."""

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

_QUICKJS = b"__cqjs"
"""The name of an object that componentize-qjs gives to every plugin. The saved memory of QuickJS contains it."""
_RANDOM = "wasi:random/random@"
_FROZEN = (
    "QuickJS was saved in this file together with its random state, so Math.random() gives the same numbers in every "
    "run, and work after an await is lost. Build the plugin with plugins/quickjs/build.mjs (docs/plugins.md)"
)


@dataclass(frozen=True, slots=True)
class Inspection:
    """The verdict on an upload. `reasons` is empty if and only if the plugin is accepted."""

    reasons: tuple[str, ...]
    warnings: tuple[str, ...]
    """Properties of the build that no author wants. The plugin is accepted with them."""
    imports: tuple[str, ...]
    exports: tuple[str, ...]
    unavailable: tuple[str, ...]
    """Imports that are linked but do nothing: files and sockets. Toolchains import them without a need."""
    needs: frozenset[Permission]
    """Permissions that the plugin's host calls need; without them the calls are refused."""
    memories: tuple[MemoryType, ...]
    """The memories of an instance, including those of WASI."""
    wasm_bytes: int
    settings_schema: bytes | None
    """The schema of its settings, at most 64 KiB; it is not checked here."""

    @property
    def accepted(self) -> bool:
        return not self.reasons


def inspect(wasm: bytes, memory_bytes: int | None = None) -> Inspection:
    """Inspect an upload. With `memory_bytes`, its memories must also fit that limit of a run.

    It raises no error for a bad upload: every fault becomes a reason.
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
        warnings=(_FROZEN,) if _random_is_frozen(wasm, component) else (),
        imports=tuple(component.imports[:_MAX_IMPORTS]),
        exports=tuple(component.exports[:_MAX_EXPORTS]),
        unavailable=tuple(name for name in component.imports[:_MAX_IMPORTS] if linked(name) and not available(name)),
        needs=frozenset({Permission.SEND_MESSAGES} if "send-message" in component.uses else ()),
        memories=memories,
        wasm_bytes=len(wasm),
        settings_schema=component.settings_schema,
    )


def with_settings_schema(wasm: bytes, schema: bytes) -> bytes:
    """The same component with `schema` as the only schema of its settings.

    Raises InvalidPluginError if `wasm` is not a component.
    """
    for reason in _wrong_kind(wasm):
        raise InvalidPluginError(reason)
    try:
        return without_section(wasm, SCHEMA_SECTION) + encoded_section(b"\0", encoded_name(SCHEMA_SECTION) + schema)
    except RefusedBinaryError as refused:
        raise InvalidPluginError(str(refused)) from None


def _wrong_kind(wasm: bytes) -> list[str]:
    if len(wasm) > MAX_WASM_BYTES:
        return [f"the file has {len(wasm)} bytes; the limit is {MAX_WASM_BYTES}; build it without debug information"]
    if wasm.startswith(COMPONENT_HEADER):
        return []
    if not wasm:
        return [f"the file is empty; {_BUILD_HINT}"]
    if wasm.startswith(MODULE_HEADER):
        return [f"this is a core module, not a component; {_WRAP_HINT}"]
    if wasm.startswith(b"\x7fELF"):
        return ["this is a precompiled file with native code; upload the .wasm component that it was made from"]
    if wasm.lstrip()[:1] == b"(":
        return ["this is WebAssembly text; convert it with `wasm-tools parse -o plugin.wasm`"]
    return [f"this is not a WebAssembly component; {_BUILD_HINT}"]


def _broken_rules(component: Component) -> list[str]:
    for names, verb, most in (
        (component.imports, "imports", _MAX_IMPORTS),
        (component.exports, "exports", _MAX_EXPORTS),
    ):
        if len(names) > most:
            return [f"it {verb} {len(names)} interfaces and functions; the limit is {most}"]
    reasons = [
        f"it imports {_shown(name)}, which plugins cannot use; they can import guildhook:plugin@1 (wit/plugin.wit) and "
        f"WASI 0.2 without HTTP. {_hint(name)}"
        for name in component.imports
        if not linked(name)
    ]
    if _EXPORT not in component.exports:
        reasons.append(f"it exports no function {_EXPORT!r}; {_BUILD_HINT}")
    return reasons


def _random_is_frozen(wasm: bytes, component: Component) -> bool:
    """True for a plugin of componentize-qjs that has no other source of random numbers than the saved state.

    plugins/quickjs/build.mjs imports the random numbers of WASI, which componentize-qjs alone does not.
    """
    return _QUICKJS in wasm and not any(name.startswith(_RANDOM) for name in component.imports)


def _shown(name: str) -> str:
    """A name from the upload, made printable and cut to 200 characters."""
    return repr(name if len(name) <= _SHOWN_CHARS else f"{name[:_SHOWN_CHARS]}…")


def _hint(interface: str) -> str:
    if interface.startswith("wasi:http/"):
        return "Build without it (jco: --disable http, or disableFeatures: ['http', 'fetch-event'])"
    if interface.startswith("wasi:"):
        return "Build for WASI 0.2 (wasm32-wasip2)"
    return "Build without it"
