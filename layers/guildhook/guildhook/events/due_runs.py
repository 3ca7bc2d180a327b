"""Finds the runs that are due: each message with each plugin that takes it and has not run on it yet."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from uuid import UUID

from guildhook.events.batch import ANOTHER_BODY, DELETED
from guildhook.events.checks import DueRun, reason_not_taken
from guildhook.model import Message
from guildhook.modules import NeededModule
from guildhook.store.events import Snapshot


@dataclass(frozen=True, slots=True)
class DueRuns:
    live: list[DueRun] = field(default_factory=list)
    """Runs of live versions, message by message."""
    shadows: list[DueRun] = field(default_factory=list)
    """Runs of versions that shadow a plugin."""
    skipped: dict[UUID, str] = field(default_factory=dict)
    """The reason why a message is given to no live version, by message."""


def find_due_runs(messages: Collection[Message], snapshot: Snapshot) -> DueRuns:
    """Compare the messages of a batch with the plugins of their guilds and the runs that are recorded."""
    due = DueRuns()
    changed = _with_another_body(messages, snapshot)
    recorded = {message_id for message_id, _ in snapshot.runs}
    for message in messages:
        if (message.guild_id, message.id) in snapshot.deleted:
            due.skipped[message.id] = DELETED
            continue
        if message.id in changed:
            due.skipped[message.id] = ANOTHER_BODY
            continue
        taken = message.id in recorded
        for plugin in snapshot.plugins.get(message.guild_id, ()):
            run = DueRun(message, plugin)
            if reason_not_taken(run):
                continue
            if plugin.shadow:
                if (message.id, plugin.version_id) not in snapshot.shadow_runs:
                    due.shadows.append(run)
                continue
            taken = True
            if (message.id, plugin.id) not in snapshot.runs:
                due.live.append(run)
        if not taken:
            due.skipped[message.id] = "no enabled plugin of its guild takes it"
    return due


def needed_modules(runs: Iterable[DueRun]) -> list[NeededModule]:
    """Return the modules of these runs, each once."""
    compiled = {run.plugin.wasm_sha256: run.plugin.compiled for run in runs}
    return [NeededModule(digest, artifact) for digest, artifact in compiled.items()]


def _with_another_body(messages: Collection[Message], snapshot: Snapshot) -> set[UUID]:
    """Return the messages of which another body is recorded already: the body that was recorded first counts."""
    recorded: dict[UUID, set[bytes]] = {}
    for run in snapshot.runs.values():
        if run.message_sha256:
            recorded.setdefault(run.message_id, set()).add(run.message_sha256)
    return {message.id for message in messages if message.id in recorded and recorded[message.id] != {message.sha256}}
