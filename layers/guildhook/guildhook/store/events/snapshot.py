"""The state of the database that a batch begins with, read from the JSON of one statement."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from guildhook.model import (
    Artifact,
    Causality,
    FailedCompile,
    InstalledPlugin,
    MemoryType,
    OutgoingIntent,
    PluginHealth,
    PluginState,
    RaisedBudget,
    Refusal,
    SendMessage,
    SpentBudget,
)

RunKey = tuple[UUID, UUID]
"""Message id and plugin id."""
MessageKey = tuple[UUID, UUID]
"""Guild id and message id."""
ShadowKey = tuple[UUID, UUID | None]
"""Message id and version id."""


@dataclass(frozen=True, slots=True)
class RecordedRun:
    """A run that an earlier delivery recorded, with its intents that are still pending."""

    message_id: UUID
    plugin_id: UUID
    message_sha256: bytes | None
    """SHA-256 of the plugin's input; None if an old version of guildhook recorded the run without it."""
    pending: tuple[OutgoingIntent, ...]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything that a batch needs to know before it runs anything."""

    plugins: Mapping[UUID, tuple[InstalledPlugin, ...]]
    """Enabled plugins by guild, in the order of their creation, followed by the shadow versions of plugins."""
    runs: Mapping[RunKey, RecordedRun]
    spent: Mapping[UUID, SpentBudget]
    """Use in this minute by guild; guilds that have used nothing are left out."""
    minute_seconds_left: float
    shadow_runs: frozenset[ShadowKey] = frozenset()
    """Runs of shadows that an earlier delivery recorded."""
    raised: Mapping[UUID, RaisedBudget] = field(default_factory=dict)
    """Budgets that an operator has raised for some time, by guild."""
    paused: Mapping[UUID, str] = field(default_factory=dict)
    """The operator's reason for the pause of a guild, by guild."""
    deleted: frozenset[MessageKey] = frozenset()
    """The messages that were deleted in the chat."""


def read_snapshot(
    engine: str,
    plugins: Iterable[Mapping[str, Any]],
    runs: Iterable[Mapping[str, Any]],
    shadow_runs: Iterable[tuple[str, str]],
    spent: Iterable[Mapping[str, Any]],
    minute_seconds_left: float,
    raised: Iterable[Mapping[str, Any]],
    paused: Mapping[str, str],
    deleted: Iterable[tuple[str, str]],
) -> Snapshot:
    """Convert the columns of the statement's one row."""
    by_guild: dict[UUID, tuple[InstalledPlugin, ...]] = {}
    by_id: dict[str, InstalledPlugin] = {}
    for item in plugins:
        plugin = _plugin(item, engine, by_id.get(item["id"]))
        by_id[item["id"]] = plugin
        by_guild[plugin.guild_id] = (*by_guild.get(plugin.guild_id, ()), plugin)
    return Snapshot(
        plugins=by_guild,
        runs={(run.message_id, run.plugin_id): run for run in map(_recorded_run, runs)},
        spent={UUID(item["guild_id"]): _spent(item) for item in spent},
        minute_seconds_left=minute_seconds_left,
        shadow_runs=frozenset((UUID(message_id), UUID(version_id)) for message_id, version_id in shadow_runs),
        raised={UUID(item["guild_id"]): _raised(item) for item in raised},
        paused={UUID(guild_id): reason for guild_id, reason in paused.items()},
        deleted=frozenset((UUID(guild_id), UUID(message_id)) for guild_id, message_id in deleted),
    )


def joined_snapshot(parts: Sequence[Snapshot]) -> Snapshot:
    """Return one snapshot of all guilds from at least one that were read one after the other."""
    return Snapshot(
        plugins={guild_id: plugins for part in parts for guild_id, plugins in part.plugins.items()},
        runs={key: run for part in parts for key, run in part.runs.items()},
        spent={guild_id: spent for part in parts for guild_id, spent in part.spent.items()},
        minute_seconds_left=parts[-1].minute_seconds_left,
        shadow_runs=frozenset().union(*(part.shadow_runs for part in parts)),
        raised={guild_id: raised for part in parts for guild_id, raised in part.raised.items()},
        paused={guild_id: reason for part in parts for guild_id, reason in part.paused.items()},
        deleted=frozenset().union(*(part.deleted for part in parts)),
    )


def _spent(item: Mapping[str, int]) -> SpentBudget:
    return SpentBudget(fuel=item["fuel"], sends=item["sends"], log_bytes=item["log_bytes"])


def _raised(item: Mapping[str, int | None]) -> RaisedBudget:
    return RaisedBudget(fuel=item["fuel"], sends=item["sends"], log_bytes=item["log_bytes"])


def _plugin(item: Mapping[str, Any], engine: str, live: InstalledPlugin | None) -> InstalledPlugin:
    """`live` is the live version of the plugin if the item is a shadow beside it."""
    wasm_sha256 = bytes.fromhex(item["wasm_sha256"])
    permissions = item["permissions"]
    return InstalledPlugin(
        id=UUID(item["id"]),
        guild_id=UUID(item["guild_id"]),
        settings=live.settings if live else _settings(item["settings"]),
        # The columns hold JSON of any shape. Anything but an object sets nothing; anything but a list grants nothing.
        permissions=frozenset(p for p in permissions if isinstance(p, str))
        if isinstance(permissions, list)
        else frozenset(),
        wasm_sha256=wasm_sha256,
        compiled=_compiled(wasm_sha256, engine, item["artifact"], item["refusal"], item["failure"]),
        bot_messages=item["bot_messages"],
        state=live.state if live else PluginState(**item["state"]) if item["state"] else PluginState(),
        health=PluginHealth(**item["health"]) if item["health"] else PluginHealth(),
        version_id=UUID(item["version_id"]) if item["version_id"] else None,
        sealed=live.sealed if live else {name: bytes.fromhex(sealed) for name, sealed in item["sealed"].items()},
        keep_content=item["keep_content"],
        shadow=item["shadow"],
    )


def _settings(text: str) -> Mapping[str, Any]:
    settings = json.loads(text)
    return settings if isinstance(settings, dict) else {}


def _compiled(
    wasm_sha256: bytes,
    engine: str,
    artifact: Mapping[str, Any] | None,
    refusal: str | None,
    failure: Mapping[str, Any] | None,
) -> Artifact | Refusal | FailedCompile | None:
    if artifact:
        return Artifact(
            wasm_sha256=wasm_sha256,
            engine=engine,
            sha256=bytes.fromhex(artifact["sha256"]),
            size=artifact["size"],
            object_sha256=bytes.fromhex(artifact["object_sha256"]),
            object_size=artifact["object_size"],
            memories=tuple(MemoryType(*pages) for pages in artifact["memories"]),
            signature=bytes.fromhex(artifact["signature"]),
        )
    if refusal is not None:
        return Refusal(refusal)
    return FailedCompile(**failure) if failure else None


def _recorded_run(item: Mapping[str, Any]) -> RecordedRun:
    message_id, guild_id, plugin_id = (UUID(item[name]) for name in ("message_id", "guild_id", "plugin_id"))
    causality = Causality(UUID(item["root_id"]), item["hops"])
    digest, intents = item["message_sha256"], [SendMessage(**intent) for intent in item["pending"]]
    return RecordedRun(
        message_id=message_id,
        plugin_id=plugin_id,
        message_sha256=digest and bytes.fromhex(digest),
        pending=tuple(OutgoingIntent(message_id, guild_id, plugin_id, intent, causality) for intent in intents),
    )
