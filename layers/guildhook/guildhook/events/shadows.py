"""Runs versions that shadow a plugin: on the same messages as the live version, with no effect but a record.

A shadow gets the state that the live version had before the message, and leaves it as it is. Replies wait for the
shadows of their batch for a second at the most, and no message comes back because of a shadow: without time, budget or
module, the run is left out.
"""

import logging
import time
from collections.abc import Sequence
from typing import Final

from guildhook.errors import InfrastructureError
from guildhook.events.checks import DueRun
from guildhook.events.due_runs import needed_modules
from guildhook.events.handling import Handling, UnrecordedRuns
from guildhook.events.runner import Runner
from guildhook.model import QuarantineRules
from guildhook.modules import ModuleCache, NeededModule, UnavailableModule
from guildhook.sandbox import LoadedModule
from guildhook.stage import Stage
from guildhook.store.events import EventStore, RunRecord

_REST_SECONDS: Final = 60
"""The time for which an unavailable module is not looked for again: S3 can take half a minute to fail."""
_UNCOMPILED: Final = UnavailableModule("it is not compiled yet")

_logger = logging.getLogger(__name__)


class Shadows:
    def __init__(
        self,
        runner: Runner,
        modules: ModuleCache[LoadedModule],
        store: EventStore,
        quarantine: QuarantineRules,
        stage: Stage,
    ) -> None:
        self._runner = runner
        self._modules = modules
        self._store = store
        self._quarantine = quarantine
        self._stage = stage
        self._resting: dict[NeededModule, float] = {}
        """The unavailable modules, with the times at which they are looked for again."""

    def run_beside(self, handling: Handling, runs: UnrecordedRuns) -> None:
        """Add the shadows whose modules are in memory to an attempt, so that one write records all.

        While modules of live versions are still to be compiled, no shadow runs: it is late, then.
        """
        if not handling.shadows or handling.uncompiled:
            return
        unknown = [run for run in handling.shadows if run.plugin.wasm_sha256 not in handling.modules]
        handling.modules |= self._modules.at_hand(needed_modules(unknown))
        at_hand = [run for run in handling.shadows if run.plugin.wasm_sha256 in handling.modules]
        handling.shadows = [run for run in handling.shadows if run.plugin.wasm_sha256 not in handling.modules]
        self._run(handling, runs, at_hand)

    def run_late(self, handling: Handling) -> None:
        """Run the shadows that are left, when all replies are sent; here their modules may be fetched from S3."""
        late = [run for run in handling.shadows if run.message.id not in handling.postponed]
        now = time.monotonic()
        if not late or now > handling.latest_compile:
            return
        self._resting = {module: until for module, until in self._resting.items() if until > now}
        needed = [module for module in needed_modules(late) if module not in self._resting]
        with self._stage("shadows"):
            found = self._modules.find(needed, handling.latest_arrival())
            missing = [
                module for module in needed if isinstance(found.get(module.wasm_sha256, _UNCOMPILED), UnavailableModule)
            ]
            self._resting |= dict.fromkeys(missing, now + _REST_SECONDS)
            if uncompiled := [module for module in missing if module.wasm_sha256 not in found]:
                self._modules.ask(uncompiled)
            handling.modules |= found
            self._run(handling, runs := UnrecordedRuns(), late)
            try:
                if runs.shadow_runs:
                    self._store.record(runs.record(), self._quarantine)
            except InfrastructureError as error:
                _logger.warning("runs of shadows are not recorded: %s", error)

    def _run(self, handling: Handling, runs: UnrecordedRuns, due: Sequence[DueRun]) -> None:
        """Run shadows for as long as the batch has time for them."""
        started = time.monotonic()
        latest_start = min(handling.latest_start, started + handling.shadow_seconds_left)
        self._runner.open_settings(runs, due)
        with self._runner.sandbox.batch():
            for each in due:
                if each.message.id in runs.postponed:
                    continue  # the shadow gets the message when it comes back
                before = handling.states_before.get((each.message.id, each.plugin.id))
                facts = self._runner.facts(handling, runs, each, latest_start)
                run = self._runner.run_or_reason(handling, facts, before or runs.state_of(each.plugin))
                if isinstance(run, RunRecord):
                    runs.add_shadow(run)
        handling.shadow_seconds_left -= time.monotonic() - started
