import itertools
import json
import re
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4, uuid5

import psycopg
import pytest

import wat
from artifacts import publish
from guildhook.chat import RestChatApi
from guildhook.errors import InfrastructureError, RefusedStatementError
from guildhook.events.backoff import Backoff
from guildhook.events.batch import ANOTHER_BODY, DELETED, QueueRecord
from guildhook.events.budgets import GuildBudget
from guildhook.events.delivery import CircuitBreaker, Sender
from guildhook.events.queue_events import DeliveryDue, UnmarkedAuthors
from guildhook.events.worker import Worker, WorkerRules
from guildhook.model import Outcome, QuarantineRules
from guildhook.modules import ArtifactBucket, CacheEvent, ModuleCache, read_public_keys
from guildhook.sandbox import Sandbox
from guildhook.store import Database
from guildhook.store.events import EventStore, Snapshot
from guildhook_local.chat_server import Fault
from guildhook_local.stack import LocalGuild
from project import ROOT
from samples import FixedToken, deletion_of, event, limits

IN_TIME = float("inf")
RULES = WorkerRules(
    limits_of=lambda _guild_id: limits(),
    budget_of=lambda _guild_id: GuildBudget(),
    quarantine=QuarantineRules(),
    backoff=Backoff(first_seconds=0),
)
PING = (ROOT / "plugins" / "ping" / "ping.wasm").read_bytes()


