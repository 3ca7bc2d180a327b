from uuid import uuid4


def add_entry(admin, guild_id, kind, action):
    admin.execute(
        """INSERT INTO plugin_audit (guild_id, actor_id, actor_name, actor_kind, action, detail)
           VALUES (%s, '7', 'Olga', %s, %s, '{}')""",
        guild_id,
        kind,
        action,
    )


def test_operators_see_the_changes_of_operators_alone_and_a_guild_sees_its_own(admin, client, plugin):
    others = uuid4()
    add_entry(admin, admin.guild.id, "operator", "guild.paused")
    add_entry(admin, others, "operator", "guild.resumed")
    add_entry(admin, None, "operator", "processing.paused")
    operator = admin.operator()
    found = operator.get("/audit").ok()["items"][:3]
    assert [(entry["action"], entry["guild_id"], entry["actor_kind"]) for entry in found] == [
        ("processing.paused", None, "operator"),
        ("guild.resumed", str(others), "operator"),
        ("guild.paused", str(admin.guild.id), "operator"),
    ]
    of_the_guild = operator.get("/audit", guild_id=admin.guild.id).ok()["items"]
    assert [entry["action"] for entry in of_the_guild] == ["guild.paused"]
    seen_by_the_guild = client.get("/audit").ok()["items"]
    assert [(entry["action"], entry["actor_kind"]) for entry in seen_by_the_guild] == [
        ("guild.paused", "operator"),
        ("plugin.created", "admin"),
    ]


def test_the_changes_come_in_pages(admin):
    for number in range(3):
        add_entry(admin, admin.guild.id, "operator", f"number.{number}")
    operator, cursor, actions = admin.operator(), {}, []
    while True:
        page = operator.get("/audit", guild_id=admin.guild.id, limit=2, **cursor).ok()
        actions += [entry["action"] for entry in page["items"]]
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert actions == ["number.2", "number.1", "number.0"]


def test_a_change_outside_of_the_database_is_noted(admin):
    operator = admin.operator()
    noted = {"action": "dead_letters.requeued", "reason": "the chat server is back", "events": 3}
    assert operator.post("/audit", noted).status == 204
    entry = operator.get("/audit").ok()["items"][0]
    assert (entry["action"], entry["guild_id"]) == ("dead_letters.requeued", None)
    assert entry["detail"] == {"reason": "the chat server is back", "events": 3}
    assert operator.post("/audit", {"action": "plugin.deleted", "reason": "x"}).status == 422
