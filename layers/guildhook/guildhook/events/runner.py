"""Runs the plugins of a batch, one after the other, and says what is to be written and what has to wait."""

import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any, Final
from uuid import UUID

from guildhook.errors import InfrastructureError, UnsealableError
from guildhook.events.budgets import Budgets, GuildBudget
from guildhook.events.quarantine import health_after, judge, may_run
from guildhook.model import InstalledPlugin, Message, Outcome, PluginHealth, PluginState, Refusal, RunResult
from guildhook.modules import UnavailableModule
from guildhook.plugin_settings.sealing import Sealer
from guildhook.sandbox import Limits, LoadedModule, LoadedPlugin, Sandbox
from guildhook.store.events import BatchRecord, Delayed, RunKey, RunRecord, Snapshot

_MOST_BYTES: Final = 8 * 1024 * 1024
"""Of logs and messages that one batch writes down: a statement with much more takes Postgres too long. A guild has less
than that for a minute.
"""
_SHADOW_SECONDS: Final = 1
"""Of one batch, for all runs of shadows: what live versions want to send waits until these are recorded as well."""

Todo = tuple[Message, InstalledPlugin]
Found = Mapping[bytes, LoadedModule | Refusal | UnavailableModule]
"""Modules by the digest of their wasm, or why there is none."""


@dataclass(frozen=True, slots=True)
class Postponed:
    """Why a message must come back, and how long it has to wait at least."""

    reason: str
    seconds: float = 0


@dataclass(frozen=True, slots=True)
class Unopened:
    """Why a plugin's secrets stay closed until somebody mends that."""

    reason: str


@dataclass(frozen=True, slots=True)
class PassedOver:
    """A message that a quarantined plugin was not given."""

    message_id: UUID
    plugin: InstalledPlugin


@dataclass(frozen=True, slots=True)
class Ran:
    record: BatchRecord
    passed_over: Sequence[PassedOver]
    postponed: Mapping[UUID, Postponed]
    """By message."""


