"""What a plugin can call, and the record of what it did.

Host functions check, meter and append; none waits, reaches out or touches anything but the record of its own
run. wasmtime-py keeps one process-wide exception for host functions, and a BaseException that leaves one is
a segmentation fault, so each of them catches everything and raises WasmtimeError alone.
"""

import json
import random
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, NoReturn
from uuid import UUID

from wasmtime import Engine, Store, WasmtimeError
from wasmtime.component import Linker, Record, Variant

from guildhook.model import Message, Outcome, Permission, SendMessage, idempotency_key
from guildhook.sandbox.limits import Limits

# What a character or byte between guest and host costs: converting it takes about as long as this many instructions.
_FUEL_PER_CHARACTER: Final = 4
_MAX_RANDOM_BYTES: Final = 4 * 1024
_NUL_REPLACEMENT: Final = "\N{REPLACEMENT CHARACTER}"
"""Postgres stores no NUL in text."""


class _EndedError(Exception):
    """The record has its outcome; the guest must not go on."""


@dataclass(slots=True)
class HostCalls:
    """The record of one run. It becomes part of the run's result; nothing of it outlives the run."""

    store: Store
    plugin_id: UUID
    permissions: frozenset[str]
    limits: Limits
    message: Message
    settings: Mapping[str, Any]
    now: datetime
    random: random.Random
    deadline: float
    """By time.monotonic()."""
    calls: int = 0
    logs: list[str] = field(default_factory=list)
    log_bytes: int = 0
    intents: list[SendMessage] = field(default_factory=list)
    ended: tuple[Outcome, str] | None = None
    """Set by the host function that ended the run."""
    fault: BaseException | None = None
    """Set where a host function failed; the fault is guildhook's, not the guest's."""

    def meter(self) -> None:
        """Count a call. Neither fuel nor epoch stops the guest inside the host, so both are looked at here."""
        self.calls += 1
        if self.calls > self.limits.host_calls:
            self.end(Outcome.HOST_CALL_LIMIT, f"more than {self.limits.host_calls} host calls in one run")
        if time.monotonic() > self.deadline:
            self.end(Outcome.DEADLINE, f"ran longer than {self.limits.deadline_ms} ms")

    def charge(self, size: int) -> None:
        fuel = self.store.get_fuel() - size * _FUEL_PER_CHARACTER
        self.store.set_fuel(max(fuel, 0))
        if fuel <= 0:
            self.end(Outcome.OUT_OF_FUEL, f"used all of its {self.limits.fuel} units of fuel in host calls")

    def end(self, outcome: Outcome, detail: str) -> NoReturn:
        self.ended = (outcome, detail)
        raise _EndedError(detail)

    def append_log(self, line: str) -> None:
        encoded = line.encode()[: self.limits.log_line_bytes]
        self.log_bytes += len(encoded)
        if len(self.logs) >= self.limits.log_lines:
            self.end(Outcome.HOST_CALL_LIMIT, f"more than {self.limits.log_lines} lines of log in one run")
        if self.log_bytes > self.limits.log_bytes:
            self.end(Outcome.HOST_CALL_LIMIT, f"more than {self.limits.log_bytes} bytes of log in one run")
        self.logs.append(encoded.decode(errors="ignore").replace("\0", _NUL_REPLACEMENT))


def _log(run: HostCalls, msg: str) -> None:
    run.charge(len(msg))
    run.append_log(msg)


def _send_message(run: HostCalls, channel_id: str, content: str) -> Variant:
    run.charge(len(channel_id) + len(content))
    refusal = _refuse_send(run, channel_id, content)
    if refusal:
        run.append_log(f"guildhook: send-message refused: {refusal}")
        return Variant("err", refusal)
    position = len(run.intents)
    key = idempotency_key(run.message.id, run.plugin_id, position)
    run.intents.append(SendMessage(key, position, UUID(channel_id), content))
    return Variant("ok", str(key))


