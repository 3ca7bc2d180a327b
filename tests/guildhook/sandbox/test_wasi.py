"""WASI as plugins find it: through the standard library of a Python plugin, and in every version of WASI 0.2."""

import json
from collections.abc import Callable
from dataclasses import replace

import pytest
from fasteners import InterProcessLock
from wasmtime import wat2wasm

from builds import dummy_component
from documented_builds import PYTHON, build
from guildhook.model import HostFunctionCall, Outcome, RunResult
from guildhook.sandbox import Engine, LoadedModule, inspect
from guildhook.sandbox.compiling.child_process import CompileLimits
from guildhook.sandbox.compiling.wrapper import linked
from project import ROOT
from samples import MESSAGE, TIME, limits

WASI_WIT = ROOT / "wasi" / "wasi.wit"

# Every version of WASI 0.2, and a future one.
VERSIONS = [f"0.2.{patch}" for patch in [*range(13), 99]]

# Runs the message's content as a program, and returns the coroutine `work` if the program makes one. Its modules are
# imported here: at run time there are no files.
PYTHON_PLUGIN = """
import asyncio, encodings.idna, json, os, random, socket, sys, time
import wit_world
from wit_world.imports import host_api, settings

class WitWorld(wit_world.WitWorld):
    def on_message(self, msg_json: str) -> None:
        exec(json.loads(msg_json)["content"], globals())
        return globals().get("work")

LOADED = time.monotonic()
OWN, SEEDED = random.Random(), random.Random(7)
OWN.random()
SEEDED_LATER = random.Random()
SEEDED_LATER.seed(7)
"""


@pytest.fixture(scope="session")
def python_plugin(
    engine: Engine, tmp_path_factory: pytest.TempPathFactory, worker_id: str
) -> tuple[bytes, LoadedModule]:
    """A plugin that the documented command has built, compiled once for all processes of the test run."""
    own = tmp_path_factory.getbasetemp()
    folder = (own if worker_id == "master" else own.parent) / "python-plugin"
    folder.mkdir(exist_ok=True)
    wasm, artifact = folder / "plugin.wasm", folder / "plugin.cwasm"
    with InterProcessLock(folder / "lock"):
        if not artifact.exists():
            build("Python", {PYTHON: PYTHON_PLUGIN}, folder)
            # Compiling takes longer on a busy machine than production allows.
            patient = Engine(CompileLimits(cpu_seconds=600, timeout_seconds=600))
            artifact.write_bytes(patient.compile(wasm.read_bytes()).artifact)
    return wasm.read_bytes(), engine.load(artifact, inspect(wasm.read_bytes()).memories)


@pytest.fixture
def python(run: Callable[..., RunResult], python_plugin: tuple[bytes, LoadedModule]) -> Callable[..., RunResult]:
    """Runs a program in the Python plugin."""

    def python(program: str, **arguments: object) -> RunResult:
        message = replace(MESSAGE, payload=json.dumps({"content": program}))
        return run(python_plugin[1], message=message, **arguments)

    return python


def printed(result: RunResult) -> tuple[str, ...]:
    assert (result.outcome, result.detail) == (Outcome.OK, "")
    return result.logs


def test_a_component_of_the_toolchain_is_accepted_as_it_is(python_plugin):
    inspection = inspect(python_plugin[0])
    assert inspection.accepted
    assert "wasi:sockets/tcp@0.2.9" in inspection.unavailable
    assert all(name.startswith(("wasi:filesystem/", "wasi:sockets/")) for name in inspection.unavailable)


def test_stdout_and_stderr_are_lines_of_the_log(python):
    program = "print('one\\ntwö'); sys.stderr.write('three\\n'); sys.stdout.write('four'); sys.stdout.flush()"
    assert printed(python(program)) == ("one", "twö", "three", "four")


def test_bytes_that_are_no_text_are_shown_as_such(python):
    assert printed(python("sys.stdout.buffer.write(b'a\\xffb\\0c\\n')")) == ("a\ufffdb\ufffdc",)


def test_a_line_without_end_is_cut(python):
    program = "for _ in range(20): sys.stdout.write('x' * 1000); sys.stdout.flush()"
    assert printed(python(program)) == ("x" * 4096,)


def test_printing_is_bounded_by_the_log_limits_and_not_by_the_number_of_host_calls(python):
    assert len(printed(python("for i in range(90): print(i, flush=True)"))) == 90
    result = python("for i in range(200): print(i, flush=True)")
    assert (result.outcome, result.detail) == (Outcome.HOST_CALL_LIMIT, "lines of log: 101; the limit is 100")
    assert (result.host_calls, result.calls) == (0, ())


def test_calls_of_wasi_are_not_among_those_that_are_recorded(python):
    result = python("print('x'); settings.get(); print(time.time(), os.urandom(1)); raise ValueError('x')")
    assert result.outcome is Outcome.TRAP
    assert result.calls == (HostFunctionCall("settings.get", None),)


