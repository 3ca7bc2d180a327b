import json
import re
import time
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest

import wat
from guildhook.backoff import Backoff
from guildhook.batch import QueueRecord
from guildhook.budget import Budget
from guildhook.chat import RestChatApi
from guildhook.delivery import CircuitBreaker, Sender
from guildhook.errors import InfrastructureError
from guildhook.model import Outcome, QuarantineRules
from guildhook.modules import ArtifactBucket, CacheEvent, CompileQueue, ModuleCache
from guildhook.sandbox import Sandbox
from guildhook.store import Snapshot, Store, queries
from guildhook.worker import Rules, Worker
from guildhook_local.stack import Guild
from samples import event, limits

IN_TIME = float("inf")
RULES = Rules(
    limits_of=lambda _guild_id: limits(),
    budget_of=lambda _guild_id: Budget(),
    quarantine=QuarantineRules(),
    backoff=Backoff(first_seconds=0),
)
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

    def create_worker(store, chat_url=system.environment["GUILDHOOK_CHAT_API_URL"], **rules):
        chat = RestChatApi(chat_url, system.environment["GUILDHOOK_CHAT_API_TOKEN"])
        directory = tmp_path / f"cache-{len(workers)}"
        ask = CompileQueue(system.environment["GUILDHOOK_COMPILE_QUEUE_URL"]).ask
        modules = ModuleCache(engine, ArtifactBucket(system.bucket), ask, directory, 2**30, 2**30)
        sender = Sender(chat, CircuitBreaker())
        workers.append(Worker(engine.fingerprint, Sandbox(engine), replace(RULES, **rules), modules, store, sender))
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


def reasons(report):
    """Why records come back, by their ids."""
    return {record_id: postponed.reason for record_id, postponed in report.failures.items()}


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
    assert reasons(overtaken.process(batch, IN_TIME)) == {"0": "another delivery of the same message is under way"}
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
    assert reasons(overtaken.process(batch, IN_TIME)) == {"0": "the plugin was deleted"}
    assert overtaken.process(batch, IN_TIME).failures == {}
    assert system.chat.replies() == []


def test_a_guild_runs_under_its_own_limits(system, create_worker, store):
    batch = records(*populate(system, 2))
    poor = UUID(json.loads(batch[0].body)["guild_id"])
    worker = create_worker(store, limits_of=lambda guild_id: limits(fuel=10) if guild_id == poor else limits())
    outcomes = {(run.plugin.guild_id == poor, run.result.outcome) for run in worker.process(batch, IN_TIME).runs}
    assert outcomes >= {(True, Outcome.OUT_OF_FUEL), (False, Outcome.OK)}
    assert (True, Outcome.OK) not in outcomes


def asked(system):
    """What the compile function was asked for."""
    sqs, url = system.aws.client("sqs"), system.environment["GUILDHOOK_COMPILE_QUEUE_URL"]
    messages = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
    return {json.loads(message["Body"])["wasm_sha256"] for message in messages}


def test_what_must_be_compiled_comes_after_what_is_ready(system, create_worker, store, engine):
    bodies = populate(system, 2)
    order = []

    class Watched(Store):
        def record(self, batch, rules):
            order.append({run.message.id for run in batch.runs})
            return super().record(batch, rules)

    worker = create_worker(Watched(system.database_url))
    assert worker.process(records(bodies[0]), IN_TIME).failures == {}
    new = wat.logs("nobody compiled this")
    system.install(Guild(UUID(bodies[1]["guild_id"]), UUID(bodies[1]["message"]["channel_id"])), "new", new)
    order.clear()
    report = worker.process(records(*populate_again(bodies)), IN_TIME)
    assert report.failures == {}
    assert [len(messages) for messages in order] == [2, 1]
    assert report.modules == {CacheEvent.MEMORY: 3, CacheEvent.COMPILED: 1}
    assert sha256(new).hexdigest() in asked(system)


def populate_again(bodies):
    """The same guilds, new messages."""
    return [event(body["guild_id"], body["message"]["channel_id"]) for body in bodies]


def test_what_cannot_be_compiled_in_time_comes_back_and_the_rest_is_done(system, create_worker, store):
    bodies = populate(system, 1)
    worker = create_worker(store)
    too_soon = time.monotonic() + 30
    report = worker.process(records(*bodies), too_soon)
    assert reasons(report) == {"0": "it is not compiled yet; the compile function was asked"}
    assert report.modules == {CacheEvent.UNAVAILABLE: 3}
    while system.compile_mapping.poll():
        pass
    assert worker.process(records(*bodies), too_soon).failures == {}
    assert [reply["content"] for reply in system.chat.replies()] == ["pong"]


def test_an_update_of_a_plugin_is_seen_by_the_next_batch(system, worker):
    guild = system.add_guild()
    plugin_id = system.install(guild, "plugin", wat.logs("before"))

    def logs():
        (run,) = worker.process(records(event(guild.id, guild.channel_id)), IN_TIME).runs
        return run.result.logs

    assert logs() == ("before",)
    with psycopg.connect(system.database_url) as connection:
        connection.execute("UPDATE plugins SET wasm_blob = %s WHERE id = %s", [wat.logs("after"), plugin_id])
    assert logs() == ("after",)


def test_guilds_that_use_the_same_wasm_share_its_module(system, worker):
    bodies = populate(system, 5)
    worker.process(records(*bodies), IN_TIME)
    assert worker.process(records(*populate_again(bodies)), IN_TIME).modules == {CacheEvent.MEMORY: 3}


class FailingStore(Store):
    """Postgres goes away before one of the statements of a batch."""

    def __init__(self, database_url: str, statement: str) -> None:
        super().__init__(database_url)
        self._failing = statement

    def _write(self, query: Any, parameters: Any) -> Any:
        if query == self._failing:
            raise InfrastructureError("the database is gone")
        return super()._write(query, parameters)


@pytest.mark.parametrize(
    ("statement", "failed"),
    [
        (queries.SNAPSHOT, {"0", "1"}),
        (queries.WASM, {"0", "1"}),
        (queries.RECORD, {"0", "1"}),
        (queries.SETTLE, {"0"}),
    ],
)
def test_exactly_what_the_database_did_not_do_comes_back(system, create_worker, statement, failed):
    (replying,) = populate(system, 1)
    quiet = system.add_guild()
    system.install(quiet, "silent", wat.SILENT)
    batch = records(replying, event(quiet.id, quiet.channel_id))
    report = create_worker(FailingStore(system.database_url, statement)).process(batch, IN_TIME)
    assert reasons(report) == dict.fromkeys(failed, "the database is gone")
    assert create_worker(Store(system.database_url)).process(batch, IN_TIME).failures == {}
    # The chat server knows the key of what was sent before the database went away.
    assert [reply["content"] for reply in system.chat.replies()] == ["pong"]


def test_connections_that_cannot_be_opened_are_told_and_tried_again(system, create_worker):
    worker = create_worker(Store("postgresql://someone@127.0.0.1:1/chat"), chat_url="http://127.0.0.1:1")
    problems = [str(problem) for problem in worker.connect()]
    assert ["GUILDHOOK_DATABASE_URL" in problem for problem in problems] == [True, False]
    assert "GUILDHOOK_CHAT_API_URL" in problems[1]
