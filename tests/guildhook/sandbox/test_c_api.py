import ctypes
import subprocess
import sys
from typing import Any

import pytest
from wasmtime import WasmtimeError, _bindings
from wasmtime import _ffi as ffi
from wasmtime.component import Component, Linker

from guildhook.sandbox import c_api
from guildhook.sandbox.c_api import Err, Ok, Option, Store, address

# Calls a host function of any type with the text at 16, and exports `call`.
CALLER = """
(component
  (import "f" (func $f {type}))
  (core module $libc (memory (export "memory") 1)
    (data (i32.const 16) "{data}")
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024)))
  (core instance $libc (instantiate $libc))
  (core func $f (canon lower (func $f) (memory (core memory $libc "memory")) (realloc (core func $libc "realloc"))))
  (core module $main
    (import "libc" "memory" (memory 0))
    (import "host" "f" (func $f {core}))
    (func (export "call") (param i32 i32) {call}))
  (core instance $main (instantiate $main
    (with "libc" (instance $libc)) (with "host" (instance (export "f" (func $f))))))
  (func (export "call") (param "text" string) (canon lift (core func $main "call")
    (memory (core memory $libc "memory")) (realloc (core func $libc "realloc")))))
"""


LIMITS = {"memory_bytes": 2**20, "memories": 1, "tables": 10, "table_elements": 1_000, "instances": 10, "ticks": 10_000}


def guest_call(engine, linker, wat, text="", fuel=100_000, **limits):
    with Component(engine.wasmtime, wat) as component, Store(address(engine.wasmtime)) as store:
        store.set_fuel(fuel)
        store.limit(**{**LIMITS, **limits})
        export = component.get_export_index("call")
        store.instantiate(address(linker), address(component), address(export))(text.encode())


@pytest.fixture
def call(engine):
    """Lets a guest call `function`, and returns the exceptions that it raised."""

    def call(function, type_, core, code, data="", text=""):
        failures, linker = [], Linker(engine.wasmtime)
        with linker.root() as root:
            keep = c_api.define(root, "f", function, failures.append)
        wat = CALLER.format(type=type_, core=core, call=code, data=data)
        try:
            guest_call(engine, linker, wat, text)
        finally:
            del keep
        return failures

    return call


TEXT_IN = {"type_": '(param "t" string)', "core": "(param i32 i32)"}


def test_a_text_is_read_from_its_beginning_and_cut_between_characters(call):
    read = []

    def function(arguments):
        (text,) = arguments
        read.extend([text.size, text.read(100), text.read(3), text.read(0)])

    given = "aäb\N{PILE OF POO}"
    call(function, **TEXT_IN, code="(call $f (local.get 0) (local.get 1))", text=given)
    assert read == [8, given, "aä", ""]


def test_flags_are_booleans(call):
    read = []
    call(read.extend, '(param "x" bool) (param "y" bool)', "(param i32 i32)", "(call $f (i32.const 1) (i32.const 0))")
    assert read == [True, False]


@pytest.mark.parametrize(
    ("answer", "type_", "stored"),
    [
        ("pong", "(result string)", [4]),
        ("\ud83d", "(result string)", [1]),
        (Ok("yes"), "(result (result string (error string)))", [0, None, 3]),
        (Err("no"), "(result (result string (error string)))", [1, None, 2]),
        (Ok(), "(result (result (error string)))", [0]),
        (Err("no"), "(result (result (error string)))", [1, None, 2]),
        (Option("maybe"), "(result (option string))", [1, None, 5]),
        (Option(""), "(result (option string))", [1, None, 0]),
        (Option("\ud83d"), "(result (option string))", [1, None, 1]),
        (Option(None), "(result (option string))", [0]),
    ],
)
def test_answers_arrive_in_the_guest(call, answer, type_, stored):
    # The guest compares the words at 64, but for addresses of texts. A result that is only a text begins with one.
    offset = 4 if isinstance(answer, str) else 0
    checks = "".join(
        f"(if (i32.ne (i32.load (i32.const {64 + offset + 4 * i})) (i32.const {word})) (then unreachable))"
        for i, word in enumerate(stored)
        if word is not None
    )
    assert call(lambda _: answer, type_, "(param i32)", f"(call $f (i32.const 64)) {checks}") == []


