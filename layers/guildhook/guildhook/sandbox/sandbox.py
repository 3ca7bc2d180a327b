"""Runs one plugin for one message: a pure and bounded call in a store of its own."""

import mmap
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Final
from uuid import UUID

from wasmtime import WasmtimeError

from guildhook.errors import InfrastructureError
from guildhook.model import Message, Outcome, RunResult
from guildhook.sandbox.c_api import Store, address
from guildhook.sandbox.engine import Engine, LoadedModule, last_cause, os_error, ticks
from guildhook.sandbox.host_functions import HostFunctions, OngoingRun, late_detail, out_of_fuel_detail
from guildhook.sandbox.limits import Limits
from guildhook.sandbox.memory_limit import limit_per_memory, too_much_memory
from guildhook.sandbox.signals import deferred_signals

_MOST_PROVED_BYTES: Final = 64 * 1024 * 1024
"""A guild's limit may be higher than any memory of this machine; a guest grows in smaller steps."""

_NO_STATE: Final[Mapping[str, str]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class LoadedPlugin:
    """A module with the permissions that its guild has granted and the limits of its runs."""

    id: UUID
    module: LoadedModule
    permissions: frozenset[str]
    limits: Limits


class Sandbox:
    """Runs plugins, one at a time, since the bindings of wasmtime are not thread-safe."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._engine_address = address(engine.wasmtime)
        self._host = HostFunctions(engine.wasmtime)
        self._turn = threading.RLock()
        self._in_batch = False

    @contextmanager
    def batch(self) -> Iterator[None]:
        """Reserve the sandbox for several runs, to defer signals once: that takes a tenth of a short run."""
        with self._turn, deferred_signals():
            self._in_batch = True
            try:
                yield
            finally:
                self._in_batch = False

    def run(
        self,
        plugin: LoadedPlugin,
        message: Message,
        settings: Mapping[str, Any],
        now: datetime,
        seed: int,
        state: Mapping[str, str] = _NO_STATE,
    ) -> RunResult:
        """Run the plugin for the message.

        A run uses no network, database or file, never waits, and does not change `state`. Equal arguments give equal
        results, except for `duration_us`, `cpu_us` and runs that end at the deadline. The result has intents and a
        new state only if the outcome is `ok`. Raises InfrastructureError if the machine has no memory for the run.
        """
        with self._turn:
            if self._in_batch:
                return self._run(plugin, message, settings, now, seed, state)
            with self.batch():
                return self._run(plugin, message, settings, now, seed, state)

    def start(self, module: LoadedModule, limits: Limits) -> tuple[Outcome, str]:
        """Instantiate the module without message, settings or state. Returns the outcome and its detail.

        Raises InfrastructureError if the machine has no memory for it.
        """
        nobody, never = UUID(int=0), datetime.fromtimestamp(0, UTC)
        message = Message(id=nobody, guild_id=nobody, channel_id=nobody, created_at=never, payload="")
        with self.batch():
            _, outcome, detail, _ = self._enter(
                LoadedPlugin(nobody, module, frozenset(), limits), None, message, {}, never, 0, _NO_STATE
            )
        return outcome, detail

    def _run(
        self,
        plugin: LoadedPlugin,
        message: Message,
        settings: Mapping[str, Any],
        now: datetime,
        seed: int,
        state: Mapping[str, str],
    ) -> RunResult:
        payload = message.payload.encode()
        cpu_before = time.thread_time_ns()
        run, outcome, detail, fuel_left = self._enter(plugin, payload, message, settings, now, seed, state)
        return RunResult(
            outcome=outcome,
            detail=detail,
            fuel_used=plugin.limits.fuel - fuel_left,
            duration_us=round((time.monotonic() - run.started) * 1_000_000),
            host_calls=len(run.calls),
            logs=tuple(run.logs),
            intents=tuple(run.intents) if outcome is Outcome.OK else (),
            host_call_bytes=run.bytes_passed,
            state=run.new_state if outcome is Outcome.OK else None,
            calls=tuple(run.calls),
            cpu_us=-((cpu_before - time.thread_time_ns()) // 1000),
        )

    def _enter(
        self,
        plugin: LoadedPlugin,
        payload: bytes | None,
        message: Message,
        settings: Mapping[str, Any],
        now: datetime,
        seed: int,
        state: Mapping[str, str],
    ) -> tuple[OngoingRun, Outcome, str, int]:
        """Run in a new store. Returns the record, the outcome with its detail, and the remaining fuel."""
        with Store(self._engine_address) as store:
            run = OngoingRun(
                store=store,
                plugin_id=plugin.id,
                permissions=plugin.permissions,
                limits=plugin.limits,
                message=message,
                settings=settings,
                state=state,
                now=now,
                seed=seed,
                started=time.monotonic(),
            )
            self._host.run = run
            try:
                outcome, detail = self._call(plugin.module, run, payload)
                if outcome in (Outcome.TRAP, Outcome.INVALID):
                    _prove_memory(plugin.limits.memory_bytes)
                return run, outcome, detail, store.get_fuel()
            except MemoryError:
                raise _no_memory("the process has no memory left") from None
            finally:
                self._host.run = None

    def _call(self, module: LoadedModule, run: OngoingRun, payload: bytes | None) -> tuple[Outcome, str]:
        """Instantiate the module, and call it unless `payload` is None. Returns the outcome and its detail."""
        store, limits = run.store, run.limits
        # All limits are set first, since a start function runs during instantiation.
        store.set_fuel(limits.fuel)
        memory_bytes = limit_per_memory(module.memories, limits.memory_bytes)
        if memory_bytes is None:
            return Outcome.OUT_OF_MEMORY, too_much_memory(module.memories, limits.memory_bytes)
        store.limit(
            memory_bytes=memory_bytes,
            memories=len(module.memories),
            instances=limits.instances,
            tables=limits.tables,
            table_elements=limits.table_elements,
            ticks=ticks(limits.deadline_ms),
        )
        reached, late, cause = Outcome.INVALID, False, ""
        try:
            on_message = store.instantiate(self._host.linker, *module.addresses)
            if on_message is None:
                return Outcome.INVALID, "it exports no function on-message"
            reached = Outcome.TRAP
            if payload is not None:
                on_message(payload)
            reached = Outcome.OK
        except WasmtimeError as error:
            # Only the text is kept: the error refers to this frame, and would keep the run until a garbage collection.
            late, cause = run.late, last_cause(error)
            fault = os_error(error) if reached is Outcome.INVALID else None
            if fault:
                raise _no_memory(str(fault.strerror)) from None
        run.finish_lines()
        return _classify(run, reached, late, cause)


def _prove_memory(memory_bytes: int) -> None:
    """Raise InfrastructureError if this process cannot have the memory that a run may have.

    wasmtime tells the guest alone that `memory.grow` was refused, and not the host. A guest that the machine refused
    memory usually traps. The store of the run must still exist, so that what is proved is beyond the memory it has.
    """
    needed = min(memory_bytes, _MOST_PROVED_BYTES)
    if not needed:
        return
    try:
        mmap.mmap(-1, needed, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS).close()
    except OSError as error:
        raise _no_memory(f"{needed} bytes of memory, which it may have: {error.strerror}") from None


def _no_memory(reason: str) -> InfrastructureError:
    return InfrastructureError(f"a plugin cannot run on this machine now: {reason}")


def _classify(run: OngoingRun, reached: Outcome, late: bool, cause: str) -> tuple[Outcome, str]:
    """The outcome of a run and its detail, by the record of the host.

    `cause` is shown but decides nothing: it contains names that the guest chose, which can say "all fuel consumed".
    """
    if run.fault:
        if isinstance(run.fault, MemoryError):
            raise _no_memory("a host function had no memory left")
        if not isinstance(run.fault, Exception):
            raise run.fault  # it must end the process; it was caught only so that it did not leave through wasmtime
        return Outcome.INTERNAL, f"host function failed: {type(run.fault).__name__}"
    if run.ended:
        return run.ended
    if reached is Outcome.OK:
        return Outcome.OK, ""
    if run.store.get_fuel() == 0:
        return Outcome.OUT_OF_FUEL, out_of_fuel_detail(run)
    if late:
        return Outcome.DEADLINE, late_detail(run)
    return reached, cause
