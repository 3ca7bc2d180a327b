"""Takes an upload through all stages of a stranger's plugin, in a child process that may die, and reports faults.

The child process inspects, compiles, loads and runs as production does. The one difference is that it compiles
within itself, a hundred times as fast as in a process of its own. If that ends the child, and in some other cases, the
real `Engine.compile` is called too.
"""

import multiprocessing
import resource
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import msgspec

import wat
from guildhook.errors import InvalidPluginError
from guildhook.model import CompiledModule, Message, Outcome, Permission, RunResult
from guildhook.sandbox import Engine, Limits, LoadedModule, LoadedPlugin, Sandbox, inspect
from samples import MESSAGE, PLUGIN_ID, TIME, limits

# Fuel ends a guest long before this time, so a case that takes longer hangs.
_HANG_SECONDS: Final = 60
_REASON_CHARS: Final = 3_000
_DETAIL_CHARS: Final = 500

_NEIGHBOUR_ID: Final = UUID("6a1d0000-0000-4000-8000-00000000000a")
_SPAWN: Final = multiprocessing.get_context("spawn")


@dataclass(frozen=True)
class Case:
    wasm: bytes = field(repr=False)
    limits: Limits = field(default_factory=limits)
    permissions: frozenset[str] = frozenset(Permission)
    settings: dict[str, Any] = field(default_factory=dict)
    state: dict[str, str] = field(default_factory=dict)
    message: Message = MESSAGE
    seed: int = 1
    compile_for_real: bool = False
    """True if the real Engine.compile must produce the same artifact."""


@dataclass(frozen=True)
class Verdict:
    ended: str
    """The last stage: refused, does not compile, compiler died, died, raised, or the outcome of the run."""
    problems: tuple[str, ...] = ()
    result: RunResult | None = None


class Driver:
    """The child process, started again whenever a case has ended it."""

    def __init__(self) -> None:
        self._engine = Engine()
        self._child: Any = None
        self._pipe: Connection | None = None

    def judge(self, case: Case) -> Verdict:
        if self._pipe is None:
            self._start()
        assert self._pipe
        stage = "inspection"
        try:
            self._pipe.send(case)
            while self._pipe.poll(_HANG_SECONDS):
                answer = self._pipe.recv()
                if isinstance(answer, Verdict):
                    return answer
                stage = answer
            death = f"it hangs in {stage}"
        except (EOFError, ConnectionError):
            self._child.join()
            death = f"it ends the process with status {self._child.exitcode} in {stage}"
        self.close()
        return self._judge_compiler(case) if stage == "compile" else Verdict("died", (death,))

    def close(self) -> None:
        if self._pipe is not None:
            self._pipe.close()
            self._child.kill()
            self._child.join()
            self._pipe = None

    def _start(self) -> None:
        self._pipe, theirs = _SPAWN.Pipe()
        self._child = _SPAWN.Process(target=serve, args=(theirs,), daemon=True)
        self._child.start()
        theirs.close()  # else the end of the child would not close the pipe

    def _judge_compiler(self, case: Case) -> Verdict:
        """Judge a case that ended the child while compiling: Engine.compile must report an invalid plugin."""
        try:
            self._engine.compile(case.wasm)
        except InvalidPluginError as error:
            return Verdict("compiler died", tuple(_unprintable("the compiler's reason", str(error), _REASON_CHARS)))
        except Exception as error:  # noqa: BLE001 - any other exception is a finding
            return Verdict("compiler died", (f"Engine.compile raises {error!r}",))
        return Verdict("compiler died", ("compiling ends the driver, and Engine.compile does not mind",))