class Statements:
    """Counts the statements that a connection sends to Postgres, in libpq's trace."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @contextmanager
    def counting(self, store: EventStore):
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


class OvertakenStore(EventStore):
    """Calls a function between the snapshot of a batch and its write."""

    def __init__(self, database: Database, meanwhile: Callable[[], None]) -> None:
        super().__init__(database)
        self._meanwhile = meanwhile

    def snapshot(self, *arguments: Any) -> Snapshot:
        before = super().snapshot(*arguments)
        self._meanwhile()
        return before


@pytest.fixture
def create_worker(system, engine, tmp_path):
    workers = []

    def create_worker(store, chat_url=system.environment["GUILDHOOK_CHAT_API_URL"], bucket=None, **rules):
        chat = RestChatApi(chat_url, FixedToken(system.chat.service_token))
        directory = tmp_path / f"cache-{len(workers)}"
        ask = system.compile_queue.ask
        bucket = bucket or ArtifactBucket(system.aws.access, system.bucket)
        public_keys = read_public_keys(system.environment["GUILDHOOK_ARTIFACT_PUBLIC_KEYS"])
        modules = ModuleCache(engine, bucket, ask, directory, 2**30, 2**30, public_keys)
        sender = Sender(chat, CircuitBreaker())
        workers.append(Worker(engine.fingerprint, Sandbox(engine), replace(RULES, **rules), modules, store, sender))
        return workers[-1]

    yield create_worker
    for worker in workers:
        worker.close()


@pytest.fixture
def store(system):
    return EventStore(system.database)


@pytest.fixture
def worker(create_worker, store):
    return create_worker(store)


def records(*events):
    return [QueueRecord(str(i), json.dumps(body), datetime.now(UTC)) for i, body in enumerate(events)]


def execute(system, statement, *parameters):
    with psycopg.connect(system.database_url, autocommit=True) as connection:
        connection.execute(statement, parameters)


def reasons(report):
    """Return the reasons why records come back, by their ids."""
    return {record_id: postponed.reason for record_id, postponed in report.failures.items()}


def install(system, guild, name, wasm, permissions=()):
    """Add a plugin that is compiled already."""
    publish(system, wasm)
    return system.install(guild, name, wasm, permissions)


def populate(system, guilds):
    """Add guilds with three plugins each, which are compiled already, and return one event for each guild."""
    publish(system, PING, wat.SILENT, wat.TRAPS)
    return populate_uncompiled(system, guilds)


def populate_uncompiled(system, guilds):
    bodies = []
    for _ in range(guilds):
        guild = system.add_guild()
        for name, wasm in [("ping", PING), ("silent", wat.SILENT), ("bad", wat.TRAPS)]:
            system.install(guild, name, wasm, {"SEND_MESSAGES"})
        bodies.append(event(guild.id, guild.channel_id))
    return bodies


def test_a_batch_of_ten_guilds_costs_as_many_statements_as_one_of_one(system, worker, store, statements):
    one, ten = populate_uncompiled(system, 1), populate_uncompiled(system, 10)
    counts = {}
    for name, bodies in [("cold", one), ("one", populate_uncompiled(system, 1)), ("ten", ten), ("again", ten)]:
        with statements.counting(store):
            report = worker.process(records(*bodies), IN_TIME)
        assert report.failures == {}
        counts[name] = statements.count
    # Cold: the snapshot, the wasm of plugins that are not compiled yet, the outbox, the deliveries.
    # Redelivered: the silent plugin left no row, so it runs and is counted again; nothing is sent.
    assert counts == {"cold": 4, "one": 3, "ten": 3, "again": 2}
    assert len(system.chat.replies()) == 12


def test_a_batch_without_a_message_for_plugins_asks_the_database_nothing(system, worker, store, statements):
    with statements.counting(store):
        report = worker.process(records(event(encrypted=True), {"not": "an event"}), IN_TIME)
    assert statements.count == 0
    assert report.skipped == {"0": "encrypted message"}
    assert list(report.failures) == ["1"]


def test_deletions_of_messages_cost_one_statement_a_batch(system, worker, store, statements):
    created, answered = populate_uncompiled(system, 1), populate(system, 1)
    guild_id = created[0]["guild_id"]
    counts = {}
    for name, bodies in [
        ("deletions", [deletion_of(event(guild_id)) for _ in range(10)]),
        ("without plugins", [deletion_of(event()) for _ in range(2)]),
        ("with a message", [*answered, deletion_of(event(guild_id))]),
        ("of a message in the batch", [created[0], deletion_of(created[0])]),
    ]:
        with statements.counting(store):
            report = worker.process(records(*bodies), IN_TIME)
        assert report.failures == {}
        counts[name] = statements.count
    assert counts == {"deletions": 1, "without plugins": 1, "with a message": 4, "of a message in the batch": 1}
    assert [reply["content"] for reply in system.chat.replies()] == ["pong"]


def test_a_reply_to_a_message_that_is_deleted_while_it_waits_is_not_sent(system, create_worker, worker, store, query):
    guild = system.add_guild()
    install(system, guild, "ping", PING, {"SEND_MESSAGES"})
    asked = event(guild.id, guild.channel_id)
    due = DeliveryDue(guild.id, UUID(asked["message"]["id"])).to_json()
    out_of_reach = create_worker(store, chat_url="http://127.0.0.1:1")
    assert list(out_of_reach.process(records(asked), IN_TIME).failures) == ["0"]
    assert worker.process(records(deletion_of(asked)), IN_TIME).failures == {}
    report = worker.process(records(asked, json.loads(due)), IN_TIME)
    assert (report.failures, report.skipped) == ({}, {"0": DELETED, "1": DELETED})
    assert query("SELECT state FROM plugin_intents") == [("pending",)]
    assert system.chat.replies() == []


def test_a_message_that_another_delivery_recorded_first_comes_back_and_is_not_sent(
    system, create_worker, worker, store
):
    batch = records(*populate(system, 1))
    other = create_worker(EventStore(system.database), chat_url="http://127.0.0.1:1")
    overtaken = create_worker(OvertakenStore(system.database, lambda: other.process(batch, IN_TIME)))
    assert reasons(overtaken.process(batch, IN_TIME)) == {"0": "another delivery of the same message is under way"}
    assert system.chat.replies() == []
    assert worker.process(batch, IN_TIME).failures == {}
    assert len(system.chat.replies()) == 1


def test_a_plugin_deleted_while_it_runs_sends_nothing(system, create_worker):
    batch = records(*populate_uncompiled(system, 1))

    def delete_plugins():
        with psycopg.connect(system.database_url) as connection:
            connection.execute("DELETE FROM plugins")

    overtaken = create_worker(OvertakenStore(system.database, delete_plugins))
    # The plugins were not compiled, and their wasm is deleted, so the message comes back once.
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
    """Return the digests that the compile function was asked to compile."""
    sqs, url = system.aws.client("sqs"), system.environment["GUILDHOOK_COMPILE_QUEUE_URL"]
    messages = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
    return {json.loads(message["Body"])["wasm_sha256"] for message in messages}


def test_plugins_that_must_be_compiled_run_after_those_that_are_ready(system, create_worker, store, engine):
    bodies = populate(system, 2)
    order = []

    class Watched(EventStore):
        def record(self, batch, rules):
            order.append({run.message.id for run in batch.runs})
            return super().record(batch, rules)

    worker = create_worker(Watched(system.database))
    assert worker.process(records(bodies[0]), IN_TIME).failures == {}
    new = wat.logs("nobody compiled this")
    system.install(LocalGuild(UUID(bodies[1]["guild_id"]), UUID(bodies[1]["message"]["channel_id"])), "new", new)
    order.clear()
    report = worker.process(records(*populate_again(bodies)), IN_TIME)
    assert report.failures == {}
    assert [len(messages) for messages in order] == [2, 1]
    assert report.modules == {CacheEvent.MEMORY: 3, CacheEvent.COMPILED: 1}
    assert sha256(new).hexdigest() in asked(system)


def populate_again(bodies):
    """Return events with new messages of the same guilds."""
    return [event(body["guild_id"], body["message"]["channel_id"]) for body in bodies]


def test_a_plugin_that_cannot_be_compiled_in_time_comes_back_and_the_others_run(system, create_worker, store):
    bodies = populate_uncompiled(system, 1)
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
    plugin_id = install(system, guild, "plugin", wat.logs("before"))

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


class FailingStore(EventStore):
    """A store whose database is gone before one of the statements of a batch."""

    def __init__(self, database: Database, statement: str) -> None:
        super().__init__(database)
        self._failing = statement

    def write(self, statement: str, parameters: Any) -> Any:
        if statement == self._failing:
            raise InfrastructureError("the database is gone")
        return super().write(statement, parameters)


@pytest.mark.parametrize(
    ("statement", "failed"),
    [
        ("snapshot", {"0", "1"}),
        ("wasm", {"0", "1"}),
        ("record", {"0", "1"}),
        ("settle", {"0"}),
        ("note_deletions", {"2"}),
    ],
)
def test_exactly_the_records_whose_statement_failed_come_back(system, create_worker, statement, failed):
    (replying,) = populate_uncompiled(system, 1)
    quiet = system.add_guild()
    system.install(quiet, "silent", wat.SILENT)
    batch = records(replying, event(quiet.id, quiet.channel_id), deletion_of(event(quiet.id)))
    report = create_worker(FailingStore(system.database, statement)).process(batch, IN_TIME)
    assert reasons(report) == dict.fromkeys(failed, "the database is gone")
    assert create_worker(EventStore(system.database)).process(batch, IN_TIME).failures == {}
    # The chat server knows the key of the message that was sent before the database was gone.
    assert [reply["content"] for reply in system.chat.replies()] == ["pong"]


def test_connections_that_cannot_be_opened_are_told_and_tried_again(system, create_worker):
    worker = create_worker(EventStore(Database("postgresql://someone@127.0.0.1:1/chat")), chat_url="http://127.0.0.1:1")
    problems = [str(problem) for problem in worker.connect()]
    assert ["GUILDHOOK_DATABASE_URL" in problem for problem in problems] == [True, False]
    assert "GUILDHOOK_CHAT_API_URL" in problems[1]


# --- state -----------------------------------------------------------------------------------------------------

COUNTER = (ROOT / "plugins" / "counter" / "counter.wasm").read_bytes()


@pytest.fixture
def counting(system):
    """A guild with a plugin that counts."""
    guild = system.add_guild()
    install(system, guild, "counter", COUNTER, {"SEND_MESSAGES"})
    return guild


def count(guild, tag):
    return event(guild.id, guild.channel_id, content=f"!count {tag}")


def contents(system):
    return sorted(reply["content"] for reply in system.chat.replies())


def state(system):
    with psycopg.connect(system.database_url) as connection:
        return connection.execute("SELECT entries FROM plugin_state").fetchall()


def test_a_batch_counts_on_from_the_state_that_it_wrote_itself(system, worker, counting, store, statements):
    worker.process(records(count(counting, "a")), IN_TIME)
    with statements.counting(store):
        report = worker.process(records(count(counting, "b"), count(counting, "c")), IN_TIME)
    assert report.failures == {}
    assert statements.count == 3
    assert contents(system) == ["1 a", "2 b", "3 c"]
    assert state(system) == [({"count": "3"},)]


def test_a_batch_that_lost_the_race_for_the_state_runs_again_on_the_winners_state(system, create_worker, counting):
    winner = create_worker(EventStore(system.database))
    winner.process(records(count(counting, "before")), IN_TIME)
    loser = create_worker(
        OvertakenStore(system.database, once(lambda: winner.process(records(count(counting, "winner")), IN_TIME)))
    )
    # Another guild's plugin in the same batch does not run a second time.
    neighbour = system.add_guild()
    install(system, neighbour, "ping", PING, {"SEND_MESSAGES"})
    batch = records(count(counting, "loser"), event(neighbour.id, neighbour.channel_id))
    report = loser.process(batch, IN_TIME)
    assert report.failures == {}
    assert len(report.runs) == 2
    assert contents(system) == ["1 before", "2 winner", "3 loser", "pong"]
    assert state(system) == [({"count": "3"},)]


def test_two_plugins_that_lost_the_race_for_one_message_are_each_run_once_again(system, create_worker, counting):
    install(system, counting, "counter too", COUNTER, {"SEND_MESSAGES"})
    winner = create_worker(EventStore(system.database))
    overtake = once(lambda: winner.process(records(count(counting, "winner")), IN_TIME))
    loser = create_worker(OvertakenStore(system.database, overtake))
    assert loser.process(records(count(counting, "loser")), IN_TIME).failures == {}
    assert contents(system) == ["1 winner", "1 winner", "2 loser", "2 loser"]


def once(action):
    todo = [action]
    return lambda: todo and todo.pop()()


def test_a_batch_that_loses_every_race_leaves_the_message_to_the_queue_and_sends_nothing(
    system, create_worker, counting
):
    winner = create_worker(EventStore(system.database))
    tags = (str(number) for number in itertools.count())

    def overtake():
        winner.process(records(count(counting, next(tags))), IN_TIME)

    loser = create_worker(OvertakenStore(system.database, overtake))
    batch = records(count(counting, "loser"))
    assert reasons(loser.process(batch, IN_TIME)) == {"0": "other batches keep writing the plugin's state first"}
    won = int(next(tags))
    assert sorted(int(reply.split()[0]) for reply in contents(system)) == list(range(1, won + 1))
    assert winner.process(batch, IN_TIME).failures == {}
    assert f"{won + 1} loser" in contents(system)


def test_a_delivery_that_was_overtaken_by_the_same_message_counts_it_once(system, create_worker, counting):
    batch = records(count(counting, "once"))
    other = create_worker(EventStore(system.database))
    overtaken = create_worker(OvertakenStore(system.database, once(lambda: other.process(batch, IN_TIME))))
    overtaken.process(batch, IN_TIME)
    assert overtaken.process(batch, IN_TIME).failures == {}
    assert contents(system) == ["1 once"]
    assert state(system) == [({"count": "1"},)]


def test_a_delivery_that_was_overtaken_leaves_the_event_in_the_queue_until_its_answer_is_sent(
    system, create_worker, worker, counting
):
    batch = records(count(counting, "once"))
    other = create_worker(EventStore(system.database), chat_url="http://127.0.0.1:1")
    overtaken = create_worker(OvertakenStore(system.database, once(lambda: other.process(batch, IN_TIME))))
    assert reasons(overtaken.process(batch, IN_TIME)) == {"0": "another delivery of the same message is under way"}
    assert worker.process(batch, IN_TIME).failures == {}
    assert contents(system) == ["1 once"]


def test_a_plugin_that_was_disabled_during_the_race_is_not_run_again(system, create_worker, counting):
    winner = create_worker(EventStore(system.database))

    def overtake_and_disable():
        winner.process(records(count(counting, "winner")), IN_TIME)
        with psycopg.connect(system.database_url) as connection:
            connection.execute("UPDATE plugins SET enabled = FALSE")

    loser = create_worker(OvertakenStore(system.database, once(overtake_and_disable)))
    assert loser.process(records(count(counting, "loser")), IN_TIME).failures == {}
    assert contents(system) == ["1 winner"]


def test_a_plugin_that_was_updated_during_the_race_comes_back(system, create_worker, counting):
    publish(system, COUNTER)
    winner = create_worker(EventStore(system.database))

    def overtake_and_update():
        winner.process(records(count(counting, "winner")), IN_TIME)
        with psycopg.connect(system.database_url) as connection:
            connection.execute("UPDATE plugins SET wasm_blob = %s", [PING])

    loser = create_worker(OvertakenStore(system.database, once(overtake_and_update)))
    batch = records(count(counting, "loser"))
    assert reasons(loser.process(batch, IN_TIME)) == {"0": "the plugin was updated meanwhile"}
    assert winner.process(batch, IN_TIME).failures == {}
    assert contents(system) == ["1 winner"]


def test_many_concurrent_writers_of_a_plugins_state_leave_no_message_to_the_queue(system, create_worker, counting):
    workers = [create_worker(EventStore(system.database)) for _ in range(4)]
    workers[0].process(records(count(counting, "first")), IN_TIME)

    def handle(worker):
        return [worker.process(records(count(counting, "x")), IN_TIME).failures for _ in range(10)]

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(handle, workers)) == [[{}] * 10] * 4
    assert state(system) == [({"count": "41"},)]


# --- bad input ---------------------------------------------------------------------------------------------------


def test_a_message_id_that_comes_again_with_another_body_is_skipped_and_pending_sends_are_sent(
    system, create_worker, worker, counting
):
    first, tripped = count(counting, "first"), create_worker(EventStore(system.database), chat_url="http://127.0.0.1:1")
    assert list(tripped.process(records(first), IN_TIME).failures) == ["0"]
    second = {**first, "message": {**first["message"], "content": "!count second"}}
    report = worker.process(records(second), IN_TIME)
    assert (report.failures, report.runs) == ({}, [])
    assert report.skipped == {"0": ANOTHER_BODY}
    assert contents(system) == ["1 first"]


def test_another_body_beside_the_first_one_does_not_take_it_along(system, create_worker, worker, store):
    guild = system.add_guild()
    install(system, guild, "ping", PING, {"SEND_MESSAGES"})
    system.install(guild, "late", wat.logs("ran"))
    publish(system, PING)
    first = event(guild.id, guild.channel_id)
    soon = time.monotonic() + 30
    assert list(worker.process(records(first), soon).failures) == ["0"]  # "late" is not compiled yet
    second = {**first, "message": {**first["message"], "content": "edited"}}
    report = worker.process(records(second, first), IN_TIME)
    assert reasons(report) == {"1": ANOTHER_BODY}
    assert report.skipped == {"0": ANOTHER_BODY}
    report = worker.process(records(first), IN_TIME)
    assert [run.result.logs for run in report.runs] == [("ran",)]
    assert contents(system) == ["pong"]


RELEASE_BEFORE = """
    INSERT INTO plugin_runs (id, message_id, plugin_id, guild_id, outcome, detail, fuel_used, duration_us, host_calls,
                             logs, seed, message_time, message_sha256, root_message_id, hops, fuel_limit, calls)
    VALUES (%(run_id)s, %(message_id)s, %(plugin_id)s, %(guild_id)s, 'ok', '', 5000, 50, 1, '[]', 7,
            '2026-01-25T12:00:00Z', %(message_sha256)s, %(message_id)s, 1, 100000, '[["send-message", null]]')"""
INTENT_OF_RELEASE_BEFORE = """
    INSERT INTO plugin_intents (key, run_id, position, kind, channel_id, content, state)
    VALUES (%(key)s, %(run_id)s, 0, 'send_message', %(channel_id)s, 'pong', 'pending')"""
NAMESPACE = UUID("5f0d5c9c-6c0e-5d0e-9d8b-7a4f0c1e2b3a")


def test_an_event_that_the_release_before_has_handled_is_not_run_again_and_keeps_its_keys(system, worker, query):
    """The release before gave plugins ids as the event spelled them, and took the digest of that text."""
    guild = system.add_guild()
    plugin_id = install(system, guild, "ping", PING, {"SEND_MESSAGES"})
    body = event(guild.id, str(guild.channel_id).upper(), id=str(uuid4()).upper(), created_at="2026-01-25T12:00:00")
    message_id = body["message"]["id"].lower()
    payload = json.dumps({**body["message"], "guild_id": body["guild_id"]}, separators=(",", ":"))
    run = {
        "run_id": uuid5(NAMESPACE, f"{message_id}/{plugin_id}"),
        "key": uuid5(NAMESPACE, f"{message_id}/{plugin_id}/0"),
        "message_id": message_id,
        "plugin_id": plugin_id,
        "guild_id": guild.id,
        "channel_id": guild.channel_id,
        "message_sha256": sha256(payload.encode()).digest(),
    }
    with psycopg.connect(system.database_url) as connection:
        connection.execute(RELEASE_BEFORE, run)
        connection.execute(INTENT_OF_RELEASE_BEFORE, run)
    late_id = install(system, guild, "late", wat.logs("ran"))
    for _ in range(2):
        report = worker.process(records(body), IN_TIME)
        assert (report.failures, report.skipped) == ({}, {})
    assert contents(system) == ["pong"]
    # The plugin that the release before had not run yet has run once, with a digest that the release before knows.
    runs = query("SELECT id, plugin_id, message_sha256 FROM plugin_runs ORDER BY created_at")
    assert {(run_id, digest) for run_id, _, digest in runs} == {
        (run["run_id"], run["message_sha256"]),
        (uuid5(NAMESPACE, f"{message_id}/{late_id}"), run["message_sha256"]),
    }
    assert query("SELECT key, state FROM plugin_intents") == [(run["key"], "delivered")]


def test_an_id_that_a_plugin_echoes_is_that_of_its_channel(system, worker):
    guild = system.add_guild()
    channel = f"{{{str(guild.channel_id).upper()}}}"
    install(system, guild, "ping", PING, {"SEND_MESSAGES"})
    body = event(guild.id, channel, id=f"urn:uuid:{uuid4()}")
    assert worker.process(records(body), IN_TIME).failures == {}
    (reply,) = system.chat.replies()
    assert reply["channel_id"] == str(guild.channel_id)
    assert reply["causality"] == {"root": body["message"]["id"].removeprefix("urn:uuid:"), "hops": 1}


def test_a_message_of_an_unmarked_author_is_refused_where_the_operator_says_so(system, create_worker, store):
    guild = system.add_guild()
    install(system, guild, "ping", PING, {"SEND_MESSAGES"})
    body = event(guild.id, guild.channel_id, author={"id": "1"})
    refusing = create_worker(store, unmarked_authors=UnmarkedAuthors.REFUSE)
    assert "message.author.bot is missing" in reasons(refusing.process(records(body), IN_TIME))["0"]
    assert create_worker(store).process(records(body), IN_TIME).failures == {}
    assert contents(system) == ["pong"]


class RefusingStore(EventStore):
    """A store whose database refuses the runs of one plugin."""

    def __init__(self, database: Database, plugin_id: UUID) -> None:
        super().__init__(database)
        self._refused = plugin_id

    def record(self, batch: Any, rules: Any) -> Any:
        if any(run.plugin.id == self._refused for run in batch.runs):
            raise RefusedStatementError("no such time")
        return super().record(batch, rules)


def test_a_run_that_postgres_does_not_take_brings_back_its_message_and_stops_no_other_run(system, create_worker):
    bodies = populate(system, 3)
    guild = LocalGuild(UUID(bodies[0]["guild_id"]), UUID(bodies[0]["message"]["channel_id"]))
    odd = install(system, guild, "odd", wat.logs("odd"))
    report = create_worker(RefusingStore(system.database, odd)).process(records(*bodies), IN_TIME)
    assert reasons(report) == {"0": "no such time"}
    assert contents(system) == ["pong"] * 3


class UnreadableStore(EventStore):
    """A store whose database cannot put the rows of one guild into a snapshot."""

    def __init__(self, database: Database, guild_id: UUID) -> None:
        super().__init__(database)
        self._refused = guild_id

    def snapshot(self, guild_ids: Any, message_ids: Any, engine: str) -> Any:
        if self._refused in guild_ids:
            raise RefusedStatementError("too large")
        return super().snapshot(guild_ids, message_ids, engine)


def test_a_guild_that_cannot_be_read_waits_alone(system, create_worker):
    bodies = populate(system, 3)
    refused = UUID(bodies[1]["guild_id"])
    quiet = event(uuid4(), uuid4())
    report = create_worker(UnreadableStore(system.database, refused)).process(records(*bodies, quiet), IN_TIME)
    assert reasons(report) == {"1": "too large"}
    assert report.skipped == {"3": "no enabled plugin of its guild takes it"}
    assert contents(system) == ["pong"] * 2


def test_deleted_messages_are_known_also_if_guilds_are_read_apart(system, create_worker, worker):
    bodies = populate(system, 3)
    assert worker.process(records(deletion_of(bodies[0]), deletion_of(bodies[2])), IN_TIME).failures == {}
    store = UnreadableStore(system.database, UUID(bodies[1]["guild_id"]))
    report = create_worker(store).process(records(*bodies), IN_TIME)
    assert (reasons(report), report.skipped) == ({"1": "too large"}, {"0": DELETED, "2": DELETED})


def test_a_guild_that_cannot_be_read_waits_also_if_it_is_alone(system, create_worker):
    (body,) = populate(system, 1)
    report = create_worker(UnreadableStore(system.database, UUID(body["guild_id"]))).process(records(body), IN_TIME)
    assert reasons(report) == {"0": "too large"}
    assert report.skipped == {}


def test_a_refused_row_costs_other_guilds_one_statement_each(system, create_worker, statements):
    bodies = populate(system, 3)
    guilds = [LocalGuild(UUID(body["guild_id"]), UUID(body["message"]["channel_id"])) for body in bodies]
    odd = install(system, guilds[0], "odd", PING)
    for guild in guilds[1:]:
        install(system, guild, "second", PING)
    create_worker(EventStore(system.database)).process(records(*populate(system, 1)), IN_TIME)  # compiles it
    store = RefusingStore(system.database, odd)
    with statements.counting(store):
        assert reasons(create_worker(store).process(records(*bodies), IN_TIME)) == {"0": "no such time"}
    # The snapshot, the runs of two guilds, three of four runs of the guild at fault, and the results.
    assert statements.count == 7


def test_state_of_a_message_that_was_recorded_without_state_meanwhile_comes_back_alone(system, create_worker, counting):
    (body,) = populate(system, 1)
    counted = count(counting, "a")

    def record_without_state():
        # The other delivery runs other wasm, which writes no state.
        other = create_worker(EventStore(system.database))
        with psycopg.connect(system.database_url) as connection:
            connection.execute("UPDATE plugins SET wasm_blob = %s WHERE name = 'counter'", [wat.logs("no")])
            connection.commit()
            other.process(records(counted), IN_TIME)
            connection.execute("UPDATE plugins SET wasm_blob = %s WHERE name = 'counter'", [COUNTER])

    publish(system, COUNTER)
    overtaken = create_worker(OvertakenStore(system.database, once(record_without_state)))
    report = overtaken.process(records(counted, body), IN_TIME)
    assert list(report.failures) == ["0"]
    assert contents(system) == ["pong"]
    assert overtaken.process(records(counted), IN_TIME).failures == {}
    assert (contents(system), state(system)) == (["pong"], [])


def test_a_guild_that_is_being_deleted_comes_back_and_others_do_not(system, create_worker, store):
    going, staying = populate(system, 2)
    worker = create_worker(store)
    worker.process(records(*populate_again([going, staying])), IN_TIME)  # so that everything is compiled
    with psycopg.connect(system.database_url) as deleting:
        deleting.execute("DELETE FROM guilds WHERE id = %s", [going["guild_id"]])
        report = worker.process(records(going, staying), IN_TIME)
        deleting.rollback()
    assert reasons(report) == {"0": "its plugin is being deleted"}
    assert worker.process(records(going, staying), IN_TIME).failures == {}
    assert contents(system) == ["pong"] * 4


def test_a_plugin_deleted_before_its_answer_was_sent_sends_nothing_and_the_message_is_skipped(
    system, create_worker, worker, counting
):
    batch = records(count(counting, "a"))
    tripped = create_worker(EventStore(system.database), chat_url="http://127.0.0.1:1")
    assert list(tripped.process(batch, IN_TIME).failures) == ["0"]
    with psycopg.connect(system.database_url) as connection:
        connection.execute("DELETE FROM plugins")
    report = worker.process(batch, IN_TIME)
    assert (report.failures, report.skipped) == ({}, {"0": "no enabled plugin of its guild takes it"})
    assert contents(system) == []


class DeletingStore(EventStore):
    """A store that empties a table after writing the outbox, before any message is sent."""

    def __init__(self, database: Database, table: str) -> None:
        super().__init__(database)
        self._table = table

    def record(self, *arguments: Any) -> Any:
        recorded = super().record(*arguments)
        with psycopg.connect(self._database.url) as connection:
            connection.execute(f"DELETE FROM {self._table}")
        return recorded


@pytest.mark.parametrize("table", ["plugins", "guilds"])
def test_a_send_is_reported_as_orphaned_if_its_plugin_or_guild_is_deleted_meanwhile(
    system, create_worker, counting, table
):
    report = create_worker(DeletingStore(system.database, table)).process(records(count(counting, "a")), IN_TIME)
    assert report.failures == {}
    assert report.orphaned == [delivery.key for delivery in report.deliveries]
    assert len(report.orphaned) == 1


def test_a_guild_deleted_while_its_plugin_runs_sends_nothing(system, create_worker, counting):
    publish(system, COUNTER)

    def delete_guilds():
        with psycopg.connect(system.database_url) as connection:
            connection.execute("DELETE FROM guilds")

    overtaken = create_worker(OvertakenStore(system.database, delete_guilds))
    report = overtaken.process(records(count(counting, "a")), IN_TIME)
    assert (report.failures, report.deliveries) == ({}, [])
    assert contents(system) == []


# --- loops -------------------------------------------------------------------------------------------------------


def test_bots_that_answer_each_other_come_to_an_end(system, worker):
    guild = system.add_guild()
    for name in ("one", "other"):
        install(system, guild, name, wat.sends((str(guild.channel_id), name)), {"SEND_MESSAGES"})
    with psycopg.connect(system.database_url) as connection:
        connection.execute("UPDATE plugins SET bot_messages = TRUE WHERE name = 'one'")
    system.chat.say(guild.channel_id, "ada", "hello")
    handled = 0
    while batch := take(system):
        handled += len(batch)
        assert worker.process(batch, IN_TIME).failures == {}
    # Both plugins answer the person's message. One of them also answers bots, for four further hops.
    assert contents(system) == ["one"] * 9 + ["other"]
    hops = [reply["causality"]["hops"] for reply in system.chat.replies()]
    assert sorted(hops) == [1, 1, 2, 2, 3, 3, 4, 4, 5, 5]
    assert handled == 11


def take(system):
    sqs = system.aws.client("sqs")
    messages = sqs.receive_message(QueueUrl=system.queue.url, MaxNumberOfMessages=10).get("Messages", [])
    for message in messages:
        sqs.delete_message(QueueUrl=system.queue.url, ReceiptHandle=message["ReceiptHandle"])
    return [QueueRecord(str(i), message["Body"], datetime.now(UTC)) for i, message in enumerate(messages)]


# --- quarantine and budgets ----------------------------------------------------------------------------------------


def test_a_plugin_that_keeps_failing_is_quarantined_and_its_neighbour_is_not(system, create_worker, store):
    guild = system.add_guild()
    bad = install(system, guild, "bad", wat.TRAPS)
    install(system, guild, "ping", PING, {"SEND_MESSAGES"})
    worker = create_worker(store, quarantine=QuarantineRules(most_in_a_row=2))
    reports = [worker.process(records(event(guild.id, guild.channel_id)), IN_TIME) for _ in range(4)]
    assert [len(report.runs) for report in reports] == [2, 2, 1, 1]
    assert [[q.plugin_id for q in report.quarantined] for report in reports] == [[], [bad], [], []]
    assert [[p.plugin.id for p in report.passed_over] for report in reports] == [[], [], [bad], [bad]]
    assert [report.failures for report in reports] == [{}] * 4
    assert contents(system) == ["pong"] * 4


def test_a_guild_over_its_budget_is_delayed_until_the_next_minute_and_others_are_not(system, create_worker, store):
    (rich,) = populate(system, 1)
    poor = system.add_guild()
    install(system, poor, "ping", PING, {"SEND_MESSAGES"})
    budgets = {poor.id: GuildBudget(guild_sends_per_minute=1)}
    worker = create_worker(store, budget_of=lambda guild: budgets.get(guild, GuildBudget()))
    first, second = (event(poor.id, poor.channel_id) for _ in range(2))
    report = worker.process(records(first, second, rich), IN_TIME)
    (late,) = report.failures.values()
    assert list(report.failures) == ["1"]
    assert late.reason == (
        f"guild {poor.id} is over its budget: its plugins sent 1 messages in a minute; the limit is 1"
    )
    assert 0 < late.seconds <= 90
    assert contents(system) == ["pong"] * 2
    with psycopg.connect(system.database_url) as connection:
        connection.execute("UPDATE guild_budgets SET minute = minute - interval '1 minute'")
    assert worker.process(records(second), IN_TIME).failures == {}
    assert contents(system) == ["pong"] * 3


def test_a_guild_is_charged_the_cpu_time_of_runs_whose_fuel_wasmtime_forgets(system, create_worker, store):
    guild = system.add_guild()
    loop = "(loop $again (br_if $again (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))"
    code = f"(local $left i32) (local.set $left (i32.const 15_000_000)) {loop} (drop (i32.load (i32.const -8)))"
    install(system, guild, "forgotten", wat.plugin(wat.on_message(code)))
    worker = create_worker(store, budget_of=lambda _guild_id: GuildBudget(guild_fuel_per_minute=500_000))
    report = worker.process(records(*(event(guild.id, guild.channel_id) for _ in range(2))), IN_TIME)
    (run,) = report.runs
    assert run.result.fuel_used < 1_000
    assert list(report.failures) == ["1"]
    assert "its plugins were charged" in report.failures["1"].reason


def test_a_raised_budget_lets_a_guild_go_on_until_its_date_without_another_statement(
    system, create_worker, store, statements
):
    worker = create_worker(store, budget_of=lambda _guild_id: GuildBudget(guild_sends_per_minute=1))
    guild = system.add_guild()
    install(system, guild, "ping", PING, {"SEND_MESSAGES"})
    execute(
        system,
        """INSERT INTO raised_budgets (guild_id, until, reason, sends_per_minute)
           VALUES (%s, now() + interval '1 hour', 'a fair', 100)""",
        guild.id,
    )
    three = records(*(event(guild.id, guild.channel_id) for _ in range(3)))
    assert worker.process(three, IN_TIME).failures == {}
    with statements.counting(store):
        worker.process(records(event(guild.id, guild.channel_id)), IN_TIME)
    assert statements.count == 3
    execute(system, "UPDATE raised_budgets SET until = now() WHERE guild_id = %s", guild.id)
    report = worker.process(records(event(guild.id, guild.channel_id)), IN_TIME)
    assert [reason.rpartition("; ")[2] for reason in reasons(report).values()] == ["the limit is 1"]


def test_a_paused_guild_waits_with_its_messages_and_others_do_not(system, worker):
    theirs, ours = populate(system, 2)
    paused = UUID(theirs["guild_id"])
    execute(system, "INSERT INTO guild_pauses (guild_id, reason) VALUES (%s, 'it floods')", paused)
    report = worker.process(records(theirs, ours), IN_TIME)
    assert reasons(report) == {"0": f"guild {paused} is paused by an operator: it floods"}
    assert {run.message.guild_id for run in report.runs} == {UUID(ours["guild_id"])}
    execute(system, "DELETE FROM guild_pauses")
    again = worker.process(records(theirs), IN_TIME)
    assert (again.failures, {run.message.guild_id for run in again.runs}) == ({}, {paused})


def test_a_plugin_that_an_operator_has_disabled_does_not_run(system, worker):
    guild = system.add_guild()
    plugin_id = install(system, guild, "ping", PING, {"SEND_MESSAGES"})
    execute(system, "UPDATE plugins SET disabled_by_operator = 'it floods' WHERE id = %s", plugin_id)
    report = worker.process(records(event(guild.id, guild.channel_id)), IN_TIME)
    assert (report.runs, report.skipped) == ([], {"0": "no enabled plugin of its guild takes it"})


def test_a_record_that_comes_back_waits_longer_each_time_and_at_least_as_long_as_the_server_asks(
    system, create_worker, store
):
    (body,) = populate(system, 1)
    worker = create_worker(store, backoff=Backoff(first_seconds=8, longest_seconds=60))
    system.chat.inject(Fault(status=429, retry_after_seconds=1_000))
    first, second = records(body), [replace(record, receive_count=3) for record in records(body)]
    assert 999 < worker.process(first, IN_TIME).failures["0"].seconds <= 1_000
    other = create_worker(store, backoff=Backoff(first_seconds=8), chat_url="http://127.0.0.1:1")
    assert 4 <= other.process(first, IN_TIME).failures["0"].seconds <= 8
    assert 16 <= other.process(second, IN_TIME).failures["0"].seconds <= 32


def test_malformed_records_come_back_at_once_to_be_a_dead_letter_soon(worker):
    report = worker.process([QueueRecord("0", "{", datetime.now(UTC), receive_count=7)], IN_TIME)
    assert report.failures["0"].seconds == 0


def test_an_answer_to_an_earlier_message_that_is_still_to_be_sent_is_not_overtaken(system, create_worker, store):
    (body,) = populate(system, 1)
    (later,) = populate_again([body])
    create_worker(store, chat_url="http://127.0.0.1:1").process(records(body), IN_TIME)
    worker = create_worker(store)
    system.chat.inject(Fault(status=500, times=3))
    report = worker.process(records(body, later), IN_TIME)
    assert reasons(report)["1"].endswith("an earlier message to its channel is still to be sent")
    assert set(report.failures) == {"0", "1"}
    assert worker.process(records(body, later), IN_TIME).failures == {}
    order = [reply["causality"]["root"] for reply in system.chat.replies()]
    assert order == [body["message"]["id"], later["message"]["id"]]


def test_a_delivery_that_is_due_is_sent_without_its_message(system, create_worker, worker, store):
    (body,) = populate(system, 1)
    create_worker(store, chat_url="http://127.0.0.1:1").process(records(body), IN_TIME)
    due = DeliveryDue(UUID(body["guild_id"]), UUID(body["message"]["id"]))
    report = worker.process([QueueRecord("due", due.to_json(), datetime.now(UTC))], IN_TIME)
    assert (report.failures, report.runs) == ({}, [])
    assert contents(system) == ["pong"]


@pytest.fixture
def shadowed(system, engine):
    """A guild with ping and a shadow that sends another text."""
    guild = system.add_guild()
    plugin_id = install(system, guild, "ping", PING, {"SEND_MESSAGES"})
    add_shadow(system, plugin_id, wat.sends((str(guild.channel_id), "from the shadow")))
    return guild


def add_shadow(system, plugin_id, wasm):
    """Add a version that shadows the plugin, and compile it and the live version."""
    with psycopg.connect(system.database_url, autocommit=True) as connection:
        connection.execute(
            "WITH version AS (INSERT INTO plugin_versions "
            "(plugin_id, number, state, wasm_sha256, wasm_bytes, wasm_blob, created_by) "
            "VALUES (%(id)s, 1, 'ready', sha256(%(wasm)s), octet_length(%(wasm)s), %(wasm)s, 'ada') RETURNING id) "
            "UPDATE plugins SET shadow_version_id = version.id FROM version WHERE plugins.id = %(id)s",
            {"id": plugin_id, "wasm": wasm},
        )
        ((live,),) = connection.execute("SELECT wasm_blob FROM plugins WHERE id = %s", [plugin_id]).fetchall()
    publish(system, live, wasm)


def shadow_runs(system):
    with psycopg.connect(system.database_url) as connection:
        return connection.execute("SELECT message_id::text, outcome, intents FROM plugin_shadow_runs").fetchall()


def test_a_shadow_runs_on_live_messages_and_sends_nothing_for_as_many_statements(
    system, worker, shadowed, store, statements
):
    # The shadow's module is not in memory yet. It is fetched and its run recorded after all messages are sent.
    with statements.counting(store):
        worker.process(records(event(shadowed.id, shadowed.channel_id)), IN_TIME)
    assert (statements.count, len(contents(system)), len(shadow_runs(system))) == (4, 1, 1)
    clear(system)
    body = event(shadowed.id, shadowed.channel_id)
    with statements.counting(store):
        report = worker.process(records(body), IN_TIME)
    assert (report.failures, statements.count) == ({}, 3)
    assert [run.plugin.shadow for run in report.runs] == [False]
    assert contents(system) == ["pong", "pong"]
    ((message_id, outcome, intents),) = shadow_runs(system)
    assert (message_id, outcome) == (body["message"]["id"], "ok")
    assert [intent["content"] for intent in intents] == ["from the shadow"]
    # After a redelivery both runs are known.
    with statements.counting(store):
        worker.process(records(body), IN_TIME)
    assert statements.count == 1
    assert len(shadow_runs(system)) == 1


def clear(system):
    with psycopg.connect(system.database_url, autocommit=True) as connection:
        connection.execute("DELETE FROM plugin_shadow_runs")


def asked_to_compile(system):
    messages = system.aws.client("sqs").receive_message(
        QueueUrl=system.environment["GUILDHOOK_COMPILE_QUEUE_URL"], MaxNumberOfMessages=10
    )
    return [json.loads(message["Body"]) for message in messages.get("Messages", [])]


class WatchedBucket(ArtifactBucket):
    """A bucket that fails for one wasm, and keeps the messages that were sent before each request for it."""

    def __init__(self, system, broken):
        super().__init__(system.aws.access, system.bucket)
        self._system = system
        self._broken = broken
        self.sent = []

    def get(self, artifact):
        if artifact.wasm_sha256 == sha256(self._broken).digest():
            self.sent.append(contents(self._system))
            raise InfrastructureError("S3 does not answer")
        return super().get(artifact)


def test_nobody_waits_for_the_module_of_a_shadow_and_it_is_not_asked_for_again_at_once(
    system, create_worker, store, shadowed
):
    bucket = WatchedBucket(system, wat.sends((str(shadowed.channel_id), "from the shadow")))
    worker = create_worker(store, bucket=bucket)
    for _ in range(2):
        assert worker.process(records(event(shadowed.id, shadowed.channel_id)), IN_TIME).failures == {}
    assert bucket.sent == [["pong"]]
    assert contents(system) == ["pong", "pong"]
    assert shadow_runs(system) == []


def test_without_time_to_get_a_module_a_shadow_is_left_out(system, worker, shadowed):
    soon = time.monotonic() + 30
    assert worker.process(records(event(shadowed.id, shadowed.channel_id)), soon).failures == {}
    assert contents(system) == ["pong"]
    assert shadow_runs(system) == []


def test_a_shadow_runs_although_somebody_elses_plugin_is_to_be_compiled_first(system, worker, shadowed):
    other = system.add_guild()
    system.install(other, "new", wat.sends((str(other.channel_id), "new")), {"SEND_MESSAGES"})
    bodies = [event(guild.id, guild.channel_id) for guild in (shadowed, other)]
    assert worker.process(records(*bodies), IN_TIME).failures == {}
    assert sorted(contents(system)) == ["new", "pong"]
    assert [outcome for _, outcome, _ in shadow_runs(system)] == ["ok"]


def test_a_shadow_that_fails_again_and_again_is_not_quarantined_or_counted(system, create_worker, store):
    guild = system.add_guild()
    plugin_id = install(system, guild, "ping", PING, {"SEND_MESSAGES"})
    add_shadow(system, plugin_id, wat.TRAPS)
    worker = create_worker(store, quarantine=QuarantineRules(most_in_a_row=1))
    for _ in range(3):
        report = worker.process(records(event(guild.id, guild.channel_id)), IN_TIME)
        assert (report.failures, report.quarantined, len(report.runs)) == ({}, [], 1)
    assert [outcome for _, outcome, _ in shadow_runs(system)] == ["trap"] * 3
    with psycopg.connect(system.database_url) as connection:
        assert connection.execute("SELECT outcome, runs FROM plugin_usage").fetchall() == [("ok", 3)]
        assert connection.execute("SELECT count(*) FROM plugin_health").fetchone() == (0,)


@pytest.mark.parametrize(
    "meanwhile",
    [
        "DELETE FROM plugins",
        "UPDATE plugins SET shadow_version_id = NULL",
        "DELETE FROM plugin_versions",
        "UPDATE plugins SET live_version_id = v.id, wasm_blob = v.wasm_blob FROM plugin_versions AS v",
    ],
    ids=["deleted", "without a shadow", "without versions", "live"],
)
def test_a_message_does_not_come_back_if_its_shadow_changes_during_the_run(system, create_worker, shadowed, meanwhile):
    def change():
        with psycopg.connect(system.database_url, autocommit=True) as connection:
            connection.execute(meanwhile)

    worker = create_worker(OvertakenStore(system.database, once(change)))
    report = worker.process(records(event(shadowed.id, shadowed.channel_id)), IN_TIME)
    assert report.failures == {}
    gone = meanwhile == "DELETE FROM plugins"
    assert contents(system) == ([] if gone else ["pong"])
    assert len(shadow_runs(system)) == (0 if gone else 1)


def test_a_shadow_that_nobody_compiled_is_left_out_and_the_compile_function_is_asked_once(system, worker):
    guild = system.add_guild()
    plugin_id = install(system, guild, "ping", PING, {"SEND_MESSAGES"})
    add_shadow(system, plugin_id, wat.TRAPS)
    with psycopg.connect(system.database_url, autocommit=True) as connection:
        connection.execute("DELETE FROM plugin_artifacts WHERE wasm_sha256 = %s", [sha256(wat.TRAPS).digest()])
    for _ in range(2):
        assert worker.process(records(event(guild.id, guild.channel_id)), IN_TIME).failures == {}
    assert contents(system) == ["pong", "pong"]
    assert shadow_runs(system) == []
    assert asked_to_compile(system) == [{"wasm_sha256": sha256(wat.TRAPS).hexdigest()}]
    system.compile(wat.TRAPS)
    worker.process(records(event(guild.id, guild.channel_id)), IN_TIME)
    assert [outcome for _, outcome, _ in shadow_runs(system)] == ["trap"]


def test_a_shadow_run_that_postgres_refuses_is_left_out(system, create_worker, shadowed):
    class Particular(EventStore):
        def record(self, batch, rules):
            if batch.shadow_runs:
                raise RefusedStatementError("no room for shadows")
            return super().record(batch, rules)

    report = create_worker(Particular(system.database)).process(
        records(event(shadowed.id, shadowed.channel_id)), IN_TIME
    )
    assert report.failures == {}
    assert contents(system) == ["pong"]


def test_the_shadow_of_a_plugin_that_lost_a_race_is_recorded_once(system, create_worker, counting):
    with psycopg.connect(system.database_url) as connection:
        ((plugin_id,),) = connection.execute("SELECT id FROM plugins").fetchall()
    add_shadow(system, plugin_id, wat.TRAPS)
    winner = create_worker(EventStore(system.database))
    loser = create_worker(
        OvertakenStore(system.database, once(lambda: winner.process(records(count(counting, "winner")), IN_TIME)))
    )
    assert loser.process(records(count(counting, "loser")), IN_TIME).failures == {}
    assert contents(system) == ["1 winner", "2 loser"]
    assert [outcome for _, outcome, _ in shadow_runs(system)] == ["trap", "trap"]
