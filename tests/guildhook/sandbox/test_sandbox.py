import gc
import re
import signal
import weakref
from dataclasses import replace
from datetime import UTC, datetime
from uuid import uuid4

import msgspec
import pytest
from wasmtime import wat2wasm

import wat
from guildhook.errors import InfrastructureError
from guildhook.model import FUEL_PER_CPU_MICROSECOND, Outcome, RunResult, SendMessage, idempotency_key
from guildhook.sandbox import LoadedPlugin, Sandbox
from object_growth import object_growth
from resource_limits import little_data, little_memory
from samples import CHANNEL, MESSAGE, PLUGIN_ID, TIME, limits


def test_a_plugin_receives_the_message_as_it_is(run):
    result = run(wat.ECHOES_TO_LOG)
    assert (result.outcome, result.detail) == (Outcome.OK, "")
    assert result.logs == (MESSAGE.payload,)
    assert result.host_calls == 1
    assert 0 < result.fuel_used < 10_000


def test_a_send_becomes_an_intent_with_the_deterministic_key(run):
    result = run(wat.sends((CHANNEL, "hello"), (CHANNEL, "again")))
    assert result.outcome is Outcome.OK
    assert result.intents == tuple(
        SendMessage(idempotency_key(MESSAGE.id, PLUGIN_ID, i), i, CHANNEL, content)
        for i, content in enumerate(["hello", "again"])
    )
    # The key is written out, because a change of keys would send every pending message twice.
    assert result.intents[0].key == "515460a1-d550-5f41-90dc-a0065943a6f5"


def test_send_message_returns_the_key_to_the_plugin(run):
    # The result at 16 is a discriminant, and the address and the length of the text.
    log_result = "(call $log (i32.load (i32.const 20)) (i32.load (i32.const 24)))"
    result = run(wat.sends((CHANNEL, "hello"), then=log_result))
    assert result.logs == (str(result.intents[0].key),)


def test_without_the_permission_a_send_is_refused_and_the_log_names_it(run):
    result = run(wat.sends((CHANNEL, "hello")), permissions=frozenset({"KICK"}))
    assert result.outcome is Outcome.OK
    assert result.intents == ()
    assert "SEND_MESSAGES" in result.logs[0]


@pytest.mark.parametrize(
    ("channel", "content", "reason"),
    [
        ("general", "hello", "not a UUID"),
        (f"{{{CHANNEL}", "hello", "not a UUID"),
        ("", "hello", "not a UUID"),
        (CHANNEL, "", "empty"),
        (CHANNEL, " \n", "empty"),
        (CHANNEL, "x" * 4_001, "the content is too long; the limit is 4000 characters"),
        (CHANNEL, "a\0b", "NUL"),
    ],
)
def test_a_bad_send_is_refused_with_the_reason(run, channel, content, reason):
    result = run(wat.sends((channel, content)))
    assert result.outcome is Outcome.OK
    assert result.intents == ()
    assert reason in result.logs[0]


def test_content_of_the_most_characters_is_accepted(run):
    content = "\N{PILE OF POO}" * 4_000
    assert run(wat.sends((CHANNEL, content))).intents[0].content == content


@pytest.mark.parametrize(
    "spelling", [CHANNEL.upper(), CHANNEL.replace("-", ""), f"{{{CHANNEL}}}", f"urn:uuid:{CHANNEL}"]
)
def test_a_channel_id_is_accepted_in_every_spelling_and_sent_in_one(run, spelling):
    (intent,) = run(wat.sends((spelling, "hello"))).intents
    assert intent.channel_id == CHANNEL


def test_sends_over_the_limit_are_refused(run):
    result = run(wat.sends(*[(CHANNEL, "x")] * 4), limits=limits(sends=3))
    assert result.outcome is Outcome.OK
    assert len(result.intents) == 3
    assert "already sent 3 messages" in result.logs[0]


def test_a_run_that_fails_sends_nothing(run):
    result = run(wat.sends((CHANNEL, "hello"), then="unreachable"))
    assert result.outcome is Outcome.TRAP
    assert result.detail == "wasm trap: wasm `unreachable` instruction executed"
    assert result.intents == ()


