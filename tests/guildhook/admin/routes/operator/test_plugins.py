from uuid import uuid4

import pytest

import wat

REASON = {"reason": "it floods a channel"}


@pytest.fixture
def operator(admin):
    return admin.operator()


@pytest.fixture
def live(admin, client, plugin):
    """The path of a plugin with a live version."""
    path = f"/plugins/{plugin['id']}"
    number = admin.add_version(plugin["id"], wat.SILENT)
    client.put(f"{path}/live", {"version": number}, plugin["etag"]).ok()
    return path


def fail(admin, plugin_id, quarantined=False, error="trap: unreachable"):
    admin.execute(
        """INSERT INTO plugin_health (plugin_id, wasm_sha256, failures_in_a_row, hour, failures_in_hour, last_error,
                                      last_failed_at, quarantined_at, reason, retry_at)
           SELECT id, wasm_sha256, 10, now(), 10, %s, now(), x.at,
                  CASE WHEN x.at IS NOT NULL THEN 'failed 10 times' END, x.at + interval '1 hour'
           FROM plugins, (SELECT CASE WHEN %s THEN now() END AS at) AS x WHERE id = %s""",
        error,
        quarantined,
        plugin_id,
    )


def last_entry(client):
    entry = client.get("/audit").ok()["items"][0]
    return entry["action"], entry["actor_kind"], entry["detail"]


def test_a_plugin_is_disabled_beside_its_admins_choice(operator, client, live):
    before = client.get(live).ok()
    shown = operator.post(f"{live}/disable", REASON).ok()
    assert (shown["enabled"], shown["disabled_by_operator"]) == (True, REASON["reason"])
    after = client.get(live).ok()
    assert (after["enabled"], after["disabled_by_operator"]) == (True, REASON["reason"])
    assert last_entry(client) == ("plugin.disabled", "operator", REASON)
    # Admins who had it open do not change it unseen, and cannot enable it.
    assert client.patch(live, {"enabled": True}, before["etag"]).status == 412
    assert client.patch(live, {"enabled": True}, after["etag"]).ok()["disabled_by_operator"] == REASON["reason"]

    assert operator.post(f"{live}/enable", REASON).ok()["disabled_by_operator"] is None
    assert last_entry(client) == ("plugin.enabled", "operator", REASON)
    entries = len(client.get("/audit").ok()["items"])
    operator.post(f"{live}/enable", REASON).ok()
    assert len(client.get("/audit").ok()["items"]) == entries


def test_a_disabled_plugin_is_explained(operator, client, live):
    operator.post(f"{live}/disable", REASON).ok()
    reasons = client.get(f"{live}/explanations/{uuid4()}").ok()["reasons"]
    assert [reason["text"] for reason in reasons] == ["It is disabled by the operator: it floods a channel."]


def test_a_plugin_is_quarantined_and_its_quarantine_lifted(operator, client, live):
    shown = operator.post(f"{live}/quarantine", {**REASON, "minutes": 90}).ok()
    assert shown["quarantine"]["reason"] == "by the operator: it floods a channel"
    assert client.get(live).ok()["quarantine"]["reason"] == "by the operator: it floods a channel"
    assert last_entry(client) == ("plugin.quarantined", "operator", {**REASON, "minutes": 90})
    longer = operator.post(f"{live}/quarantine", {**REASON, "minutes": 180}).ok()["quarantine"]
    assert longer["since"] == shown["quarantine"]["since"]
    assert longer["retry_at"] > shown["quarantine"]["retry_at"]

    assert operator.post(f"{live}/lift", REASON).ok()["quarantine"] is None
    assert last_entry(client) == (
        "quarantine.ended",
        "operator",
        {**REASON, "quarantine": "by the operator: it floods a channel"},
    )


def test_a_plugin_without_a_live_version_is_not_quarantined(operator, plugin):
    answer = operator.post(f"/plugins/{plugin['id']}/quarantine", {**REASON, "minutes": 90})
    assert (answer.status, answer.kind) == (409, "not-ready")


@pytest.mark.parametrize("lever", ["disable", "enable", "lift", "quarantine"])
def test_an_unknown_plugin_is_not_found(operator, lever):
    body = {**REASON, "minutes": 1} if lever == "quarantine" else REASON
    answer = operator.post(f"/plugins/{uuid4()}/{lever}", body)
    assert (answer.status, answer.kind) == (404, "not-found")
    assert operator.post(f"/plugins/{uuid4()}/{lever}", {}).status == 422


def test_plugins_are_listed_by_guild_in_pages_without_settings(admin, operator, client):
    ids = sorted(client.post("/plugins", {"name": f"Plugin {number}"}).ok(201)["id"] for number in range(3))
    first = operator.get("/plugins", guild_id=admin.guild.id, limit=2).ok()
    second = operator.get("/plugins", guild_id=admin.guild.id, limit=2, cursor=first["next_cursor"]).ok()
    assert [each["id"] for each in (*first["items"], *second["items"])] == ids
    assert second["next_cursor"] is None
    assert "settings" not in first["items"][0]
    assert operator.get("/plugins", cursor="x").kind == "bad-cursor"


def test_failing_plugins_come_with_the_latest_failure_first(admin, operator, client, live, plugin):
    other = client.post("/plugins", {"name": "Other"}).ok(201)["id"]
    fail(admin, plugin["id"])
    fail(admin, other, quarantined=True)

    def found(**filters):
        listed = operator.get("/failures", **filters).ok()["items"]
        return [each["id"] for each in listed if each["guild_id"] == str(admin.guild.id)]

    assert found() == [other, plugin["id"]]
    assert found(quarantined="true") == [other]
    page = operator.get("/failures", limit=1).ok()
    assert page["items"][0]["id"] == other
    assert operator.get("/failures", limit=1, cursor=page["next_cursor"]).ok()["items"][0]["id"] == plugin["id"]
    admin.execute("UPDATE plugin_health SET last_failed_at = now() - interval '25 hours' WHERE plugin_id = %s", other)
    assert found() == [plugin["id"]]
    assert found(hours=48) == [plugin["id"], other]


def test_quarantines_are_counted_by_cause_and_lifted_together(admin, operator, client):
    ids = [client.post("/plugins", {"name": f"Plugin {number}"}).ok(201)["id"] for number in range(3)]
    admin.execute("DELETE FROM plugin_health")
    for plugin_id in ids:
        fail(admin, plugin_id, quarantined=True, error="deadline: it took 251 ms")
    (cause,) = operator.get("/quarantines/causes").ok()["items"]
    assert (cause["outcome"], cause["plugins"]) == ("deadline", 3)
    admin.execute("UPDATE plugin_health SET quarantined_at = now() - interval '3 hours' WHERE plugin_id = %s", ids[0])
    lifted = operator.post("/quarantines/lift", {"reason": "the disk was slow", "hours": 2}).ok()["items"]
    assert sorted(lifted) == sorted(ids[1:])
    assert operator.post("/quarantines/lift", {"reason": "again", "hours": 2}).ok()["items"] == []
    assert admin.execute("SELECT plugin_id::text FROM plugin_health") == [(ids[0],)]
    entries = [entry for entry in client.get("/audit").ok()["items"] if entry["action"] == "quarantine.ended"]
    assert sorted(entry["plugin_id"] for entry in entries) == sorted(ids[1:])
    assert entries[0]["detail"] == {"reason": "the disk was slow", "quarantine": "failed 10 times"}