def test_a_number_arrives_in_the_guest(call):
    code = "(if (i64.ne (call $f) (i64.const 0xFFFFFFFFFFFFFFFF)) (then unreachable))"
    assert call(lambda _: 2**64 - 1, "(result u64)", "(result i64)", code) == []


@pytest.mark.parametrize(
    ("type_", "answers"),
    [
        ("string", [None, 7, Ok("x"), Ok(), Option("x"), Option(None)]),
        ("(result string (error string))", ["x", Ok(), Option("x"), Option(None)]),
        ("(result (error string))", ["x", Ok("x"), Option("x"), Option(None)]),
        ("(option string)", ["x", Ok("x"), Ok(), Err("x")]),
    ],
)
def test_an_answer_of_another_type_ends_the_guest(call, type_, answers):
    for answer in answers:
        with pytest.raises(WasmtimeError):
            call(lambda _, answer=answer: answer, f"(result {type_})", "(param i32)", "(call $f (i32.const 64))")


def test_an_answer_where_none_is_expected_ends_the_guest(call):
    with pytest.raises(WasmtimeError):
        call(lambda _: "text", **TEXT_IN, code="(call $f (local.get 0) (local.get 1))")


def test_an_argument_that_no_host_function_takes_ends_the_guest(call):
    seen = []
    with pytest.raises(WasmtimeError):
        call(seen.append, '(param "x" u32)', "(param i32)", "(call $f (i32.const 1))")
    assert seen == []


@pytest.mark.parametrize("error", [ValueError("x"), MemoryError(), KeyboardInterrupt(), SystemExit(1), GeneratorExit()])
def test_any_exception_of_a_host_function_is_handed_over_and_ends_the_guest(engine, error):
    def function(_arguments):
        raise error

    failures, linker = [], Linker(engine.wasmtime)
    with linker.root() as root:
        keep = c_api.define(root, "f", function, failures.append)
    with pytest.raises(WasmtimeError):
        guest_call(engine, linker, CALLER.format(type="", core="", call="(call $f)", data=""))
    assert failures == [error]
    del keep


def test_a_text_without_characters_is_empty(call):
    read = []

    def function(arguments):
        read.append(arguments[0].read(10))

    call(function, **TEXT_IN, code="(call $f (i32.const 0) (i32.const 0))")
    assert read == [""]


PLAIN = """
(component
  (core module $main (memory (export "memory") {pages})
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 8))
    (func (export "call") (param i32 i32) {call}))
  (core instance $main (instantiate $main))
  (func (export "{name}") (param "text" string) (canon lift (core func $main "call")
    (memory (core memory $main "memory")) (realloc (core func $main "realloc")))))
"""


def test_fuel_is_the_given_amount_less_the_used_amount(engine):
    with Store(address(engine.wasmtime)) as store:
        store.set_fuel(2**63 - 1)
        assert store.get_fuel() == 2**63 - 1
    with pytest.raises(WasmtimeError, match="all fuel consumed"):
        guest_call(engine, Linker(engine.wasmtime), PLAIN.format(pages=1, call="(loop (br 0))", name="call"))


def test_the_epoch_ends_a_call_that_takes_too_long(engine):
    forever = PLAIN.format(pages=1, call="(loop (br 0))", name="call")
    with pytest.raises(WasmtimeError, match="interrupt"):
        guest_call(engine, Linker(engine.wasmtime), forever, fuel=2**63 - 1, ticks=1)


@pytest.mark.parametrize(
    ("limits", "reason"),
    [({"memory_bytes": 65_536}, "exceeds memory limits"), ({"memories": 0}, "memory"), ({"instances": 0}, "instance")],
)
def test_a_store_has_limits(engine, limits, reason):
    with pytest.raises(WasmtimeError, match=reason):
        guest_call(engine, Linker(engine.wasmtime), PLAIN.format(pages=2, call="", name="call"), **limits)


# c_api.py reads and writes these layouts word by word. They must agree with the declarations of wasmtime.


def test_values_lie_as_declared():
    value = ffi.wasmtime_component_val_t
    # These are annotated with the fields of their objects, and not with their own.
    union: Any = ffi.wasmtime_component_valunion_t
    result: Any = ffi.wasmtime_component_valresult_t
    name: Any = ffi.wasm_name_t
    assert ctypes.sizeof(value) == 8 * c_api.VALUE_WORDS
    assert (value.kind.offset, value.kind.size, value.of.offset) == (0, 1, 8)
    assert (union.boolean.offset, union.boolean.size) == (0, 1)
    assert (union.u64.offset, union.u64.size) == (0, 8)
    assert union.string.offset == union.result.offset == union.option.offset == 0
    assert union.option.size == 8
    assert (name.size.offset, name.data.offset) == (0, 8)
    assert ctypes.sizeof(name) == 16
    assert (result.is_ok.offset, result.is_ok.size, result.val.offset) == (0, 1, 8)