def test_an_endless_loop_runs_out_of_fuel(run):
    result = run(wat.LOOPS, limits=limits(fuel=100_000))
    assert result.outcome is Outcome.OUT_OF_FUEL
    assert result.detail == "used all of its fuel; the limit is 100000"
    assert result.fuel_used == 100_000


def test_an_endless_loop_with_fuel_ends_at_the_deadline(run):
    result = run(wat.LOOPS, limits=limits(fuel=10**15, deadline_ms=20))
    assert result.outcome is Outcome.DEADLINE
    assert re.fullmatch(r"ran for \d+ ms; the limit is 20 ms", result.detail)


def test_a_run_is_charged_its_fuel_or_its_cpu_time():
    cheap = RunResult(Outcome.OK, "", fuel_used=2, duration_us=9_000, host_calls=0, logs=(), intents=(), cpu_us=1_000)
    dear = msgspec.structs.replace(cheap, fuel_used=100_000_000)
    assert (cheap.charged_fuel, dear.charged_fuel) == (1_700_000, 100_000_000)


@pytest.mark.parametrize("end", ["(i32.load (i32.const -8))", "(i32.div_u (i32.const 1) (local.get $left))"])
def test_a_run_whose_fuel_wasmtime_forgets_is_charged_all_the_same(run, end):
    loop = "(loop $again (br_if $again (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))"
    result = run(
        wat.plugin(wat.on_message(f"(local $left i32) (local.set $left (i32.const 15_000_000)) {loop} (drop {end})"))
    )
    assert result.outcome is Outcome.TRAP
    assert result.fuel_used < 1_000
    # No machine counts to 15 million in half a millisecond.
    assert result.cpu_us > 500
    assert result.charged_fuel == result.cpu_us * FUEL_PER_CPU_MICROSECOND


def test_a_start_function_has_the_same_limits(run):
    loop = "(func $start (loop (br 0))) (start $start)"
    result = run(wat.plugin(wat.on_message("", loop)), limits=limits(fuel=100_000))
    assert result.outcome is Outcome.OUT_OF_FUEL


def test_a_plugin_that_traps_when_it_starts_is_invalid(run):
    result = run(wat.plugin(wat.on_message("", "(func $start unreachable) (start $start)")))
    assert result.outcome is Outcome.INVALID
    assert "unreachable" in result.detail


def test_memory_that_starts_too_large_is_out_of_memory(run):
    result = run(wat.plugin(wat.on_message(""), memory="257"))
    assert result.outcome is Outcome.OUT_OF_MEMORY
    assert "16842752 bytes" in result.detail
    assert "limit of 16777216 bytes" in result.detail


@pytest.mark.parametrize(("pages", "outcome"), [(254, Outcome.OK), (255, Outcome.TRAP)])
def test_memory_grows_to_the_limit_and_no_further(run, pages, outcome):
    grow = f"(if (i32.eq (memory.grow (i32.const {pages})) (i32.const -1)) (then unreachable))"
    assert run(wat.plugin(wat.on_message(grow))).outcome is outcome


def test_memories_that_grow_together_stay_within_the_limit(run):
    # A module of its own has a second memory, which grows to the limit before the first one.
    second = """(memory $more (export "more") 1) (func (export "grow") (result i32)
        (local $pages i32)
        (loop $again (if (i32.ne (memory.grow (i32.const 1)) (i32.const -1)) (then (br $again))))
        (memory.size))"""
    wasm = wat.plugin(
        wat.on_message(
            """(loop $again (if (i32.ne (memory.grow (i32.const 1)) (i32.const -1)) (then (br $again))))
            (if (i32.gt_u (i32.add (memory.size) (call $grow)) (i32.const 256)) (then unreachable))""",
            '(import "host" "grow" (func $grow (result i32)))',
        ),
        lowered=f"(core module $second {second}) (core instance $second (instantiate $second))"
        '(alias core export $second "grow" (core func $grow))',
        exported='(export "grow" (func $grow))',
    )
    assert run(wasm).outcome is Outcome.OK


