"""Runs the plugins of a batch, one after the other, as far as no check has a reason not to."""

import secrets
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, cast
from uuid import UUID

from guildhook.errors import InfrastructureError
from guildhook.events.checks import DueRun, OverBudget, PassedOver, Postponed, RunFacts, Unrunnable, reason_not_to_run
from guildhook.events.handling import Handling, UnrecordedRuns
from guildhook.events.settings import open_settings
from guildhook.model import InstalledPlugin, PluginState, RunResult
from guildhook.modules import UnavailableModule
from guildhook.plugin_settings.sealing import Sealer
from guildhook.sandbox import Limits, LoadedModule, LoadedPlugin, Sandbox
from guildhook.store.events import RunRecord

_NOT_FOUND: Final = UnavailableModule("the plugin was updated meanwhile")
"""The module of a due run is missing only if a lost race brought a newer version of the plugin."""


class Runner:
    def __init__(self, sandbox: Sandbox, limits_of: Callable[[UUID], Limits], sealer: Sealer | None) -> None:
        """`limits_of` returns the limits of a guild's runs. Without `sealer`, plugins with secrets do not run."""
        self.sandbox = sandbox
        self._limits_of = limits_of
        self._sealer = sealer

    def run(self, handling: Handling, due: Sequence[DueRun]) -> UnrecordedRuns:
        """Run live versions in the order of `due`. Nothing is written or sent, so that they can be run again."""
        runs = UnrecordedRuns()
        self.open_settings(runs, due)
        with self.sandbox.batch():
            for each in due:
                state = runs.state_of(each.plugin)
                facts = self.facts(handling, runs, each, handling.latest_start)
                match self.run_or_reason(handling, facts, state):
                    case RunRecord() as run:
                        runs.add(run)
                        if handling.shadows:
                            handling.states_before[run.key] = state
                        if run.wrote_state:
                            handling.budgets.resize_state(each.plugin, runs.state_of(each.plugin).size)
                    case Postponed() as postponed:
                        runs.postponed[each.message.id] = postponed
                    case OverBudget(exceeded):
                        runs.delay(each, exceeded, handling.budgets.seconds_until_next_minute())
                    case PassedOver() as passed_over:
                        runs.passed_over.append(passed_over)
        return runs

    def open_settings(self, runs: UnrecordedRuns, due: Iterable[DueRun]) -> None:
        """Open the settings of all plugins before they run: Secrets Manager may be asked for the keys."""
        for each in due:
            if each.plugin.id not in runs.settings:
                runs.settings[each.plugin.id] = open_settings(each.plugin, self._sealer)

    def facts(self, handling: Handling, runs: UnrecordedRuns, due: DueRun, latest_start: float) -> RunFacts:
        """Gather the facts about a run for the checks. Its settings must be open in `runs`."""
        plugin = due.plugin
        return RunFacts(
            message=due.message,
            plugin=plugin,
            module=handling.modules.get(plugin.wasm_sha256, _NOT_FOUND),
            settings=runs.settings[plugin.id],
            health=runs.health_of(plugin),
            over_budget=handling.budgets.exceeded_for(plugin),
            written_bytes=runs.written_bytes,
            seconds_left=latest_start - time.monotonic(),
        )

    def run_or_reason(
        self, handling: Handling, facts: RunFacts, state: PluginState
    ) -> RunRecord | Postponed | OverBudget | PassedOver:
        """Run the plugin, and count the run for its guild's budget; or return the reason not to run it."""
        plugin, message = facts.plugin, facts.message
        reason = reason_not_to_run(facts)
        if reason is None:
            limits, seed = self._limits(handling, plugin), secrets.randbits(63)
            # The checks have let neither a refused or unavailable module nor closed settings through.
            module, settings = cast("LoadedModule", facts.module), cast("Mapping[str, Any]", facts.settings)
            loaded = LoadedPlugin(plugin.id, module, plugin.permissions, limits)
            try:
                result = self.sandbox.run(loaded, message, settings, message.created_at, seed, state.entries)
            except InfrastructureError as error:
                return Postponed(str(error))
            run = RunRecord(plugin, message, seed, result, limits.fuel)
            handling.budgets.spend(plugin.guild_id, run.spent)
            return run
        if isinstance(reason, Unrunnable):
            return RunRecord(plugin, message, 0, _result_without_run(reason), self._limits(handling, plugin).fuel)
        return reason

    def _limits(self, handling: Handling, plugin: InstalledPlugin) -> Limits:
        """Return the limits of the plugin's guild, with no more state than the guild has room for."""
        limits, room = self._limits_of(plugin.guild_id), handling.budgets.room_for_state(plugin)
        return limits if room >= limits.state_bytes else replace(limits, state_bytes=room)


def _result_without_run(reason: Unrunnable) -> RunResult:
    return RunResult(reason.outcome, reason.reason, fuel_used=0, duration_us=0, host_calls=0, logs=(), intents=())