def test_an_error_that_nobody_catches_is_in_the_log(python):
    result = python("raise ValueError('my own fault')")
    assert result.outcome is Outcome.TRAP
    assert "ValueError: my own fault" in "\n".join(result.logs)


def test_scalar_settings_are_the_environment(python):
    settings = {"greeting": "grüß", "times": 3, "loud": True, "nested": {"not": "shown"}, "none": None}
    result = python("print(sorted(os.environ.items()), sys.argv)", settings=settings)
    assert "('greeting', 'grüß'), ('loud', 'true'), ('times', '3')" in printed(result)[0]
    assert "nested" not in result.logs[0]


def test_settings_are_json(python):
    settings = {"greeting": "grüß", "nested": {"list": [1, None]}}
    (line,) = printed(python("print(settings.get())", settings=settings))
    assert json.loads(line) == settings


def test_the_clock_is_the_events_and_goes_on_with_every_look(python):
    assert float(printed(python("print(time.time())"))[0]) == pytest.approx(TIME.timestamp(), abs=0.001)
    program = "start = time.monotonic()\nwhile time.monotonic() < start + 0.0001: pass\nprint('over')"
    assert printed(python(program)) == ("over",)


def test_a_sleep_moves_the_clock_and_returns(python):
    program = "m, w = time.monotonic(), time.time(); time.sleep(3600); print(time.monotonic() - m, time.time() - w)"
    assert [round(float(text)) for text in printed(python(program))[0].split()] == [3600, 3600]


def test_random_numbers_come_from_the_seed(python):
    program = "print(os.urandom(12).hex(), random.SystemRandom().random())"
    first, again, other = (printed(python(program, seed=seed)) for seed in (1, 1, 2))
    assert first == again != other


def test_numbers_of_the_module_random_come_from_the_seed_too(python):
    first, again, other = (printed(python("print(random.random())", seed=seed)) for seed in (1, 1, 2))
    assert first == again != other


def test_numbers_of_a_generator_that_was_made_while_loading_come_from_the_seed_too(python):
    first, again, other = (printed(python("print(OWN.random(), OWN.random())", seed=seed)) for seed in (1, 1, 2))
    assert first == again != other


def test_a_generator_with_a_seed_of_the_plugins_keeps_it(python):
    program = "print(SEEDED.random() == SEEDED_LATER.random() == random.Random(7).random())"
    assert printed(python(program)) == ("True",)


def test_the_clock_is_not_behind_that_of_the_build(python):
    assert float(printed(python("print(time.monotonic() - LOADED)"))[0]) > 0


def test_an_async_function_runs_to_its_end(python):
    program = "async def one(): return 1\nasync def main(): print(await one()); await asyncio.sleep(0); print(2)\n"
    assert printed(python(f"{program}work = main()")) == ("1", "2")


def test_an_async_function_that_waits_for_something_else_fails_the_run(python):
    result = python("async def main(): await asyncio.sleep(1)\nwork = main()")
    assert result.outcome is Outcome.TRAP
    assert "no running event loop" in "\n".join(result.logs)
    waits = "class Never:\n  def __await__(self): yield self\nasync def main(): await Never()\nwork = main()"
    assert "nothing else happens during a run" in "\n".join(python(waits).logs)


@pytest.mark.parametrize("function", ["def", "async def"])
def test_a_generator_fails_the_run_and_says_so(python, function):
    result = python(f"{function} main():\n  print('done'); yield\nwork = main()")
    assert result.outcome is Outcome.TRAP
    assert "on_message has a yield" in "\n".join(result.logs)


def test_a_flood_of_random_bytes_is_bounded(python):
    assert printed(python("print(len(os.urandom(65536)))")) == ("65536",)
    result = python("[os.urandom(65536) for _ in range(10**6)]", limits=limits(fuel=20_000_000))
    assert result.outcome is Outcome.OUT_OF_FUEL


@pytest.mark.parametrize(
    "program",
    [
        "open('/etc/passwd')",
        "open('new', 'w')",
        "os.listdir('/')",
        "os.mkdir('/tmp')",
        "socket.create_connection(('127.0.0.1', 80))",
        "socket.socket(socket.AF_INET, socket.SOCK_DGRAM)",
        "socket.getaddrinfo('example.org', 80)",
    ],
)
def test_files_and_sockets_are_errors_that_a_program_can_catch(python, program):
    assert printed(python(f"try: {program}\nexcept OSError: print('denied')")) == ("denied",)


def test_stdin_is_at_its_end(python):
    assert printed(python("print(repr(sys.stdin.read()))")) == ("''",)


def test_exit_ends_the_run_as_it_says(python):
    send = f"host_api.send_message('{MESSAGE.channel_id}', 'bye'); os._exit"
    success, failure = python(f"{send}(0)"), python(f"{send}(1)")
    assert (success.outcome, len(success.intents)) == (Outcome.OK, 1)
    assert (failure.outcome, len(failure.intents)) == (Outcome.TRAP, 0)
    assert failure.detail == "the plugin called exit with a failure"