# componentize-qjs builds such components: a call between two goes through a module with the memories of both.
LINKED_COMPONENTS = bytes(
    wat2wasm(
        """(component
        (component $inner
          (core module $m (memory (export "memory") 1)
            (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 64))
            (func (export "on-message") (param i32 i32)
              (if (i32.ne (i32.load8_u (local.get 0)) (i32.const 123)) (then unreachable))))
          (core instance $i (instantiate $m))
          (func (export "on-message") (param "msg-json" string) (canon lift (core func $i "on-message")
            (memory (core memory $i "memory")) (realloc (core func $i "realloc")))))
        (instance $inner (instantiate $inner))
        (component $outer
          (import "inner" (func $inner (param "msg-json" string)))
          (core module $libc (memory (export "memory") 1)
            (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 64)))
          (core instance $libc (instantiate $libc))
          (core func $inner (canon lower (func $inner) (memory (core memory $libc "memory"))))
          (core module $m (import "inner" "f" (func $f (param i32 i32)))
            (func (export "on-message") (param i32 i32) (call $f (local.get 0) (local.get 1))))
          (core instance $i (instantiate $m (with "inner" (instance (export "f" (func $inner))))))
          (func (export "on-message") (param "msg-json" string) (canon lift (core func $i "on-message")
            (memory (core memory $libc "memory")) (realloc (core func $libc "realloc")))))
        (instance $outer (instantiate $outer (with "inner" (func $inner "on-message"))))
        (export "on-message" (func $outer "on-message")))"""
    )
)


def test_components_linked_into_one_run(run):
    assert run(LINKED_COMPONENTS).outcome is Outcome.OK


def test_host_calls_over_the_limit_end_the_run(run):
    result = run(wat.logs("x", times=4), limits=limits(host_calls=3))
    assert (result.outcome, result.detail) == (Outcome.HOST_CALL_LIMIT, "host calls: 4; the limit is 3")
    assert result.logs == ("x", "x", "x")


def test_a_long_line_of_log_is_cut_between_characters(run):
    assert run(wat.logs("ä" * 10), limits=limits(log_line_bytes=5)).logs == ("ää",)


@pytest.mark.parametrize("fields", [{"log_lines": 2}, {"log_bytes": 7}])
def test_too_much_log_ends_the_run(run, fields):
    result = run(wat.logs("abc", times=3), limits=limits(**fields))
    assert result.outcome is Outcome.HOST_CALL_LIMIT
    assert result.logs == ("abc", "abc")


def test_bytes_handed_to_the_host_cost_fuel(run):
    big = "(call $log (i32.const 0) (i32.const 131072))"
    result = run(wat.plugin(wat.on_message(big * 3)), limits=limits(fuel=1_000_000))
    assert result.outcome is Outcome.OUT_OF_FUEL
    assert len(result.logs) == 1


def test_more_bytes_than_the_limit_end_the_run(run):
    result = run(wat.logs("abcdefgh", times=3), limits=limits(host_call_bytes=20))
    assert (result.outcome, result.detail) == (
        Outcome.HOST_CALL_LIMIT,
        "bytes passed in host calls: 24; the limit is 20",
    )
    assert len(result.logs) == 2


def test_bytes_that_the_host_answers_count_as_well(run):
    # The key that send-message returns has 36 characters, the channel's id as many, and the content 5.
    assert run(wat.sends((CHANNEL, "hello")), limits=limits(host_call_bytes=77)).outcome is Outcome.OK
    assert run(wat.sends((CHANNEL, "hello")), limits=limits(host_call_bytes=76)).outcome is Outcome.HOST_CALL_LIMIT


def test_a_host_call_costs_fuel(run):
    result = run(wat.logs("x", times=10), limits=limits(fuel=20_000))
    assert result.outcome is Outcome.OUT_OF_FUEL
    assert len(result.logs) == 3