def test_kinds_have_the_numbers_declared():
    assert [
        kind.value
        for kind in (
            ffi.WASMTIME_COMPONENT_BOOL,
            ffi.WASMTIME_COMPONENT_U64,
            ffi.WASMTIME_COMPONENT_STRING,
            ffi.WASMTIME_COMPONENT_OPTION,
            ffi.WASMTIME_COMPONENT_RESULT,
        )
    ] == [c_api.BOOL, c_api.U64, c_api.STRING, c_api.OPTION, c_api.RESULT]


def test_instances_and_functions_have_the_sizes_declared():
    assert ctypes.sizeof(ffi.wasmtime_component_instance_t) == 8 * c_api.INSTANCE_WORDS
    assert ctypes.sizeof(ffi.wasmtime_component_func_t) == 8 * c_api.FUNCTION_WORDS


@pytest.mark.parametrize(
    "name",
    [
        "wasmtime_store_new", "wasmtime_store_context", "wasmtime_store_limiter", "wasmtime_store_delete",
        "wasmtime_context_set_fuel", "wasmtime_context_get_fuel", "wasmtime_context_set_epoch_deadline",
        "wasm_byte_vec_new", "wasmtime_component_val_new", "wasmtime_error_new",
        "wasmtime_component_linker_instance_add_func", "wasmtime_component_instance_get_func",
        "wasmtime_component_linker_instantiate", "wasmtime_component_func_call",
    ],
)  # fmt: skip
def test_functions_have_the_declared_signatures(name):
    """The number and the widths of the arguments agree. Signs and targets of pointers are not compared."""
    (ours,) = (function for function in vars(c_api).values() if getattr(function, "__name__", "") == name)
    declared = getattr(_bindings, f"_{name}")
    assert [ctypes.sizeof(kind) for kind in ours.argtypes] == [ctypes.sizeof(kind) for kind in declared.argtypes]
    assert (ours.restype and ctypes.sizeof(ours.restype)) == (declared.restype and ctypes.sizeof(declared.restype))


# These tests show faults of the public bindings. One that fails after an update shows that its fault is repaired.

BINDINGS = """
from wasmtime import Engine, Store, WasmtimeError
from wasmtime.component import Component, Linker

def instantiate(engine, start, error):
    with Store(engine) as store:
        component = Component(engine, f'''(component
          (import "f" (func $f (param "x" string)))
          (core module $libc (memory (export "memory") 1)) (core instance $libc (instantiate $libc))
          (core func $f (canon lower (func $f) (memory (core memory $libc "memory"))))
          (core module $m (import "" "f" (func $f (param i32 i32))) (func $start {start}) (start $start)
            (func (export "trap") unreachable))
          (core instance $i (instantiate $m (with "" (instance (export "f" (func $f))))))
          (func (export "trap") (canon lift (core func $i "trap"))))''')
        def function(_store, _text):
            raise error
        linker = Linker(engine)
        with linker.root() as root:
            root.add_func("f", function)
        instance = linker.instantiate(store, component)
        instance.get_func(store, "trap")(store)

engine = Engine()
CALLS = "(call $f (i32.const 0) (i32.const 0))"
"""


def in_a_process(program: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", BINDINGS + program], capture_output=True, text=True, check=False)


def test_the_bindings_raise_an_exception_of_one_guest_from_another():
    program = """
for start, error in (CALLS, ValueError("of the first")), ("nop", ValueError("of the second")):
    try:
        instantiate(engine, start, error)
    except Exception as raised:
        print(type(raised).__name__, "of the first" in str(raised))
"""
    assert in_a_process(program).stdout.split("\n")[:2] == ["WasmtimeError False", "ValueError True"]


def test_the_bindings_let_an_interrupt_end_the_process():
    ended = in_a_process("instantiate(engine, CALLS, KeyboardInterrupt())")
    assert ended.returncode < 0
    assert "KeyboardInterrupt" in ended.stderr
