"""A second stack on a copy of a running stack's database, with a bucket and a signing key of its own (docs/restore.md).

A copy by Postgres stands in for that of Aurora, which has the same rows.
"""

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, LiteralString
from uuid import uuid4

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

import wat
from admin_client import AdminSystem, admin_system
from docs.blocks import blocks
from guildhook_local.chat_server import Fault
from guildhook_local.function import LambdaContext, loaded_function
from guildhook_local.poller import EventSourceMapping
from guildhook_local.postgres import created_database
from guildhook_local.stack import MIGRATE, ON_MESSAGE, Servers, Stack, stack
from project import ROOT
from samples import DEADLINE_MS, event

COUNTER = (ROOT / "plugins" / "counter" / "counter.wasm").read_bytes()
CONTEXT = LambdaContext("test", "request", deadline=time.monotonic() + 3_600)
IMPATIENT = {
    "GUILDHOOK_LIMITS__DEADLINE_MS": str(DEADLINE_MS),
    "GUILDHOOK_RETRY_SECONDS": "0",
}
SECRET = "s3cret"
AGED = "UPDATE plugin_intents SET updated_at = now() - interval '31 minutes' WHERE state = 'pending'"
"""The sweep leaves younger ones to the queue."""
(SEND_NOTHING,) = (block.text for block in blocks(ROOT / "docs" / "restore.md") if block.language == "sql")


@dataclass(frozen=True, slots=True)
class First:
    """A stack with a guild. One plugin counts messages, the other one sends its settings with the secret among them."""

    system: Stack
    admin: AdminSystem
    copy: str
    """The name of a database that has the rows of a moment."""
    pending: int
    """Sends that were pending at that moment and have been made since."""
    later: Mapping[str, Any]
    """An event that was handled after that moment."""
    said: list[str]
    """The replies until then, in their order."""


def handle_all(mapping: EventSourceMapping) -> None:
    while mapping.poll():
        pass


def contents(system: Stack) -> list[str]:
    return [reply["content"] for reply in system.chat.replies()]


def rows(system: Stack, statement: LiteralString) -> list[tuple[Any, ...]]:
    with psycopg.connect(system.database_url, autocommit=True) as connection:
        return connection.execute(statement).fetchall()


def settings_sent(greeting: str) -> str:
    return json.dumps({"greeting": greeting, "api_key": SECRET}, separators=(",", ":"))


def install_teller(admin: AdminSystem) -> str:
    """Returns the path of the plugin that sends its settings."""
    client, wasm = admin.client(), wat.tells_settings(str(admin.guild.channel_id))
    path = f"/plugins/{client.post('/plugins', {'name': 'teller'}).ok(201)['id']}"
    number = admin.add_version(path.rpartition("/")[2], wasm, needs=["SEND_MESSAGES"])
    live = {"version": number, "consent": ["SEND_MESSAGES"]}
    etag = client.put(f"{path}/live", live, client.get(path).ok()["etag"]).ok()["etag"]
    etag = client.put(f"{path}/secrets/api_key", {"value": SECRET}, etag).ok()["etag"]
    client.patch(path, {"settings": {"greeting": "before"}}, etag).ok()
    return path


@pytest.fixture(scope="module")
def first(running: Servers) -> Iterator[First]:
    with stack(running, visibility_timeout_seconds=0, environment=IMPATIENT) as system:
        admin = admin_system(system)
        teller = install_teller(admin)
        system.install(admin.guild, "counter", COUNTER, {"SEND_MESSAGES"})
        assert system.compile_handler({"action": "recompile"}, CONTEXT) == {"asked": 2}
        handle_all(system.compile_mapping)

        system.chat.say(admin.guild.channel_id, "ada", "!count")
        handle_all(system.mapping)
        system.chat.inject(Fault(times=1_000, status=503))
        system.chat.say(admin.guild.channel_id, "ada", "!count")
        system.mapping.poll()
        ((pending,),) = rows(system, "SELECT count(*) FROM plugin_intents WHERE state = 'pending'")

        name = f"copy-{uuid4().hex}"
        original = conninfo_to_dict(system.database_url)["dbname"]
        with psycopg.connect(running.postgres_url, autocommit=True) as connection:
            # Postgres copies a database without connections only. The functions connect again.
            connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [original])
        with created_database(running.postgres_url, name, str(original)):
            system.chat.recover()
            handle_all(system.mapping)
            client = admin.client()
            client.patch(teller, {"settings": {"greeting": "after"}}, client.get(teller).ok()["etag"]).ok()
            later = event(admin.guild.id, admin.guild.channel_id, content="!count")
            system.send_event(json.dumps(later))
            handle_all(system.mapping)
            yield First(system, admin, name, pending, later, contents(system))