def test_a_log_line_keeps_no_nul(run):
    assert run(wat.logs("a\0b")).logs == ("a\N{REPLACEMENT CHARACTER}b",)
    # The replacement of a NUL is longer, and counts for the cut.
    (line,) = run(wat.logs("\0" * 4096)).logs
    assert len(line.encode()) == 4095


def test_the_same_kind_of_trap_reads_the_same(run):
    outside = run(wat.plugin(wat.on_message("(drop (i32.load (i32.const 0x7fffffff)))")))
    assert (outside.outcome, outside.detail) == (Outcome.TRAP, "wasm trap: out of bounds memory access")


def test_debug_names_of_functions_are_not_read(run):
    # wasmtime demangles them for the text of an error; this one takes seconds and 270 MiB.
    mangled = "_Z1f1aIiiES_IS0_S0_E" + "".join(f"S_IS{d}_S{d}_E" for d in "123456789ABCDEFGHIJKLMN")
    body = f'(func $f (@name "{mangled}") unreachable) (func (export "on-message") (param i32 i32) (call $f))'
    wasm = wat.plugin(body)
    assert wasm.count(mangled.encode()) == 1
    result = run(wasm)
    assert (result.outcome, result.detail) == (Outcome.TRAP, "wasm trap: wasm `unreachable` instruction executed")


def test_scalar_settings_are_the_environment(run):
    settings = {"greeting": "hi", "times": 3, "loud": True, "nested": {"not": "shown"}, "none": None}
    result = run(wat.ENVIRONMENT, settings=settings)
    assert result.logs == ("greeting", "hi", "times", "3", "loud", "true")


def test_settings_that_are_no_unicode_harm_no_other_run(run):
    assert run(wat.ENVIRONMENT, settings={"half": "\ud83d", "\ud83d": "name"}).logs == ("half", "?", "?", "name")
    assert run(wat.TRAPS).outcome is Outcome.TRAP


def test_whole_numbers_of_settings_are_integers(run):
    settings = {"a": 3.0, "b": -0.0, "c": 0.5, "d": "1.0"}
    assert run(wat.ENVIRONMENT, settings=settings).logs == ("a", "3", "b", "0", "c", "0.5", "d", "1.0")


def test_large_settings_cost_fuel(run):
    result = run(wat.ENVIRONMENT, settings={"large": "x" * 10_000}, limits=limits(fuel=20_000))
    assert result.outcome is Outcome.OUT_OF_FUEL


class BrokenSettings(dict[str, object]):
    """Settings that fail when the host reads them, which is inside a host function."""

    def __init__(self, fault: BaseException) -> None:
        super().__init__(any="thing")
        self.fault = fault

    def items(self):
        raise self.fault


def test_a_fault_in_a_host_function_affects_its_own_run_alone(run):
    result = run(wat.ENVIRONMENT, settings=BrokenSettings(ZeroDivisionError("secret")))
    assert (result.outcome, result.detail) == (Outcome.INTERNAL, "host function failed: ZeroDivisionError")
    assert run(wat.TRAPS).outcome is Outcome.TRAP
    assert run(wat.SILENT).outcome is Outcome.OK


@pytest.mark.parametrize("fault", [KeyboardInterrupt(), SystemExit(3), GeneratorExit(), ValueError()])
def test_any_exception_in_a_host_function_leaves_the_guest_first(run, fault):
    if isinstance(fault, Exception):
        assert run(wat.ENVIRONMENT, settings=BrokenSettings(fault)).outcome is Outcome.INTERNAL
    else:
        with pytest.raises(type(fault)):
            run(wat.ENVIRONMENT, settings=BrokenSettings(fault))
    assert run(wat.TRAPS).outcome is Outcome.TRAP
    assert run(wat.SILENT).outcome is Outcome.OK


class InterruptingSettings(dict[str, object]):
    """Settings during whose reading, inside a host function, the process is interrupted."""

    def items(self):
        signal.raise_signal(signal.SIGINT)
        return super().items()


