"""Generates plugins that call the host in any order with any arguments, and a model of their results.

The model covers plugins that call host-api, settings and state alone. It does not cover WASI: plugins that
call WASI are checked by the rules of check_result.
"""

import json
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any, Final, TypeVar

from hypothesis import strategies as st

import wat
from fuzz import host_wat
from fuzz.driver import Case, state_bytes
from fuzz.host_wat import DELETE_STATE, GET_SETTINGS, GET_STATE, LOG, SEND, SET_STATE
from guildhook.model import HostFunctionCall, Outcome, Permission, RunResult, SendMessage, idempotency_key
from guildhook.sandbox import Limits
from guildhook.sandbox.host_functions import _refuse_send
from guildhook.uuids import canonical_spelling
from guildhook.whole_numbers import with_whole_numbers
from samples import CHANNEL, MESSAGE, PLUGIN_ID, limits

T = TypeVar("T")

_MEMORY_BYTES: Final = 2 * 65536
_HEAP: Final = 65536
"""Where the realloc of wat.plugin starts."""

_RIGHT: Final = (
    struct.pack("<I", host_wat.FIRST_POLLABLE),
    CHANNEL.encode(),
    b"hello",
    b" \n",
    "Grüße, 世界 👋".encode(),
    b"nul \0\0\0\0",
    b"x" * 600,
)
_WRONG: Final = (
    b"cut \xf0\x9f\x91",
    b"\xed\xa0\x80",  # a lone surrogate
    bytes(range(256)),
)
"""As UTF-8."""
_DATA_AT: Final = 64
_DATA: Final = b"".join(_RIGHT + _WRONG)


def _pieces(texts: Sequence[bytes]) -> list[tuple[int, int]]:
    """Return the address and the size of each text in the guest's memory."""
    return [(_DATA_AT + _DATA.index(text), len(text)) for text in texts]


@dataclass(frozen=True)
class Call:
    name: str
    arguments: tuple[int, ...]

    @property
    def wat(self) -> str:
        function = host_wat.FUNCTIONS[self.name]
        types = ("i64" if parameter == "i64" else "i32" for parameter in function.parameters)
        arguments = "".join(f"({type_}.const {value})" for type_, value in zip(types, self.arguments))
        called = f"(call ${self.name} {arguments})"
        return f"(drop {called})" if function.result else called


@dataclass(frozen=True)
class Program:
    calls: tuple[Call, ...]
    with_wasi: bool
    limits: Limits
    permissions: frozenset[str]
    settings: dict[str, Any]
    state: dict[str, str]
    payload: str
    seed: int

    @property
    def case(self) -> Case:
        return Case(
            self._wasm(),
            limits=self.limits,
            permissions=self.permissions,
            settings=self.settings,
            state=self.state,
            message=replace(MESSAGE, payload=self.payload),
            seed=self.seed,
        )

    def _wasm(self) -> bytes:
        data = "".join(f"\\{byte:02x}" for byte in _DATA)
        declarations = host_wat.core_imports(self.with_wasi) + f'(data (i32.const {_DATA_AT}) "{data}")'
        return wat.plugin(
            wat.on_message("".join(call.wat for call in self.calls), declarations),
            imports=host_wat.imports(self.with_wasi),
            lowered=host_wat.lowered(self.with_wasi),
            exported=host_wat.exported(self.with_wasi),
        )


# --- programs --------------------------------------------------------------------------------------------------

_anywhere = st.integers(0, 2**32 - 1)
_edges = st.sampled_from([0, 1, 3, 4, _HEAP, _MEMORY_BYTES - 12, _MEMORY_BYTES - 1, _MEMORY_BYTES, 2**31, 2**32 - 1])


def _mostly(right: st.SearchStrategy[T], wrong: st.SearchStrategy[T]) -> st.SearchStrategy[T]:
    """Draw a wrong argument in one of twenty cases. With more of them most programs would end at their first call."""
    return st.sampled_from([right] * 19 + [wrong]).flatmap(lambda strategy: strategy)