def test_calls_of_wasi_are_charged_to_fuel(python):
    result = python("while True: time.time()", limits=limits(fuel=5_000_000))
    assert result.outcome is Outcome.OUT_OF_FUEL


# Waits an hour, first for one timer and then for the first of two, and reads the clock.
SLEEPER = """
(component
  (import "wasi:io/poll@{version}" (instance $poll
    (export "pollable" (type $pollable (sub resource)))
    (export "[method]pollable.block" (func (param "self" (borrow $pollable))))
    (export "poll" (func (param "in" (list (borrow $pollable))) (result (list u32))))))
  (alias export $poll "pollable" (type $pollable))
  (import "wasi:clocks/monotonic-clock@{version}" (instance $clock
    (alias outer 1 $pollable (type $imported))
    (export "pollable" (type $pollable (eq $imported)))
    (export "now" (func (result u64)))
    (export "subscribe-duration" (func (param "when" u64) (result (own $pollable))))))
  (core module $libc (memory (export "memory") 2)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 65536)))
  (core instance $libc (instantiate $libc))
  (core func $block (canon lower (func $poll "[method]pollable.block")))
  (core func $poll (canon lower (func $poll "poll")
    (memory (core memory $libc "memory")) (realloc (core func $libc "realloc"))))
  (core func $now (canon lower (func $clock "now")))
  (core func $subscribe (canon lower (func $clock "subscribe-duration")))
  (core module $main
    (import "libc" "memory" (memory 0))
    (import "wasi" "block" (func $block (param i32)))
    (import "wasi" "poll" (func $poll (param i32 i32 i32)))
    (import "wasi" "now" (func $now (result i64)))
    (import "wasi" "subscribe" (func $subscribe (param i64) (result i32)))
    (func (export "on-message") (param i32 i32)
      (local $start i64)
      (local.set $start (call $now))
      (call $block (call $subscribe (i64.const 3600_000_000_000)))
      (i32.store (i32.const 0) (call $subscribe (i64.const 7200_000_000_000)))
      (i32.store (i32.const 4) (call $subscribe (i64.const 3600_000_000_000)))
      (call $poll (i32.const 0) (i32.const 2) (i32.const 8))
      (if (i32.ne (i32.load (i32.const 12)) (i32.const 1)) (then unreachable))
      (if (i32.ne (i32.load (i32.load (i32.const 8))) (i32.const 1)) (then unreachable))
      (if (i64.lt_u (i64.sub (call $now) (local.get $start)) (i64.const 7200_000_000_000)) (then unreachable))
      (if (i64.gt_u (i64.sub (call $now) (local.get $start)) (i64.const 7201_000_000_000)) (then unreachable))))
  (core instance $main (instantiate $main (with "libc" (instance $libc)) (with "wasi" (instance
    (export "block" (func $block)) (export "poll" (func $poll))
    (export "now" (func $now)) (export "subscribe" (func $subscribe))))))
  (func (export "on-message") (param "msg-json" string) (canon lift (core func $main "on-message")
    (memory (core memory $libc "memory")) (realloc (core func $libc "realloc")))))
"""


@pytest.mark.parametrize("version", VERSIONS)
def test_nothing_waits_in_any_version(run, version):
    result = run(bytes(wat2wasm(SLEEPER.format(version=version))))
    assert (result.outcome, result.detail) == (Outcome.OK, "")


@pytest.mark.parametrize("version", VERSIONS)
def test_all_of_wasi_links_in_any_version(run, tmp_path, version):
    world = WASI_WIT.read_text().replace("export wasi:", "import wasi:").replace("import host;", "")
    world = world.replace("world wasi {", "world wasi { export on-message: func(msg-json: string);")
    dummy = dummy_component(world.replace("@0.2.0", f"@{version}"), "wasi", tmp_path)
    inspection = inspect(dummy)
    assert inspection.accepted
    assert len(inspection.imports) == world.count("import wasi:")
    result = run(dummy)
    assert (result.outcome, result.detail) == (Outcome.TRAP, "wasm trap: wasm `unreachable` instruction executed")


@pytest.mark.parametrize(
    "name",
    [
        "wasi:http/types@0.2.0",
        "wasi:http/outgoing-handler@0.2.3",
        "wasi:keyvalue/store@0.2.0",
        "wasi:cli/environment@0.3.0",
        "wasi:cli/environment@0.2.0-rc-2023-11-10",
        "wasi:cli/environment",
        "wasi:io/streams@0.20.0",
        "wasi:io/streams@0.2.00",
        "guildhook:plugin/host-api@2.0.0",
        "guildhook:sandbox/host",
        "env",
    ],
)
def test_other_interfaces_are_not_linked(name):
    assert not linked(name)
