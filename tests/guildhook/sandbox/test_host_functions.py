"""Tests the host functions of the state, and the records of calls. The other host functions are tested with the runs
that call them.
"""

from types import MappingProxyType

import pytest

import wat
from guildhook.model import HostFunctionCall, Outcome
from samples import CHANNEL, limits

STATE = MappingProxyType({"count": "5", "grüß": "welt \U0001f600"})


def test_a_run_reads_the_state_that_it_is_given(run):
    result = run(wat.remembers(("get", "count"), ("get", "grüß"), ("get", "other"), ("get", "")), state=STATE)
    assert (result.outcome, result.logs) == (Outcome.OK, ("5", "welt \U0001f600", "(none)", "(none)"))
    assert result.state is None


def test_a_key_that_was_never_written_has_no_value(run):
    assert run(wat.remembers(("get", "count"))).logs == ("(none)",)


def test_a_run_sees_its_own_writes(run):
    calls = (
        *[("set", "count", "6"), ("get", "count"), ("set", "new", ""), ("get", "new")],
        *[("delete", "grüß"), ("get", "grüß"), ("delete", "new"), ("get", "new"), ("set", "new", "again")],
    )
    result = run(wat.remembers(*calls), state=STATE)
    assert result.logs == ("6", "", "(none)", "(none)")
    assert result.state == {"count": "6", "new": "again"}


def test_the_state_that_is_given_stays_as_it_is(run):
    state = dict(STATE)
    assert run(wat.remembers(("set", "count", "6"), ("delete", "grüß")), state=state).state == {"count": "6"}
    assert state == STATE


@pytest.mark.parametrize(
    "calls",
    [
        [],
        [("get", "count")],
        [("set", "count", "5")],
        [("delete", "other")],
        [("set", "count", "6"), ("set", "count", "5")],
        [("set", "new", "x"), ("delete", "new")],
        [("delete", "count"), ("set", "count", "5")],
        [("set", "", "refused")],
    ],
)
def test_a_state_that_is_the_same_in_the_end_is_no_new_one(run, calls):
    assert run(wat.remembers(*calls), state=STATE).state is None
    assert run(wat.remembers(*calls), state=dict(STATE)).state is None


def test_a_state_that_is_emptied_is_a_new_one(run):
    assert run(wat.remembers(("delete", "count"), ("delete", "grüß")), state=STATE).state == {}


@pytest.mark.parametrize(
    ("then", "options", "outcome"),
    [
        ("unreachable", {}, Outcome.TRAP),
        ("(loop (br 0))", {"fuel": 100_000}, Outcome.OUT_OF_FUEL),
        ("(loop (br 0))", {"fuel": 10**15, "deadline_ms": 20}, Outcome.DEADLINE),
        ("(call $log (i32.const 32) (i32.const 6))", {"host_calls": 1}, Outcome.HOST_CALL_LIMIT),
    ],
)
def test_a_run_that_fails_keeps_nothing(run, then, options, outcome):
    result = run(wat.remembers(("set", "count", "6"), then=then), state=STATE, limits=limits(**options))
    assert (result.outcome, result.state) == (outcome, None)


def test_state_that_a_start_function_writes_is_kept(run):
    assert run(wat.remembers(("set", "count", "6"), start=True)).state == {"count": "6"}
    assert run(wat.remembers(("set", "count", "6"), start=True, then="unreachable")).state is None


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        ("", "x", "the key is empty"),
        ("a\0b", "x", "the key has a NUL character"),
        ("count", "a\0b", "the value has a NUL character"),
        ("k" * 257, "x", "the key has 257 bytes; the limit is 256"),
        ("ü" * 129, "x", "the key has 258 bytes; the limit is 256"),
        ("new", "x" * 65_536, "the state would have 65560 bytes; the limit is 65536"),
        ("count", "x" * 65_536, "the state would have 65556 bytes; the limit is 65536"),
    ],
)
def test_a_bad_write_is_refused_with_the_reason_and_changes_nothing(run, key, value, reason):
    result = run(wat.remembers(("set", key, value), ("get", "count")), state=STATE)
    assert result.outcome is Outcome.OK
    assert result.logs == (f"guildhook: state.set refused: {reason}", reason, "5")
    assert result.state is None