_any_texts = st.sampled_from(_pieces(_WRONG)) | st.tuples(_edges | _anywhere, _edges | st.integers(0, 9_999))
_texts = _mostly(st.sampled_from([(_DATA_AT, 1), *_pieces(_RIGHT)]), _any_texts)
_arguments: dict[str, st.SearchStrategy[Any]] = {
    "address": _texts,
    "channel": st.sampled_from(_pieces([CHANNEL.encode()])) | _texts,
    "i64": st.sampled_from([0, 1, 7, 4096, 4097, 65536, 65537, 2**32, 2**63, 2**64 - 1]) | st.integers(0, 5_000),
    "stream": _mostly(st.sampled_from(host_wat.FIRST_STREAMS), st.integers(0, 9) | _anywhere),
    "pollable": _mostly(st.just(host_wat.FIRST_POLLABLE), st.integers(0, 9) | _anywhere),
    "flag": st.integers(0, 1) | _anywhere,
    "result": _mostly(st.sampled_from([16, 32]), _edges | _anywhere),
}


@st.composite
def _calls(draw: st.DrawFn, with_wasi: bool) -> Call:
    function = draw(st.sampled_from((SEND, SEND, *host_wat.functions(with_wasi))))
    arguments: list[int] = []
    for parameter in function.parameters:
        if parameter != "size":
            drawn = draw(_arguments[parameter])
            arguments += drawn if isinstance(drawn, tuple) else [drawn]
    return Call(function.name, tuple(arguments))


_TIGHT: Final = {
    "fuel": st.integers(0, 200_000),
    "memory_bytes": st.sampled_from([0, 65536, 2**17, 2**18]),
    "instances": st.integers(0, 9),
    "tables": st.integers(0, 3),
    "table_elements": st.integers(0, 100),
    "host_calls": st.integers(0, 5),
    "host_call_bytes": st.integers(0, 2_000),
    "content_chars": st.integers(0, 20),
    "state_keys": st.integers(0, 3),
    "state_key_bytes": st.integers(0, 40),
    "state_bytes": st.integers(0, 60),
    "log_line_bytes": st.integers(0, 20),
    "log_lines": st.integers(0, 3),
    "log_bytes": st.integers(0, 300),
}


@st.composite
def tight_limits(draw: st.DrawFn) -> Limits:
    """Draw limits of which at most three are tight. With more of them one limit would hide the others."""
    names = draw(st.lists(st.sampled_from(sorted(_TIGHT)), max_size=3, unique=True))
    return limits(sends=draw(st.integers(0, 5)), **{name: draw(_TIGHT[name]) for name in names})


_settings = st.dictionaries(
    st.text(max_size=8),
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=30),
    max_size=4,
)

# The keys are those that the calls name. Texts from Postgres have no NUL.
_state = st.dictionaries(
    st.sampled_from([text.decode() for text in _RIGHT[1:] if b"\0" not in text]),
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=30),
    max_size=4,
)


@st.composite
def programs(draw: st.DrawFn) -> Program:
    with_wasi = draw(st.integers(0, 3)) == 3  # compiling takes twenty times as long with WASI
    opening = [Call(name, arguments) for name, arguments in host_wat.OPENING] if with_wasi else []
    return Program(
        calls=(*opening, *draw(st.lists(_calls(with_wasi), max_size=16))),
        with_wasi=with_wasi,
        limits=draw(tight_limits()),
        permissions=draw(st.sampled_from([frozenset(Permission)] * 3 + [frozenset()])),
        settings=draw(_settings),
        state=draw(_state),
        payload=draw(st.sampled_from([MESSAGE.payload, "", "ü" * 1_000])),
        seed=draw(st.integers(0, 2**64 - 1)),
    )


# --- model -----------------------------------------------------------------------------------------------------


class _EndedError(Exception):
    def __init__(self, outcome: Outcome) -> None:
        self.outcome = outcome


