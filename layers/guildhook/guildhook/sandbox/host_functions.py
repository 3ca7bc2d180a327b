"""The functions that a plugin can call, and the record of one run.

Host functions check, meter and append. None of them waits, and none touches anything but the record of its own run.
Their types are in wrapper.py.
"""

import json
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NoReturn
from uuid import UUID

import msgspec
from wasmtime import Engine
from wasmtime.component import Linker

from guildhook.model import HostFunctionCall, Message, Outcome, Permission, SendMessage, idempotency_key
from guildhook.sandbox import c_api
from guildhook.sandbox.c_api import Argument, Err, HostResult, Ok, Option, Store, Text
from guildhook.sandbox.compiling.wrapper import HOST
from guildhook.sandbox.limits import Limits
from guildhook.uuids import canonical_spelling
from guildhook.whole_numbers import with_whole_numbers

# The fuel that a host call and each byte of its texts cost: they take about as long as this many instructions
# (`make bench` measures both).
_FUEL_PER_CALL: Final = 5_000
"""The fuel that a host call costs."""
_FUEL_PER_BYTE: Final = 4
"""The fuel that each byte costs which a host call passes, in either direction."""

# A plain string, since hashing a member of an enum runs Python code.
_SEND_MESSAGES: Final = Permission.SEND_MESSAGES.value
_CHANNEL_ID_BYTES: Final = 64
# The buffer of the WASI component (wasi/wasi.c) for the environment.
_ENVIRONMENT_BYTES: Final = 32 * 1024
_REFUSAL_BYTES: Final = 200
_NUL_REPLACEMENT: Final = "\N{REPLACEMENT CHARACTER}"
"""Replaces NUL, which Postgres cannot store in text and which ends an entry of the environment."""
_WITH_TEXT: Final = (Ok, Err, Option)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class _EndedError(Exception):
    """The outcome of the run is recorded; the guest must not continue."""


class OngoingRun(msgspec.Struct):
    """The record of a run, kept while it lasts; it becomes a part of the result."""

    store: Store
    plugin_id: UUID
    permissions: frozenset[str]
    limits: Limits
    message: Message
    settings: Mapping[str, Any]
    state: Mapping[str, str]
    """The state at the start of the run. The first write copies it, so it is never changed."""
    now: datetime
    seed: int
    started: float
    """A time of time.monotonic()."""
    calls: list[HostFunctionCall] = []
    bytes_passed: int = 0
    """The size of all texts that passed between plugin and host, in both directions."""
    logs: list[str] = []
    log_bytes: int = 0
    unfinished: dict[bool, bytes] = {}
    """The unfinished last lines of stdout (False) and stderr (True)."""
    intents: list[SendMessage] = []
    written_state: dict[str, str] | None = None
    """The state with the writes of this run; None before its first write."""
    state_bytes: int = 0
    """The size of all keys and values of `written_state`."""
    ended: tuple[Outcome, str] | None = None
    """The outcome and its detail, if a host function ended the run."""
    fault: BaseException | None = None
    """The exception of a host function that failed, which is an error of guildhook and not of the guest."""

    @property
    def elapsed_ms(self) -> int:
        return round((time.monotonic() - self.started) * 1000)

    @property
    def late(self) -> bool:
        return time.monotonic() - self.started > self.limits.deadline_ms / 1000

    def end(self, outcome: Outcome, detail: str) -> NoReturn:
        """End the run: raises _EndedError. If it has ended already, the first outcome is kept."""
        self.ended = self.ended or (outcome, detail)
        raise _EndedError

    def end_over(self, measure: str, used: int, limit: int) -> NoReturn:
        self.end(Outcome.HOST_CALL_LIMIT, f"{measure}: {used}; the limit is {limit}")

    def answer(
        self, function: Callable[..., HostResult], call: HostFunctionCall | None, arguments: list[Argument]
    ) -> HostResult:
        """Call a host function for the guest.

        Neither fuel nor epoch stops a guest inside the host, so both are checked here before the function is called.
        `call` is recorded; None means that the call is not counted. Raises _EndedError and the function's exceptions.
        """
        size = 0
        for argument in arguments:
            if isinstance(argument, Text):
                size += argument.size
        self.bytes_passed += size
        fuel = self.store.get_fuel() - _FUEL_PER_CALL - size * _FUEL_PER_BYTE
        try:
            if call:
                self._count(call)
            self._go_on(fuel)
            answer = function(self, *arguments)
            text = answer.text if isinstance(answer, _WITH_TEXT) else answer
            if isinstance(text, str):
                size = _size(text)
                self.bytes_passed += size
                fuel -= size * _FUEL_PER_BYTE
                self._go_on(fuel)
        except _EndedError:
            if call and self.ended:
                self.deny(self.ended[1])
            raise
        else:
            return answer
        finally:
            self.store.set_fuel(max(fuel, 0))

    def _go_on(self, fuel: int) -> None:
        """Raises _EndedError if fuel, time or the limit on passed bytes is used up."""
        if fuel <= 0:
            self.end(Outcome.OUT_OF_FUEL, out_of_fuel_detail(self))
        if self.late:
            self.end(Outcome.DEADLINE, late_detail(self))
        if self.bytes_passed > self.limits.host_call_bytes:
            self.end_over("bytes passed in host calls", self.bytes_passed, self.limits.host_call_bytes)

    def _count(self, call: HostFunctionCall) -> None:
        self.calls.append(call)
        if len(self.calls) > self.limits.host_calls:
            self.end_over("host calls", len(self.calls), self.limits.host_calls)

    def deny(self, reason: str) -> None:
        """Record that the current call is refused."""
        self.calls[-1] = HostFunctionCall(self.calls[-1].function, reason)

    def refuse(self, reason: str) -> Err:
        """Refuse the current call, log the reason for the guild's admins, and let the plugin continue."""
        self.deny(reason)
        self.append_log(f"guildhook: {self.calls[-1].function} refused: {reason}")
        return Err(reason)

    @property
    def seen_state(self) -> Mapping[str, str]:
        """The state that the plugin sees, including its own writes."""
        return self.state if self.written_state is None else self.written_state

    @property
    def new_state(self) -> Mapping[str, str] | None:
        """The state after the run; None if the run has not changed it."""
        return None if self.written_state == self.state else self.written_state

    def own_state(self) -> dict[str, str]:
        """The copy of the state that this run may write to."""
        if self.written_state is None:
            self.written_state = dict(self.state)
            self.state_bytes = sum(_size(key) + _size(value) for key, value in self.state.items())
        return self.written_state

    def append_log(self, line: str) -> None:
        encoded = line.replace("\0", _NUL_REPLACEMENT).encode(errors="replace")[: self.limits.log_line_bytes]
        if len(self.logs) == self.limits.log_lines:
            self.end_over("lines of log", len(self.logs) + 1, self.limits.log_lines)
        self.log_bytes += len(encoded)
        if self.log_bytes > self.limits.log_bytes:
            self.end_over("bytes of log", self.log_bytes, self.limits.log_bytes)
        self.logs.append(encoded.decode(errors="ignore"))

    def finish_lines(self) -> None:
        """Log the unfinished last lines of stdout and stderr."""
        try:
            for to_stderr in sorted(self.unfinished):
                if self.unfinished[to_stderr]:
                    self.append_log(self.unfinished.pop(to_stderr).decode(errors="replace"))
        except _EndedError:
            self.unfinished.clear()


