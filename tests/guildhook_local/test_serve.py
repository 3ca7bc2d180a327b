import json
import os
import re
import signal
import socket
import stat
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
import urllib3

from guildhook_local.sample import CHANNEL_ID, GUILD_ID
from guildhook_local.sample_guilds import BEN, LIGHTHOUSE_ID

GUILDHOOK = Path(sys.executable).parent / "guildhook"


@contextmanager
def serve(*options):
    """Start the command on free ports; yields the ready process, and its output as values by label."""
    with subprocess.Popen(
        [GUILDHOOK, "serve", "--port", "0", *options],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        umask=0,  # files with secrets are closed nevertheless
    ) as process:
        try:
            shown = {}
            for line in process.stdout:
                if line.startswith("Type a message"):
                    break
                name, value = line.split("  ", 1)
                shown.setdefault(name, []).append(value.strip())
            yield process, shown
        finally:
            process.terminate()


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    """The output of one command, which all tests share, and the file for sam local."""
    file = tmp_path_factory.mktemp("sam") / "new" / "env.json"
    with serve("--sam-env", file) as (process, shown):
        process.stdin.close()
        yield process, shown, file


@contextmanager
def entered(link):
    """Open a printed link as a browser does. Yields the address, and a client with the cookie."""
    with urllib3.PoolManager(retries=False) as http:
        answer = http.request("GET", link, redirect=False)
        assert (answer.status, answer.headers["Location"]) == (303, "/")
        http.headers = {"Cookie": answer.headers["Set-Cookie"].partition(";")[0]}
        yield link.partition("/?")[0], http


def say(process, text):
    process.stdin.write(text)
    process.stdin.flush()


@pytest.mark.parametrize("ends", [signal.SIGINT, signal.SIGTERM])
def test_typed_messages_are_answered_until_serve_is_interrupted(ends):
    with serve() as (process, _):
        say(process, "hello\n\n!ping\n")
        assert process.stdout.readline() == "Guildhook: pong\n"
        process.send_signal(ends)
        assert process.stdout.read() == ""
        assert process.wait() == 0


def test_messages_of_the_chat_page_are_answered_also_after_the_end_of_input(running):
    process, shown, _ = running
    (link,) = shown["chat page"]
    body = {"user_id": str(BEN), "content": "!ping"}
    path = f"/chat/channels/{CHANNEL_ID}/messages"
    with entered(link) as (chat, http):
        assert http.request("POST", chat + path, json=body, headers={**http.headers, "Origin": chat}).status == 201
    assert process.stdout.readline() == "Guildhook: pong\n"
    assert process.poll() is None


def test_the_admin_page_has_its_api_and_says_where_to_sign_in(running):
    _, shown, _ = running
    (link,), (chat_link,) = shown["admin page"], shown["chat page"]
    with entered(link) as (admin, http):
        assert http.request("GET", f"{admin}/api/health").json()["status"] == "ok"
        issuer = http.request("GET", f"{admin}/api/sign-in").json()["issuer"]
    assert issuer.startswith(chat_link.partition("?")[0] + "oidc/")
    assert urllib3.request("GET", f"{issuer}/.well-known/openid-configuration").status == 200


def test_serve_lists_the_people_with_their_guilds(running):
    _, shown, _ = running
    assert shown["sign in as"] == [
        "Ada, who manages the guild Harbour",
        "Ben, who is a member of both guilds, and manages none",
        "Cleo, who manages the guild Lighthouse",
        "Olga, who operates the installation with `guildhook admin`, and is a member of no guild",
    ]


