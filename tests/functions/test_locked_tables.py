"""A table that is locked for longer than a function's time: the function answers in time, and nothing is lost."""

import json
import time
from contextlib import contextmanager
from hashlib import sha256

import psycopg
import pytest
from psycopg import sql
from psycopg.pq import TransactionStatus

import wat
from artifacts import publish
from guildhook.errors import TimeLimitError
from guildhook_local.function import LambdaContext, loaded_function
from guildhook_local.stack import ADMIN_API, COMPILE_PLUGIN, MIGRATE, ON_MESSAGE, SWEEP
from http_server import Answer, http_server
from project import ROOT
from samples import event, failed_records, http_request, resource_request, sqs_event

PING = (ROOT / "plugins" / "ping" / "ping.wasm").read_bytes()
NO_CHAT = {"GUILDHOOK_CHAT_API_URL": "http://127.0.0.1:1"}
RECORD = "record-0"
OUT_OF_TIME = "it did not answer in the time that was left"


def left(seconds):
    """The context of an invocation with so much time."""
    return LambdaContext("any", "request", deadline=time.monotonic() + seconds)


@contextmanager
def locked(system, table, mode="ACCESS EXCLUSIVE"):
    """Hold a lock until the end of the block, which fails if the lock is gone by then."""
    with psycopg.connect(system.database_url) as holder:
        holder.execute(sql.SQL("LOCK TABLE {} IN {} MODE").format(sql.Identifier(table), sql.SQL(mode)))
        yield
        assert holder.info.transaction_status is TransactionStatus.INTRANS


@pytest.fixture
def guild(system):
    guild = system.add_guild()
    publish(system, PING)
    system.install(guild, "ping", PING, {"SEND_MESSAGES"})
    return guild


def reasons(capsys):
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    return [line["reason"] for line in lines if line.get("message") == "record failed"]


def test_on_message_returns_its_records_in_time_and_answers_later(system, guild, query, capsys):
    message = sqs_event(event(guild.id, guild.channel_id))
    with loaded_function(ON_MESSAGE, system.environment) as handler:
        with locked(system, "plugins"):
            # All but 0.5 s of it are kept for the queue.
            assert failed_records(handler(message, left(4.5))) == [RECORD]
        (reason,) = reasons(capsys)
        assert OUT_OF_TIME in reason
        assert query("SELECT count(*) FROM plugin_runs") == [(0,)]
        assert failed_records(handler(message, left(60))) == []
    assert [reply["content"] for reply in system.chat.replies()] == ["pong"]


@pytest.fixture
def lock_timeout(query):
    """Statements give up a lock soon, as for the roles of the functions. It holds for connections from now on."""
    ((name,),) = query("SELECT current_database()")
    query(sql.SQL("ALTER DATABASE {} SET lock_timeout = 200").format(sql.Identifier(name)))


@pytest.mark.usefixtures("lock_timeout")
def test_runs_that_cannot_be_recorded_in_time_are_made_again(system, guild, query, capsys):
    message = sqs_event(event(guild.id, guild.channel_id))
    with loaded_function(ON_MESSAGE, system.environment) as handler:
        with locked(system, "plugin_usage", "SHARE"):
            assert failed_records(handler(message, left(60))) == [RECORD]
        (reason,) = reasons(capsys)
        assert "canceling statement due to lock timeout" in reason
        assert system.chat.replies() == []
        assert failed_records(handler(message, left(60))) == []
    assert [reply["content"] for reply in system.chat.replies()] == ["pong"]
    assert query("SELECT sum(runs) FROM plugin_usage") == [(1,)]


@pytest.mark.usefixtures("lock_timeout")
def test_results_of_sends_that_cannot_be_recorded_in_time_do_not_make_a_message_be_sent_twice(system, guild, query):
    message = sqs_event(event(guild.id, guild.channel_id))
    with loaded_function(ON_MESSAGE, {**system.environment, **NO_CHAT}) as handler:
        assert failed_records(handler(message, left(60))) == [RECORD]
    with loaded_function(ON_MESSAGE, system.environment) as handler:
        with locked(system, "plugin_intents", "SHARE"):
            assert failed_records(handler(message, left(60))) == [RECORD]
        assert len(system.chat.replies()) == 1
        assert failed_records(handler(message, left(60))) == []
    assert [reply["content"] for reply in system.chat.replies()] == ["pong"]
    assert query("SELECT state FROM plugin_intents") == [("delivered",)]


def test_compile_plugin_returns_its_record_in_time(system, guild, query):
    system.install(guild, "silent", wat.SILENT)
    digest = sha256(wat.SILENT).digest()
    request = sqs_event({"wasm_sha256": digest.hex()})
    with loaded_function(COMPILE_PLUGIN, system.environment) as handler:
        assert handler({"action": "recompile"}, left(60))["asked"] > 0
        with locked(system, "plugin_artifacts"):
            assert failed_records(handler(request, left(5.5))) == [RECORD]
        assert failed_records(handler(request, left(60))) == []
    assert query("SELECT wasm_sha256 FROM plugin_artifacts ORDER BY created_at DESC LIMIT 1") == [(digest,)]


def test_cloudformation_is_told_in_time_that_a_recompilation_failed(system, guild):
    with loaded_function(COMPILE_PLUGIN, system.environment) as handler, http_server(Answer()) as server:
        handler({"action": "recompile"}, left(60))
        with locked(system, "plugins"):
            # All but 0.5 s of it are kept for the answer.
            handler(resource_request(server.url, "Custom::Recompilation"), left(40.5))
        (upload,) = server.uploads
    answer = json.loads(upload.body)
    assert answer["Status"] == "FAILED"
    assert OUT_OF_TIME in answer["Reason"]


def test_cloudformation_is_told_in_time_that_a_migration_failed(system, query):
    query("DELETE FROM _yoyo_migration WHERE migration_id LIKE '%add_plugin_runs'")
    with loaded_function(MIGRATE, system.environment) as handler, http_server(Answer()) as server:
        with locked(system, "_yoyo_migration"):
            handler(resource_request(server.url, "Custom::Migration"), left(43))
        (upload,) = server.uploads
    answer = json.loads(upload.body)
    assert answer["Status"] == "FAILED"
    assert "lock timeout" in answer["Reason"] or "it did not end in the time that was left" in answer["Reason"]


@pytest.mark.usefixtures("lock_timeout")
def test_sweep_fails_in_time_and_its_next_run_does_the_work(system, guild, query):
    with loaded_function(SWEEP, system.environment) as handler:
        query(
            """INSERT INTO plugin_audit (guild_id, at, actor_id, actor_name, action, detail)
               VALUES (gen_random_uuid(), now() - interval '366 days', '', '', '', '{}')"""
        )
        with locked(system, "plugin_intents"), pytest.raises(TimeLimitError, match="lock timeout"):
            handler({}, left(3_600))
        assert handler({}, left(3_600))["audit_deleted"] == 1


def test_admin_api_answers_503_in_time(system, capsys):
    request = http_request("GET", "/api/health")
    with loaded_function(ADMIN_API, system.environment) as handler:
        assert handler(request, left(29))["statusCode"] == 200
        with locked(system, "_yoyo_migration"):
            answer = handler(request, left(2.5))
        assert answer["statusCode"] == 503
        assert json.loads(answer["body"])["type"] == "urn:guildhook:problem:unavailable"
        assert OUT_OF_TIME in capsys.readouterr().out
        assert handler(request, left(29))["statusCode"] == 200