def _size(text: str) -> int:
    """The number of bytes in UTF-8."""
    return len(text.encode(errors="replace"))


def late_detail(run: OngoingRun) -> str:
    return f"ran for {run.elapsed_ms} ms; the limit is {run.limits.deadline_ms} ms"


def out_of_fuel_detail(run: OngoingRun) -> str:
    return f"used all of its fuel; the limit is {run.limits.fuel}"


def _log(run: OngoingRun, line: Text) -> None:
    run.append_log(line.read(run.limits.log_line_bytes))


def _send_message(run: OngoingRun, channel_id: Text, content: Text) -> Ok | Err:
    channel = canonical_spelling(channel_id.read(_CHANNEL_ID_BYTES)) or ""
    # One character more than the limit shows that the text is too long; a character has up to four bytes.
    text = content.read(4 * (run.limits.content_chars + 1))
    refusal = _refuse_send(run, channel, text)
    if refusal:
        return run.refuse(refusal)
    position = len(run.intents)
    key = idempotency_key(run.message.id, run.plugin_id, position)
    run.intents.append(SendMessage(key, position, channel, text))
    return Ok(key)


def _refuse_send(run: OngoingRun, channel_id: str, content: str) -> str | None:
    if _SEND_MESSAGES not in run.permissions:
        return f"the plugin lacks the permission {Permission.SEND_MESSAGES}; an admin of the guild can grant it"
    if not channel_id:
        return "the channel id is not a UUID; use the channel_id of the message"
    if not content.strip():
        return "the content is empty"
    if len(content) > run.limits.content_chars:
        return f"the content is too long; the limit is {run.limits.content_chars} characters"
    if "\0" in content:
        return "the content has a NUL character"
    if len(run.intents) >= run.limits.sends:
        return f"the run has already sent {run.limits.sends} messages, which is the limit"
    return None


def _get_settings(run: OngoingRun) -> str:
    text = _compact_json(run.settings)
    # Rows that were written directly may have 3.0 or 1e+16. A search of the text is cheaper than a walk through them.
    return _compact_json(with_whole_numbers(run.settings)) if ".0" in text or "e+" in text else text


def _compact_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _present(run: OngoingRun, key: Text) -> str | None:
    """The key if the state has it, else None. A key that is too long to be in the state is not read."""
    # The limit alone is not enough: the state may have longer keys from before an operator lowered it.
    if key.size > run.limits.state_key_bytes and all(_size(name) < key.size for name in run.seen_state):
        return None
    name = key.read(key.size)
    return name if name in run.seen_state else None


def _get_state(run: OngoingRun, key: Text) -> Option:
    name = _present(run, key)
    return Option(None if name is None else run.seen_state[name])