def test_a_write_beside_a_refused_one_is_kept(run):
    result = run(wat.remembers(("set", "a", "1"), ("set", "", "x"), ("set", "b", "2")))
    assert result.state == {"a": "1", "b": "2"}


def test_a_state_is_filled_to_its_limits_and_no_further(run):
    most = limits(state_keys=3, state_key_bytes=4, state_bytes=20)
    full = run(wat.remembers(("set", "üü", "ä" * 4), ("set", "b", ""), ("set", "cc", "12345")), limits=most).state
    assert full == {"üü": "ä" * 4, "b": "", "cc": "12345"}
    result = run(wat.remembers(("set", "b", "x"), ("set", "d", "")), limits=most, state=full)
    assert (result.logs[1], result.logs[3], result.state) == (
        "the state would have 21 bytes; the limit is 20",
        "the state would have 4 keys; the limit is 3",
        None,
    )
    # A deleted value makes room.
    exchange = (("set", "cc", "1234"), ("set", "b", "x"), ("delete", "b"), ("set", "d", "y"))
    assert run(wat.remembers(*exchange), limits=most, state=full).state == {"üü": "ä" * 4, "cc": "1234", "d": "y"}


def test_the_default_limits_leave_room_for_as_many_keys_and_bytes(run):
    state = {f"{number:03}": "x" * 253 for number in range(255)}
    result = run(wat.remembers(("set", "k" * 256, "")), state=state)
    assert result.state == {**state, "k" * 256: ""}
    for key in ("000", "new"):
        assert run(wat.remembers(("set", key, "x" * 254)), state=result.state).state is None


def test_a_limit_of_zero_turns_state_off(run):
    for fields in ({"state_keys": 0}, {"state_bytes": 0}, {"state_key_bytes": 0}):
        result = run(wat.remembers(("set", "k", "v")), limits=limits(**fields))
        assert "the limit is 0" in result.logs[0]
        assert result.state is None


OVER = {"long key": "12345678", "b": "1", "c": "2"}
LOWERED = limits(state_keys=2, state_key_bytes=4, state_bytes=10)


def test_a_state_over_the_limits_is_read_and_shrunk(run):
    calls = (("get", "long key"), ("set", "b", ""), ("set", "c", "3"), ("delete", "long key"), ("set", "b", "22"))
    result = run(wat.remembers(*calls), state=OVER, limits=LOWERED)
    assert (result.logs, result.state) == (("12345678",), {"b": "22", "c": "3"})


def test_a_state_over_the_limits_does_not_grow(run):
    for key, value, reason in (
        ("b", "12", "the state would have 21 bytes; the limit is 10"),
        ("d", "", "the state would have 4 keys; the limit is 2"),
        ("long key", "", "the key has 8 bytes; the limit is 4"),
    ):
        result = run(wat.remembers(("set", key, value)), state=OVER, limits=LOWERED)
        assert result.logs[1] == reason
        assert result.state is None


def test_a_key_longer_than_all_that_are_there_is_not_there(run):
    result = run(wat.remembers(("get", "k" * 100_000), ("delete", "k" * 100_000)), state=OVER)
    assert (result.outcome, result.logs, result.state) == (Outcome.OK, ("(none)",), None)


def test_a_key_that_is_no_text_ends_the_run(run):
    for calls in ([("get", b"\xff")], [("set", b"\xff", "x")], [("set", "x", b"\xed\xa0\x80")], [("delete", b"\xff")]):
        result = run(wat.remembers(("set", "a", "b"), *calls), state=STATE)
        assert (result.outcome, result.state) == (Outcome.TRAP, None)


