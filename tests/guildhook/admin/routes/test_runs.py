import json
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from psycopg.types.json import Jsonb

import wat
from guildhook.admin.views import intent
from guildhook.store.admin import StoredIntent

CHANNEL = str(uuid4())
CALLS = [["log", None], ["send-message", "SEND_MESSAGES is not granted"]]


@pytest.fixture
def version(admin, client, plugin):
    number = admin.add_version(plugin["id"], wat.SILENT)
    client.put(f"/plugins/{plugin['id']}/live", {"version": number}, '"1"').ok()
    ((version_id,),) = admin.execute("SELECT live_version_id FROM plugins WHERE id = %s", plugin["id"])
    return version_id


@pytest.fixture
def record(admin, plugin, version):
    """Inserts a run and returns its id."""

    def record(message_id=None, sends=(), minutes_ago=0, **fields):
        columns = {
            "message_id": message_id or uuid4(),
            "plugin_id": UUID(plugin["id"]),
            "guild_id": admin.guild.id,
            "version_id": version,
            "outcome": "ok",
            "detail": "",
            "fuel_used": 10,
            "fuel_limit": 100,
            "duration_us": 20,
            "cpu_us": 15,
            "host_calls": 2,
            "calls": Jsonb(CALLS),
            "logs": Jsonb(["hello"]),
            "seed": 2**62 + 1,
            "message_time": datetime(2026, 1, 25, 12, tzinfo=UTC),
            "created_at": datetime.now(UTC) - timedelta(minutes=minutes_ago),
            **fields,
        }
        table = "plugin_shadow_runs" if "intents" in columns else "plugin_runs"
        names, marks = ", ".join(columns), ", ".join(["%s"] * len(columns))
        ((run_id,),) = admin.execute(f"INSERT INTO {table} ({names}) VALUES ({marks}) RETURNING id", *columns.values())
        for position, (state, detail) in enumerate(sends):
            admin.execute(
                """INSERT INTO plugin_intents (key, run_id, position, kind, channel_id, content, state, detail)
                   VALUES (gen_random_uuid(), %s, %s, 'send_message', %s, 'hi', %s, %s)""",
                run_id,
                position,
                CHANNEL,
                state,
                detail,
            )
        return str(run_id)

    return record


def test_runs_are_listed_with_their_results(client, plugin, record):
    message_id = uuid4()
    first = record(message_id, [("delivered", "m1"), ("pending", "HTTP 500 of 10.0.0.1")], minutes_ago=2)
    failed = record(outcome="trap", detail="unreachable", minutes_ago=1, calls=None, fuel_limit=None, version_id=None)
    path = f"/plugins/{plugin['id']}/runs"
    newest, oldest = client.get(path).ok()["items"]
    assert (newest["id"], newest["outcome"], newest["detail"]) == (failed, "trap", "unreachable")
    assert (newest["version"], newest["fuel_limit"], newest["denied_calls"], newest["intents"]) == (None, None, 0, 0)
    assert oldest == {
        "id": first,
        "message_id": str(message_id),
        "version": 1,
        "shadow": False,
        "outcome": "ok",
        "detail": "",
        "fuel_used": 10,
        "fuel_limit": 100,
        "duration_us": 20,
        "cpu_us": 15,
        "host_calls": 2,
        "denied_calls": 1,
        "intents": 2,
        "log_lines": 1,
        "created_at": oldest["created_at"],
    }


def test_runs_are_filtered_by_their_attributes(client, plugin, record):
    message_id = uuid4()
    old = record(message_id, minutes_ago=60)
    trap = record(outcome="trap", detail="x")
    other = record(version_id=uuid4(), minutes_ago=1)
    path = f"/plugins/{plugin['id']}/runs"

    def found(**query):
        return [run["id"] for run in client.get(path, **query).ok()["items"]]

    half_an_hour_ago = (datetime.now(UTC) - timedelta(minutes=30)).isoformat()
    assert found() == [trap, other, old]
    assert found(outcome="trap") == [trap]
    assert found(version=1) == [trap, old]
    assert found(version=7) == []
    assert found(message_id=message_id) == [old]
    assert found(since=half_an_hour_ago) == [trap, other]
    assert found(until=half_an_hour_ago) == [old]
    assert found(shadow="true") == []
    first = client.get(path, limit=2).ok()
    assert [run["id"] for run in first["items"]] == [trap, other]
    assert found(limit=2, cursor=first["next_cursor"]) == [old]


