"""Builds the component that is compiled in place of a plugin: it contains the plugin and supplies its imports.

    guildhook:sandbox/host ──► wrapper ─┬─► plugin ──► on-message
       (the host functions)             └─► wasi ──┘

A plugin declares its imports and their types. The wrapper supplies an instance for each import, and wasmtime's
validation compares the types, so a plugin can reach only the few host functions below. WASI is a component of this
project (folder wasi/), runs under the plugin's own limits, and serves every version 0.2.x.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Final

from wasmtime import wat2wasm

from guildhook.model import MemoryType
from guildhook.sandbox.binary.component import Component, read_component
from guildhook.sandbox.binary.writing import encoded_name, encoded_number, encoded_section

HOST: Final = "guildhook:sandbox/host"

_BASE: Final = f"""
(component
  (type $on-message (func (param "msg-json" string)))
  (import "{HOST}" (instance $host
    (export "log" (func (param "msg" string)))
    (export "send-message" (func
      (param "channel-id" string) (param "content" string) (result (result string (error string)))))
    (export "get-settings" (func (result string)))
    (export "state-get" (func (param "key" string) (result (option string))))
    (export "state-set" (func (param "key" string) (param "value" string) (result (result (error string)))))
    (export "state-delete" (func (param "key" string)))
    (export "environment" (func (result string)))
    (export "write" (func (param "to-stderr" bool) (param "bytes" string)))
    (export "now" (func (result u64)))
    (export "seed" (func (result u64)))
    (export "exit" (func (param "success" bool)))
    (export "refuse" (func (param "what" string)))))
  (instance $host-api
    (export "log" (func $host "log"))
    (export "send-message" (func $host "send-message")))
  (instance $settings
    (export "get" (func $host "get-settings")))
  (instance $state
    (export "get" (func $host "state-get"))
    (export "set" (func $host "state-set"))
    (export "delete" (func $host "state-delete"))))
"""
# Indices in the index spaces of the base, and the first free index of instances and functions.
_ON_MESSAGE: Final = 0
_HOST, _HOST_API, _SETTINGS, _STATE = 0, 1, 2, 3
_INSTANCES, _FUNCTIONS = 4, 6

_OURS: Final[Mapping[str, int]] = {
    "guildhook:plugin/host-api@1": _HOST_API,
    "guildhook:plugin/settings@1": _SETTINGS,
    "guildhook:plugin/state@1": _STATE,
}
"""Instances of the base by interface, with the part of its version that must agree."""

# Sections and sorts of a component binary, see component.py.
_COMPONENT, _INSTANCE, _ALIAS, _EXPORT = b"\x04", b"\x05", b"\x06", b"\x0b"
_SORT_FUNCTION, _SORT_INSTANCE = b"\x01", b"\x05"


def track(interface: str) -> str:
    """The interface with its version cut to the part that must agree: 1 for 1.2.3, 0.2 for 0.2.3."""
    return re.sub(r"@(0\.(?:0|[1-9]\d*)|[1-9]\d*)(?:\.(?:0|[1-9]\d*))+$", r"@\1", interface)


def linked(interface: str) -> bool:
    """True if `wrap` can link this interface, so that a plugin may import it."""
    return track(interface) in _OURS or track(interface) in _wasi_exports()


def available(interface: str) -> bool:
    """False for a linked interface that does nothing."""
    return not interface.startswith(("wasi:filesystem/", "wasi:sockets/"))


def needs_wasi(imports: Sequence[str]) -> bool:
    return any(track(interface) in _wasi_exports() for interface in imports)


def wasi_memories() -> tuple[MemoryType, ...]:
    return tuple(read_component(_wasi()).memories)


def wrapper_digest() -> str:
    """A digest that changes whenever the same plugin would be wrapped into other bytes.

    It is the digest of two wrapped samples, which together use every part of the wrapper: each interface with its
    target, WASI, and the renaming of name sections. It depends on no source file, so moving one recompiles no plugin.
    """
    own = Component(imports=list(_OURS))
    everything = Component(imports=[*_OURS, *_wasi_exports()], name_sections=[0])
    return sha256(wrap(b"name", own) + wrap(b"name", everything)).hexdigest()


def wrap(wasm: bytes, component: Component) -> bytes:
    """Wrap a plugin. All its imports must be `linked`; `component` is the result of `read_component(wasm)`."""
    ours = {interface: _OURS[track(interface)] for interface in component.imports if track(interface) in _OURS}
    wasi = [interface for interface in component.imports if track(interface) in _wasi_exports()]
    # In the index space of instances, the base is followed by WASI, and then by each interface aliased from WASI.
    of_wasi = {interface: _INSTANCES + 1 + position for position, interface in enumerate(wasi)}
    plugin = _INSTANCES + (1 + len(wasi) if wasi else 0)
    return b"".join(
        [
            bytes(wat2wasm(_BASE)),
            *(_wasi_sections(wasi) if wasi else ()),
            encoded_section(_COMPONENT, _without_names(wasm, component.name_sections)),
            _list_of_one(_INSTANCE, _instantiate(1 if wasi else 0, ours | of_wasi)),
            _list_of_one(_ALIAS, _exported(_SORT_FUNCTION, plugin, "on-message")),
            # The export states its type, so wasmtime refuses a plugin whose function has another type.
            _list_of_one(
                _EXPORT, b"\x00" + encoded_name("on-message") + _function(_FUNCTIONS) + b"\x01" + _function(_ON_MESSAGE)
            ),
        ]
    )


def _wasi_sections(interfaces: Sequence[str]) -> Iterator[bytes]:
    """Sections with WASI as the first component, its instance, and an alias for each of `interfaces`."""
    yield encoded_section(_COMPONENT, _wasi())
    yield _list_of_one(_INSTANCE, _instantiate(0, {HOST: _HOST}))
    for interface in interfaces:
        yield _list_of_one(_ALIAS, _exported(_SORT_INSTANCE, _INSTANCES, _wasi_exports()[track(interface)]))


def _without_names(wasm: bytes, name_sections: Sequence[int]) -> bytes:
    """The same code with its name sections renamed, so that wasmtime ignores the debug names of functions.

    wasmtime demangles these names for the text of an error. That is beyond fuel and deadline, and a C++ name of 500
    bytes takes seconds and 270 MiB. No text that guildhook shows needs the names.
    """
    nameless = bytearray(wasm)
    for position in name_sections:
        nameless[position : position + len("name")] = b"-ame"
    return bytes(nameless)


@cache
def _wasi() -> bytes:
    return Path(__file__).with_name("wasi.wasm").read_bytes()


@cache
def _wasi_exports() -> Mapping[str, str]:
    """The interfaces that WASI exports, by `track`."""
    return {track(interface): interface for interface in read_component(_wasi()).exports}


def _instantiate(component: int, given: Mapping[str, int]) -> bytes:
    arguments = [encoded_name(name) + _SORT_INSTANCE + encoded_number(instance) for name, instance in given.items()]
    return b"\x00" + encoded_number(component) + encoded_number(len(arguments)) + b"".join(arguments)


def _exported(sort: bytes, instance: int, name: str) -> bytes:
    return sort + b"\x00" + encoded_number(instance) + encoded_name(name)


def _function(index: int) -> bytes:
    return _SORT_FUNCTION + encoded_number(index)


def _list_of_one(kind: bytes, item: bytes) -> bytes:
    return encoded_section(kind, encoded_number(1) + item)
