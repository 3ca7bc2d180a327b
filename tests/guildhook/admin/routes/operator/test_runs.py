from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from guildhook.admin.cursors import TimeCursor, encode

REASON = {"reason": "support case 12"}


@pytest.fixture
def operator(admin):
    return admin.operator()


def add_run(admin, plugin_id, seconds_ago=10, outcome="ok", log="hello"):
    ((run_id,),) = admin.execute(
        """INSERT INTO plugin_runs (message_id, plugin_id, guild_id, outcome, detail, fuel_used, duration_us,
                                    host_calls, logs, seed, message_time, message, created_at)
           VALUES (gen_random_uuid(), %s, %s, %s, '', 1, 1, 0, jsonb_build_array(%s::text), 1, now(),
                   '{"content": "secret words"}', now() - make_interval(secs => %s)) RETURNING id::text""",
        plugin_id,
        admin.guild.id,
        outcome,
        log,
        seconds_ago,
    )
    return run_id


def test_runs_of_a_guild_or_a_plugin_are_listed_without_content(admin, operator, client, plugin):
    other = client.post("/plugins", {"name": "Other"}).ok(201)["id"]
    runs = [add_run(admin, plugin_id, seconds) for plugin_id, seconds in ((plugin["id"], 30), (other, 20))]
    failed = add_run(admin, plugin["id"], 10, "trap")

    def found(**filters):
        answer = operator.get("/runs", **filters)
        assert "secret words" not in answer.text
        assert "hello" not in answer.text
        return [run["id"] for run in answer.ok()["items"]]

    guild = {"guild_id": admin.guild.id}
    assert found(**guild) == [failed, runs[1], runs[0]]
    assert found(plugin_id=plugin["id"]) == [failed, runs[0]]
    assert found(**guild, outcome="trap") == [failed]
    assert found(guild_id=uuid4(), plugin_id=plugin["id"]) == []
    page = operator.get("/runs", **guild, limit=2).ok()
    assert found(**guild, limit=2, cursor=page["next_cursor"]) == [runs[0]]
    assert operator.get("/runs").status == 422


def test_a_runs_content_is_shown_for_a_reason_that_the_guild_sees(admin, operator, client, plugin):
    run_id = add_run(admin, plugin["id"])
    path = f"/plugins/{plugin['id']}/runs/{run_id}"
    closed = operator.get(path)
    assert (closed.status, closed.kind) == (403, "forbidden")
    assert "hello" not in closed.text
    operator.post(f"/guilds/{admin.guild.id}/open-content", REASON).ok(201)
    run = operator.get(path).ok()["run"]
    assert (run["logs"], run["message"]) == (["hello"], {"content": "secret words"})
    entry = client.get("/audit").ok()["items"][0]
    assert (entry["action"], entry["actor_kind"], entry["detail"]) == ("content.opened", "operator", REASON)
    # It is open to this operator alone, of this guild alone, and for a quarter of an hour.
    assert admin.operator(sub=str(uuid4())).get(path).status == 403
    admin.execute("UPDATE plugin_audit SET at = at - interval '15 minutes' WHERE guild_id = %s", admin.guild.id)
    assert operator.get(path).status == 403


def test_content_needs_a_reason_and_the_right_guild(admin, operator, plugin):
    run_id = add_run(admin, plugin["id"])
    path = f"/guilds/{admin.guild.id}/open-content"
    for body in ({}, {"reason": ""}, {"reason": "  "}):
        assert operator.post(path, body).status == 422
    operator.post(f"/guilds/{uuid4()}/open-content", REASON).ok(201)
    assert operator.get(f"/plugins/{plugin['id']}/runs/{run_id}").status == 403
    assert operator.get(f"/plugins/{plugin['id']}/runs/{uuid4()}").status == 404
    assert operator.get(f"/plugins/{uuid4()}/runs/{run_id}").status == 404


def test_a_tail_goes_on_where_it_ended(admin, operator, plugin):
    guild = {"guild_id": admin.guild.id}
    add_run(admin, plugin["id"], 60)
    begun = operator.get("/tail", **guild).ok()
    assert begun["items"] == []
    # The tail begins with the runs after its first request.
    runs = [add_run(admin, plugin["id"], -1 - number / 10) for number in range(3)]
    admin.execute(
        "UPDATE plugin_runs SET created_at = created_at + interval '1 second' WHERE id = ANY(%s::uuid[])", runs
    )
    assert operator.get("/tail", **guild, cursor=begun["cursor"]).ok()["items"] == []


def test_a_tail_shows_each_run_once_the_oldest_first(admin, operator, plugin):
    runs = [add_run(admin, plugin["id"], seconds) for seconds in (40, 30, 20)]
    cursor, found = cursor_at(admin, 50), []
    for _ in range(3):
        page = operator.get("/tail", guild_id=admin.guild.id, cursor=cursor, limit=2).ok()
        found += [run["id"] for run in page["items"]]
        cursor = page["cursor"]
    assert found == runs
    since = (datetime.now(UTC) - timedelta(seconds=50)).isoformat()
    again = operator.get("/tail", guild_id=admin.guild.id, since=since).ok()
    assert ([run["id"] for run in again["items"]], again["cursor"]) == (runs, cursor)
    everywhere = operator.get("/tail", cursor=cursor_at(admin, 50)).ok()["items"]
    assert set(runs) <= {run["id"] for run in everywhere}
    assert {run["logs"] and 1 for run in everywhere} == {None}
    fresh = add_run(admin, plugin["id"], 0)
    shown = operator.get("/tail", guild_id=admin.guild.id, cursor=cursor).ok()["items"]
    assert fresh not in [run["id"] for run in shown]


def test_a_tail_has_logs_for_a_reason(admin, operator, plugin):
    add_run(admin, plugin["id"])
    asked = {"cursor": cursor_at(admin, 50), "logs": "true"}
    assert operator.get("/tail", **asked).status == 422
    assert operator.get("/tail", **asked, guild_id=admin.guild.id).status == 403
    operator.post(f"/guilds/{admin.guild.id}/open-content", REASON).ok(201)
    (run,) = operator.get("/tail", **asked, guild_id=admin.guild.id).ok()["items"]
    assert run["logs"] == ["hello"]


def test_sends_that_were_given_up_are_counted(admin, operator, plugin):
    run_id, channel_id = add_run(admin, plugin["id"]), uuid4()
    for detail in ("EXPIRED HTTP 500", "EXPIRED HTTP 500", "UNKNOWN_CHANNEL"):
        admin.execute(
            """INSERT INTO plugin_intents (key, run_id, position, kind, channel_id, content, state, detail)
               VALUES (gen_random_uuid(), %s, 0, 'send_message', %s, 'secret words', 'refused', %s)""",
            run_id,
            channel_id,
            detail,
        )
    answer = operator.get("/sends-given-up")
    assert "secret words" not in answer.text
    (found,) = [each for each in answer.ok()["items"] if each["guild_id"] == str(admin.guild.id)]
    assert (found["channel_id"], found["detail"], found["sends"]) == (str(channel_id), "EXPIRED HTTP 500", 2)


def cursor_at(admin, seconds_ago):
    ((at,),) = admin.execute("SELECT now() - make_interval(secs => %s)", seconds_ago)
    return encode(TimeCursor(at, uuid4()))
