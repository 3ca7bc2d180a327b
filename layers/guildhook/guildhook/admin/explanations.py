"""Why a plugin answered a message, or did not: the reasons follow from records, and say how certain they are."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from guildhook.admin.models import Cause, Reason, Run
from guildhook.model import DeliveryState, Outcome
from guildhook.store.admin import MessageTraces, StoredAuditEntry, StoredBudget, StoredPlugin

_MOST_CHANGES: Final = 50
"""The most changes that are read."""
_LIVE_ACTIONS: Final = ("plugin.live", "plugin.rolled_back")
_SOON: Final = timedelta(hours=1)


def explain(plugin: StoredPlugin, run: Run | None, traces: MessageTraces, budget: StoredBudget | None) -> list[Reason]:
    """The reasons, the likeliest first. There is at least one."""
    deleted = list(_deleted(traces))
    if run is not None:
        return [*deleted, *_undelivered(run), _recorded(run)]
    if deleted:
        return deleted
    reasons = [*_disabled_or_not_live(plugin, traces), *_quarantined(plugin, traces)]
    if any(reason.certain for reason in reasons):
        return [reason for reason in reasons if reason.certain]
    return [*reasons, *_possible(plugin, traces, budget, running=not reasons)]


def _deleted(traces: MessageTraces) -> Iterator[Reason]:
    if traces.deleted_at is not None:
        text = (
            f"The message was deleted in the chat ({_in_utc(traces.deleted_at)}). No plugin runs on it since then, and "
            "what was recorded about it is deleted within minutes."
        )
        yield Reason(cause=Cause.DELETED, certain=True, text=text)


def _recorded(run: Run) -> Reason:
    if run.outcome is Outcome.INVALID:
        return Reason(cause=Cause.REFUSED, certain=True, text=f"The version cannot be run: {run.detail}.")
    if run.outcome is not Outcome.OK:
        text = f"It ran and failed ({run.outcome}: {run.detail}), so nothing was sent."
        return Reason(cause=Cause.RAN, certain=True, text=text)
    text = f"It ran, and {_messages(len(run.sends))} to be sent."
    denied = sorted({f"{call.function}: {call.denied}" for call in run.calls if call.denied})
    if denied:
        text += f" Some of its calls were denied: {'; '.join(denied)}."
    return Reason(cause=Cause.RAN, certain=True, text=text)


def _messages(count: int) -> str:
    return {0: "asked for nothing", 1: "asked for one message"}.get(count, f"asked for {count} messages")


def _undelivered(run: Run) -> Iterator[Reason]:
    for position, sent in enumerate(run.sends, start=1):
        if sent.state is DeliveryState.REFUSED:
            text = f"Message {position} of {run.intents} was refused: {sent.detail}."
        elif sent.state is DeliveryState.PENDING:
            text = f"Message {position} of {run.intents} is still to be delivered: {sent.detail}."
        else:
            continue
        yield Reason(cause=Cause.NOT_DELIVERED, certain=True, text=text)


def _disabled_or_not_live(plugin: StoredPlugin, traces: MessageTraces) -> Iterator[Reason]:
    """The plugin was disabled or had no live version: when the message was created if that is known, else now."""
    is_or_was = "was" if traces.seen_at else "is"
    when = f"when the message was created ({_in_utc(traces.seen_at)})" if traces.seen_at else "now"
    known = traces.seen_at is not None and len(traces.changes) < _MOST_CHANGES
    was_live = plugin.live is not None or plugin.to_adopt
    enabled = plugin.enabled
    if traces.seen_at:
        enabled = _value_before(traces.changes, ("plugin.changed",), "enabled", "from", enabled)
        was_live = _value_before(traces.changes, _LIVE_ACTIONS, "from", None, was_live) not in (None, False)
    if plugin.disabled_by_operator is not None:
        text = f"It is disabled by the operator: {plugin.disabled_by_operator}."
        yield Reason(cause=Cause.DISABLED, certain=traces.seen_at is None, text=text)
    if not enabled:
        yield Reason(cause=Cause.DISABLED, certain=known, text=f"It {is_or_was} disabled {when}.")
    if not was_live:
        never = traces.seen_at is None and not any(entry.action in _LIVE_ACTIONS for entry in traces.changes)
        text = f"No version of it {is_or_was} live {when}."
        if plugin.latest is not None and plugin.latest.state == "refused":
            text += f" Its latest version, {plugin.latest.number}, is refused."
        complete = len(traces.changes) < _MOST_CHANGES
        yield Reason(cause=Cause.NOT_LIVE, certain=known or (never and complete), text=text)


def _value_before(
    changes: Sequence[StoredAuditEntry], actions: Sequence[str], name: str, part: str | None, current: Any
) -> Any:
    """The value of a field before all of the changes, which are ordered from the newest to the oldest."""
    for entry in changes:
        if entry.action in actions and name in entry.detail:
            found = entry.detail[name]
            current = found[part] if part is not None and isinstance(found, dict) else found
    return current


def _quarantined(plugin: StoredPlugin, traces: MessageTraces) -> Iterator[Reason]:
    quarantine = plugin.quarantine
    if quarantine is None or (traces.seen_at and traces.seen_at < quarantine.since):
        return
    text = (
        f"It has been quarantined since {_in_utc(quarantine.since)}: {quarantine.reason}. "
        f"Last error: {quarantine.last_error}. One run is tried after {_in_utc(quarantine.retry_at)}."
    )
    certain = traces.seen_at is not None and traces.passed_over > 0
    yield Reason(cause=Cause.QUARANTINED, certain=certain, text=text)


def _possible(
    plugin: StoredPlugin, traces: MessageTraces, budget: StoredBudget | None, *, running: bool
) -> Iterator[Reason]:
    silent = Reason(
        cause=Cause.NOTHING_TO_SAY,
        certain=False,
        text="It may have run and asked for nothing. Such a run is only counted: "
        f"{traces.silent_runs} of its runs ended ok in that hour.",
    )
    if running and traces.silent_runs:
        yield silent
    if budget is not None and budget.over_at is not None:
        about = traces.seen_at or datetime.now(UTC)
        if abs(about - budget.over_at) < _SOON:
            when = _in_utc(budget.over_at)
            text = f"The guild was over its budget at {when}: {budget.over_reason}. Its messages waited."
            yield Reason(cause=Cause.OVER_BUDGET, certain=False, text=text)
    if not plugin.bot_messages:
        text = "It does not receive messages of bots. A bot may have written this message."
        yield Reason(cause=Cause.BOT_MESSAGE, certain=False, text=text)
    if traces.seen_at is None:
        text = (
            "No plugin of the guild has a recorded run on this message. The message may be from another guild, "
            "encrypted, a system message or still in the queue; its runs may have been deleted, or asked for nothing."
        )
        yield Reason(cause=Cause.NOT_SEEN, certain=False, text=text)
    elif not (running and traces.silent_runs):
        yield silent


def _in_utc(time: datetime | None) -> str:
    return "" if time is None else time.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
