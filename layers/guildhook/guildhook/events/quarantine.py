"""The part of quarantine that is decided in Python: it reads from the snapshot whether a plugin may run, and reports
the failures of a batch as Judgements.

PostgreSQL counts the failures, and decides which plugins are quarantined and for how long, under row locks and by the
operator's QuarantineRules. No threshold is known here.
"""

from collections.abc import Iterable, Sequence
from math import inf
from typing import Final
from uuid import UUID

from guildhook.model import Outcome, PluginHealth, RunResult
from guildhook.store.events import Judgement, RunRecord

_RECOVERED: Final = PluginHealth()
_FAILED_AGAIN: Final = PluginHealth(failing=True, quarantine_seconds=inf)


def may_run(health: PluginHealth) -> bool:
    """Return whether the plugin is not quarantined, or its pause is over and one run may be tried."""
    return health.quarantine_seconds is None or health.quarantine_seconds <= 0


def health_after(health: PluginHealth, result: RunResult) -> PluginHealth:
    """Return the health that counts for the next run of the batch; `health` is the one from before the batch.

    A plugin whose pause is over gets messages for as long as its runs end ok.
    """
    if health.quarantine_seconds is None:
        return health
    return _RECOVERED if result.outcome is Outcome.OK else _FAILED_AGAIN


def is_failure(result: RunResult) -> bool:
    """Return whether the run counts against the plugin. A fault of guildhook counts neither for nor against it."""
    return result.outcome not in (Outcome.OK, Outcome.INTERNAL)


def judge(runs: Iterable[RunRecord]) -> list[Judgement]:
    """Report each plugin that failed, or that had failed before. The runs of a plugin are in their order."""
    by_plugin: dict[UUID, list[RunRecord]] = {}
    for run in runs:
        by_plugin.setdefault(run.plugin.id, []).append(run)
    return [judgement for history in by_plugin.values() if (judgement := _judge(history))]


def _judge(history: Sequence[RunRecord]) -> Judgement | None:
    """Judge all runs of one plugin."""
    plugin = history[0].plugin
    failed = [run for run in history if is_failure(run.result)]
    if not failed and not plugin.health.failing:
        return None
    in_a_row = 0
    for run in history:
        if run.result.outcome is Outcome.OK:
            in_a_row = 0
        elif is_failure(run.result):
            in_a_row += 1
    return Judgement(
        plugin=plugin,
        failures=len(failed),
        failures_in_a_row=in_a_row,
        recovered=any(run.result.outcome is Outcome.OK for run in history),
        last_error=f"{failed[-1].result.outcome}: {failed[-1].result.detail}" if failed else "",
    )
