import pytest
from wasmtime.component import U64, Bool, Component, ComponentInstanceType, FuncType, OptionType, ResultType, String

import wat
from guildhook.model import MemoryType, Outcome
from guildhook.sandbox import inspect
from guildhook.sandbox.binary.component import read_component
from guildhook.sandbox.compiling import wrapper
from guildhook.sandbox.compiling.wrapper import (
    HOST,
    available,
    linked,
    needs_wasi,
    track,
    wasi_memories,
    wrap,
    wrapper_digest,
)


def test_the_host_functions_of_a_wrapped_plugin_take_texts_numbers_and_flags_alone(engine):
    # wasmtime would pass a list element by element, with 40 bytes for each.
    component = Component(engine.wasmtime, wrap(wat.SILENT, read_component(wat.SILENT)))
    ((name, host),) = component.type.imports(engine.wasmtime).items()
    assert name == HOST
    assert isinstance(host.ty, ComponentInstanceType)
    functions = [item.ty for item in host.ty.exports(engine.wasmtime).values()]
    assert len(functions) == 12
    for function in functions:
        assert isinstance(function, FuncType)
        assert all(isinstance(kind, String | Bool) for _, kind in function.params)
        assert function.result is None or isinstance(function.result, String | U64 | ResultType | OptionType)
    assert list(component.type.exports(engine.wasmtime)) == ["on-message"]


@pytest.mark.parametrize("version", ["1.0.0", "1.0.7", "1.1.0", "1.2.0", "1.9.0"])
def test_a_plugin_for_any_minor_version_runs(run, version):
    result = run(wat.logs("hello").replace(b"host-api@1.0.0", f"host-api@{version}".encode()))
    assert (result.outcome, result.logs) == (Outcome.OK, ("hello",))


def test_versions_agree_up_to_the_part_that_may_differ():
    assert track("guildhook:plugin/host-api@1.2.3") == "guildhook:plugin/host-api@1"
    assert track("wasi:io/poll@0.2.11") == "wasi:io/poll@0.2"
    assert track("wasi:io/poll@0.3.0") == "wasi:io/poll@0.3"
    assert track("wasi:io/poll@0.2.0-rc1") == "wasi:io/poll@0.2.0-rc1"


def test_files_and_sockets_are_linked_and_not_available():
    for interface in ("wasi:filesystem/types@0.2.3", "wasi:sockets/udp@0.2.0"):
        assert linked(interface)
        assert not available(interface)


def test_wasi_comes_along_only_where_it_is_imported(engine):
    assert not needs_wasi(["guildhook:plugin/host-api@1.0.0"])
    assert len(wrap(wat.SILENT, read_component(wat.SILENT))) < len(wat.SILENT) + 1_000
    assert inspect(wat.SILENT).memories == (MemoryType(2, None),)


def test_the_memory_of_wasi_is_counted_and_cannot_grow():
    (memory,) = wasi_memories()
    assert memory.minimum == memory.maximum == 2


def test_plugins_for_1_0_1_1_and_1_2_run_side_by_side(run):
    with_settings = wat.plugin(
        wat.on_message(
            "(call $settings (i32.const 8)) (call $log (i32.load (i32.const 8)) (i32.load (i32.const 12)))",
            '(import "host" "settings" (func $settings (param i32)))',
        ),
        imports='(import "guildhook:plugin/settings@1.1.0" (instance $settings (export "get" (func (result string)))))',
        lowered="""(core func $settings (canon lower (func $settings "get")
            (memory (core memory $libc "memory")) (realloc (core func $libc "realloc"))))""",
        exported='(export "settings" (func $settings))',
    )
    given = {"settings": {"greeting": "grüß", "list": [1, None]}, "state": {"key": "value"}}
    for wasm, logged in (
        (wat.logs("old"), "old"),
        (with_settings, '{"greeting":"grüß","list":[1,null]}'),
        (wat.remembers(("get", "key")), "value"),
    ):
        result = run(wasm, **given)
        assert (result.outcome, result.logs, result.state) == (Outcome.OK, (logged,), None)


def test_a_plugin_that_names_one_interface_in_two_versions_gets_it_twice(run):
    wasm = wat.plugin(
        wat.on_message(""),
        imports="""(import "wasi:random/random@0.2.0" (instance (export "get-random-u64" (func (result u64)))))
            (import "wasi:random/random@0.2.5" (instance (export "get-random-u64" (func (result u64)))))""",
    )
    assert run(wasm).outcome is Outcome.OK


@pytest.mark.parametrize(
    ("part", "other"),
    [
        ("_BASE", wrapper._BASE.replace('"msg-json"', '"json"')),
        ("_OURS", {**wrapper._OURS, "guildhook:plugin/timers@1": 3}),
        ("_wasi", lambda: b"another WASI"),
        ("_without_names", lambda wasm, _name_sections: wasm),
    ],
)
def test_the_digest_changes_with_each_part_of_the_wrapper(part, other, monkeypatch):
    before = wrapper_digest()
    monkeypatch.setattr(wrapper, part, other)
    assert wrapper_digest() != before


def test_the_digest_does_not_depend_on_the_source_file(tmp_path, monkeypatch):
    before = wrapper_digest()
    monkeypatch.setattr(wrapper, "__file__", str(tmp_path / "elsewhere.py"))
    assert wrapper_digest() == before