@contextmanager
def second_stack(running: Servers, first: First, **environment: str) -> Iterator[Stack]:
    """On the copy, after the steps of a deploy. It sends to the chat server of the first."""
    shared = ("GUILDHOOK_CHAT_API_URL", "GUILDHOOK_CHAT_SECRET", "GUILDHOOK_JWT_ISSUER")
    variables = {**IMPATIENT, **{name: first.system.environment[name] for name in shared}, **environment}
    copied = replace(running, template=first.copy)
    with stack(copied, visibility_timeout_seconds=0, environment=variables) as system:
        with loaded_function(MIGRATE, system.environment) as migrate:
            assert migrate({}, CONTEXT) == {"applied": []}
        assert system.compile_handler({"action": "recompile"}, CONTEXT) == {"asked": 2}
        handle_all(system.compile_mapping)
        assert system.compile_handler({"action": "recompile"}, CONTEXT) == {"asked": 0}
        yield system


def test_a_second_stack_goes_on_from_the_moment_of_the_copy_and_repeats_nothing_in_the_chat(running, first):
    assert sorted(first.said[:4]) == ["1", "2", settings_sent("before"), settings_sent("before")]
    assert (sorted(first.said[4:]), first.pending) == (["3", settings_sent("after")], 2)
    said = contents(first.system)
    key = first.system.environment["GUILDHOOK_SETTINGS_SECRET"]
    with second_stack(running, first, GUILDHOOK_SETTINGS_SECRET=key) as second:
        objects = second.aws.client("s3").list_objects_v2(Bucket=second.bucket)["Contents"]
        assert len({each["Key"] for each in objects}) == 2
        signed = rows(second, "SELECT DISTINCT signature FROM plugin_artifacts")
        assert not set(signed) & set(rows(first.system, "SELECT signature FROM plugin_artifacts"))

        # The first stack has made these sends since. Their keys are the same here.
        assert second.sweep_handler({}, CONTEXT)["requeued"] == 0
        rows(second, f"{AGED} RETURNING key")
        assert second.sweep_handler({}, CONTEXT)["requeued"] == 1
        handle_all(second.mapping)
        assert rows(second, "SELECT DISTINCT state FROM plugin_intents") == [("delivered",)]
        assert contents(first.system) == said

        # The first stack has handled this event since, on other settings. The copy does not know that.
        second.send_event(json.dumps(first.later))
        handle_all(second.mapping)
        assert contents(first.system) == said
        assert rows(second, "SELECT entries FROM plugin_state") == [({"count": "3"},)]

        second.send_event(json.dumps(event(first.admin.guild.id, first.admin.guild.channel_id, content="!count")))
        handle_all(second.mapping)
        assert sorted(contents(first.system)[len(said) :]) == ["4", settings_sent("before")]


def test_with_another_settings_key_a_run_says_so_and_the_earlier_key_is_the_way_out(running, first):
    said, channel = contents(first.system), first.admin.guild.channel_id
    with second_stack(running, first) as second:
        second.send_event(json.dumps(event(first.admin.guild.id, channel, content="hello")))
        handle_all(second.mapping)
        assert contents(first.system) == said
        ((plugin_id, outcome, detail),) = rows(
            second, "SELECT plugin_id, outcome, detail FROM plugin_runs WHERE outcome <> 'ok'"
        )
        assert outcome == "internal"
        assert detail == (
            f"secret 'api_key' of plugin {plugin_id} was sealed with a key that is gone; set it again, or let the "
            "operator add that key to earlier_settings_keys (docs/restore.md)"
        )

        secrets = second.aws.client("secretsmanager")
        keys = [
            json.loads(secrets.get_secret_value(SecretId=each.environment["GUILDHOOK_SETTINGS_SECRET"])["SecretString"])
            for each in (second, first.system)
        ]
        both = {**keys[0], "earlier_settings_keys": [keys[1]["settings_key"]]}
        secrets.put_secret_value(
            SecretId=second.environment["GUILDHOOK_SETTINGS_SECRET"], SecretString=json.dumps(both)
        )
        with loaded_function(ON_MESSAGE, second.environment) as handler:
            sqs = second.aws.client("sqs")
            second.send_event(json.dumps(event(first.admin.guild.id, channel, content="hello")))
            handle_all(EventSourceMapping(sqs, second.queue.url, "on_message", handler))
        assert contents(first.system)[len(said) :] == [settings_sent("before")]


def test_a_copy_sends_nothing_of_the_past_after_the_documented_statement(running, first):
    with second_stack(running, first) as second:
        with psycopg.connect(second.database_url, autocommit=True) as connection:
            connection.execute(AGED)
            connection.execute(SEND_NOTHING)
        assert rows(second, "SELECT count(*) FROM plugin_intents WHERE detail = 'RESTORED'") == [(first.pending,)]
        assert second.sweep_handler({}, CONTEXT)["requeued"] == 0
