import gc
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from guildhook.sandbox import Engine
from guildhook_local.function import LambdaContext, invoked_function
from guildhook_local.stack import FUNCTIONS, stack
from project import ROOT
from samples import event, failed_records, sqs_event

PING = (ROOT / "plugins" / "ping" / "ping.wasm").read_bytes()
CONTEXT = LambdaContext("on_message", "request", deadline=time.monotonic() + 3_600)
CREATES = "import sys, pathlib, guildhook_local.function as f; f.create(pathlib.Path(sys.argv[1]), {})"


def install_ping(system):
    guild = system.add_guild()
    system.install(guild, "ping", PING, {"SEND_MESSAGES"})
    system.compile(PING)
    return guild


def artifacts(system):
    with psycopg.connect(system.database_url) as connection:
        return connection.execute("SELECT count(*) FROM plugin_artifacts").fetchone()[0]


def engines():
    gc.collect()
    return sum(isinstance(each, Engine) for each in gc.get_objects())


def test_nothing_of_a_function_stays_when_it_is_closed(running):
    before = engines()
    with stack(running) as system:
        at_work = engines()
        assert at_work > before
        install_ping(system)
        # The function that compiles is created now.
        assert engines() > at_work
        del system
    assert engines() == before


NOTES_ITS_LIFE = """
from guildhook.startup import Function

def create(notes):
    notes["created"] = notes.get("created", 0) + 1
    return Function(lambda event, _context: event, lambda: notes.update(closed=True))
"""


def test_a_function_is_created_at_its_first_invocation_and_closed_at_the_end(tmp_path):
    (tmp_path / "function.py").write_text(NOTES_ITS_LIFE)
    notes = {}
    with invoked_function(tmp_path, notes) as handler:
        assert notes == {}
        with ThreadPoolExecutor(8) as pool:
            assert list(pool.map(handler, range(50), [CONTEXT] * 50)) == list(range(50))
        assert notes == {"created": 1}
    assert notes == {"created": 1, "closed": True}


def test_a_function_that_is_not_invoked_is_not_created(tmp_path):
    with invoked_function(tmp_path, {}):
        pass


def test_a_stack_leaves_the_environment_of_the_process_as_it_is(running):
    before = dict(os.environ)
    with stack(running) as system:
        assert dict(os.environ) == before
        guild = install_ping(system)
        assert failed_records(system.handler(sqs_event(event(guild.id, guild.channel_id)), CONTEXT)) == []
        assert dict(os.environ) == before
    assert dict(os.environ) == before


def test_two_stacks_at_once_keep_apart(running):
    without_s3 = {"AWS_ENDPOINT_URL_S3": "http://127.0.0.1:1"}
    with stack(running) as one, stack(running, environment=without_s3) as other:
        for system in (one, other):
            guild = install_ping(system)
            assert failed_records(system.handler(sqs_event(event(guild.id, guild.channel_id)), CONTEXT)) == []
            assert [reply["channel_id"] for reply in system.chat.replies()] == [str(guild.channel_id)]
        assert (artifacts(one), artifacts(other)) == (1, 0)


NEEDING_NOTHING = {"deploy_steps", "preflight"}
"""Functions that start without any variable, and read what a request needs."""


@pytest.mark.parametrize(
    "folder",
    sorted(path.parent for path in FUNCTIONS.glob("*/app.py") if path.parent.name not in NEEDING_NOTHING),
    ids=lambda it: it.name,
)
def test_a_function_is_configured_by_its_own_environment_and_not_by_the_processs(folder, system):
    command = [sys.executable, "-c", CREATES, folder]
    ended = subprocess.run(command, env=dict(system.environment), capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1].startswith("guildhook.errors.ConfigurationError: wrong environment: ")