def _set_state(run: OngoingRun, key: Text, value: Text) -> Ok | Err:
    refusal = _write_state(run, key, value)
    return run.refuse(refusal) if refusal else Ok()


def _write_state(run: OngoingRun, key: Text, value: Text) -> str | None:
    """Write to the state; returns the reason if that is refused. A text over a limit is refused, never cut."""
    limits = run.limits
    if key.size == 0:
        return "the key is empty"
    if key.size > limits.state_key_bytes:
        return f"the key has {key.size} bytes; the limit is {limits.state_key_bytes}"
    name = key.read(key.size)
    if "\0" in name:
        return "the key has a NUL character"
    state, before = run.own_state(), run.state_bytes
    old = state.get(name)
    keys = len(state) + (old is None)
    after = before + value.size + (key.size if old is None else -_size(old))
    # The state may exceed limits that an operator has lowered since. It may then shrink, but not grow.
    if keys > max(limits.state_keys, len(state)):
        return f"the state would have {keys} keys; the limit is {limits.state_keys}"
    if after > max(limits.state_bytes, before):
        return f"the state would have {after} bytes; the limit is {limits.state_bytes}"
    text = value.read(value.size)
    if "\0" in text:
        return "the value has a NUL character"
    state[name] = text
    run.state_bytes = after
    return None


def _delete_state(run: OngoingRun, key: Text) -> None:
    name = _present(run, key)
    if name is not None:
        value = run.own_state().pop(name)
        run.state_bytes -= key.size + _size(value)


# The WASI component inside the sandbox calls the functions below. Their calls are not counted as host calls, since a
# plugin that prints cannot know how often its language writes. The limits on logs, bytes and fuel bound them.


def _environment(run: OngoingRun) -> str:
    entries = [
        text.replace("\0", _NUL_REPLACEMENT)
        for name, value in run.settings.items()
        if isinstance(value, str | int | float | bool)
        for text in (name, value if isinstance(value, str) else json.dumps(with_whole_numbers(value)))
    ]
    environment = "".join(f"{text}\0" for text in entries)
    size = len(environment.encode(errors="replace"))
    if size > _ENVIRONMENT_BYTES:
        run.end_over("bytes of environment", size, _ENVIRONMENT_BYTES)
    return environment


def _write(run: OngoingRun, to_stderr: bool, latin1: Text) -> None:
    written = latin1.read(latin1.size).encode("latin-1")
    *lines, rest = (run.unfinished.get(to_stderr, b"") + written).split(b"\n")
    for line in lines:
        run.append_log(line.decode(errors="replace"))
    run.unfinished[to_stderr] = rest[: run.limits.log_line_bytes]


def _now(run: OngoingRun) -> int:
    return max((run.now - _EPOCH) // timedelta(microseconds=1) * 1000, 0)


def _seed(run: OngoingRun) -> int:
    return run.seed


def _exit(run: OngoingRun, success: bool) -> NoReturn:
    run.end(*((Outcome.OK, "") if success else (Outcome.TRAP, "the plugin called exit with a failure")))


def _refuse(run: OngoingRun, reason: Text) -> NoReturn:
    run.end(Outcome.HOST_CALL_LIMIT, reason.read(_REFUSAL_BYTES))


_FUNCTIONS: Final[Mapping[str, tuple[Callable[..., HostResult], HostFunctionCall | None]]] = {
    "log": (_log, HostFunctionCall("log", None)),
    "send-message": (_send_message, HostFunctionCall("send-message", None)),
    "get-settings": (_get_settings, HostFunctionCall("settings.get", None)),
    "state-get": (_get_state, HostFunctionCall("state.get", None)),
    "state-set": (_set_state, HostFunctionCall("state.set", None)),
    "state-delete": (_delete_state, HostFunctionCall("state.delete", None)),
    "environment": (_environment, None),
    "write": (_write, None),
    "now": (_now, None),
    "seed": (_seed, None),
    "exit": (_exit, None),
    "refuse": (_refuse, None),
}
"""Each function with the record of a counted call. All calls that are not refused share one object."""


class HostFunctions:
    """The host functions, in one linker for all runs, and the record of the current run.

    A linker for each run, with functions that refer to the store, would leak 17 kB a run.
    """

    def __init__(self, engine: Engine) -> None:
        self.run: OngoingRun | None = None
        self._linker = Linker(engine)
        self.linker = c_api.address(self._linker)
        with self._linker.root() as root, root.add_instance(HOST) as instance:
            self._callbacks = [
                c_api.define(instance, name, self._answering(function, call), self._failed)
                for name, (function, call) in _FUNCTIONS.items()
            ]

    def _answering(self, function: Callable[..., HostResult], call: HostFunctionCall | None) -> c_api.HostFunction:
        def answering(arguments: list[Argument]) -> HostResult:
            if self.run is None:
                raise RuntimeError("a host function was called outside a run")
            return self.run.answer(function, call, arguments)

        return answering

    def _failed(self, error: BaseException) -> None:
        if self.run is not None and not isinstance(error, _EndedError):
            self.run.fault = error
