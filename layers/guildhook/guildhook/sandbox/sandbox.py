"""One run of one plugin for one message: pure, bounded, and alone in its store."""

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from wasmtime import Store, WasmtimeError

from guildhook.model import Message, Outcome, RunResult
from guildhook.sandbox.capi import call_with_text
from guildhook.sandbox.engine import Engine, Module, last_cause, ticks
from guildhook.sandbox.host import Host, HostCalls, late_detail, out_of_fuel_detail
from guildhook.sandbox.interrupts import deferred_signals
from guildhook.sandbox.limits import Limits
from guildhook.sandbox.memory import limit_per_memory, too_much_memory


@dataclass(frozen=True, slots=True)
class Plugin:
    """A module together with what its guild granted it."""

    id: UUID
    module: Module
    permissions: frozenset[str]
    limits: Limits


class Sandbox:
    """Runs plugins, one at a time: wasmtime's bindings are not safe to enter from two threads."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._host = Host(engine.wasmtime)
        self._turn = threading.Lock()

    def run(self, plugin: Plugin, message: Message, settings: Mapping[str, Any], now: datetime, seed: int) -> RunResult:
        """Give the plugin the message, and return what it did.

        Touches no network, database or file and never waits. The same arguments give the same result but for
        `duration_us`, as long as the deadline does not cut in. Intents are returned only if the run ended ok.
        """
        with self._turn, deferred_signals(), Store(self._engine.wasmtime) as store:
            self._host.run = run = HostCalls(
                store=store,
                plugin_id=plugin.id,
                permissions=plugin.permissions,
                limits=plugin.limits,
                message=message,
                settings=settings,
                now=now,
                seed=seed,
                started=time.monotonic(),
            )
            try:
                outcome, detail = self._call(store, plugin.module, run)
                fuel_used = plugin.limits.fuel - store.get_fuel()
            finally:
                self._host.run = None
        return RunResult(
            outcome=outcome,
            detail=detail,
            fuel_used=fuel_used,
            duration_us=round((time.monotonic() - run.started) * 1_000_000),
            host_calls=run.calls,
            logs=tuple(run.logs),
            intents=tuple(run.intents) if outcome is Outcome.OK else (),
            host_call_bytes=run.bytes_in + run.bytes_out,
        )

    def _call(self, store: Store, module: Module, run: HostCalls) -> tuple[Outcome, str]:
        limits = run.limits
        # Before anything of the guest runs: a start function runs while the module is instantiated.
        store.set_fuel(limits.fuel)
        store.set_epoch_deadline(ticks(limits.deadline_ms))
        memory_size = limit_per_memory(module.memories, limits.memory_bytes)
        if memory_size is None:
            return Outcome.OUT_OF_MEMORY, too_much_memory(module.memories, limits.memory_bytes)
        store.set_limits(
            memory_size=memory_size,
            memories=len(module.memories),
            instances=limits.instances,
            tables=limits.tables,
            table_elements=limits.table_elements,
        )
        reached, late, cause = Outcome.INVALID, False, ""
        try:
            instance = self._host.linker.instantiate(store, module.component)
            on_message = instance.get_func(store, module.on_message)
            if on_message is None:
                return Outcome.INVALID, "it exports no function on-message"
            reached = Outcome.TRAP
            call_with_text(store, on_message, run.message.payload.encode())
            reached = Outcome.OK
        except WasmtimeError as error:
            # Its text alone: an error that is kept keeps this frame, and with it the run, until a garbage collection.
            late, cause = run.late, last_cause(error)
        run.finish_lines()
        return _classify(store, run, reached, late, cause)


def _classify(store: Store, run: HostCalls, reached: Outcome, late: bool, cause: str) -> tuple[Outcome, str]:
    """How a run ended, by what the host recorded. wasmtime's `cause` is shown, never believed: names in it are
    the guest's, and can say "all fuel consumed".
    """
    if run.fault:
        if not isinstance(run.fault, Exception):
            raise run.fault  # it ends this process, and was caught only to leave the guest alive
        return Outcome.INTERNAL, f"host function failed: {type(run.fault).__name__}"
    if run.ended:
        return run.ended
    if reached is Outcome.OK:
        return Outcome.OK, ""
    if store.get_fuel() == 0:
        return Outcome.OUT_OF_FUEL, out_of_fuel_detail(run)
    if late:
        return Outcome.DEADLINE, late_detail(run)
    return reached, cause