class Runner:
    """Of one batch: what its runs use up counts for those after them."""

    def __init__(
        self,
        sandbox: Sandbox,
        limits_of: Callable[[UUID], Limits],
        budget_of: Callable[[UUID], GuildBudget],
        snapshot: Snapshot,
        latest_start: float,
        sealer: Sealer | None = None,
    ) -> None:
        """No run begins after `latest_start`, by time.monotonic(). Without `sealer` no plugin with secrets is run."""
        self._sandbox = sandbox
        self._limits_of = limits_of
        plugins = chain.from_iterable(snapshot.plugins.values())
        self._budgets = Budgets(budget_of, snapshot.spent, plugins, snapshot.minute_seconds_left)
        self._latest_start = latest_start
        self._sealer = sealer
        self._shadow_seconds = float(_SHADOW_SECONDS)
        """What shadows have left."""
        self._before: dict[RunKey, PluginState] = {}
        """What live versions began with."""

    def run(self, todo: Sequence[Todo], modules: Found, shadows: Sequence[Todo] = ()) -> Ran:
        """Live versions in `todo`, and after all of them `shadows`, as far as there is time, budget and a module.

        A shadow is given the state that the live version had before the message, and leaves it as it is.
        """
        runs: list[RunRecord] = []
        states: dict[UUID, PluginState] = {}
        health: dict[UUID, PluginHealth] = {}
        passed_over: list[PassedOver] = []
        postponed: dict[UUID, Postponed] = {}
        over_budget: dict[UUID, str] = {}
        written_bytes = 0
        settings = self._settings_of(plugin for _, plugin in (*todo, *shadows))
        with self._sandbox.batch():
            for message, plugin in todo:
                module = modules[plugin.wasm_sha256]
                exceeded = self._budgets.exceeded(plugin.guild_id)
                if isinstance(module, UnavailableModule):
                    postponed[message.id] = Postponed(module.reason)
                elif time.monotonic() > self._latest_start:
                    postponed[message.id] = Postponed("no time was left to run all of its plugins")
                elif written_bytes >= _MOST_BYTES:
                    postponed[message.id] = Postponed("its batch had enough to write down")
                elif exceeded:
                    over_budget[message.id] = exceeded
                    postponed[message.id] = self._until_the_next_minute(plugin.guild_id, exceeded)
                elif not may_run(health.get(plugin.id, plugin.health)):
                    passed_over.append(PassedOver(message.id, plugin))
                elif isinstance(opened := settings[plugin.id], Postponed):
                    postponed[message.id] = opened
                else:
                    self._before[message.id, plugin.id] = state = states.get(plugin.id, plugin.state)
                    record = self._run(message, plugin, module, state, opened)
                    runs.append(record)
                    self._budgets.spend(plugin.guild_id, record.spent)
                    written_bytes += _written_bytes(record)
                    if record.result.state is not None:
                        states[plugin.id] = after = PluginState(state.version, record.result.state)
                        self._budgets.resize_state(plugin, after.size)
                    health[plugin.id] = health_after(plugin.health, record.result)
            shadow_runs = self._run_shadows(
                # A message that comes back is given to shadows then.
                [(message, plugin) for message, plugin in shadows if message.id not in postponed],
                lambda message, plugin: (
                    self._before.get((message.id, plugin.id)) or states.get(plugin.id, plugin.state)
                ),
                modules,
                settings,
                _MOST_BYTES - written_bytes,
            )
        guilds = {message.id: message.guild_id for message, _ in todo}
        batch_record = BatchRecord(
            runs=runs,
            states=states,
            judgements=judge(runs),
            passed_over=Counter(passed.plugin.id for passed in passed_over),
            delayed=[Delayed(message_id, guilds[message_id], reason) for message_id, reason in over_budget.items()],
            shadow_runs=shadow_runs,
        )
        return Ran(batch_record, passed_over, postponed)

    def _run_shadows(
        self,
        shadows: Sequence[Todo],
        state_of: Callable[[Message, InstalledPlugin], PluginState],
        modules: Found,
        settings: Mapping[UUID, Mapping[str, Any] | Unopened | Postponed],
        most_bytes: int,
    ) -> list[RunRecord]:
        """What cannot be done now is left out: nobody waits for it."""
        runs: list[RunRecord] = []
        started = time.monotonic()
        latest_start = min(self._latest_start, started + self._shadow_seconds)
        for message, plugin in shadows:
            module, opened = modules.get(plugin.wasm_sha256), settings[plugin.id]
            if time.monotonic() > latest_start or most_bytes <= 0:
                break
            if module is None or isinstance(module, UnavailableModule) or isinstance(opened, Postponed):
                continue
            if self._budgets.exceeded(plugin.guild_id) or self._budgets.is_half_used(plugin.guild_id):
                continue
            record = self._run(message, plugin, module, state_of(message, plugin), opened)
            runs.append(record)
            self._budgets.spend(plugin.guild_id, record.spent)
            most_bytes -= _written_bytes(record)
        self._shadow_seconds -= time.monotonic() - started
        return runs

    def _run(
        self,
        message: Message,
        plugin: InstalledPlugin,
        module: LoadedModule | Refusal,
        state: PluginState,
        settings: Mapping[str, Any] | Unopened,
    ) -> RunRecord:
        limits = self._limits(plugin)
        if isinstance(module, Refusal):
            return RunRecord(plugin, message, 0, _not_run(Outcome.INVALID, module.reason), limits.fuel)
        if isinstance(settings, Unopened):
            return RunRecord(plugin, message, 0, _not_run(Outcome.INTERNAL, settings.reason), limits.fuel)
        seed = secrets.randbits(63)
        granted = LoadedPlugin(plugin.id, module, plugin.permissions, limits)
        result = self._sandbox.run(granted, message, settings, message.created_at, seed, state.entries)
        return RunRecord(plugin, message, seed, result, limits.fuel)

    def _settings_of(self, plugins: Iterable[InstalledPlugin]) -> dict[UUID, Mapping[str, Any] | Unopened | Postponed]:
        """With secrets, by plugin. Not inside a batch of the sandbox: Secrets Manager may be asked."""
        by_id = {plugin.id: plugin for plugin in plugins}
        return {plugin.id: self._opened(plugin) if plugin.sealed else plugin.settings for plugin in by_id.values()}

    def _opened(self, plugin: InstalledPlugin) -> Mapping[str, Any] | Unopened | Postponed:
        if self._sealer is None:
            names = ", ".join(map(repr, sorted(plugin.sealed)))
            return Unopened(f"GUILDHOOK_SETTINGS_SECRET is not set, which opens its secrets: {names}")
        try:
            return {**plugin.settings, **self._sealer.unseal(plugin.id, plugin.sealed)}
        except UnsealableError as error:
            return Unopened(str(error))
        except InfrastructureError as error:
            return Postponed(str(error))

    def _until_the_next_minute(self, guild_id: UUID, exceeded: str) -> Postponed:
        wait = self._budgets.seconds_until_next_minute()
        return Postponed(f"guild {guild_id} is over its budget: {exceeded}", wait)

    def _limits(self, plugin: InstalledPlugin) -> Limits:
        """Those of its guild, and no more state than the guild has room for."""
        limits, room = self._limits_of(plugin.guild_id), self._budgets.room_for_state(plugin)
        return limits if room >= limits.state_bytes else replace(limits, state_bytes=room)


def _written_bytes(run: RunRecord) -> int:
    logged = sum(len(line.encode()) for line in run.result.logs)
    return logged + run.content_bytes + len((run.kept_message or "").encode())


def _not_run(outcome: Outcome, reason: str) -> RunResult:
    return RunResult(outcome, reason, fuel_used=0, duration_us=0, host_calls=0, logs=(), intents=())