def test_a_host_function_without_memory_is_a_fault_of_the_infrastructure(run):
    with pytest.raises(InfrastructureError, match="cannot run on this machine now: a host function had no memory left"):
        run(wat.ENVIRONMENT, settings=BrokenSettings(MemoryError()))
    assert run(wat.SILENT).outcome is Outcome.OK


def test_a_machine_without_memory_for_an_instance_is_a_fault_of_the_infrastructure(run):
    assert run(wat.SILENT).outcome is Outcome.OK
    # wasmtime reserves 4 GiB of address space for a memory.
    with (
        little_memory(200),
        pytest.raises(InfrastructureError, match="cannot run on this machine now: Cannot allocate memory"),
    ):
        run(wat.SILENT)
    assert run(wat.SILENT).outcome is Outcome.OK


GROWS = "(if (i32.eq (memory.grow (i32.const 200)) (i32.const -1)) (then unreachable))"


@pytest.mark.parametrize(
    "wasm",
    [
        wat.plugin(wat.on_message(GROWS)),
        wat.plugin(wat.on_message("", f"(func $run {GROWS}) (start $run)")),
    ],
    ids=["in a message", "in its start"],
)
def test_growth_that_the_machine_refuses_is_not_the_plugins_trap(run, wasm):
    assert run(wasm).outcome is Outcome.OK
    with (
        little_data(3),
        pytest.raises(InfrastructureError, match="cannot run on this machine now: 16777216 bytes of memory"),
    ):
        run(wasm)
    assert run(wat.TRAPS).outcome is Outcome.TRAP


def test_a_trap_under_a_limit_beyond_all_memory_is_the_plugins_own(run):
    assert run(wat.TRAPS, limits=limits(memory_bytes=2**50)).outcome is Outcome.TRAP


def test_an_interrupt_waits_until_the_guest_is_done(run, default_interrupt):
    with pytest.raises(KeyboardInterrupt):
        run(wat.ENVIRONMENT, settings=InterruptingSettings(a="b"))
    assert run(wat.ENVIRONMENT, settings={"a": "b"}).logs == ("a", "b")


LEAVE_NOTHING = {
    "silent": wat.SILENT,
    "trap": wat.TRAPS,
    "loop": wat.LOOPS,
    "environment": wat.ENVIRONMENT,
    "state": wat.remembers(("set", "key", "value"), ("get", "key"), ("set", "", ""), ("delete", "key")),
}


@pytest.fixture(scope="module")
def growth():
    return dict(zip(LEAVE_NOTHING, object_growth(list(LEAVE_NOTHING.values())), strict=True))


@pytest.mark.parametrize("plugin", LEAVE_NOTHING)
def test_nothing_of_a_run_outlives_it(growth, plugin):
    # Less than one object in twenty runs: a few stay for the first run of their kind.
    assert growth[plugin] < 25


CLOCK_AND_RANDOM = wat.plugin(
    wat.on_message(
        """(call $now (i32.const 8))
        (call $random (i64.const 12) (i32.const 24))
        (i64.store (i32.const 32) (i64.add (i64.load (i32.const 8)) (i64.const 0)))
        (call $send (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 48))
        (if (i64.ne (i64.load (i32.const 8)) (i64.const 1769342400)) (then unreachable))
        (if (i32.ne (i32.load (i32.const 16)) (i32.const 250000)) (then unreachable))
        (if (i32.ne (i32.load (i32.const 28)) (i32.const 12)) (then unreachable))
        (global.set $i (i32.const 0))
        (loop $next
          (i32.store8 (i32.add (i32.const 100) (global.get $i))
            (i32.add (i32.const 97) (i32.rem_u
              (i32.load8_u (i32.add (i32.load (i32.const 24)) (global.get $i))) (i32.const 26))))
          (global.set $i (i32.add (global.get $i) (i32.const 1)))
          (br_if $next (i32.lt_u (global.get $i) (i32.const 12))))
        (call $log (i32.const 100) (i32.const 12))""",
        """(import "host" "now" (func $now (param i32)))
        (import "host" "random" (func $random (param i64 i32)))
        (global $i (mut i32) (i32.const 0))""",
    ),
    imports="""(import "wasi:clocks/wall-clock@0.2.3" (instance $clock
        (type $record (record (field "seconds" u64) (field "nanoseconds" u32)))
        (export "datetime" (type $datetime (eq $record)))
        (export "now" (func (result $datetime)))))
      (import "wasi:random/random@0.2.0" (instance $random
        (export "get-random-bytes" (func (param "len" u64) (result (list u8))))))""",
    lowered="""(core func $now (canon lower (func $clock "now") (memory (core memory $libc "memory"))))
      (core func $bytes (canon lower (func $random "get-random-bytes")
        (memory (core memory $libc "memory")) (realloc (core func $libc "realloc"))))""",
    exported='(export "now" (func $now)) (export "random" (func $bytes))',
)


