import json
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest

from guildhook_local.sample import CHANNEL_ID, GUILD_ID

GUILDHOOK = Path(sys.executable).parent / "guildhook"


@contextmanager
def serve(*options):
    """The command, up to the line with which it is ready: the process, and what it printed by the first words."""
    with subprocess.Popen(
        [GUILDHOOK, "serve", *options], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            shown = {}
            for line in process.stdout:
                if line.startswith("Type a message"):
                    break
                name, value = line.split("  ", 1)
                shown[name] = value.strip()
            yield process, shown
        finally:
            process.terminate()


def say(process, text):
    process.stdin.write(text)
    process.stdin.flush()


@pytest.mark.parametrize("ends", [signal.SIGINT, signal.SIGTERM])
def test_what_is_typed_is_answered_until_it_is_interrupted(ends):
    with serve() as (process, _):
        say(process, "hello\n\n!ping\n")
        assert process.stdout.readline() == "Guildhook: pong\n"
        process.send_signal(ends)
        assert process.stdout.read() == ""
        assert process.wait() == 0


def test_the_end_of_input_is_not_the_end():
    with serve() as (process, _):
        process.stdin.write("!ping\n")
        process.stdin.close()
        assert process.stdout.readline() == "Guildhook: pong\n"
        assert process.poll() is None


def test_the_guild_of_the_events_is_there_and_has_ping():
    with serve() as (_, shown), psycopg.connect(shown["database"]) as connection:
        plugins = connection.execute("SELECT guild_id, name, permissions FROM plugins").fetchall()
        channels = connection.execute("SELECT id, guild_id FROM channels").fetchall()
    assert plugins == [(GUILD_ID, "ping", ["SEND_MESSAGES"])]
    assert channels == [(CHANNEL_ID, GUILD_ID)]


def test_the_environment_for_containers_names_the_host_as_they_know_it(tmp_path):
    file = tmp_path / "new" / "env.json"
    with serve("--sam-env", file) as (_, shown):
        (functions, variables) = json.loads(file.read_text()).popitem()
    assert functions == "Parameters"
    assert file.stat().st_mode & 0o777 == 0o600
    assert shown["sam local"] == f"--env-vars {file}"
    assert "127.0.0.1" not in str(variables)
    database = urlsplit(variables["GUILDHOOK_DATABASE_URL"])
    assert (database.username, database.password) == ("guildhook", None)
    hosts = {urlsplit(variables[name]).hostname for name in variables if name.endswith("_URL")}
    assert hosts == {"host.docker.internal"}


def test_an_address_that_is_not_this_machines_is_wrong_usage():
    done = subprocess.run([GUILDHOOK, "serve", "--listen", "192.0.2.1"], check=False, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert "192.0.2.1" in done.stderr