@pytest.mark.parametrize(
    "query",
    [
        {"outcome": "fine"},
        {"version": 0},
        {"version": 2**31},
        {"message_id": "x"},
        {"since": "yesterday"},
        {"since": "2026-01-25T12:00:00"},
        {"since": "1769342400"},
        {"limit": 0},
        {"limit": 101},
        {"shadow": "perhaps"},
    ],
)
def test_a_filter_that_means_nothing_is_refused(client, plugin, query):
    answer = client.get(f"/plugins/{plugin['id']}/runs", **query)
    assert answer.kind == "invalid"
    assert [error["pointer"] for error in answer.body["errors"]] == list(query)


def test_a_run_is_shown_with_its_log_calls_and_sends(client, plugin, record):
    message = {"content": "hello", "channel_id": CHANNEL}
    run_id = record(
        sends=[("delivered", "m1"), ("pending", "HTTP 500 of 10.0.0.1"), ("refused", "CHANNEL_NOT_FOUND")],
        message=json.dumps(message),
    )
    run = client.get(f"/plugins/{plugin['id']}/runs/{run_id}").ok()
    assert run["calls"] == [{"function": function, "denied": denied} for function, denied in CALLS]
    assert (run["logs"], run["message"], run["seed"]) == (["hello"], message, str(2**62 + 1))
    assert run["message_time"] == "2026-01-25T12:00:00Z"
    shown = [(sent["state"], sent["message_id"], sent["detail"]) for sent in run["sends"]]
    assert shown == [
        ("delivered", "m1", None),
        ("pending", None, "the chat server has not taken it yet"),
        ("refused", None, "CHANNEL_NOT_FOUND"),
    ]
    assert client.get(f"/plugins/{plugin['id']}/runs/{uuid4()}").kind == "not-found"


@pytest.mark.parametrize(
    ("detail", "shown"),
    [
        ("CONTENT_TOO_LONG", "CONTENT_TOO_LONG"),
        ("HTTP 410", "HTTP 410"),
        ("EXPIRED connection to 10.0.0.1 refused", "EXPIRED"),
        ("EXPIRED", "EXPIRED"),
        ("No such channel: s3cret", "the chat server has refused it"),
        ("", "the chat server has refused it"),
    ],
)
def test_a_refusal_is_a_code_or_nothing(detail, shown):
    stored = StoredIntent(kind="send_message", channel_id=CHANNEL, content="", state="refused", detail=detail)
    assert intent(stored).detail == shown


def test_runs_of_shadows_are_apart(client, plugin, record):
    intents = Jsonb([{"kind": "send_message", "channel_id": CHANNEL, "content": "hi"}])
    run_id = record(intents=intents)
    path = f"/plugins/{plugin['id']}/runs"
    assert client.get(path).ok()["items"] == []
    (run,) = client.get(path, shadow="true").ok()["items"]
    assert (run["id"], run["shadow"], run["intents"], run["denied_calls"]) == (run_id, True, 1, 1)
    (sent,) = client.get(f"{path}/{run_id}").ok()["sends"]
    assert (sent["content"], sent["state"], sent["detail"]) == ("hi", None, None)


def test_a_fault_of_guildhook_is_not_shown_in_its_words(client, plugin, record):
    run_id = record(outcome="internal", detail="host function failed: OperationalError")
    assert client.get(f"/plugins/{plugin['id']}/runs/{run_id}").ok()["detail"] == "guildhook failed, not the plugin"


def test_usage_is_by_the_hour(admin, client, plugin):
    for hours, outcome, runs in [(0, "ok", 3), (0, "trap", 1), (5, "ok", 2), (60, "ok", 9)]:
        admin.execute(
            """INSERT INTO plugin_usage (plugin_id, hour, outcome, runs, fuel_used, duration_us)
               VALUES (%s, date_trunc('hour', now()) - make_interval(hours => %s), %s, %s, 10, 20)""",
            plugin["id"],
            hours,
            outcome,
            runs,
        )
    path = f"/plugins/{plugin['id']}/usage"

    def counted(**query):
        return [(hour["outcome"], hour["runs"]) for hour in client.get(path, **query).ok()["items"]]

    assert counted() == [("ok", 2), ("ok", 3), ("trap", 1)]
    assert counted(hours=1) == [("ok", 3), ("trap", 1)]
    assert len(counted(hours=2_160)) == 4
    for wrong in (0, 2_161, "all"):
        assert client.get(path, hours=wrong).kind == "invalid"


def reasons(client, plugin, message_id):
    explained = client.get(f"/plugins/{plugin['id']}/explanations/{message_id}").ok()
    assert explained["reasons"]
    return explained["run"], [(reason["cause"], reason["certain"]) for reason in explained["reasons"]]