def serve(pipe: Connection) -> None:
    """The child's main function: answers each case with the stages that it reaches, and a verdict."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with tempfile.TemporaryDirectory() as folder:
        judge = _Judge(pipe, Path(folder))
        try:
            while True:
                pipe.send(judge.verdict(pipe.recv()))
        except (EOFError, ConnectionError):
            pass  # the parent is done


class _Judge:
    def __init__(self, pipe: Connection, folder: Path) -> None:
        self._pipe, self._folder = pipe, folder
        self._engine = Engine()
        self._sandbox = Sandbox(self._engine)
        neighbour = self._load(self._compile(wat.ECHOES_TO_LOG))
        self._neighbour = LoadedPlugin(_NEIGHBOUR_ID, neighbour, frozenset(), limits())

    def verdict(self, case: Case) -> Verdict:
        try:
            return self._verdict(case)
        except Exception as error:  # noqa: BLE001 - any exception that the stages do not catch is a finding
            return Verdict("raised", (f"raises {error!r}",))

    def _verdict(self, case: Case) -> Verdict:
        inspection = inspect(case.wasm)
        problems = [problem for reason in inspection.reasons for problem in _unprintable("a reason", reason)]
        if len(inspection.reasons) > 20 or inspection.accepted != (not inspection.reasons):
            problems.append(f"inspection gives {len(inspection.reasons)} reasons")
        if not inspection.accepted:
            return Verdict("refused", tuple(problems))
        self._pipe.send("compile")
        try:
            compiled = self._compile(case.wasm)
        except InvalidPluginError as error:
            compiled, problems = None, [*problems, *_unprintable("the compiler's reason", str(error))]
        if case.compile_for_real and not self._compiles_to(case.wasm, compiled):
            problems.append("Engine.compile comes to another artifact")
        if compiled is None:
            return Verdict("does not compile", tuple(problems))
        self._pipe.send("run")
        module = self._load(compiled)
        before = dict(case.state)
        result, again = (self._run(case, module) for _ in range(2))
        problems += check_result(case, result)
        if case.state != before:
            problems.append("the state that was given is changed")
        if (result.outcome is Outcome.OUT_OF_MEMORY) == inspect(case.wasm, case.limits.memory_bytes).accepted:
            problems.append(f"inspection does not foresee whether there is enough memory: {result.outcome}")
        if Outcome.DEADLINE not in (result.outcome, again.outcome) and _comparable(result) != _comparable(again):
            problems.append(f"not deterministic: {_comparable(result)}, then {_comparable(again)}")
        after = self._sandbox.run(self._neighbour, MESSAGE, {}, TIME, 1)
        if (after.outcome, after.logs, after.intents, after.state) != (Outcome.OK, (MESSAGE.payload,), (), None):
            problems.append(f"the next plugin in the same sandbox: {after}")
        return Verdict(str(result.outcome), tuple(problems), result)

    def _compile(self, wasm: bytes) -> CompiledModule:
        return CompiledModule(self._engine.compile_here(wasm), inspect(wasm).memories)

    def _compiles_to(self, wasm: bytes, expected: CompiledModule | None) -> bool:
        try:
            return self._engine.compile(wasm) == expected
        except InvalidPluginError:
            return expected is None

    def _load(self, compiled: CompiledModule) -> LoadedModule:
        path = self._folder / "artifact"
        path.write_bytes(compiled.artifact)
        try:
            return self._engine.load(path, compiled.memories)
        finally:
            path.unlink()  # it stays mapped: the next one is another file

    def _run(self, case: Case, module: LoadedModule) -> RunResult:
        plugin = LoadedPlugin(PLUGIN_ID, module, case.permissions, case.limits)
        return self._sandbox.run(plugin, case.message, case.settings, TIME, case.seed, case.state)


def _comparable(result: RunResult) -> RunResult:
    return msgspec.structs.replace(result, duration_us=0, cpu_us=0)


def state_bytes(state: Mapping[str, str]) -> int:
    return sum(len(text.encode()) for entry in state.items() for text in entry)


def check_result(case: Case, result: RunResult) -> list[str]:
    """Return the faults in a result that no plugin may cause."""
    return [
        *_unprintable("detail", result.detail, _DETAIL_CHARS),
        *(problem for problem, found in _rules(case, result) if found),
    ]


def _rules(case: Case, result: RunResult) -> Iterator[tuple[str, bool]]:
    most = case.limits
    lines = [len(line.encode()) for line in result.logs]
    yield f"the fault is ours: {result.detail}", result.outcome is Outcome.INTERNAL
    yield f"outcome ok with detail {result.detail!r}", (result.outcome is Outcome.OK) != (not result.detail)
    yield f"{result.fuel_used} of {most.fuel} fuel used", not 0 <= result.fuel_used <= most.fuel
    # The call over the limit is counted too, and ends the run.
    yield f"{result.host_calls} host calls", result.host_calls > most.host_calls + 1
    yield f"{len(result.calls)} host calls of {result.host_calls} recorded", len(result.calls) != result.host_calls
    yield "a denied call too long to show", any(len(call.denied or "") > _DETAIL_CHARS for call in result.calls)
    yield f"{len(lines)} lines of log", len(lines) > most.log_lines
    yield f"a line of {max(lines, default=0)} bytes in the log", max(lines, default=0) > most.log_line_bytes
    yield f"{sum(lines)} bytes of log", sum(lines) > most.log_bytes
    yield "a NUL in the log, which Postgres does not store", any("\0" in line for line in result.logs)
    yield "intents of a run that failed", bool(result.intents) and result.outcome is not Outcome.OK
    yield "intents without permission", bool(result.intents) and Permission.SEND_MESSAGES not in case.permissions
    yield f"{len(result.intents)} intents", len(result.intents) > most.sends
    yield (
        "positions or keys repeat",
        len({(intent.position, intent.key) for intent in result.intents}) != len(result.intents),
    )
    yield (
        "content of an intent",
        any(
            not intent.content.strip() or "\0" in intent.content or len(intent.content) > most.content_chars
            for intent in result.intents
        ),
    )
    yield from _state_rules(case, result)


def _state_rules(case: Case, result: RunResult) -> Iterator[tuple[str, bool]]:
    if result.state is None:
        return
    most, given, state = case.limits, case.state, result.state
    new = {key for key in state if key not in given}
    yield "a state of a run that failed", result.outcome is not Outcome.OK
    yield "a new state that is the old one", state == given
    # A state that was over a limit before the run may stay over it.
    yield f"a state of {len(state)} keys", len(state) > max(most.state_keys, len(given))
    yield f"a state of {state_bytes(state)} bytes", state_bytes(state) > max(most.state_bytes, state_bytes(given))
    yield "a key of no or too many bytes", any(not 0 < len(key.encode()) <= most.state_key_bytes for key in new)
    yield "a NUL in the state, which Postgres does not store", any("\0" in text for text in (*new, *state.values()))


def _unprintable(kind: str, text: str, most: int = _REASON_CHARS) -> list[str]:
    return [] if text.isprintable() and len(text) <= most else [f"{kind}, {len(text)} characters: {text[:200]!r}"]
