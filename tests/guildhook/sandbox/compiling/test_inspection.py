import pytest
from hypothesis import given, settings, strategies
from wasmtime import wat2wasm

import wat
from guildhook.errors import InvalidPluginError
from guildhook.model import MemoryType, Outcome, Permission
from guildhook.plugin_settings import schema as settings_schema
from guildhook.sandbox import MAX_WASM_BYTES, inspect, with_settings_schema
from guildhook.sandbox.binary.component import MAX_SCHEMA_BYTES
from project import ROOT
from wasm import number, section

PING = ROOT / "plugins" / "ping" / "ping.wasm"
HEADER = b"\0asm\x0d\0\x01\0"
MODULE_HEADER = b"\0asm\x01\0\0\0"


def test_a_plugin_is_accepted_with_its_needs():
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
        (HEADER + b"\x01\xff\xff\xff\xff\xff", "does not fit into 32 bits"),
        (HEADER + b"\x01\xff\xff\xff\xff\x0f", "4294967295 bytes should follow"),
        (HEADER + b"\x63\x00", "section 99"),
        (HEADER + b"\x02\x06\xff\xff\xff\xff\x0f\x00", "at least 4294967295 imports, exports, aliases"),
        (bytes(MAX_WASM_BYTES + 1), "the limit is 33554432"),
    ],
)
def test_a_file_that_is_no_plugin_is_refused_with_a_reason(wasm, reason):
    inspection = inspect(wasm)
    assert not inspection.accepted
    assert reason in inspection.reasons[0]


def test_a_foreign_import_is_refused_by_name():
    wasm = wat2wasm('(component (import "wasi:http/types@0.2.0" (instance)))')
    reasons = inspect(bytes(wasm)).reasons
    assert "'wasi:http/types@0.2.0'" in reasons[0]


def test_more_exports_than_the_contract_has_do_no_harm():
    # componentize-py ("exports") and componentize-qjs ("init") have such exports.
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
            "at least 65 memories; the limit is 64",
        ),
        ("(component " * 9 + ")" * 9, "nested at least 9 deep; the limit is 8"),
    ],
)
def test_a_component_that_could_hide_a_memory_is_refused(component, reason):
    assert reason in inspect(bytes(wat2wasm(f"(component {component})"))).reasons[0]


def test_code_that_is_small_to_send_and_large_to_compile_is_refused():
    # 80,000 functions in 320 kB, and 2,000 with 50,000 locals each in 16 kB.
    empty, many_locals = b"\x02\x00\x0b", b"\x06\x01\xd0\x86\x03\x7b\x0b"
    assert inspect(functions(80_000, empty)).reasons == ("it has at least 80000 functions; the limit is 60000",)
    assert "has at least 50000 locals; the limit is 5000" in inspect(functions(2_000, many_locals)).reasons[0]


def functions(count: int, body: bytes) -> bytes:
    types, declared = section(1, b"\x01\x60\x00\x00"), section(3, number(count) + bytes(count))
    code = section(10, number(count) + body * count)
    return HEADER + section(1, MODULE_HEADER + types + declared + code)


def test_a_name_in_a_reason_is_printable_and_not_too_long():
    tags = "\N{TAG SPACE}" * 200
    reason = inspect(bytes(wat2wasm(f'(component (import "\\1b[31m{tags}" (func)))'))).reasons[0]
    assert reason.startswith("it imports '\\x1b[31m\\U000e0020")
    assert "…', which plugins cannot use" in reason


@pytest.mark.parametrize(
    ("imports", "warned"),
    [
        ("", True),
        ('(import "wasi:random/insecure-seed@0.2.12" (instance))', True),
        ('(import "wasi:random/random@0.2.12" (instance))', False),
        ('(import "wasi:random/random@0.2.0" (instance))', False),
    ],
)
def test_a_snapshot_of_quickjs_without_another_source_of_random_numbers_is_warned_of(imports, warned):
    snapshot = '(core module $m (memory 1) (data (i32.const 0) "__cqjs"))'
    inspection = inspect(wat.plugin(wat.on_message(""), imports=imports, lowered=snapshot))
    assert inspection.accepted
    assert [("plugins/quickjs/build.mjs" in warning) for warning in inspection.warnings] == [True] * warned


