"""The types of everything that stands between host and plugin; wit/plugin.wit in the terms of wasmtime."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import wasmtime
from wasmtime.component import Component, ComponentInstanceType, FuncType

from guildhook.errors import InvalidPluginError

# A component that imports all that the host offers and exports what a plugin must.
_REFERENCE: Final = """
(component
  (import "guildhook:plugin/host-api@1.0.0" (instance
    (export "log" (func (param "msg" string)))
    (export "send-message" (func
      (param "channel-id" string) (param "content" string) (result (result string (error string)))))))
  (import "wasi:cli/environment@0.2.0" (instance
    (export "get-environment" (func (result (list (tuple string string)))))
    (export "get-arguments" (func (result (list string))))
    (export "initial-cwd" (func (result (option string))))))
  (import "wasi:clocks/wall-clock@0.2.0" (instance
    (type $record (record (field "seconds" u64) (field "nanoseconds" u32)))
    (export "datetime" (type $datetime (eq $record)))
    (export "now" (func (result $datetime)))
    (export "resolution" (func (result $datetime)))))
  (import "wasi:random/random@0.2.0" (instance
    (export "get-random-bytes" (func (param "len" u64) (result (list u8))))
    (export "get-random-u64" (func (result u64)))))
  (core module $module
    (memory (export "memory") 0)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) unreachable)
    (func (export "on-message") (param i32 i32)))
  (core instance $instance (instantiate $module))
  (func (export "on-message") (param "msg-json" string) (canon lift
    (core func $instance "on-message")
    (memory (core memory $instance "memory")) (realloc (core func $instance "realloc")))))
"""

_EXPORT: Final = "export on-message"

INTERFACES: Final = tuple(re.findall(r'\(import "([^"]+)"', _REFERENCE))


def _track(interface: str) -> str:
    """The name with its version cut to the part that must agree: 1.x for 1.2.3, 0.2.x for 0.2.3."""
    return re.sub(r"@(0\.\d+|[1-9]\d*)\.[0-9.]+$", r"@\1", interface)


_TRACKS: Final = frozenset(map(_track, INTERFACES))


def provides(interface: str) -> bool:
    """Whether the host has a version of `interface` that an import by this name accepts."""
    return _track(interface) in _TRACKS


def check_types(engine: wasmtime.Engine, component: Component) -> None:
    """Compare every imported function, and on-message, with the contract.

    The linker does not: it calls a host function with whatever type the plugin declared for it.
    Raises InvalidPluginError.
    """
    with Component(engine, _REFERENCE) as reference:
        expected = dict(_contract(engine, reference))
        given = dict(_contract(engine, component))
        for name, function in given.items():
            if name not in expected:
                raise InvalidPluginError(f"{name} is not part of the contract (wit/plugin.wit)")
            if not _same(function, expected[name]):
                raise InvalidPluginError(f"{name} has another type than the contract (wit/plugin.wit)")
        if _EXPORT not in given:
            raise InvalidPluginError(f"{_EXPORT} is not a function")


def _contract(engine: wasmtime.Engine, component: Component) -> Iterator[tuple[str, FuncType]]:
    """The functions that are called across the boundary, by their names in messages."""
    yield from _named_functions(engine, "import", component.type.imports(engine))
    exports = component.type.exports(engine)
    # Toolchains export more (componentize-py: exports, componentize-qjs: init), which nobody calls.
    if "on-message" in exports:
        yield from _named_functions(engine, "export", {"on-message": exports["on-message"]})


def _named_functions(engine: wasmtime.Engine, prefix: str, items: Mapping[str, Any]) -> Iterator[tuple[str, FuncType]]:
    for name, item in items.items():
        match item.ty:
            case FuncType() as function:
                yield f"{prefix} {name}", function
            case ComponentInstanceType() as instance:
                yield from _named_functions(engine, f"{prefix} {_track(name)}", instance.exports(engine))


def _same(one: FuncType, other: FuncType) -> bool:
    return [kind for _, kind in one.params] == [kind for _, kind in other.params] and one.result == other.result
