import json
from uuid import uuid4

import pytest

import wat

CHANNEL = str(uuid4())
GREETING = wat.sends((CHANNEL, "hello"))


def compile_asked(system):
    while system.compile_mapping.poll():
        pass


@pytest.fixture
def path(plugin):
    return f"/plugins/{plugin['id']}"


@pytest.fixture
def tried(admin, client, path, plugin, system):
    """Starts a test run with a version of a wasm, which is compiled first."""

    def tried(wasm, content="hi", **more):
        number = admin.add_version(plugin["id"], wasm)
        body = {"version": number, "message": {"content": content}, **more}
        answer = client.post(f"{path}/test-runs", body)
        if answer.status == 409:
            assert answer.kind == "compiling"
            compile_asked(system)
            answer = client.post(f"{path}/test-runs", body)
        return answer.ok()

    return tried


def test_a_test_run_shows_all_that_would_happen_and_does_nothing(admin, client, path, tried):
    client.patch(path, {"permissions": ["SEND_MESSAGES"]}, '"1"').ok()
    run = tried(GREETING)
    assert (run["outcome"], run["detail"], run["version"], run["state"]) == ("ok", "", 1, None)
    assert 0 < run["fuel_used"] < run["fuel_limit"]
    (sent,) = run["sends"]
    assert (sent["channel_id"], sent["content"], sent["state"], sent["message_id"]) == (CHANNEL, "hello", None, None)
    assert run["calls"] == [{"function": "send-message", "denied": None}]
    assert admin.execute("SELECT count(*) FROM plugin_runs WHERE guild_id = %s", admin.guild.id) == [(0,)]
    assert admin.stack.chat.replies() == []


def test_a_test_run_may_have_other_permissions_than_the_plugin(tried):
    (denied,) = tried(GREETING)["calls"]
    assert denied["denied"] is not None
    (allowed,) = tried(GREETING, permissions=["SEND_MESSAGES"])["calls"]
    assert allowed["denied"] is None


def test_a_message_comes_as_the_chat_server_would_send_it(admin, tried):
    message = {"content": "h\u00e9llo", "author_name": "Bo", "channel_id": CHANNEL}
    (line,) = tried(wat.ECHOES_TO_LOG, message=message)["logs"]
    given = json.loads(line)
    assert (given["content"], given["author"]["display_name"], given["author"]["bot"]) == ("h\u00e9llo", "Bo", False)
    assert (given["channel_id"], given["guild_id"]) == (CHANNEL, str(admin.guild.id))


def test_a_failed_test_run_shows_its_outcome(tried):
    run = tried(wat.TRAPS)
    assert (run["outcome"], run["sends"]) == ("trap", [])
    assert tried(wat.LOOPS)["outcome"] == "out_of_fuel"


def test_the_state_after_a_test_run_is_shown_and_not_stored(admin, plugin, tried):
    admin.execute('INSERT INTO plugin_state (plugin_id, version, entries) VALUES (%s, 7, \'{"a": "1"}\')', plugin["id"])
    wasm = wat.remembers(("set", "b", "2"))
    assert tried(wasm)["state"] == {"a": "1", "b": "2"}
    assert tried(wasm, keep_state=False)["state"] == {"b": "2"}
    assert admin.execute("SELECT version, entries FROM plugin_state WHERE plugin_id = %s", plugin["id"]) == [
        (7, {"a": "1"})
    ]


def test_settings_must_fit_the_schema_of_the_version(admin, client, path, plugin):
    schema = {
        "type": "object",
        "properties": {"n": {"type": "integer"}, "key": {"type": "string", "writeOnly": True}},
        "required": ["n"],
    }
    number = admin.add_version(plugin["id"], wat.SILENT, schema=schema)
    body = {"version": number, "message": {"content": "hi"}}
    assert client.post(f"{path}/test-runs", body).kind == "settings-invalid"
    answer = client.post(f"{path}/test-runs", {**body, "settings": {"n": "x"}})
    assert (answer.kind, answer.body["errors"][0]["pointer"]) == ("invalid", "/settings/n")
    answer = client.post(f"{path}/test-runs", {**body, "settings": {"n": 1, "key": "in the open"}})
    assert answer.body["errors"][0]["pointer"] == "/settings/key"


def test_only_a_ready_version_is_tried(admin, client, path, plugin):
    number = admin.add_version(plugin["id"], wat.SILENT, state="refused")
    body = {"version": number, "message": {"content": "hi"}}
    assert client.post(f"{path}/test-runs", body).kind == "not-ready"
    assert client.post(f"{path}/test-runs", {**body, "version": 9}).kind == "not-found"


