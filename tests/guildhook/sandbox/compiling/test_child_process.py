import os

import pytest

import wat
from guildhook.errors import InfrastructureError, InvalidPluginError
from guildhook.sandbox.compiling.child_process import CompileLimits, compile_in_child

MIB = 1024 * 1024


def test_the_child_process_compiles_the_same_artifact_as_this_one(engine):
    assert compile_in_child(wat.SILENT, CompileLimits()) == engine.compile_here(wat.SILENT)


def test_a_plugin_that_does_not_compile_is_refused_with_the_childs_reason():
    wasm = wat.plugin(wat.on_message("(drop (i32.const 77))")).replace(b"\x41\xcd\x00", b"\x01\x01\x01")
    with pytest.raises(InvalidPluginError, match="it does not compile"):
        compile_in_child(wasm, CompileLimits())


def test_a_compile_that_takes_too_long_is_ended():
    with pytest.raises(InvalidPluginError, match=r"takes longer than the limit of 0\.01 s"):
        compile_in_child(wat.SILENT, CompileLimits(timeout_seconds=0.01))


def test_a_compile_that_grows_too_large_is_ended():
    # Every local costs the compiler memory, and a few bytes declare thousands of them.
    bomb = wat.plugin(wat.on_message("", f"(func (local {'v128 ' * 4_000}))" * 80))
    assert len(bomb) < 5_000
    with pytest.raises(InvalidPluginError, match="the limit of 157286400 bytes of memory"):
        compile_in_child(bomb, CompileLimits(memory_bytes=150 * MIB))


def test_an_artifact_that_is_too_large_is_refused():
    # The memory's image includes the bytes between the two segments.
    sparse = '(core module (memory 100) (data (i32.const 0) "a") (data (i32.const 6_000_000) "a"))'
    with pytest.raises(InvalidPluginError, match=r"its native code has \d+ bytes; the limit is 5000000"):
        compile_in_child(wat.plugin(wat.on_message(""), lowered=sparse), CompileLimits(artifact_bytes=5_000_000))


def test_the_child_sees_nothing_of_the_environment(monkeypatch):
    # Python fails to start with this variable, so a child that inherited it would fail.
    monkeypatch.setenv("PYTHONHOME", "/nowhere")
    assert compile_in_child(wat.SILENT, CompileLimits())


def test_a_child_that_cannot_start_is_a_fault_of_the_infrastructure(monkeypatch):
    monkeypatch.setattr("sys.executable", "/no/such/python")
    with pytest.raises(InfrastructureError, match=f"cannot start the compile process: {os.strerror(2)}"):
        compile_in_child(wat.SILENT, CompileLimits())


def test_a_child_without_its_code_is_a_fault_of_the_infrastructure(monkeypatch):
    monkeypatch.setattr("sys.path", [])
    monkeypatch.setattr("sys.executable", "/usr/bin/false")
    with pytest.raises(InfrastructureError, match="ended with status 1"):
        compile_in_child(wat.SILENT, CompileLimits())
