from random import Random

import pytest
from wasmtime import wat2wasm

import wat
from guildhook.model import MemoryType, Permission
from guildhook.sandbox import MAX_WASM_BYTES, inspect

HEADER = b"\0asm\x0d\0\x01\0"


def test_a_plugin_is_accepted_with_what_it_needs():
    inspection = inspect(wat.SILENT)
    assert inspection.accepted
    assert inspection.imports == ("guildhook:plugin/host-api@1.0.0",)
    assert inspection.exports == ("on-message",)
    assert inspection.needs == {Permission.SEND_MESSAGES}
    assert inspection.memories == (MemoryType(2, None),)
    assert inspection.wasm_bytes == len(wat.SILENT)


def test_a_plugin_that_cannot_send_needs_no_permission():
    module = '(core module $m (memory (export "m") 1 2)) (core instance (instantiate $m))'
    wasm = wat2wasm(f"(component {module} {module.replace('$m', '$n')})")
    assert inspect(bytes(wasm)).needs == frozenset()
    assert inspect(bytes(wasm)).memories == (MemoryType(1, 2),) * 2


@pytest.mark.parametrize(
    ("wasm", "reason"),
    [
        (b"", "the file is empty"),
        (b"(component)", "WebAssembly text"),
        (b"\n  (module)", "WebAssembly text"),
        (b"\0asm\x01\0\0\0", "core module"),
        (b"\x7fELF\x02\x01\x01", "precompiled file"),
        (b"\x89PNG\r\n\x1a\n", "not a WebAssembly component"),
        (b"\0asm\x0e\0\x01\0", "not a WebAssembly component"),
        (HEADER, "exports no function 'on-message'"),
        (HEADER + b"\x01", "cut off"),
        (HEADER + b"\x01\xff\xff\xff\xff\xff", "does not fit 32 bits"),
        (HEADER + b"\x01\xff\xff\xff\xff\x0f", "4294967295 bytes should follow"),
        (HEADER + b"\x63\x00", "section 99"),
        (HEADER + b"\x02\x06\xff\xff\xff\xff\x0f\x00", "more than 100000 imports"),
        (bytes(MAX_WASM_BYTES + 1), "the limit is 33554432"),
    ],
)
def test_what_is_no_plugin_is_refused_with_a_reason(wasm, reason):
    inspection = inspect(wasm)
    assert not inspection.accepted
    assert reason in inspection.reasons[0]


def test_a_foreign_import_is_refused_by_name():
    wasm = wat2wasm('(component (import "wasi:http/types@0.2.0" (instance)))')
    reasons = inspect(bytes(wasm)).reasons
    assert "'wasi:http/types@0.2.0'" in reasons[0]


def test_more_exports_than_the_contract_has_do_no_harm():
    # As componentize-py ("exports") and componentize-qjs ("init") have them.
    more = '(instance $empty) (export "exports" (instance $empty))'
    wasm = wat.plugin(wat.on_message(""), lowered=more)
    assert inspect(wasm).accepted
    assert inspect(wasm).exports == ("exports", "on-message")


def test_memories_of_nested_components_multiply():
    inner = "(component $inner (core module $m (memory 3 5)) (core instance (instantiate $m)))"
    wasm = wat2wasm(f"(component {inner} (instance (instantiate $inner)) (instance (instantiate $inner)))")
    assert inspect(bytes(wasm)).memories == (MemoryType(3, 5),) * 2


def test_a_module_of_an_enclosing_component_is_counted():
    wasm = wat2wasm(
        """(component (core module $m (memory 3 5))
             (component $inner (alias outer 1 $m (core module $n)) (core instance (instantiate $n)))
             (instance (instantiate $inner)))"""
    )
    assert inspect(bytes(wasm)).memories == (MemoryType(3, 5),)


@pytest.mark.parametrize(
    ("component", "reason"),
    [
        ('(import "m" (core module $m))', "imports a module"),
        ('(core module $m) (export "m" (core module $m))', "exports a module"),
        (
            """(component $inner (import "m" (core module)))
               (core module $m) (instance (instantiate $inner (with "m" (core module $m))))""",
            "imports a module",
        ),
        ("(core module $m (memory i64 1))", "64-bit"),
        ("(core module $m (memory 1 1 shared))", "shared"),
        (
            "(core module $m (memory 1)) " + "(core instance (instantiate $m))" * 65,
            "more than 64 memories",
        ),
        ("(component " * 9 + ")" * 9, "nested more than 8 deep"),
    ],
)
def test_what_could_hide_a_memory_is_refused(component, reason):
    assert reason in inspect(bytes(wat2wasm(f"(component {component})"))).reasons[0]


def test_damaged_binaries_are_judged_and_never_crash():
    random = Random(1)
    for _ in range(2_000):
        damaged = bytearray(wat.SILENT)
        for _ in range(random.randint(1, 8)):
            damaged[random.randrange(8, len(damaged))] = random.randrange(256)
        del damaged[random.randrange(8, len(damaged)) :]
        assert isinstance(inspect(bytes(damaged)).reasons, tuple)