def test_a_secret_that_opens_no_more_is_named(admin, client, path, plugin):
    number = admin.add_version(plugin["id"], wat.SILENT)
    admin.execute("INSERT INTO plugin_secrets (plugin_id, name, sealed) VALUES (%s, 'token', 'x')", plugin["id"])
    answer = client.post(f"{path}/test-runs", {"version": number, "message": {"content": "hi"}})
    assert answer.kind == "cannot-run"
    assert "token" in answer.body["detail"]
    assert answer.body["detail"].count("set it again") == 1


@pytest.fixture
def recorded(admin, plugin):
    def recorded(message=None):
        ((run_id,),) = admin.execute(
            """INSERT INTO plugin_runs (message_id, plugin_id, guild_id, outcome, detail, fuel_used, duration_us,
                                        host_calls, logs, seed, message_time, message)
               VALUES (gen_random_uuid(), %s, %s, 'trap', 'x', 1, 1, 0, '[]', 7, '2026-01-25T12:00:00Z', %s)
               RETURNING id""",
            plugin["id"],
            admin.guild.id,
            message,
        )
        return str(run_id)

    return recorded


def test_a_recorded_run_is_given_again(admin, client, path, plugin, recorded, tried):
    tried(wat.ECHOES_TO_LOG)
    payload = '{"content":"what it was","channel_id":"x"}'
    run = client.post(f"{path}/runs/{recorded(payload)}/replay", {"version": 1}).ok()
    assert run["logs"] == [payload]


def test_a_run_of_the_release_before_is_given_again_in_the_spelling_of_its_ids(admin, client, path, recorded, tried):
    client.patch(path, {"permissions": ["SEND_MESSAGES"]}, '"1"').ok()
    channel = str(admin.guild.channel_id).upper()
    payload = f'{{"id":"6A1D0000-0000-4000-8000-00000000000A","channel_id":"{channel}","content":"hi"}}'
    run_id = recorded(payload)
    tried(wat.ECHOES_TO_LOG)
    assert client.post(f"{path}/runs/{run_id}/replay", {"version": 1}).ok()["logs"] == [payload]
    # The plugin sends to the channel as the message spells it.
    tried(wat.sends((channel, "hi")))
    (sent,) = client.post(f"{path}/runs/{run_id}/replay", {"version": 2}).ok()["sends"]
    assert sent["channel_id"] == channel.lower()


def test_a_field_that_is_null_is_the_same_as_one_that_is_missing(client, path, tried):
    tried(wat.ECHOES_TO_LOG)
    message = {"content": "hi", "author_name": None, "channel_id": None}
    body = {"version": 1, "message": message, "settings": None, "permissions": None, "keep_state": None}
    (given,) = client.post(f"{path}/test-runs", body).ok()["logs"]
    assert json.loads(given)["author"]["username"] == "you"


@pytest.mark.parametrize("channel", ["{{{}}}", "urn:uuid:{}"])
def test_a_channel_is_named_in_every_spelling(client, admin, path, tried, channel):
    tried(wat.ECHOES_TO_LOG)
    message = {"content": "hi", "channel_id": channel.format(str(admin.guild.channel_id).upper())}
    (given,) = client.post(f"{path}/test-runs", {"version": 1, "message": message}).ok()["logs"]
    assert json.loads(given)["channel_id"] == str(admin.guild.channel_id)


def test_a_run_whose_message_was_not_kept_needs_one(admin, client, path, recorded, tried):
    tried(wat.ECHOES_TO_LOG)
    run_id = recorded()
    assert client.post(f"{path}/runs/{run_id}/replay", {"version": 1}).kind == "message-not-kept"
    run = client.post(f"{path}/runs/{run_id}/replay", {"version": 1, "message": {"content": "again"}}).ok()
    given = json.loads(run["logs"][0])
    assert (given["content"], given["created_at"]) == ("again", "2026-01-25T12:00:00+00:00")
    assert client.post(f"{path}/runs/{uuid4()}/replay", {"version": 1}).kind == "not-found"


def test_trials_count_as_several_requests(admin, client, tried):
    tried(wat.SILENT)
    ((cost,),) = admin.execute("SELECT cost FROM admin_requests WHERE actor_id = %s", str(admin.manager_id))
    assert cost >= 10
