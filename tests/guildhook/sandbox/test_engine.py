import gc
import threading

import pytest
from wasmtime import WasmtimeError, wat2wasm

import wat
from guildhook.errors import InfrastructureError, InvalidPluginError, UnloadableArtifactError
from guildhook.model import MemoryType
from guildhook.sandbox import Engine
from guildhook.sandbox.engine import os_error
from resource_limits import little_memory


def test_compiling_gives_an_artifact_that_loads_and_the_memories(engine, tmp_path):
    compiled = engine.compile(wat.SILENT)
    (tmp_path / "artifact").write_bytes(compiled.artifact)
    module = engine.load(tmp_path / "artifact", compiled.memories)
    assert module.memories == (MemoryType(2, None),)


def test_the_fingerprint_names_version_and_target_and_is_stable(engine):
    assert engine.fingerprint.startswith("wasmtime-50.0.1-")
    assert engine.fingerprint == Engine().fingerprint


def test_a_plugin_that_inspection_refuses_is_not_compiled(engine):
    with pytest.raises(InvalidPluginError, match="core module"):
        engine.compile(b"\0asm\x01\0\0\0")


def test_code_that_does_not_validate_is_refused(engine):
    wasm = wat.plugin(wat.on_message("(drop (i32.const 77))"))
    constant, nops = b"\x41\xcd\x00", b"\x01\x01\x01"
    assert wasm.count(constant) == 1
    with pytest.raises(InvalidPluginError, match="does not compile"):
        engine.compile_here(wasm.replace(constant, nops))


@pytest.mark.parametrize(
    ("imports", "reason"),
    [
        ('(export "log" (func (param "msg" u32)))', "log.*expected primitive `u32` found primitive `string`"),
        ('(export "log" (func (param "msg" string) (result string)))', "log.*expected no result, found one"),
        ('(export "shout" (func (param "msg" string)))', "missing expected export `shout`"),
    ],
)
def test_an_import_of_another_type_is_refused(engine, imports, reason):
    wasm = wat2wasm(
        f"""(component (import "guildhook:plugin/host-api@1.0.0" (instance {imports}))
        (core module $m (func (export "on-message") (param i32 i32)) (memory (export "memory") 1)
          (func (export "realloc") (param i32 i32 i32 i32) (result i32) unreachable))
        (core instance $i (instantiate $m))
        (func (export "on-message") (param "msg-json" string) (canon lift (core func $i "on-message")
          (memory (core memory $i "memory")) (realloc (core func $i "realloc")))))"""
    )
    with pytest.raises(InvalidPluginError, match=reason):
        engine.compile_here(bytes(wasm))


def test_an_export_of_another_type_is_refused(engine):
    wasm = wat2wasm(
        """(component (core module $m (func (export "f")))
        (core instance $i (instantiate $m))
        (func (export "on-message") (canon lift (core func $i "f"))))"""
    )
    with pytest.raises(InvalidPluginError, match="expected 1 parameters, found 0"):
        engine.compile_here(bytes(wasm))


def test_an_export_that_is_no_function_is_refused(engine):
    wasm = wat2wasm('(component (instance $empty) (export "on-message" (instance $empty)))')
    with pytest.raises(InvalidPluginError, match=r"`on-message` .* is not a func"):
        engine.compile_here(bytes(wasm))


def test_more_exports_than_the_contract_has_compile(engine):
    more = '(instance $empty) (export "exports" (instance $empty))'
    assert engine.compile_here(wat.plugin(wat.on_message(""), lowered=more))


def test_a_file_that_is_no_whole_artifact_is_no_verdict_on_the_plugin(engine, tmp_path):
    path = tmp_path / "artifact"
    for content in (b"nothing of the kind", engine.compile_here(wat.SILENT)[:-1]):
        path.write_bytes(content)
        with pytest.raises(UnloadableArtifactError, match=f"the native code in {path} does not load: Invalid ELF"):
            engine.load(path, ())


def test_the_epoch_thread_ends_with_its_engine():
    others = set(threading.enumerate())
    engine = Engine()
    (thread,) = set(threading.enumerate()) - others
    del engine
    gc.collect()
    thread.join(timeout=10)
    assert not thread.is_alive()


def test_a_file_that_cannot_be_mapped_is_a_fault_of_the_infrastructure(tmp_path, engine):
    artifact = tmp_path / "artifact"
    # The memory's image makes the file larger than the room that is left.
    sparse = '(core module (memory 100) (data (i32.const 0) "a") (data (i32.const 6_000_000) "a"))'
    artifact.write_bytes(engine.compile_here(wat.plugin(wat.on_message(""), lowered=sparse)))
    with little_memory(3), pytest.raises(InfrastructureError, match=f"cannot map {artifact}: Cannot allocate memory"):
        engine.load(artifact, ())


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("failed to load\n\nCaused by:\n    0: mmap failed\n    1: Cannot allocate memory (os error 12)\n", 12),
        ("mmap failed\n\nCaused by:\n    Operation not permitted (os error 1)\n", 1),
        ("unknown import `Cannot allocate memory (os error 12)`", None),
        ("Cannot allocate memory (os error 12)\n\nCaused by:\n    wasm trap: unreachable", None),
        ("Out of cheese (os error 12)", None),
        ("Cannot allocate memory (os error 999999999)", None),
        ("", None),
    ],
)
def test_only_a_whole_innermost_cause_is_an_error_of_the_operating_system(text, number):
    fault = os_error(WasmtimeError(text))
    assert (fault and fault.errno) == number
