from uuid import uuid4

from guildhook_local.stack import LocalGuild


def test_the_guilds_are_those_that_somebody_manages(admin, client):
    second = LocalGuild()
    admin.stack.chat.add_guild(second.id, "Atoll")
    admin.stack.chat.add_member(second.id, admin.manager_id, ["MANAGE_GUILD", "SEND_MESSAGES"])
    third = LocalGuild()
    admin.stack.chat.add_guild(third.id, "Lagoon")
    admin.stack.chat.add_member(third.id, admin.manager_id, ["SEND_MESSAGES"])
    everything = type(client)(client.handler, client.token).get("/api/guilds").ok()
    assert everything == {
        "items": [{"id": str(second.id), "name": "Atoll"}, {"id": str(admin.guild.id), "name": "Reef"}]
    }


def test_a_guild_is_shown_with_its_budget(admin, client, plugin):
    guild = client.get()
    assert guild.headers["ETag"] == guild.ok()["etag"] == '"1"'
    body = guild.body
    assert (body["name"], body["plugins"], body["plugins_limit"]) == ("Reef", 1, 50)
    assert (body["keep_content"], body["grantable"]) == (False, ["SEND_MESSAGES"])
    assert (body["budget"]["fuel"], body["budget"]["sends_limit"], body["budget"]["over_at"]) == (0, 300, None)
    admin.execute(
        """INSERT INTO guild_budgets (guild_id, minute, fuel_used, sends, log_bytes, delayed, over_at, over_reason)
           VALUES (%s, date_trunc('minute', now()), 5, 6, 7, 8, now(), 'too much')""",
        admin.guild.id,
    )
    # A new minute may have begun.
    budget = client.get().ok()["budget"]
    assert (budget["fuel"], budget["sends"], budget["log_bytes"], budget["delayed"]) in {(5, 6, 7, 8), (0, 0, 0, 0)}
    assert budget["over_reason"] == "too much"
    admin.execute("UPDATE guild_budgets SET minute = now() - interval '1 hour' WHERE guild_id = %s", admin.guild.id)
    budget = client.get().ok()["budget"]
    assert (budget["fuel"], budget["delayed"], budget["over_reason"]) == (0, 0, "too much")


def test_a_change_of_a_guilds_settings_needs_their_entity_tag(admin, client):
    assert client.patch("", {"keep_content": True}).kind == "condition-missing"
    assert client.patch("", {"keep_content": True}, '"2"').kind == "condition-failed"
    changed = client.patch("", {"keep_content": True}, '"1"').ok()
    assert (changed["keep_content"], changed["etag"]) == (True, '"2"')
    assert client.patch("", {"keep_content": False}, '"1"').kind == "changed-meanwhile"
    assert client.patch("", {"keep_content": False}, '"2"').ok()["etag"] == '"3"'
    entries = client.get("/audit").ok()["items"]
    assert [(entry["action"], entry["detail"]["keep_content"]["to"]) for entry in entries] == [
        ("guild.changed", False),
        ("guild.changed", True),
    ]


def test_a_guild_that_the_database_has_not_seen_gets_its_first_plugin(admin):
    new = LocalGuild()
    admin.stack.chat.add_guild(new.id, "New")
    admin.stack.chat.add_member(new.id, admin.manager_id, ["MANAGE_GUILD"])
    client = admin.client()
    ours = type(client)(client.handler, client.token, f"/api/guilds/{new.id}")
    assert ours.get().ok()["plugins"] == 0
    assert ours.get("/plugins").ok()["items"] == []
    ours.post("/plugins", {"name": "First"}).ok(201)
    assert ours.get().ok()["plugins"] == 1


def test_the_audit_log_has_pages(client):
    for i in range(3):
        client.post("/plugins", {"name": f"p{i}"}).ok(201)
    first = client.get("/audit", limit=2).ok()
    rest = client.get("/audit", limit=2, cursor=first["next_cursor"]).ok()
    names = [entry["detail"]["name"] for entry in first["items"] + rest["items"]]
    assert (names, rest["next_cursor"]) == (["p2", "p1", "p0"], None)
    assert client.get("/audit", plugin_id=uuid4()).ok() == {"items": [], "next_cursor": None}


def test_the_sign_in_endpoint_is_public(admin):
    client = admin.client()
    nobody = type(client)(client.handler, None)
    assert nobody.get("/api/sign-in").ok() == {
        "issuer": admin.stack.chat.issuer.url,
        "client_id": "guildhook-page",
        "scope": "openid profile",
        "algorithms": ["EdDSA"],
        "max_wasm_bytes": 32 * 1024 * 1024,
        "subscribers_max_age_seconds": 0,
    }
