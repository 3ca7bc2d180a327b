import os
import signal
import stat
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

import wat
from guildhook.errors import InfrastructureError, InvalidPluginError
from guildhook.model import RefusalKind
from guildhook.sandbox import Limits, inspect
from guildhook.sandbox.compiling import child_process
from guildhook.sandbox.compiling.child_process import CompileLimits, FirstStart, compile_in_child
from hostile import uploads
from hostile.pack import read_cases
from resource_limits import limited

MIB = 1024 * 1024
LIMITS = CompileLimits()
# Every local costs the compiler memory, and a few bytes declare thousands of them.
BOMB = wat.plugin(wat.on_message("", f"(func (local {'v128 ' * 4_000}))" * 80))


@pytest.fixture
def python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Let children be started by shell scripts, one for each; the last one starts all later ones.

    "$@" in a script continues as the real child. Returns the file that has a line for each child.
    """
    real = sys.executable

    def install(*scripts: str) -> Path:
        log, fake = tmp_path / "children", tmp_path / "python"
        cases = "\n".join(f"{number}) {script} ;;" for number, script in enumerate(scripts[:-1], start=1))
        begin = f'#!/bin/sh\necho >>{log}\nset -- {real} "$@"\n'
        fake.write_text(f"{begin}case $(wc -l <{log}) in\n{cases}\n*) {scripts[-1]} ;;\nesac\n")
        fake.chmod(fake.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setattr("sys.executable", str(fake))
        return log

    return install


def test_the_child_process_compiles_the_same_artifact_as_this_one(engine):
    assert compile_in_child(wat.SILENT, LIMITS) == engine.compile_here(wat.SILENT)


def test_a_plugin_that_does_not_compile_is_refused_with_the_childs_reason():
    wasm = wat.plugin(wat.on_message("(drop (i32.const 77))")).replace(b"\x41\xcd\x00", b"\x01\x01\x01")
    with pytest.raises(InvalidPluginError, match="it does not compile") as refused:
        compile_in_child(wasm, LIMITS)
    assert refused.value.kind is RefusalKind.PLUGIN


def test_a_compile_that_uses_up_its_cpu_time_is_refused():
    with pytest.raises(InvalidPluginError, match="takes more CPU time than the limit of 1 s") as refused:
        compile_in_child(uploads.bomb_ifs(), replace(LIMITS, cpu_seconds=1))
    assert refused.value.kind is RefusalKind.CPU_SECONDS


def test_a_compile_that_is_slow_by_the_clock_is_not_refused():
    with pytest.raises(InfrastructureError, match=r"did not end within 0\.01 s, since the machine is busy"):
        compile_in_child(wat.SILENT, replace(LIMITS, timeout_seconds=0.01))


def test_a_compile_that_grows_too_large_twice_is_refused(python):
    children = python('exec "$@"')
    assert len(BOMB) < 5_000
    with pytest.raises(InvalidPluginError, match="the limit of 157286400 bytes of memory") as refused:
        compile_in_child(BOMB, replace(LIMITS, memory_bytes=150 * MIB))
    assert refused.value.kind in (RefusalKind.MEMORY, RefusalKind.CRASH)
    assert children.read_text() == "\n\n"


def test_an_artifact_that_is_too_large_is_refused():
    # The memory's image includes the bytes between the two segments.
    sparse = '(core module (memory 100) (data (i32.const 0) "a") (data (i32.const 6_000_000) "a"))'
    wasm = wat.plugin(wat.on_message(""), lowered=sparse)
    for limits, most in [
        (LIMITS, 2 * MIB + 8 * len(wasm)),
        (replace(LIMITS, artifact_factor=10_000_000, artifact_bytes=5_000_000), 5_000_000),
    ]:
        reason = (
            rf"its native code has \d+ bytes; the limit for an upload of {len(wasm)} bytes is {most}; make it smaller"
        )
        with pytest.raises(InvalidPluginError, match=reason):
            compile_in_child(wasm, limits)
    compile_in_child(wasm, replace(LIMITS, artifact_factor=10_000_000))


def test_a_first_start_is_measured_in_cpu_time():
    slow = next(case.wasm for case in read_cases() if case.name == "loop-in-start")
    start = FirstStart(Limits(fuel=10**15, deadline_ms=50), inspect(slow).memories)
    with pytest.raises(InvalidPluginError, match=r"it does not start: deadline: it used \d+ ms of CPU time") as refused:
        compile_in_child(slow, LIMITS, start)
    assert refused.value.kind is RefusalKind.CPU_SECONDS


COMPILING = "printf compiling"
"""The output of a child that has begun to compile."""


@pytest.mark.parametrize("number", [signal.SIGABRT, signal.SIGSEGV, signal.SIGILL])
def test_a_compiler_that_crashes_twice_refuses_the_plugin(python, number):
    children = python(f"{COMPILING}; kill -{number:d} $$")
    with pytest.raises(InvalidPluginError, match=f"crashed the compiler with {signal.Signals(number).name}") as refused:
        compile_in_child(wat.SILENT, LIMITS)
    assert refused.value.kind is RefusalKind.CRASH
    assert children.read_text() == "\n\n"


@pytest.mark.parametrize("death", ["kill -ABRT $$", "kill -SEGV $$", "exit 127"])
def test_a_compiler_that_crashes_once_is_forgiven(python, death):
    python(f"{COMPILING}; {death}", 'exec "$@"')
    assert compile_in_child(wat.SILENT, LIMITS)


@pytest.mark.parametrize(
    "death",
    [
        "kill -KILL $$",
        "kill -BUS $$",
        "kill -TERM $$",
        "kill -XCPU $$",  # it has used no CPU time
        "kill -37 $$",  # a signal without a name
        "exit 3",  # the status of a report, without a report
        "exit 42",
    ],
)
def test_no_other_ending_is_a_verdict(python, death):
    children = python(f"{COMPILING}; {death}")
    with pytest.raises(InfrastructureError, match="the compile process ended with"):
        compile_in_child(wat.SILENT, LIMITS)
    assert children.read_text() == "\n"


def test_a_python_that_dies_before_the_compile_begins_is_no_verdict(python):
    python("kill -ABRT $$")
    with pytest.raises(InfrastructureError, match=r"ended with signal 6 \(Aborted\)"):
        compile_in_child(wat.SILENT, LIMITS)


def test_a_report_of_another_program_is_no_verdict(python):
    python("echo '{\"reason\": 1}' >&2; exit 3")
    with pytest.raises(InfrastructureError, match="ended with status 3"):
        compile_in_child(wat.SILENT, LIMITS)


@pytest.mark.parametrize(
    ("limit", "reason"),
    [
        ("ulimit -v 700000", r"a RLIMIT_AS of 716800000; it needs 1073741824"),
        ("ulimit -t 5", "a RLIMIT_CPU of 5; it needs 120"),
        ("ulimit -d 700000", "Cannot allocate memory"),
    ],
)
def test_a_process_that_may_not_have_what_the_limits_allow_does_not_judge(python, limit, reason):
    python(f'{limit}; exec "$@"')
    with pytest.raises(InfrastructureError, match=reason):
        compile_in_child(BOMB, LIMITS)


def test_a_small_stack_does_not_judge_a_plugin_that_recurses_when_it_starts(python):
    # This guest uses less than its own 512 KiB of stack, and more than the process would have.
    recursion = "(if (local.get 0) (then (call $f (i32.sub (local.get 0) (i32.const 1)))))"
    wasm = wat.plugin(
        wat.on_message("", f"(func $f (param i32) {recursion}) (func $run (call $f (i32.const 10_000))) (start $run)")
    )
    start = FirstStart(Limits(), inspect(wasm).memories)
    python('ulimit -S -s 200; exec "$@"')
    assert compile_in_child(wasm, LIMITS, start)
    python('ulimit -s 200; exec "$@"')
    with pytest.raises(InfrastructureError, match="limited to 204800 bytes; plugins need 2097152"):
        compile_in_child(wasm, LIMITS, start)


@pytest.mark.parametrize("output", ["true", "printf compiling", '"$@" | head -c 1000'])
def test_native_code_that_does_not_arrive_whole_is_a_fault_of_the_infrastructure(python, output):
    children = python(f"{output}; exit 0")
    with pytest.raises(InfrastructureError, match=r"ended with status 0, and the \d+ bytes in .* are not all"):
        compile_in_child(wat.SILENT, LIMITS)
    assert children.read_text() == "\n"


def test_a_full_temporary_folder_is_a_fault_of_the_infrastructure():
    # A file that may not grow fails as a file on a full disk does.
    with limited("RLIMIT_FSIZE", 10_000), pytest.raises(InfrastructureError, match="File too large"):
        compile_in_child(wat.SILENT, LIMITS)


def test_a_missing_temporary_folder_is_a_fault_of_the_infrastructure(monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", "/no/such/folder")
    with pytest.raises(InfrastructureError, match=f"cannot run the compile process: {os.strerror(2)}"):
        compile_in_child(wat.SILENT, LIMITS)


def test_the_child_sees_nothing_of_the_environment(monkeypatch):
    # Python fails to start with this variable, so a child that inherited it would fail.
    monkeypatch.setenv("PYTHONHOME", "/nowhere")
    assert compile_in_child(wat.SILENT, LIMITS)


def test_the_child_leaves_no_bytecode_that_a_full_disk_could_cut_off(python):
    python("printf '%s ' \"$@\" >&2; exit 1")
    with pytest.raises(InfrastructureError, match=" -B "):
        compile_in_child(wat.SILENT, LIMITS)


def test_a_child_that_cannot_start_is_a_fault_of_the_infrastructure(monkeypatch):
    monkeypatch.setattr("sys.executable", "/no/such/python")
    with pytest.raises(InfrastructureError, match=f"cannot run the compile process: {os.strerror(2)}"):
        compile_in_child(wat.SILENT, LIMITS)


def test_a_machine_without_room_for_another_process_is_a_fault_of_the_infrastructure(monkeypatch):
    def fork(*_arguments: object, **_options: object) -> None:
        raise BlockingIOError(11, os.strerror(11))

    monkeypatch.setattr(child_process.subprocess, "run", fork)
    with pytest.raises(InfrastructureError, match=f"cannot run the compile process: {os.strerror(11)}"):
        compile_in_child(wat.SILENT, LIMITS)


def test_a_child_without_its_code_is_a_fault_of_the_infrastructure(monkeypatch):
    monkeypatch.setattr("sys.path", [])
    monkeypatch.setattr("sys.executable", "/usr/bin/false")
    with pytest.raises(InfrastructureError, match="ended with status 1"):
        compile_in_child(wat.SILENT, LIMITS)
