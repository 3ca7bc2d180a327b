"""The client of on_message: a snapshot for each batch, and the writes that the batch ends with."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from uuid import UUID

from guildhook.model import Delivery, QuarantineRules
from guildhook.store.events.batch_record import BatchRecord, RecordedBatch, batch_parameters, recorded_batch
from guildhook.store.events.snapshot import MessageKey, Snapshot, read_snapshot
from guildhook.store.session import Session
from guildhook.store.statements import read_statements
from guildhook.store.time_limits import TimeLimits


class EventStore(Session):
    statements = read_statements(
        "events/snapshot.sql", "events/record.sql", "events/settle.sql", "events/deletions.sql", "wasm.sql"
    )
    limits = TimeLimits(statement=20, lock=10)

    def snapshot(self, guild_ids: Iterable[UUID], message_ids: Iterable[UUID], engine: str) -> Snapshot:
        """Read the plugins of guilds, the earlier runs on messages, and artifacts for the engine's fingerprint.

        Raises InfrastructureError.
        """
        parameters = {"guild_ids": list(guild_ids), "message_ids": list(message_ids), "engine": engine}
        return read_snapshot(engine, *self.repeatable("snapshot", parameters)[0])

    def wasm(self, digests: Sequence[bytes]) -> Mapping[bytes, bytes]:
        """Return the wasm of plugins and versions by its SHA-256. Raises InfrastructureError."""
        return dict(self.repeatable("wasm", {"digests": list(digests)}))

    def record(self, batch: BatchRecord, rules: QuarantineRules) -> RecordedBatch:
        """Write everything that a batch leaves behind, or nothing of it.

        Intents for channels outside of the plugin's guild are refused here. Raises InfrastructureError.
        """
        row = self.write("record", {**batch_parameters(batch), **asdict(rules)})[0]
        return recorded_batch(*row)

    def settle(self, deliveries: Iterable[Delivery]) -> frozenset[str]:
        """Write the results of deliveries; a final state is never changed.

        Returns the keys of the intents whose plugin was deleted meanwhile. Raises InfrastructureError.
        """
        columns = [(d.key, d.state.value, d.detail) for d in deliveries]
        keys, states, details = zip(*columns, strict=True)
        parameters = {"keys": list(keys), "states": list(states), "details": list(details)}
        return frozenset(key for (key,) in self.repeatable("settle", parameters))

    def note_deletions(self, messages: Iterable[MessageKey]) -> None:
        """Note messages that were deleted in the chat, except in guilds without plugins. Raises InfrastructureError."""
        guild_ids, message_ids = zip(*messages, strict=True)
        self.repeatable("note_deletions", {"guild_ids": list(guild_ids), "message_ids": list(message_ids)})