def test_a_recorded_run_explains_itself(client, plugin, record):
    message_id, failed, invalid = uuid4(), uuid4(), uuid4()
    run_id = record(message_id, [("delivered", "m1"), ("refused", "NOPE")])
    record(failed, outcome="trap", detail="unreachable")
    record(invalid, outcome="invalid", detail="too large")
    run, why = reasons(client, plugin, message_id)
    assert (run["id"], why) == (run_id, [("not_delivered", True), ("ran", True)])
    assert reasons(client, plugin, failed)[1] == [("ran", True)]
    assert reasons(client, plugin, invalid)[1] == [("refused", True)]
    explained = client.get(f"/plugins/{plugin['id']}/explanations/{message_id}").ok()
    assert "NOPE" in explained["reasons"][0]["text"]
    assert "SEND_MESSAGES is not granted" in explained["reasons"][1]["text"]


def test_a_message_that_nobody_knows_is_explained_by_guesses(client, plugin):
    assert reasons(client, plugin, uuid4()) == (None, [("not_live", True)])


def test_a_message_that_was_deleted_in_the_chat_is_explained_by_that(admin, client, plugin, version):
    kept, deleted = uuid4(), uuid4()
    admin.execute("INSERT INTO deleted_messages VALUES (%s, %s)", admin.guild.id, deleted)
    explained = client.get(f"/plugins/{plugin['id']}/explanations/{deleted}").ok()
    (reason,) = explained["reasons"]
    assert (reason["cause"], reason["certain"]) == ("deleted", True)
    assert reason["text"].startswith("The message was deleted in the chat (2")
    assert ("deleted", True) not in reasons(client, plugin, kept)[1]


def test_a_plugin_that_is_disabled_now_may_be_why(client, plugin, version):
    client.patch(f"/plugins/{plugin['id']}", {"enabled": False}, '"2"').ok()
    _, why = reasons(client, plugin, uuid4())
    assert why == [("disabled", False), ("bot_message", False), ("not_seen", False)]


def test_an_explanation_from_the_time_of_the_message_is_certain(admin, client, plugin, version):
    """The run of another plugin has the message's time; the audit log has the plugin's state at that time."""
    other = client.post("/plugins", {"name": "Other"}).ok(201)
    message_id = uuid4()
    path = f"/plugins/{plugin['id']}"
    client.patch(path, {"enabled": False}, '"2"').ok()
    admin.execute(
        """INSERT INTO plugin_runs (message_id, plugin_id, guild_id, outcome, detail, fuel_used, duration_us,
                                    host_calls, logs, seed, message_time)
           VALUES (%s, %s, %s, 'ok', '', 1, 1, 0, '[]', 1, clock_timestamp())""",
        message_id,
        other["id"],
        admin.guild.id,
    )
    assert reasons(client, plugin, message_id) == (None, [("disabled", True)])
    client.patch(path, {"enabled": True}, '"3"').ok()
    assert reasons(client, plugin, message_id) == (None, [("disabled", True)])
    admin.execute("UPDATE plugin_runs SET message_time = clock_timestamp() WHERE message_id = %s", message_id)
    _, why = reasons(client, plugin, message_id)
    assert ("nothing_to_say", False) in why
    assert not any(certain for _, certain in why)


def test_quarantine_budget_and_silence_are_named(admin, client, plugin, version):
    admin.execute(
        """INSERT INTO plugin_usage (plugin_id, hour, outcome, runs, fuel_used, duration_us)
           VALUES (%s, date_trunc('hour', now()), 'ok', 3, 10, 20)""",
        plugin["id"],
    )
    admin.execute(
        """INSERT INTO guild_budgets (guild_id, minute, fuel_used, sends, log_bytes, delayed, over_at, over_reason)
           VALUES (%s, now(), 0, 0, 0, 1, now(), 'its plugins sent 301 messages')""",
        admin.guild.id,
    )
    _, why = reasons(client, plugin, uuid4())
    assert why == [("nothing_to_say", False), ("over_budget", False), ("bot_message", False), ("not_seen", False)]
    admin.execute(
        """INSERT INTO plugin_health (plugin_id, wasm_sha256, failures_in_a_row, hour, failures_in_hour, last_error,
                                      quarantined_at, reason, retry_at, pauses)
           SELECT id, wasm_sha256, 10, now(), 10, 'trap', now(), 'failed', now(), 1 FROM plugins WHERE id = %s""",
        plugin["id"],
    )
    assert reasons(client, plugin, uuid4())[1][0] == ("quarantined", False)


def test_paths_of_an_unknown_plugin_are_not_found(client):
    path = f"/plugins/{uuid4()}"
    for below in ("", "/versions", "/versions/1", "/runs", f"/runs/{uuid4()}", "/usage", f"/explanations/{uuid4()}"):
        assert client.get(path + below).kind == "not-found", below
