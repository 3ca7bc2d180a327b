import pytest
from wasmtime import wat2wasm

from guildhook.model import MemoryType
from guildhook.sandbox.binary.core_module import MODULE_HEADER, CoreModule, read_core_module
from guildhook.sandbox.binary.reading import Reader, RefusedBinaryError
from guildhook.sandbox.binary.tally import Tally
from wasm import number, section

HUGE = number(2**32 - 1)


def read(module: str | bytes) -> CoreModule:
    """Read a core module; `module` is its contents, as text or as a binary."""
    wasm = bytes(wat2wasm(f"(module {module})")) if isinstance(module, str) else MODULE_HEADER + module
    return read_core_module(Reader(wasm, 0, len(wasm)), Tally())


def test_memories_and_tables_are_those_of_the_module_itself():
    module = read(
        """(import "other" "memory" (memory 7)) (import "other" "table" (table 7 funcref)) (import "other" "f" (func))
           (memory 1) (memory 2 3) (table 4 funcref) (table 5 6 externref)
           (func (local i32 i32 f64)) (func (local externref)) (start 0)
           (global i32 (i32.const 1)) (elem func 0) (data "d") (export "e" (func 1))"""
    )
    assert module.memories == [MemoryType(1, None), MemoryType(2, 3)]
    assert module.tables == [4, 5]
    assert (module.functions, module.imports) == (2, 3)


def test_an_empty_module_has_nothing():
    assert read("") == CoreModule()


@pytest.mark.parametrize(
    ("module", "reason"),
    [
        ("(func)" * 60_001, "at least 60001 functions; the limit is 60000"),
        (f"(func) (func (local {'v128 ' * 5_001}))", "function 1 .* has at least 5001 locals; the limit is 5000"),
        (f"(func (local {'v128 ' * 5_000}))" * 71, "at least 355000 locals; the limit is 350000"),
        ("(type (func))" * 10_001, "at least 10001 types of core modules; the limit is 10000"),
        (f"(type (func (param {'i32 ' * 1_000})))" * 200, "bytes of types; the limit is 200000"),
        ('(import "" "" (func))' * 20_001, "at least 20001 imports of core modules; the limit is 20000"),
        ("(table 0 funcref)" * 1_001, "at least 1001 tables; the limit is 1000"),
        ("(memory 0)" * 1_001, "at least 1001 memories; the limit is 1000"),
        ("(global i32 (i32.const 0))" * 10_001, "at least 10001 globals; the limit is 10000"),
        ("(elem func)" * 10_001, "at least 10001 element segments; the limit is 10000"),
        ('(data "")' * 50_001, "at least 50001 data segments; the limit is 50000"),
        ('(func (export ""))' * 20_001, "at least 20001 exports of core modules; the limit is 20000"),
        (f"(func ${'n' * 16_001})", "the name of function 0 has 16001 bytes; the limit is 16000"),
        (f"${'n' * 1_001}", "it has a name of 1001 bytes; the limit is 1000"),
        ("(table i64 1 funcref)", "it has a table that is shared or 64-bit"),
        ("(type $t (func)) (table 1 (ref null $t))", "neither functions nor external references"),
        ("(type $t (func)) (func (local (ref null $t)))", "function 0 .* has a local whose type is not supported"),
        ("(tag)", "it has a core module with section 13, which is not supported"),
    ],
)
def test_input_over_the_compilers_limits_is_refused(module, reason):
    with pytest.raises(RefusedBinaryError, match=reason):
        read(module)


@pytest.mark.parametrize(
    ("module", "reason"),
    [
        (section(3, HUGE), "at least 4294967295 functions"),
        (section(3, b"\1\0") + section(10, b"\1\7\1" + HUGE + b"\x7f"), "at least 4294967295 locals"),
        (section(0, b"\4name" + section(1, HUGE)), "at least 4294967295 names of functions"),
        (section(0, b"\4name" + section(1, b"\1\0" + HUGE)), "the name of function 0 has 4294967295 bytes"),
        # Declarations of no locals.
        (section(3, b"\1\0") + section(10, b"\1" + number(10_007) + number(5_001) + b"\0\x7f" * 5_001), "5001 locals"),
        (section(3, b"\0") + section(10, b"\1"), "with 0 functions, but with code for 1"),
        (section(10, b"\1") + section(3, b"\1\0"), "with 0 functions, but with code for 1"),
        (section(3, b"\1\0") + section(10, b"\1\5\0"), "cut off"),
        (section(4, b"\1\x70\4\0"), "it has a table that is shared or 64-bit"),
        (section(0, b""), "cut off"),
        (section(0, b"\4name\1"), "cut off"),
        (section(0, b"\0") * 10_001, "at least 10001 sections"),
        (section(0, b"\4name" + section(5, b"") * 10_001), "at least 10001 sections"),
    ],
)
def test_counts_and_sizes_in_the_file_are_checked(module, reason):
    with pytest.raises(RefusedBinaryError, match=reason):
        read(module)


def test_debug_names_are_bounded_and_sections_that_the_compiler_ignores_are_not():
    read(section(0, b"\x0b.debug_info" + bytes(6_000_001)))
    with pytest.raises(RefusedBinaryError, match="at least 6000001 bytes of debug names; the limit is 6000000"):
        read(section(0, b"\4name" + bytes(6_000_001)))