@dataclass
class _Model:
    """The guest's memory, and the calls, logs, intents and state of the host."""

    program: Program
    calls: list[HostFunctionCall] = field(default_factory=list)
    passed: int = 0
    logs: list[str] = field(default_factory=list)
    log_bytes: int = 0
    intents: list[SendMessage] = field(default_factory=list)
    state: dict[str, str] = field(init=False)
    memory: bytearray = field(default_factory=lambda: bytearray(_MEMORY_BYTES))
    heap: int = _HEAP

    def __post_init__(self) -> None:
        self.state = dict(self.program.state)

    def run(self) -> Outcome:
        self.memory[_DATA_AT : _DATA_AT + len(_DATA)] = _DATA
        try:
            self._enter(self.program.payload.encode())
            for call in self.program.calls:
                self._call(call)
        except _EndedError as ended:
            return ended.outcome
        return Outcome.OK

    def _call(self, call: Call) -> None:
        if call.name == LOG.name:
            text = self._text(*call.arguments)
            self._count("log", len(text))
            self._log(text)
        elif call.name == SEND.name:
            channel, content = self._text(*call.arguments[:2]), self._text(*call.arguments[2:4])
            self._count("send-message", len(channel) + len(content))
            refusal, answer = self._send(channel, content)
            self._pass(len(answer))
            self._store(call.arguments[-1], answer, discriminant=1 if refusal else 0)
        elif call.name in (GET_STATE.name, SET_STATE.name, DELETE_STATE.name):
            texts = [self._text(*call.arguments[at : at + 2]).decode() for at in range(0, len(call.arguments) - 1, 2)]
            function = {GET_STATE.name: "state.get", SET_STATE.name: "state.set"}.get(call.name, "state.delete")
            self._count(function, sum(len(text.encode()) for text in texts))
            if call.name == DELETE_STATE.name:
                self.state.pop(texts[0], None)
                return
            found = self.state.get(*texts) if call.name == GET_STATE.name else self._set(*texts)
            encoded = None if found is None else found.encode()
            self._pass(len(encoded or b""))
            self._store(call.arguments[-1], encoded, discriminant=0 if encoded is None else 1)
        else:
            assert call.name == GET_SETTINGS.name
            self._count("settings.get", 0)
            whole = with_whole_numbers(self.program.settings)
            answer = json.dumps(whole, ensure_ascii=False, separators=(",", ":")).encode()
            self._pass(len(answer))
            self._store(call.arguments[-1], answer)

    def _send(self, channel: bytes, content: bytes) -> tuple[bool, bytes]:
        text = content[: 4 * (self.program.limits.content_chars + 1)].decode(errors="ignore")
        # The model takes the reason from the host. check_result finds a wrong message that the host let pass.
        channel_id = canonical_spelling(channel.decode()) or ""
        refusal = _refuse_send(self._host_calls(), channel_id, text)
        if refusal:
            self._refuse(refusal)
            return True, refusal.encode()
        position = len(self.intents)
        key = idempotency_key(MESSAGE.id, PLUGIN_ID, position)
        self.intents.append(SendMessage(key, position, channel_id, text))
        return False, key.encode()

    def _set(self, key: str, value: str) -> str | None:
        """Set a key. Returns the reason of a refusal, or None."""
        most, size, after = self.program.limits, len(key.encode()), {**self.state, key: value}
        before_bytes, after_bytes = state_bytes(self.state), state_bytes(after)
        reasons = {
            "the key is empty": not key,
            f"the key has {size} bytes; the limit is {most.state_key_bytes}": size > most.state_key_bytes,
            "the key has a NUL character": "\0" in key,
            f"the state would have {len(after)} keys; the limit is {most.state_keys}": (
                len(after) > max(most.state_keys, len(self.state))
            ),
            f"the state would have {after_bytes} bytes; the limit is {most.state_bytes}": (
                after_bytes > max(most.state_bytes, before_bytes)
            ),
            "the value has a NUL character": "\0" in value,
        }
        for reason, refused in reasons.items():
            if refused:
                self._refuse(reason)
                return reason
        self.state = after
        return None

    def _host_calls(self) -> Any:
        """Return the fields of OngoingRun that a check of a send reads."""
        return SimpleNamespace(permissions=self.program.permissions, limits=self.program.limits, intents=self.intents)

    def _refuse(self, reason: str) -> None:
        function = self.calls[-1].function
        self.calls[-1] = HostFunctionCall(function, reason)
        self._log(f"guildhook: {function} refused: {reason}".encode())

    def _count(self, function: str, size: int) -> None:
        """Count a call and the bytes of its texts."""
        self.calls.append(HostFunctionCall(function, None))
        self.passed += size
        self._end_if(len(self.calls) > self.program.limits.host_calls)
        self._pass(0)

    def _pass(self, size: int) -> None:
        self.passed += size
        self._end_if(self.passed > self.program.limits.host_call_bytes)

    def _log(self, text: bytes) -> None:
        stored = text.replace(b"\0", "\N{REPLACEMENT CHARACTER}".encode())
        line = stored[: self.program.limits.log_line_bytes].decode(errors="ignore")
        self._end_if(len(self.logs) == self.program.limits.log_lines)
        self.log_bytes += len(line.encode())
        self._end_if(self.log_bytes > self.program.limits.log_bytes)
        self.logs.append(line)

    def _text(self, address: int, size: int) -> bytes:
        self._trap_if(address + size > _MEMORY_BYTES)
        text = bytes(self.memory[address : address + size])
        try:
            text.decode()
        except UnicodeDecodeError:
            self._trap_if(True)
        return text

    def _store(self, address: int, text: bytes | None, discriminant: int | None = None) -> None:
        """Write a string, or a result or an option of a string, in the layout of the canonical ABI."""
        size = 8 if discriminant is None else 12
        self._trap_if(address % 4 != 0 or address + size > _MEMORY_BYTES)
        if discriminant is not None:
            self.memory[address] = discriminant
            address += 4
        if text is None:
            return
        self.memory[address : address + 8] = struct.pack("<II", self._enter(text), len(text))

    def _enter(self, text: bytes) -> int:
        """Copy a text into memory that the guest's realloc allocates. Returns its address."""
        start = self.heap
        self._trap_if(start + len(text) > _MEMORY_BYTES)
        self.memory[start : start + len(text)] = text
        self.heap = (start + len(text) + 15) & -16
        return start

    def _trap_if(self, wrong: bool) -> None:
        if wrong:
            raise _EndedError(Outcome.TRAP)

    def _end_if(self, over: bool) -> None:
        if over:
            raise _EndedError(Outcome.HOST_CALL_LIMIT)