def _refuse_send(run: HostCalls, channel_id: str, content: str) -> str | None:
    if Permission.SEND_MESSAGES not in run.permissions:
        return f"the plugin lacks the permission {Permission.SEND_MESSAGES}; an admin of the guild can grant it"
    if not _UUID.fullmatch(channel_id):
        return "the channel id is not a UUID"
    if not content.strip():
        return "the content is empty"
    if len(content) > run.limits.content_chars:
        return f"the content has {len(content)} characters; the limit is {run.limits.content_chars}"
    if "\0" in content:
        return "the content has a NUL character"
    if len(run.intents) >= run.limits.sends:
        return f"the run has sent {run.limits.sends} messages already, which is the limit"
    return None


_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


def _get_environment(run: HostCalls) -> list[tuple[str, str]]:
    environment = [
        (_utf8(name), _utf8(value) if isinstance(value, str) else json.dumps(value))
        for name, value in run.settings.items()
        if isinstance(value, str | int | float | bool)
    ]
    run.charge(sum(len(name) + len(value) for name, value in environment))
    return environment


def _utf8(text: str) -> str:
    """Without lone surrogates: what the bindings cannot convert, they raise in some other run."""
    return text.encode(errors="replace").decode()


def _get_arguments(_run: HostCalls) -> list[str]:
    return []


def _initial_cwd(_run: HostCalls) -> None:
    return None


def _wall_clock_now(run: HostCalls) -> Record:
    return _datetime(max(int(run.now.timestamp()), 0), run.now.microsecond * 1000)


def _wall_clock_resolution(_run: HostCalls) -> Record:
    return _datetime(0, 1000)


def _datetime(seconds: int, nanoseconds: int) -> Record:
    record: Any = Record()
    record.seconds, record.nanoseconds = seconds, nanoseconds
    return record  # type: ignore[no-any-return]


def _get_random_bytes(run: HostCalls, length: int) -> bytes:
    if length > _MAX_RANDOM_BYTES:
        run.end(Outcome.HOST_CALL_LIMIT, f"asked for {length} random bytes; the limit is {_MAX_RANDOM_BYTES}")
    run.charge(length)
    return run.random.randbytes(length)


def _get_random_u64(run: HostCalls) -> int:
    return run.random.getrandbits(64)


# Every function a plugin may import; contract.py has their types. A linker serves an import of any
# compatible version (1.x, 0.2.x) from the one defined.
_FUNCTIONS: Final[Mapping[str, Mapping[str, Callable[..., Any]]]] = {
    "guildhook:plugin/host-api@1.0.0": {"log": _log, "send-message": _send_message},
    # The plugin's scalar settings, the time of the event, and numbers from the seed of the run.
    "wasi:cli/environment@0.2.0": {
        "get-environment": _get_environment,
        "get-arguments": _get_arguments,
        "initial-cwd": _initial_cwd,
    },
    "wasi:clocks/wall-clock@0.2.0": {"now": _wall_clock_now, "resolution": _wall_clock_resolution},
    "wasi:random/random@0.2.0": {"get-random-bytes": _get_random_bytes, "get-random-u64": _get_random_u64},
}


@dataclass(slots=True)
class CurrentRun:
    """Where host functions find the run that called them. There is one at a time."""

    calls: HostCalls | None = None


def create_linker(engine: Engine, current: CurrentRun) -> Linker:
    """One linker for all runs: a linker per run, with functions that hold the store, leaks 17 kB each time.

    Its functions live until it is deleted, so they hold `current` and not the sandbox, which holds the linker.
    """
    linker = Linker(engine)
    with linker.root() as root:
        for interface, functions in _FUNCTIONS.items():
            with root.add_instance(interface) as instance:
                for name, function in functions.items():
                    instance.add_func(name, _guarded(function, current))
    return linker


def _guarded(function: Callable[..., Any], current: CurrentRun) -> Callable[..., Any]:
    def call(_store: object, *arguments: Any) -> Any:
        run = current.calls
        if run is None:
            raise WasmtimeError("a host function was called outside a run")
        try:
            run.meter()
            return function(run, *arguments)
        except _EndedError as ended:
            raise WasmtimeError(str(ended)) from None
        except BaseException as fault:  # noqa: BLE001 - anything else that leaves here ends the process
            run.fault = fault
            raise WasmtimeError("host fault") from None

    return call
