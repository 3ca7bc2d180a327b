"""The reasons not to run a plugin on a message, each found by a check of its own.

A check is a function that takes the facts about one run and returns a reason, or None. To add a check, write the
function and put it into one of the two tuples at the end of this file:

- `BEFORE_MODULES` needs only the message and the plugin. A plugin that does not take the message is not fetched.
- `BEFORE_RUN` is asked right before the run would start, and knows the use of time, budget and log up to then.

In both the first reason counts, so the order matters; it is explained beside each tuple. Versions that run as a shadow
pass the same checks as live ones.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

import msgspec

from guildhook.events.backoff import Backoff
from guildhook.events.quarantine import may_run
from guildhook.model import FailedCompile, InstalledPlugin, Message, Outcome, PluginHealth, Refusal
from guildhook.modules import UnavailableModule
from guildhook.sandbox import LoadedModule

MOST_WRITTEN_BYTES: Final = 8 * 1024 * 1024
"""The limit for logs and messages that one batch writes down, since PostgreSQL takes too long for a larger statement.
A guild's budget is less than that for a minute.
"""


class DueRun(msgspec.Struct, frozen=True):
    """A message and an installed plugin that has not run on it yet."""

    message: Message
    plugin: InstalledPlugin


@dataclass(frozen=True, slots=True)
class NotTaken:
    """The plugin does not take such messages. It does not run, and nothing is recorded."""

    reason: str


@dataclass(frozen=True, slots=True)
class Postponed:
    """The message must come back, after `seconds` at the earliest."""

    reason: str
    seconds: float = 0
    backoff: Backoff | None = None
    """The rule for its pauses, if it is not that of a failure."""


@dataclass(frozen=True, slots=True)
class OverBudget:
    """The guild has used up its budget: the message must come back in the next minute, and the delay is recorded."""

    reason: str


@dataclass(frozen=True, slots=True)
class PassedOver:
    """The plugin is quarantined: it never gets the message, and that is counted."""

    message_id: UUID
    plugin: InstalledPlugin


@dataclass(frozen=True, slots=True)
class Unrunnable:
    """The plugin cannot run: a run with this outcome is recorded without entering the sandbox."""

    outcome: Outcome
    reason: str


ReasonNotToRun = Postponed | OverBudget | PassedOver | Unrunnable
FoundModule = LoadedModule | Refusal | UnavailableModule
OpenedSettings = Mapping[str, Any] | Postponed | Unrunnable
"""Settings with the plugin's secrets among them, or the reason why the secrets cannot be opened."""


class RunFacts(msgspec.Struct, frozen=True):
    """Everything that is known of a due run right before it would start."""

    message: Message
    plugin: InstalledPlugin
    module: FoundModule
    settings: OpenedSettings
    health: PluginHealth
    """The plugin's health after its earlier runs in the batch."""
    over_budget: str | None
    """The limit that its guild has used up, as a sentence about the guild."""
    written_bytes: int
    """The bytes of logs and messages that the runs before it have to write down."""
    seconds_left: float
    """The time until the last moment at which a run may start."""


def from_a_bot(run: DueRun) -> NotTaken | None:
    if run.message.causality is None or run.plugin.bot_messages:
        return None
    return NotTaken("its author is a bot, and the plugin does not take messages of bots")


def unavailable_module(run: RunFacts) -> Postponed | None:
    if isinstance(run.module, UnavailableModule) and not _given_up(run):
        return Postponed(run.module.reason)
    return None


def no_time(run: RunFacts) -> Postponed | None:
    return Postponed("no time was left to run all of its plugins") if run.seconds_left < 0 else None


def enough_to_write(run: RunFacts) -> Postponed | None:
    return Postponed("its batch had enough to write down") if run.written_bytes >= MOST_WRITTEN_BYTES else None


def over_budget(run: RunFacts) -> OverBudget | None:
    return OverBudget(run.over_budget) if run.over_budget else None


def in_quarantine(run: RunFacts) -> PassedOver | None:
    return None if may_run(run.health) else PassedOver(run.message.id, run.plugin)


def not_compiled_module(run: RunFacts) -> Unrunnable | None:
    """The compile function has tried for the last time, and this process has failed too. The message does not wait for
    a person to let it be tried again: an answer would come hours late. The fault is not counted against the plugin.
    """
    if isinstance(run.module, UnavailableModule) and _given_up(run):
        return Unrunnable(Outcome.INTERNAL, f"it could not be compiled yet: {run.module.reason}")
    return None


def _given_up(run: RunFacts) -> bool:
    compiled, module = run.plugin.compiled, run.module
    not_compiled = isinstance(module, UnavailableModule) and module.not_compiled
    return not_compiled and isinstance(compiled, FailedCompile) and compiled.given_up


def refused_module(run: RunFacts) -> Unrunnable | None:
    return Unrunnable(Outcome.INVALID, run.module.reason) if isinstance(run.module, Refusal) else None


def closed_settings(run: RunFacts) -> Postponed | Unrunnable | None:
    return run.settings if isinstance(run.settings, (Postponed, Unrunnable)) else None


BEFORE_MODULES: Final[tuple[Callable[[DueRun], NotTaken | None], ...]] = (from_a_bot,)
"""The order decides only which reason is told."""

BEFORE_RUN: Final[tuple[Callable[[RunFacts], ReasonNotToRun | None], ...]] = (
    # These come first: a message that comes back for the infrastructure is neither counted nor recorded yet.
    unavailable_module,
    no_time,
    enough_to_write,
    # Quarantine comes after the budget, so that a message that waits for the next minute is passed over once.
    over_budget,
    in_quarantine,
    # These record a run, so they come after everything that keeps the plugin from running. A refused module has no
    # use for its settings, so it does not wait for Secrets Manager.
    not_compiled_module,
    refused_module,
    closed_settings,
)


def reason_not_taken(run: DueRun) -> NotTaken | None:
    """Return the first reason why the plugin does not take the message."""
    for check in BEFORE_MODULES:
        reason = check(run)
        if reason is not None:
            return reason
    return None


def reason_not_to_run(run: RunFacts) -> ReasonNotToRun | None:
    """Return the first reason not to run the plugin now."""
    for check in BEFORE_RUN:
        reason = check(run)
        if reason is not None:
            return reason
    return None