def test_time_and_random_numbers_are_the_runs_inputs(run):
    first, second, other = (run(CLOCK_AND_RANDOM, seed=seed) for seed in (1, 1, 2))
    assert (first.outcome, first.detail) == (Outcome.OK, "")
    assert first.logs == second.logs
    assert first.logs != other.logs


def test_a_time_before_the_epoch_is_the_epoch(run):
    wasm = wat.plugin(
        wat.on_message(
            """(call $now (i32.const 8))
            (if (i64.ne (i64.load (i32.const 8)) (i64.const 0)) (then unreachable))""",
            '(import "host" "now" (func $now (param i32)))',
        ),
        imports="""(import "wasi:clocks/wall-clock@0.2.0" (instance $clock
            (type $record (record (field "seconds" u64) (field "nanoseconds" u32)))
            (export "datetime" (type $datetime (eq $record)))
            (export "now" (func (result $datetime)))))""",
        lowered='(core func $now (canon lower (func $clock "now") (memory (core memory $libc "memory"))))',
        exported='(export "now" (func $now))',
    )
    assert run(wasm, now=datetime(1960, 1, 1, tzinfo=UTC)).outcome is Outcome.OK
    assert run(wasm, now=TIME).outcome is Outcome.TRAP


def test_the_same_arguments_give_the_same_run(engine, load):
    sandbox = Sandbox(engine)
    plugin = LoadedPlugin(PLUGIN_ID, load(wat.sends((CHANNEL, "hello"))), frozenset({"SEND_MESSAGES"}), limits())
    one, two = (sandbox.run(plugin, MESSAGE, {}, TIME, 1) for _ in range(2))
    assert (one.fuel_used, one.intents, one.logs) == (two.fuel_used, two.intents, two.logs)


def test_nothing_of_a_run_is_left_for_the_next(engine, load):
    count = wat.on_message(
        """(i32.store (i32.const 0) (i32.add (i32.load (i32.const 0)) (i32.const 1)))
        (if (i32.ne (i32.load (i32.const 0)) (i32.const 1)) (then unreachable))"""
    )
    sandbox, plugin = Sandbox(engine), LoadedPlugin(uuid4(), load(wat.plugin(count)), frozenset(), limits())
    assert [sandbox.run(plugin, MESSAGE, {}, TIME, 1).outcome for _ in range(3)] == [Outcome.OK] * 3


def test_a_deleted_sandbox_is_garbage_collected(engine):
    sandbox = Sandbox(engine)
    reference = weakref.ref(sandbox)
    del sandbox
    gc.collect()
    assert reference() is None


def test_a_guest_cannot_forge_an_outcome_with_a_name(run):
    name = '(func $f (export "wasm trap: all fuel consumed by WebAssembly\\0aCaused by: epoch deadline") unreachable)'
    result = run(wat.plugin(wat.on_message("(call $f)", name)))
    assert result.outcome is Outcome.TRAP
    assert result.detail == "wasm trap: wasm `unreachable` instruction executed"


def test_a_huge_message_that_the_plugin_cannot_take_is_its_own_failure(run):
    assert run(wat.SILENT, message=replace(MESSAGE, payload="x" * 1_000_000)).outcome is Outcome.TRAP