def contradictions(program: Program, result: RunResult) -> list[str]:
    """Return the differences between the result and the model."""
    most = program.limits
    if result.outcome is Outcome.OUT_OF_MEMORY:
        wrong = most.memory_bytes >= _MEMORY_BYTES and not program.with_wasi
        return ["out of memory, of which there is enough"] if wrong else []
    if result.outcome is Outcome.INVALID:
        wrong = most.instances >= 100 and most.tables >= 50 and most.table_elements >= 20_000
        return [f"not instantiated for no reason: {result.detail}"] if wrong else []
    if program.with_wasi:
        return []
    model = _Model(program)
    outcome = model.run()
    if result.outcome in (Outcome.OUT_OF_FUEL, Outcome.DEADLINE):
        # The model does not count fuel, so the result has only a beginning of the expected calls and logs.
        model.calls = model.calls[: result.host_calls]
        model.passed = min(model.passed, result.host_call_bytes)
        model.logs = model.logs[: len(result.logs)]
        outcome = result.outcome
    # A run that is out of fuel can have ended between two calls.
    ended_in_call = [outcome is Outcome.HOST_CALL_LIMIT, *(call.denied == result.detail for call in result.calls[-1:])]
    if outcome not in (Outcome.OK, Outcome.TRAP) and model.calls and any(ended_in_call):
        model.calls[-1] = HostFunctionCall(model.calls[-1].function, result.detail)
    intents = tuple(model.intents) if outcome is Outcome.OK else ()
    state = model.state if outcome is Outcome.OK and model.state != program.state else None
    expected = (outcome, tuple(model.calls), model.passed, tuple(model.logs), intents, state)
    actual = (result.outcome, result.calls, result.host_call_bytes, result.logs, result.intents, result.state)
    return [] if actual == expected else [f"expected {expected}, got {actual}"]
