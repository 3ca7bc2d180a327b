"""Between the JSON of queries.py and the types that the rest of guildhook speaks of."""

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from guildhook.model import (
    Artifact,
    Causality,
    InstalledPlugin,
    MemoryType,
    OutgoingIntent,
    PluginHealth,
    PluginState,
    Refusal,
    SendMessage,
    SpentBudget,
)
from guildhook.store.records import BatchRecord, Judgement, Quarantined, Recorded, RecordedRun, RunRecord, Snapshot


def snapshot(
    engine: str,
    plugins: Iterable[Mapping[str, Any]],
    runs: Iterable[Mapping[str, Any]],
    shadow_runs: Iterable[tuple[str, str]],
    spent: Iterable[Mapping[str, Any]],
    minute_seconds_left: float,
) -> Snapshot:
    by_guild: dict[UUID, tuple[InstalledPlugin, ...]] = {}
    for plugin in (_plugin(item, engine) for item in plugins):
        by_guild[plugin.guild_id] = (*by_guild.get(plugin.guild_id, ()), plugin)
    return Snapshot(
        plugins=by_guild,
        runs={(run.message_id, run.plugin_id): run for run in map(_recorded_run, runs)},
        spent={UUID(item["guild_id"]): _spent(item) for item in spent},
        minute_seconds_left=minute_seconds_left,
        shadow_runs=frozenset((UUID(message_id), UUID(version_id)) for message_id, version_id in shadow_runs),
    )


def batch_parameters(batch: BatchRecord) -> dict[str, Jsonb]:
    return {
        "runs": Jsonb([_run_row(run) for run in batch.runs]),
        "states": Jsonb(
            [
                {"plugin_id": str(plugin_id), "version": state.version, "entries": dict(state.entries)}
                for plugin_id, state in batch.states.items()
            ]
        ),
        "judged": Jsonb([_judgement_row(judgement) for judgement in batch.judgements]),
        "passed_over": Jsonb(
            [{"plugin_id": str(plugin_id), "messages": count} for plugin_id, count in batch.passed_over.items()]
        ),
        "delayed": Jsonb([{"guild_id": str(delayed.guild_id), "reason": delayed.reason} for delayed in batch.delayed]),
        "shadow_runs": Jsonb([_shadow_run_row(run) for run in batch.shadow_runs]),
    }


def recorded(
    pending: Iterable[str],
    lost: Iterable[tuple[str, str]],
    stale: Iterable[UUID],
    busy: Iterable[UUID],
    quarantined: Iterable[Mapping[str, Any]],
) -> Recorded:
    return Recorded(
        pending=frozenset(pending),
        lost=frozenset((UUID(message_id), UUID(plugin_id)) for message_id, plugin_id in lost),
        stale=frozenset(stale),
        busy=frozenset(busy),
        quarantined=tuple(Quarantined(**{**item, "plugin_id": UUID(item["plugin_id"])}) for item in quarantined),
    )


def memories(pages: Iterable[tuple[int, int | None]]) -> tuple[MemoryType, ...]:
    return tuple(MemoryType(minimum, maximum) for minimum, maximum in pages)


def _spent(item: Mapping[str, int]) -> SpentBudget:
    return SpentBudget(fuel=item["fuel"], sends=item["sends"], log_bytes=item["log_bytes"])


def _plugin(item: Mapping[str, Any], engine: str) -> InstalledPlugin:
    wasm_sha256 = bytes.fromhex(item["wasm_sha256"])
    settings, permissions = item["settings"], item["permissions"]
    return InstalledPlugin(
        id=UUID(item["id"]),
        guild_id=UUID(item["guild_id"]),
        # The columns are JSON of any shape; what is not an object or a list grants and sets nothing.
        settings=settings if isinstance(settings, dict) else {},
        permissions=frozenset(p for p in permissions if isinstance(p, str))
        if isinstance(permissions, list)
        else frozenset(),
        wasm_sha256=wasm_sha256,
        compiled=_compiled(wasm_sha256, engine, item["artifact"], item["refusal"]),
        bot_messages=item["bot_messages"],
        state=PluginState(**item["state"]) if item["state"] else PluginState(),
        health=PluginHealth(**item["health"]) if item["health"] else PluginHealth(),
        version_id=UUID(item["version_id"]) if item["version_id"] else None,
        sealed={name: bytes.fromhex(sealed) for name, sealed in item["sealed"].items()},
        keep_content=item["keep_content"],
        shadow=item["shadow"],
    )


def _compiled(
    wasm_sha256: bytes, engine: str, artifact: Mapping[str, Any] | None, refusal: str | None
) -> Artifact | Refusal | None:
    if artifact:
        return Artifact(
            wasm_sha256=wasm_sha256,
            engine=engine,
            sha256=bytes.fromhex(artifact["sha256"]),
            size=artifact["size"],
            object_sha256=bytes.fromhex(artifact["object_sha256"]),
            object_size=artifact["object_size"],
            memories=memories(artifact["memories"]),
        )
    return None if refusal is None else Refusal(refusal)


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


def _run_row(run: RunRecord) -> dict[str, Any]:
    message, result, causality, spent = run.message, run.result, run.message.causality_of_answers, run.spent
    version_id = run.plugin.version_id
    return {
        "id": run.id if run.memorable else None,
        "message_id": str(message.id),
        "plugin_id": str(run.plugin.id),
        "guild_id": str(run.plugin.guild_id),
        "event_channel_id": str(message.channel_id),
        "outcome": result.outcome,
        "detail": result.detail,
        "fuel_used": result.fuel_used,
        "duration_us": result.duration_us,
        "host_calls": result.host_calls,
        "logs": list(result.logs),
        "seed": run.seed,
        "message_time": message.created_at.isoformat(),
        "message_sha256": message.sha256.hex(),
        "root_message_id": str(causality.root_id),
        "hops": causality.hops,
        "version_id": version_id and str(version_id),
        "fuel_limit": run.fuel_limit,
        # Postgres is not given for nothing what a run leaves no row for.
        "calls": [[call.function, call.denied] for call in result.calls] if run.memorable else None,
        "message": run.kept_message,
        "sends": spent.sends,
        "log_bytes": spent.log_bytes,
        "memorable": run.memorable,
        "wrote_state": run.wrote_state,
        "intents": [
            {
                "key": intent.key,
                "position": intent.position,
                "kind": intent.kind,
                "channel_id": intent.channel_id,
                "content": intent.content,
            }
            for intent in result.intents
        ],
    }


def _shadow_run_row(run: RunRecord) -> dict[str, Any]:
    # Without the keys of the live version's intents: there must be no way to send these.
    intents = [
        {"kind": intent.kind, "channel_id": intent.channel_id, "content": intent.content}
        for intent in run.result.intents
    ]
    return {**_run_row(run), "intents": intents}


def _judgement_row(judgement: Judgement) -> dict[str, Any]:
    return {
        "plugin_id": str(judgement.plugin.id),
        "judged_sha256": judgement.plugin.wasm_sha256.hex(),
        "failures": judgement.failures,
        "failures_in_a_row": judgement.failures_in_a_row,
        "recovered": judgement.recovered,
        "last_error": judgement.last_error,
    }
