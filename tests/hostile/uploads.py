"""Builds uploads that WebAssembly text cannot express, or only at great length. cases.toml names these functions."""

import random
from collections.abc import Iterable

from wasmtime import wat2wasm

from wasm import number, section

_MODULE = b"\0asm\x01\0\0\0"
_COMPONENT = b"\0asm\x0d\0\x01\0"
_MIB = 1024 * 1024

# Ids of sections.
_CUSTOM = 0
_TYPES, _FUNCTIONS, _CODE = 1, 3, 10
_CORE_MODULE, _NESTED_COMPONENT, _COMPONENT_TYPES = 1, 4, 7

_SCHEMA_NAME = b"\x19guildhook:settings-schema"


def _plugin(on_message: str, declarations: str = "", before: str = "", memory: str = "2") -> bytes:
    """A plugin whose on-message is `on_message`; `before` are parts of the component."""
    text = f"""
        (component
          {before}
          (core module $main
            (memory (export "memory") {memory})
            {declarations}
            (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 65536))
            (func (export "on-message") (param i32 i32) {on_message}))
          (core instance $main (instantiate $main))
          (func (export "on-message") (param "msg-json" string) (canon lift (core func $main "on-message")
            (memory (core memory $main "memory")) (realloc (core func $main "realloc")))))"""
    return bytes(wat2wasm(text))


def _component(*modules: bytes) -> bytes:
    """A component with these modules. It is no plugin, but inspection refuses the modules first."""
    return _COMPONENT + b"".join(section(_CORE_MODULE, module) for module in modules)


# --- while it runs ---


def memory_fill_straight() -> bytes:
    fill = "(memory.fill (i32.const 0) (i32.const 1) (i32.const 15_728_640))"
    return _plugin(fill * 3_000, memory="240")


def elements_in_instances() -> bytes:
    return _filled_by_instances(
        '(core module $shared (table (export "shared") 20000 funcref))',
        f'(core module $filler (import "a" "shared" (table 20000 funcref)) (func $f) {_elements(20_000)})',
    )


def data_in_instances() -> bytes:
    data = "a" * 9_000_000
    return _filled_by_instances(
        '(core module $shared (memory (export "shared") 140 140))',
        f'(core module $filler (import "a" "shared" (memory 140)) (data (i32.const 0) "{data}"))',
    )


def _elements(count: int) -> str:
    return f"(elem (i32.const 0) func {'$f ' * count})"


def _filled_by_instances(shared: str, filler: str) -> bytes:
    fill = '(core instance (instantiate $filler (with "a" (instance $shared))))'
    before = f"{shared} (core instance $shared (instantiate $shared)) {filler} {fill * 90}"
    return _plugin("", before=before, memory="2 2")


def imports_in_instances() -> bytes:
    exports = " ".join(f'(export "{i}" (func $f))' for i in range(19_900))
    imports = " ".join(f'(import "a" "{i}" (func))' for i in range(19_900))
    before = f"""
        (core module $exporter (func $f) {exports})
        (core instance $exporter (instantiate $exporter))
        (core module $importer {imports})
        {'(core instance (instantiate $importer (with "a" (instance $exporter))))' * 250}"""
    return _plugin("", before=before)


def names_huge() -> bytes:
    # Thirty functions, more than a backtrace shows, each with a name of its own.
    names = [f"f{i:02}{'x' * 15_000}" for i in range(30)]
    calls = [f"(call ${name})" for name in names[1:]] + ["unreachable"]
    return _plugin(f"(call ${names[0]})", "".join(f"(func ${name} {call})" for name, call in zip(names, calls)))


def name_over_the_limit() -> bytes:
    return _plugin("", f"(func ${'x' * 17_000})")


def name_mangled() -> bytes:
    # f(a<int, int>, a<S0, S0>, a<S1, S1>, …): each parameter contains the previous one twice.
    doubled = "".join(f"S_IS{i}_S{i}_E" for i in "0123456789ABCDEFGHIJKLMN")
    return _plugin("(call $f)", f'(func $f (@name "_Z1f1aIiiE{doubled}") unreachable)')


# --- malformed files ---


def empty() -> bytes:
    return b""


def random_bytes() -> bytes:
    return random.Random(1).randbytes(100_000)


def random_component() -> bytes:
    return _COMPONENT + random_bytes()


def core_module() -> bytes:
    return bytes(wat2wasm('(module (func (export "on-message") (param i32 i32)))'))


def text() -> bytes:
    return b'(component (export "on-message" (func 0)))'


def native_code() -> bytes:
    return b"\x7fELF\2\1\1" + bytes(1_000)


def truncated_header() -> bytes:
    return _COMPONENT[:6]


def truncated_section() -> bytes:
    return _plugin("")[:20]


def truncated_last_byte() -> bytes:
    return _plugin("")[:-1]


def truncated_body() -> bytes:
    """A component whose last instruction, `end`, is replaced by `nop`."""
    return _plugin("(drop (i32.const 77))").replace(b"\x41\xcd\x00\x1a\x0b", b"\x41\xcd\x00\x1a\x01")