def test_serve_prints_what_the_commands_of_operators_need(running):
    _, shown, _ = running
    (export,) = shown["operator"]
    environment = dict(part.split("=", 1) for part in export.split()[1:])
    program = Path(sys.executable).parent / "guildhook"
    ended = subprocess.run(
        [program, "admin", "guilds", "--json"],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    guilds = json.loads(ended.stdout)["items"]
    assert [guild["plugins"] for guild in guilds] == [4, 1]


@pytest.fixture
def query(running):
    _, shown, _ = running
    (url,) = shown["database"]
    with psycopg.connect(url) as connection:
        yield lambda statement: connection.execute(statement).fetchall()


def test_the_guilds_have_plugins_that_admins_have_uploaded(query):
    plugins = query(
        """SELECT p.guild_id, p.name, v.number, v.state, p.permissions FROM plugins p
           JOIN plugin_versions v ON v.id = p.live_version_id ORDER BY p.guild_id, p.name"""
    )
    found = {(guild, name): rest for guild, name, *rest in plugins}
    for key in ((GUILD_ID, "ping"), (GUILD_ID, "counter"), (GUILD_ID, "split"), (LIGHTHOUSE_ID, "ping")):
        assert found[key] == [1, "ready", ["SEND_MESSAGES"]]
    ((shadow,),) = query("SELECT v.number FROM plugins p JOIN plugin_versions v ON v.id = p.shadow_version_id")
    assert shadow == 2
    actors = {name for (name,) in query("SELECT DISTINCT actor_name FROM plugin_audit")}
    assert actors == {"Ada", "Cleo"}


def test_harbour_has_a_day_of_messages(query):
    ((hours,),) = query("SELECT count(DISTINCT hour) FROM plugin_usage")
    assert hours > 12
    outcomes = {outcome for (outcome,) in query("SELECT DISTINCT outcome FROM plugin_runs")}
    assert outcomes == {"ok", "trap"}
    shadowed = query(
        """SELECT s.outcome FROM plugin_runs r JOIN plugin_shadow_runs s USING (message_id, plugin_id)
           WHERE r.outcome = 'trap'"""
    )
    assert {outcome for (outcome,) in shadowed} == {"ok"}
    assert query("SELECT count(*) FROM plugin_runs WHERE created_at < now() - interval '12 hours'") != [(0,)]
    assert query("SELECT count(*) FROM plugin_health WHERE quarantined_at IS NOT NULL") == [(0,)]
    assert query("SELECT count(*) FROM plugin_intents WHERE state <> 'delivered'") == [(0,)]


def test_the_environment_for_containers_names_the_host_as_they_know_it(running):
    _, shown, file = running
    (functions, variables) = json.loads(file.read_text()).popitem()
    assert functions == "Parameters"
    credentials = file.with_name("credentials")
    assert [stat.S_IMODE(each.stat().st_mode) for each in (file.parent, file, credentials)] == [0o700, 0o600, 0o600]
    assert shown["sam local"] == [f"AWS_SHARED_CREDENTIALS_FILE={credentials} sam local … --env-vars {file}"]
    assert shown["AWS keys"] == [f"{variables['AWS_ACCESS_KEY_ID']} {variables['AWS_SECRET_ACCESS_KEY']}"]
    assert variables["AWS_SECRET_ACCESS_KEY"] in credentials.read_text()
    assert "127.0.0.1" not in str(variables)
    database = urlsplit(variables["GUILDHOOK_DATABASE_URL"])
    assert (database.username, database.password) == ("guildhook", None)
    hosts = {urlsplit(variables[name]).hostname for name in variables if name.endswith("_URL")}
    assert hosts == {"host.docker.internal"}


def wrong_usage(*options):
    done = subprocess.run([GUILDHOOK, "serve", *options], check=False, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    return " ".join(done.stderr.split())


def test_an_address_that_is_not_this_machines_is_wrong_usage():
    assert "192.0.2.1" in wrong_usage("--listen", "192.0.2.1")


@pytest.mark.parametrize("address", ["", "a..b", b"\xff"])
def test_a_text_that_is_no_address_is_wrong_usage(address):
    assert "--listen: cannot listen on" in wrong_usage("--listen", address)


@pytest.mark.parametrize("which", [0, 1])
def test_a_taken_port_is_wrong_usage_that_says_the_way_out(which):
    # The test has addresses of its own, because another process may take the neighbouring port on 127.0.0.1.
    address = f"127.0.0.{2 + which}"
    with socket.create_server((address, 0)) as taken:
        port = taken.getsockname()[1]
        said = wrong_usage("--listen", address, "--port", str(port - which))
    assert f"cannot listen on {address}, port {port}:" in said
    assert re.search(r"guildhook serve --port \d+", said)