def test_calls_of_the_state_count_and_their_texts_cost_bytes(run):
    result = run(wat.remembers(("set", "count", "123"), ("delete", "grüß"), ("get", "other")), state=STATE)
    assert result.host_calls == 4  # the last is the log's
    assert result.host_call_bytes == len("count123") + len("grüß".encode()) + len("other") + len("(none)")


def test_a_value_that_is_read_costs_bytes_and_fuel(run):
    wasm = wat.remembers(("get", "large"))
    small, large = (run(wasm, state={"large": "x" * size}, limits=limits(log_line_bytes=1)) for size in (0, 10_000))
    # The text counts as the answer and as the logged line.
    assert large.host_call_bytes - small.host_call_bytes == 20_000
    assert large.fuel_used - small.fuel_used >= 80_000
    too_few = limits(host_call_bytes=10_004)
    assert run(wasm, state={"large": "x" * 10_000}, limits=too_few).outcome is Outcome.HOST_CALL_LIMIT


def test_a_refusal_costs_the_bytes_of_its_text(run):
    result = run(wat.remembers(("set", "", "")))
    assert result.host_call_bytes == 2 * len("the key is empty")  # the second are the log's


def test_halves_of_characters_in_a_state_are_question_marks(run):
    state = {"half": "\ud83d", "\ud83d": "key"}
    result = run(wat.remembers(("get", "half"), ("set", "new", "x")), state=state)
    assert (result.outcome, result.logs, result.state) == (Outcome.OK, ("?",), {**state, "new": "x"})


def test_calls_are_recorded_in_their_order(run):
    result = run(wat.remembers(("set", "a", "1"), ("get", "a"), ("delete", "a")), state=STATE)
    functions = ["state.set", "state.get", "log", "state.delete"]
    assert result.calls == tuple(HostFunctionCall(function, None) for function in functions)
    assert result.host_calls == len(result.calls)


def test_a_run_without_calls_has_none(run):
    assert run(wat.SILENT).calls == ()


def test_denied_calls_are_recorded_with_the_reason(run):
    lacking = "the plugin lacks the permission SEND_MESSAGES; an admin of the guild can grant it"
    assert run(wat.sends((CHANNEL, "x")), permissions=frozenset()).calls == (HostFunctionCall("send-message", lacking),)
    assert run(wat.sends(("general", "x"), (CHANNEL, "x"))).calls == (
        HostFunctionCall("send-message", "the channel id is not a UUID; use the channel_id of the message"),
        HostFunctionCall("send-message", None),
    )
    assert run(wat.remembers(("set", "", "x"), ("set", "a", "x"))).calls == (
        HostFunctionCall("state.set", "the key is empty"),
        HostFunctionCall("log", None),
        HostFunctionCall("state.set", None),
    )


@pytest.mark.parametrize(
    ("options", "calls"),
    [
        ({"host_calls": 2}, 3),
        ({"host_calls": 0}, 1),
        ({"log_lines": 1}, 2),
        ({"log_bytes": 5}, 2),
        ({"host_call_bytes": 8}, 3),
        ({"fuel": 12_000}, 3),
    ],
)
def test_the_call_in_which_a_run_ended_is_the_last_and_denied_with_the_same_words(run, options, calls):
    result = run(wat.logs("abc", times=9), limits=limits(**options))
    assert result.outcome in (Outcome.HOST_CALL_LIMIT, Outcome.OUT_OF_FUEL)
    assert result.calls == (*[HostFunctionCall("log", None)] * (calls - 1), HostFunctionCall("log", result.detail))
    assert result.host_calls == calls


def test_a_refusal_that_the_log_has_no_room_for_is_denied_for_that(run):
    result = run(wat.sends(("general", "x")), limits=limits(log_lines=0))
    assert result.outcome is Outcome.HOST_CALL_LIMIT
    assert result.calls == (HostFunctionCall("send-message", result.detail),)


def test_a_run_that_ends_after_a_call_leaves_it_as_it_was(run):
    result = run(wat.sends((CHANNEL, "x"), then="unreachable"))
    assert (result.outcome, result.calls) == (Outcome.TRAP, (HostFunctionCall("send-message", None),))