def section_of_4_gib() -> bytes:
    return _COMPONENT + b"\1" + number(2**32 - 1) + _MODULE


def too_large() -> bytes:
    return _COMPONENT + bytes(33 * _MIB)


# --- settings schemas ---


def schema_huge() -> bytes:
    return _plugin("") + _schema(b" " * 30_000_000 + b"{}")


def schema_of_4_gib() -> bytes:
    return _plugin("") + b"\0" + number(2**32 - 1) + _SCHEMA_NAME + b"{}"


def schema_twice() -> bytes:
    return _plugin("") + _schema(b'{"type":"object"}') * 2


def schema_many() -> bytes:
    return _plugin("") + _schema(b"") * 9_000


def schema_nested() -> bytes:
    """A plugin with a nested component that has two schemas over the limit. The plugin itself has none."""
    return _plugin("") + section(_NESTED_COMPONENT, _COMPONENT + _schema(bytes(100_000)) * 2)


def schema_name_cut_off() -> bytes:
    return _plugin("") + section(_CUSTOM, _SCHEMA_NAME[:-1])


def schema_not_utf_8() -> bytes:
    return _plugin("") + _schema(b"\xff\xfe{}\0")


def _schema(said: bytes) -> bytes:
    return section(_CUSTOM, _SCHEMA_NAME + said)


# --- bombs ---


def bomb_locals() -> bytes:
    body = number(1) + number(50_000) + b"\x7f" + b"\x0b"
    return _component(_functions([body] * 2_000))


def bomb_functions() -> bytes:
    return _component(_functions([b"\0\x0b"] * 80_000))


def _functions(bodies: Iterable[bytes]) -> bytes:
    code = [number(len(body)) + body for body in bodies]
    count = number(len(code))
    function_type = section(_TYPES, b"\1\x60\0\0")
    return (
        _MODULE + function_type + section(_FUNCTIONS, count + bytes(len(code))) + section(_CODE, count + b"".join(code))
    )


def bomb_types() -> bytes:
    return _component(_MODULE + section(_TYPES, number(1_000_000) + b"\x60\0\0" * 1_000_000))


def bomb_nested_components() -> bytes:
    wasm = b""
    for _ in range(1_000):
        wasm = section(_NESTED_COMPONENT, _COMPONENT + wasm)
    return _COMPONENT + wasm


def bomb_definitions() -> bytes:
    """Nested components, of which each instantiates the next one 100 times. They have no core instances."""
    before = "(component $c0)"
    for level in range(1, 6):
        outer = f"(alias outer 1 $c{level - 1} (component $c{level - 1}))"
        before += f"(component $c{level} {outer} {f'(instance (instantiate $c{level - 1}))' * 100})"
    return _plugin("", before=f"{before} (instance (instantiate $c5))")


def bomb_nested_blocks() -> bytes:
    return _body(b"\x02\x40" * 100_000 + b"\x0b" * 100_000)


def bomb_ifs() -> bytes:
    return _body(b"\x41\0\x04\x40\x05\x0b" * 150_000)


def bomb_br_table() -> bytes:
    return _body(b"\x41\0\x0e" + number(1_000_000) + bytes(1_000_000) + b"\0")


def _body(instructions: bytes) -> bytes:
    """A plugin with a function of these instructions, in a module that is compiled and not instantiated."""
    module = _functions([b"\0" + instructions + b"\x0b"])
    return _plugin("") + section(_CORE_MODULE, module)


def bomb_calls() -> bytes:
    call = "(call $f (call $f (i32.const 1) (i32.const 2)) (call $f (i32.const 3) (i32.const 4)))"
    return _plugin(f"(drop {call})" * 40_000, "(func $f (param i32 i32) (result i32) (local.get 0))")


def bomb_huge_type() -> bytes:
    doubled = "".join(f"(type $t{i} (tuple $t{i - 1} $t{i - 1}))" for i in range(1, 19))
    types = f"(type $t0 u8) {doubled}"
    before = f"""
        (component $inner
          {types}
          (core module $main
            (memory (export "memory") 5)
            (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 8))
            (func (export "take") (param i32)))
          (core instance $main (instantiate $main))
          (func (export "take") (param "all" $t18) (canon lift (core func $main "take")
            (memory (core memory $main "memory")) (realloc (core func $main "realloc")))))
        (instance $inner (instantiate $inner))
        (core module $libc (memory (export "memory") 5))
        (core instance $libc (instantiate $libc))
        (core func $take (canon lower (func $inner "take") (memory (core memory $libc "memory"))))
        (core module $caller (import "inner" "take" (func (param i32))))
        (core instance (instantiate $caller (with "inner" (instance (export "take" (func $take))))))"""
    return _plugin("", before=before)


def bomb_data() -> bytes:
    return _plugin("", f'(data (i32.const 0) "{"a" * 31_000_000}")')