@pytest.mark.parametrize("plugin", ["ping", "counter", "welcome"])
def test_other_plugins_have_no_warnings(plugin):
    assert inspect((ROOT / "plugins" / plugin / f"{plugin}.wasm").read_bytes()).warnings == ()


quickly = settings(max_examples=200, deadline=None, derandomize=True, database=None)


@quickly
@given(strategies.binary(max_size=200))
def test_any_bytes_are_judged(contents):
    check_verdict(HEADER + contents)


@quickly
@given(strategies.data())
def test_any_damage_is_judged(data):
    damaged = bytearray(PING.read_bytes())
    positions = strategies.integers(len(HEADER), len(damaged) - 1)
    for position, value in data.draw(strategies.lists(strategies.tuples(positions, strategies.integers(0, 255)))):
        damaged[position] = value
    check_verdict(bytes(damaged[: data.draw(positions)]) if data.draw(strategies.booleans()) else bytes(damaged))


def check_verdict(wasm: bytes) -> None:
    """Check that inspection ends with a verdict and without an exception, for any bytes."""
    inspection = inspect(wasm)
    assert inspection.accepted == (not inspection.reasons)
    assert len(inspection.reasons) <= 20
    assert all(reason.isprintable() and 0 < len(reason) < 3_000 for reason in inspection.reasons)


def test_memory_that_cannot_stay_within_the_cap_is_refused_where_a_cap_is_given():
    wasm = wat.plugin(wat.on_message(""), memory="257")
    assert inspect(wasm).accepted
    assert inspect(wasm, memory_bytes=257 * 65536).accepted
    (reason,) = inspect(wasm, memory_bytes=256 * 65536).reasons
    assert "start with 16842752 bytes" in reason
    assert "limit of 16777216 bytes" in reason


def test_the_memory_of_wasi_is_among_the_memories():
    random = '(import "wasi:random/random@0.2.0" (instance (export "get-random-u64" (func (result u64)))))'
    wasm = wat.plugin(wat.on_message(""), imports=random)
    assert inspect(wasm).memories == (MemoryType(2, None), MemoryType(2, 2))


def test_more_imports_than_there_can_be_are_refused_and_not_all_told():
    names = "".join(f'(import "wasi:random/random@0.2.{i}" (instance))' for i in range(150))
    inspection = inspect(wat.plugin(wat.on_message(""), imports=names))
    assert inspection.reasons == ("it imports 151 interfaces and functions; the limit is 100",)
    assert len(inspection.imports) == 100


def test_a_settings_schema_is_added_or_replaced(run):
    assert inspect(wat.SILENT).settings_schema is None
    first = with_settings_schema(wat.SILENT, b'{"type":"object"}')
    second = with_settings_schema(first, b"{}")
    assert first.startswith(wat.SILENT)
    assert inspect(first).settings_schema == b'{"type":"object"}'
    assert inspect(second).settings_schema == b"{}"
    assert (inspect(second).accepted, second) == (True, with_settings_schema(wat.SILENT, b"{}"))
    assert run(second).outcome is Outcome.OK


def test_inspection_does_not_read_the_settings_schema():
    said = b"\xff" * MAX_SCHEMA_BYTES
    assert inspect(with_settings_schema(wat.SILENT, said)).settings_schema == said


def test_a_settings_schema_that_is_too_large_or_there_twice_is_refused():
    long = with_settings_schema(wat.SILENT, bytes(MAX_SCHEMA_BYTES + 1))
    assert "has 65537 bytes; the limit is 65536" in inspect(long).reasons[0]
    once = with_settings_schema(wat.SILENT, b"{}")
    assert inspect(once + once[len(wat.SILENT) :]).reasons == (
        "it has the section guildhook:settings-schema twice; keep one",
    )
    assert inspect(once + once[len(wat.SILENT) :]).settings_schema is None


def test_the_limit_of_the_section_is_that_of_the_dialect():
    assert MAX_SCHEMA_BYTES == settings_schema.MAX_SCHEMA_BYTES


@pytest.mark.parametrize(
    ("wasm", "reason"),
    [(MODULE_HEADER, "core module"), (b"", "the file is empty"), (HEADER + b"\1\5", "cut off"), (b"{}", "not a WebAs")],
)
def test_a_file_that_is_no_component_gets_no_schema(wasm, reason):
    with pytest.raises(InvalidPluginError, match=reason):
        with_settings_schema(wasm, b"{}")
