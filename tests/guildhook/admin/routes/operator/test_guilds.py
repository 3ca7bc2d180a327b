from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

REASON = {"reason": "a test"}


def in_hours(hours):
    return (datetime.now(UTC) + timedelta(hours=hours)).isoformat()


@pytest.fixture
def operator(admin):
    return admin.operator()


@pytest.fixture
def path(admin):
    return f"/guilds/{admin.guild.id}"


def actions(client):
    return [(entry["action"], entry["actor_kind"], entry["detail"]) for entry in client.get("/audit").ok()["items"]]


def test_a_guild_is_shown_with_its_counts(admin, operator, client, path):
    for number in range(3):
        plugin_id = client.post("/plugins", {"name": f"Plugin {number}"}).ok(201)["id"]
    admin.execute("UPDATE plugins SET enabled = FALSE WHERE id = %s", plugin_id)
    operator.post(f"/plugins/{plugin_id}/disable", REASON).ok()
    shown = operator.get(path).ok()
    assert [shown[name] for name in ("plugins", "enabled", "disabled_by_operator", "quarantined")] == [3, 2, 1, 0]
    assert (shown["paused"], shown["raised"], shown["budget"]["sends_limit"]) == (None, None, 300)
    without_plugins = operator.get(f"/guilds/{uuid4()}").ok()
    assert without_plugins["plugins"] == 0


def test_guilds_with_plugins_come_in_pages_and_by_their_state(admin, operator, plugin, path):
    cursor, found = {}, []
    while True:
        page = operator.get("/guilds", limit=1, **cursor).ok()
        found += [guild["id"] for guild in page["items"]]
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert str(admin.guild.id) in found
    assert found == sorted(set(found))

    def listed(**filters):
        return str(admin.guild.id) in [guild["id"] for guild in operator.get("/guilds", **filters).ok()["items"]]

    assert not listed(paused="true")
    assert not listed(over_hours=24)
    operator.post(f"{path}/pause", REASON).ok()
    admin.execute(
        """INSERT INTO guild_budgets (guild_id, minute, fuel_used, sends, log_bytes, delayed, over_at, over_reason)
           VALUES (%s, now() - interval '1 hour', 1, 1, 1, 1, now() - interval '1 hour', 'too many sends')""",
        admin.guild.id,
    )
    assert listed(paused="true")
    assert listed(over_hours=24)


def test_a_budget_is_raised_until_a_date_and_the_guild_sees_it(operator, client, path):
    until = in_hours(2)
    raised = operator.post(f"{path}/raise-budget", {**REASON, "until": until, "sends_per_minute": 1000}).ok()
    assert (raised["budget"]["sends_limit"], raised["budget"]["fuel_limit"]) == (1000, 20_000_000_000)
    assert raised["raised"]["fuel_per_minute"] is None
    assert client.get().ok()["budget"]["sends_limit"] == 1000
    ((action, kind, detail),) = actions(client)
    assert (action, kind, detail["sends_per_minute"], detail["reason"]) == ("budget.raised", "operator", 1000, "a test")

    assert operator.post(f"{path}/reset-budget", REASON).ok()["budget"]["sends_limit"] == 300
    assert client.get().ok()["budget"]["sends_limit"] == 300
    assert actions(client)[0] == ("budget.reset", "operator", REASON)
    operator.post(f"{path}/reset-budget", REASON).ok()
    assert len(actions(client)) == 2


def test_a_raised_budget_ends_at_its_date(admin, operator, client, path):
    operator.post(f"{path}/raise-budget", {**REASON, "until": in_hours(1), "sends_per_minute": 1000}).ok()
    admin.execute("UPDATE raised_budgets SET until = now() WHERE guild_id = %s", admin.guild.id)
    assert operator.get(path).ok()["raised"] is None
    assert operator.get(path).ok()["budget"]["sends_limit"] == client.get().ok()["budget"]["sends_limit"] == 300


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"sends_per_minute": 300}, "/sends_per_minute"),
        ({"log_bytes_per_minute": 1}, "/log_bytes_per_minute"),
        ({}, ""),
        ({"sends_per_minute": 1000, "until": in_hours(-1)}, "/until"),
        ({"sends_per_minute": 1000, "until": in_hours(24 * 91)}, "/until"),
        ({"sends_per_minute": 1000, "until": "2100-01-01T00:00:00"}, "/until"),
        ({"sends_per_minute": 1000, "reason": " "}, "/reason"),
        ({"sends_per_minute": 1000, "reason": "two\nlines"}, "/reason"),
        ({"sends_per_minute": 1000, "reason": None}, "/reason"),
    ],
)
def test_a_budget_is_only_raised_and_not_for_ever(operator, client, path, change, pointer):
    body = {name: value for name, value in {**REASON, "until": in_hours(1), **change}.items() if value is not None}
    answer = operator.post(f"{path}/raise-budget", body)
    assert (answer.status, answer.kind) == (422, "invalid")
    assert [error["pointer"] for error in answer.body["errors"]] == [pointer]
    assert actions(client) == []


def test_a_guild_is_paused_and_resumed_and_its_admins_see_the_reason(operator, client, path):
    assert operator.post(f"{path}/pause", REASON).ok()["paused"]["reason"] == "a test"
    assert client.get().ok()["paused"] == "a test"
    assert operator.post(f"{path}/pause", {"reason": "another"}).ok()["paused"]["reason"] == "a test"
    assert operator.post(f"{path}/resume", REASON).ok()["paused"] is None
    operator.post(f"{path}/resume", REASON).ok()
    assert client.get().ok()["paused"] is None
    assert [action for action, _, _ in actions(client)] == ["guild.resumed", "guild.paused"]
