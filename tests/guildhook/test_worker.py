import json
import re
from collections.abc import Callable
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest

import wat
from guildhook.chat import RestChatApi
from guildhook.model import Outcome
from guildhook.modules import ArtifactBucket, CompileQueue, ModuleCache
from guildhook.sandbox import Sandbox
from guildhook.store import Snapshot, Store
from guildhook.worker import QueueRecord, Worker
from samples import event, limits

IN_TIME = float("inf")
PING = (Path(__file__).parents[2] / "plugins" / "ping" / "ping.wasm").read_bytes()


class Statements:
    """Counts what a connection sends to Postgres, in libpq's own trace."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @contextmanager
    def counting(self, store: Store):
        store.connect()
        with self._path.open("w") as file:
            store._connection.pgconn.trace(file.fileno())
            yield
            store._connection.pgconn.untrace()

    @property
    def count(self) -> int:
        return len(re.findall(r"\tF\t\d+\t(?:Execute|Query)\t", self._path.read_text()))


@pytest.fixture
def statements(tmp_path):
    return Statements(tmp_path / "trace")


class OvertakenStore(Store):
    """Lets something happen between the snapshot of a batch and its write."""

    def __init__(self, database_url: str, meanwhile: Callable[[], None]) -> None:
        super().__init__(database_url)
        self._meanwhile = meanwhile

    def snapshot(self, *arguments: Any) -> Snapshot:
        before = super().snapshot(*arguments)
        self._meanwhile()
        return before


@pytest.fixture
def create_worker(system, engine, tmp_path, monkeypatch):
    for name, value in system.aws.environment.items():
        monkeypatch.setenv(name, value)
    workers = []

    def create_worker(
        store, chat_url=system.environment["GUILDHOOK_CHAT_API_URL"], limits_of=lambda _guild_id: limits()
    ):
        chat = RestChatApi(chat_url, system.environment["GUILDHOOK_CHAT_API_TOKEN"])
        directory = tmp_path / f"cache-{len(workers)}"
        ask = CompileQueue(system.environment["GUILDHOOK_COMPILE_QUEUE_URL"]).ask
        modules = ModuleCache(engine, ArtifactBucket(system.bucket), ask, directory, 2**30, 2**30)
        workers.append(Worker(engine.fingerprint, Sandbox(engine), limits_of, modules, store, chat))
        return workers[-1]

    yield create_worker
    for worker in workers:
        worker.close()


@pytest.fixture
def store(system):
    return Store(system.database_url)


@pytest.fixture
def worker(create_worker, store):
    return create_worker(store)


def records(*events):
    return [QueueRecord(str(i), json.dumps(body), datetime.now(UTC)) for i, body in enumerate(events)]


def populate(system, guilds):
    """Guilds with three plugins each, and one message in each guild."""
    bodies = []
    for _ in range(guilds):
        guild = system.add_guild()
        for name, wasm in [("ping", PING), ("silent", wat.SILENT), ("bad", wat.TRAPS)]:
            system.install(guild, name, wasm, {"SEND_MESSAGES"})
        bodies.append(event(guild.id, guild.channel_id))
    return bodies


def test_a_batch_of_ten_guilds_costs_as_many_statements_as_one_of_one(system, worker, store, statements):
    one, ten = populate(system, 1), populate(system, 10)
    counts = {}
    for name, bodies in [("cold", one), ("one", populate(system, 1)), ("ten", ten), ("again", ten)]:
        with statements.counting(store):
            report = worker.process(records(*bodies), IN_TIME)
        assert report.failures == {}
        counts[name] = statements.count
    # Cold: the snapshot, the wasm of what nobody compiled yet, the outbox, the deliveries.
    # Redelivered: the silent plugin left no row, so it runs and is counted again; nothing is sent.
    assert counts == {"cold": 4, "one": 3, "ten": 3, "again": 2}
    assert len(system.chat.replies()) == 12


def test_a_batch_without_a_message_for_plugins_asks_the_database_nothing(system, worker, store, statements):
    with statements.counting(store):
        report = worker.process(records(event(encrypted=True), {"not": "an event"}), IN_TIME)
    assert statements.count == 0
    assert report.skipped == {"0": "encrypted message"}
    assert list(report.failures) == ["1"]


def test_what_another_delivery_recorded_first_comes_back_and_is_not_sent(system, create_worker, worker, store):
    batch = records(*populate(system, 1))
    other = create_worker(Store(system.database_url), chat_url="http://127.0.0.1:1")
    overtaken = create_worker(OvertakenStore(system.database_url, lambda: other.process(batch, IN_TIME)))
    assert overtaken.process(batch, IN_TIME).failures == {"0": "another delivery of the same message is under way"}
    assert system.chat.replies() == []
    assert worker.process(batch, IN_TIME).failures == {}
    assert len(system.chat.replies()) == 1


def test_a_plugin_deleted_while_it_runs_sends_nothing(system, create_worker):
    batch = records(*populate(system, 1))

    def delete_plugins():
        with psycopg.connect(system.database_url) as connection:
            connection.execute("DELETE FROM plugins")

    overtaken = create_worker(OvertakenStore(system.database_url, delete_plugins))
    # Nobody had compiled them, and now there is nothing left to compile: the message comes back once.
    assert overtaken.process(batch, IN_TIME).failures == {"0": "the plugin was deleted"}
    assert overtaken.process(batch, IN_TIME).failures == {}
    assert system.chat.replies() == []


def test_a_guild_runs_under_its_own_limits(system, create_worker, store):
    batch = records(*populate(system, 2))
    poor = UUID(json.loads(batch[0].body)["guild_id"])
    worker = create_worker(store, limits_of=lambda guild_id: limits(fuel=10) if guild_id == poor else limits())
    outcomes = {(run.plugin.guild_id == poor, run.result.outcome) for run in worker.process(batch, IN_TIME).runs}
    assert outcomes >= {(True, Outcome.OUT_OF_FUEL), (False, Outcome.OK)}
    assert (True, Outcome.OK) not in outcomes
