import json

import psycopg
import pytest
from psycopg.types.json import Jsonb

import wat
from guildhook.store.admin import MOST_READ_BYTES
from guildhook_local.direct_install import install_plugin


def test_a_plugin_is_made_shown_changed_and_deleted(admin, client):
    created = client.post("/plugins", {"name": "  Greeter ", "description": "says\nhello"})
    plugin = created.ok(201)
    assert (plugin["name"], plugin["description"], plugin["enabled"]) == ("Greeter", "says\nhello", True)
    assert (plugin["live"], plugin["latest"], plugin["settings"], plugin["secrets"]) == (None, None, {}, [])
    assert plugin["etag"] == created.headers["ETag"] == '"1"'
    path = f"/plugins/{plugin['id']}"
    assert client.get(path).ok() == plugin
    assert client.get("/plugins").ok() == {"items": [plugin], "next_cursor": None}

    changed = client.patch(path, {"enabled": False, "settings": {"a": [1, 2.5, None]}, "bot_messages": True}, '"1"')
    assert changed.headers["ETag"] == '"2"'
    assert changed.ok()["settings"] == {"a": [1, 2.5, None]}
    assert (changed.body["enabled"], changed.body["bot_messages"], changed.body["name"]) == (False, True, "Greeter")

    assert client.delete(path, '"2"').ok(204) is None
    assert client.get(path).kind == "not-found"
    assert admin.plugins("count(*)") == [(0,)]


def test_every_change_is_in_the_audit_log_without_a_settings_value(client, plugin):
    path = f"/plugins/{plugin['id']}"
    client.patch(path, {"name": "Waver", "settings": {"greeting": "s3cret"}}, '"1"').ok()
    client.put(f"{path}/secrets/token", {"value": "s3cret"}, '"2"').ok()
    client.patch(path, {"permissions": ["SEND_MESSAGES"]}, '"3"').ok()
    client.delete(f"{path}/secrets/token", '"4"').ok()
    client.delete(path, '"5"').ok(204)
    audit = client.get("/audit").ok()
    assert [(entry["action"], entry["detail"]) for entry in reversed(audit["items"])] == [
        ("plugin.created", {"name": "Greeter", "description": ""}),
        (
            "plugin.changed",
            {"name": {"from": "Greeter", "to": "Waver"}, "settings": {"changed": ["greeting"]}},
        ),
        ("secret.set", {"name": "token"}),
        ("plugin.changed", {"permissions": {"from": [], "to": ["SEND_MESSAGES"]}}),
        ("secret.deleted", {"name": "token"}),
        ("plugin.deleted", {"name": "Waver"}),
    ]
    assert {(entry["plugin_id"], entry["actor_name"]) for entry in audit["items"]} == {(plugin["id"], "Ada")}
    assert client.get("/audit", plugin_id="6a1d0000-0000-4000-8000-000000000001").ok()["items"] == []


def test_a_change_needs_the_current_entity_tag(client, plugin):
    path = f"/plugins/{plugin['id']}"
    assert client.patch(path, {"name": "A"}).kind == "condition-missing"
    for other in ('"2"', 'W/"1"', '"99999999999999999999"'):
        assert client.patch(path, {"name": "A"}, other).kind == "condition-failed", other
    assert client.patch(path, {"name": "A"}, "*").kind == "condition-missing"
    assert client.patch(path, {"name": "A"}, "1").kind == "malformed"
    assert client.get(path).ok() == plugin
    assert client.patch(path, {"name": "A"}, 'W/"1", "x,y",, "1"').ok()["etag"] == '"2"'
    assert client.patch(path, {"name": "B"}, '"1"').kind == "changed-meanwhile"


def test_a_secret_is_never_shown_and_not_stored_as_it_is(admin, client, plugin, capsys):
    path = f"/plugins/{plugin['id']}"
    answer = client.put(f"{path}/secrets/api_token", {"value": "hunter2-s3cret"}, '"1"')
    (secret,) = answer.ok()["secrets"]
    assert (secret["name"], set(secret)) == ("api_token", {"name", "updated_at"})
    assert answer.body["settings"] == {}
    ((sealed,),) = admin.execute("SELECT sealed FROM plugin_secrets WHERE plugin_id = %s", plugin["id"])
    told = [answer.text, client.get("/audit").text, client.get(path).text, capsys.readouterr().out]
    assert not any("s3cret" in text for text in told)
    assert b"s3cret" not in sealed
    assert client.delete(f"{path}/secrets/other", '"2"').kind == "not-found"
    assert client.delete(f"{path}/secrets/api_token", '"2"').ok()["secrets"] == []


def test_the_secrets_of_a_plugin_are_bounded_together(client, plugin):
    path = f"/plugins/{plugin['id']}"
    client.put(f"{path}/secrets/a", {"value": "\U0001f41f" * 4_096}, '"1"').ok()
    client.put(f"{path}/secrets/b", {"value": "\U0001f41f" * 4_000}, '"2"').ok()
    answer = client.put(f"{path}/secrets/c", {"value": "x" * 1_000}, '"3"')
    assert answer.kind == "limit-reached"
    assert "the limit is 32768" in answer.body["detail"]
    # A replaced value no longer counts.
    client.put(f"{path}/secrets/a", {"value": "x" * 4_096}, '"3"').ok()
    client.put(f"{path}/secrets/c", {"value": "x" * 1_000}, '"4"').ok()


def test_the_settings_and_secrets_of_a_guild_are_bounded_together(admin, client, plugin):
    path = f"/plugins/{plugin['id']}"
    admin.execute(
        "INSERT INTO plugins (guild_id, name, wasm_blob, config) VALUES (%s, 'large', '', %s)",
        admin.guild.id,
        Jsonb({"a": "x" * (MOST_READ_BYTES - 100)}),
    )
    for answer in (
        client.patch(path, {"settings": {"a": "x" * 100}}, '"1"'),
        client.put(f"{path}/secrets/a", {"value": "x" * 100}, '"1"'),
    ):
        assert answer.kind == "limit-reached"
        assert f"the limit is {MOST_READ_BYTES}; make some smaller, or delete some" in answer.body["detail"]
    assert client.get(path).ok()["settings"] == {}
    client.patch(path, {"settings": {"a": "x"}}, '"1"').ok()


def test_a_plugin_has_a_bounded_number_of_secrets(admin, client, plugin):
    path = f"/plugins/{plugin['id']}"
    admin.execute(
        "INSERT INTO plugin_secrets (plugin_id, name, sealed) SELECT %s, 's' || i, '' FROM generate_series(1, 64) AS i",
        plugin["id"],
    )
    assert client.put(f"{path}/secrets/one_more", {"value": "x"}, '"1"').kind == "limit-reached"
    client.put(f"{path}/secrets/s1", {"value": "x"}, '"1"').ok()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("", "at least 1"),
        ("   ", "at least 1"),
        ("x" * 65, "at most 64"),
        ("a\nb", "U+000A"),
        ("a\u001b[31mb", "U+001B"),
        ("a\u0000b", "U+0000"),
        ("a\u202eb", "U+202E"),
        ("a\u2028b", "U+2028"),
        (7, "string"),
    ],
)
def test_a_name_is_one_printable_line(client, name, said):
    answer = client.post("/plugins", {"name": name})
    assert answer.kind == "invalid"
    (error,) = answer.body["errors"]
    assert error["pointer"] == "/name"
    assert said in error["message"]


def test_a_name_may_look_like_a_script_and_is_given_back_as_it_came(client):
    name = "<script>alert(1)</script> 👩\u200d💻 é"
    answer = client.post("/plugins", {"name": name})
    assert answer.ok(201)["name"] == name
    assert answer.headers["Content-Type"] == "application/json"


def test_unknown_and_missing_fields_are_named(client, plugin):
    answer = client.post("/plugins", {"name": "A", "colour": "red"})
    assert answer.body["errors"] == [{"pointer": "/colour", "message": "there is no field 'colour'; leave it out"}]
    answer = client.patch(f"/plugins/{plugin['id']}", {"permissions": ["KICK", "SEND_MESSAGES"]}, '"1"')
    assert [error["pointer"] for error in answer.body["errors"]] == ["/permissions/0"]
    answer = client.post("/plugins", {})
    assert answer.body["errors"] == [{"pointer": "/name", "message": "is missing; give it"}]


def test_a_description_that_is_null_is_one_that_is_missing(client):
    plugins = [client.post("/plugins", {"name": "A", **more}).ok(201) for more in ({}, {"description": None})]
    assert [plugin["description"] for plugin in plugins] == ["", ""]


def test_making_a_plugin_twice_with_one_key_makes_it_once(client):
    asked = {"name": "Greeter", "description": "hello"}
    first = client.post("/plugins", asked, idempotency_key="k1").ok(201)
    client.patch(f"/plugins/{first['id']}", {"name": "Renamed"}, '"1"').ok()
    assert client.post("/plugins", asked, idempotency_key="k1").ok(201)["id"] == first["id"]
    assert client.post("/plugins", {"name": "Other"}, idempotency_key="k1").kind == "key-used"
    assert client.post("/plugins", asked, idempotency_key="k2").ok(201)["id"] != first["id"]
    client.delete(f"/plugins/{first['id']}", '"2"').ok(204)
    assert client.post("/plugins", asked, idempotency_key="k1").kind == "key-used"
    for key in ("", "x" * 65, "ü", "a b"):
        answer = client.post("/plugins", asked, idempotency_key=key)
        assert (answer.status, answer.body["errors"][0]["pointer"]) == (422, "Idempotency-Key")


def test_two_people_may_choose_the_same_key(admin, client):
    other = admin.member("MANAGE_GUILD")
    ids = {each.post("/plugins", {"name": "A"}, idempotency_key="1").ok(201)["id"] for each in (client, other)}
    assert len(ids) == 2


def test_a_guild_has_a_bounded_number_of_plugins(admin, client):
    admin.execute(
        """INSERT INTO plugins (guild_id, name, wasm_blob) SELECT %s, 'p' || i, '' FROM generate_series(1, 50) AS i""",
        admin.guild.id,
    )
    answer = client.post("/plugins", {"name": "one more"})
    assert answer.kind == "limit-reached"
    assert "50" in answer.body["detail"]


def test_pages_go_on_where_the_one_before_ended(admin, client):
    names = [client.post("/plugins", {"name": f"p{i}"}).ok(201)["name"] for i in range(5)]
    # All plugins get the same time, so that their ids decide the order.
    admin.execute("UPDATE plugins SET created_at = '2026-01-01' WHERE guild_id = %s", admin.guild.id)
    found, cursor = [], {}
    while True:
        page = client.get("/plugins", limit=2, **cursor).ok()
        found += [plugin["name"] for plugin in page["items"]]
        assert len(page["items"]) <= 2
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert sorted(found) == names


@pytest.mark.parametrize("cursor", ["", "x", "AAAA", "e30", "W10", "WyJuMSIsNV0", "ü", "WyJ0MSIsNV0=", "a" * 513])
def test_a_cursor_of_somebody_elses_making_is_refused(client, cursor):
    assert client.get("/plugins", cursor=cursor).status in {400, 422}


def test_a_page_fits_the_largest_response_of_a_function(admin, client):
    settings = {"text": "x" * 60_000}
    for i in range(3):
        plugin = client.post("/plugins", {"name": f"p{i}"}).ok(201)
        client.patch(f"/plugins/{plugin['id']}", {"settings": settings}, '"1"').ok()
    schema = {"type": "object", "title": "x" * 1_500_000}
    for (plugin_id,) in admin.plugins("id"):
        admin.add_version(str(plugin_id), wat.SILENT, schema=schema)
    first = client.get("/plugins").ok()
    assert len(first["items"]) == 2
    assert len(client.get("/plugins", cursor=first["next_cursor"]).ok()["items"]) == 1


def test_whole_numbers_of_settings_are_saved_as_integers(admin, client, plugin):
    path = f"/plugins/{plugin['id']}"
    saved = client.patch(path, {"settings": {"three": 3.0, "hundred": [1e2], "half": 0.5}}, '"1"').ok()["settings"]
    assert json.dumps(saved, sort_keys=True) == '{"half": 0.5, "hundred": [100], "three": 3}'
    # Rows may be written directly.
    admin.execute("UPDATE plugins SET config = %s WHERE id = %s", '{"three": 3.0}', plugin["id"])
    assert json.dumps(client.get(path).ok()["settings"]) == '{"three": 3}'


def test_settings_are_bounded_and_fit_the_schema_of_the_live_version(admin, client, plugin):
    path = f"/plugins/{plugin['id']}"

    def errors(settings):
        answer = client.patch(path, {"settings": settings}, client.get(path).body["etag"])
        return [error["pointer"] for error in answer.body["errors"]] if answer.status == 422 else answer.ok() and []

    nested = {}
    for _ in range(40):
        nested = {"a": nested}
    assert errors(nested) == ["/settings" + "/a" * 32]
    assert errors({"text": "x" * 70_000}) == ["/settings"]
    assert errors({"text": "a\u0000b"}) == ["/settings/text"]
    schema = {
        "type": "object",
        "properties": {"n": {"type": "integer", "maximum": 5}, "key": {"type": "string", "writeOnly": True}},
        "required": ["n", "key"],
        "additionalProperties": False,
    }
    number = admin.add_version(plugin["id"], wat.SILENT, schema=schema)
    assert errors({"n": 9}) == []
    etag = client.get(path).body["etag"]
    answer = client.put(f"{path}/live", {"version": number}, etag)
    assert answer.kind == "settings-invalid"
    assert [error["pointer"] for error in answer.body["errors"]] != []
    etag = client.put(f"{path}/secrets/key", {"value": "x"}, etag).ok()["etag"]
    client.put(f"{path}/live", {"version": number, "settings": {"n": 3}}, etag).ok()
    assert errors({"n": 6}) == ["/settings/n"]
    assert errors({"n": 1, "key": "in the open"}) == ["/settings/key"]
    assert errors({"n": 1}) == []


def test_a_plugin_that_was_put_into_the_database_is_shown_as_it_is(admin, client, system):
    with psycopg.connect(system.database_url) as connection:
        install_plugin(connection, admin.guild.id, "old", wat.SILENT, {"a": 1}, ["SEND_MESSAGES", "KICK"])
    admin.execute("UPDATE plugins SET config = '[1]', description = NULL WHERE guild_id = %s", admin.guild.id)
    (plugin,) = client.get("/plugins").ok()["items"]
    assert (plugin["settings"], plugin["permissions"], plugin["live"]) == ({}, ["SEND_MESSAGES"], None)
    number = admin.add_version(plugin["id"], wat.TRAPS)
    answer = client.put(f"/plugins/{plugin['id']}/live", {"version": number}, '"1"')
    assert answer.kind == "not-ready"


def test_quarantine_ends_when_an_admin_says_so(admin, client, plugin):
    path = f"/plugins/{plugin['id']}"
    admin.execute(
        """INSERT INTO plugin_health (plugin_id, wasm_sha256, failures_in_a_row, hour, failures_in_hour, last_error,
                                      last_failed_at, quarantined_at, reason, retry_at, pauses)
           SELECT id, wasm_sha256, 10, now(), 10, 'trap: unreachable', now(), now(), 'failed 10 times in a row',
                  now() + interval '5 minutes', 1
           FROM plugins WHERE id = %s""",
        plugin["id"],
    )
    quarantine = client.get(path).ok()["quarantine"]
    assert (quarantine["reason"], quarantine["last_error"]) == ("failed 10 times in a row", "trap: unreachable")
    assert client.delete(f"{path}/quarantine").kind == "condition-missing"
    plugin = client.delete(f"{path}/quarantine", '"1"').ok()
    assert (plugin["quarantine"], plugin["last_error"], plugin["etag"]) == (None, None, '"2"')
    assert client.get("/audit").ok()["items"][0]["action"] == "quarantine.ended"


@pytest.mark.parametrize("enabled", [0, 1, "true", "no", 1.0])
def test_enabled_is_true_or_false_and_nothing_else(client, plugin, enabled):
    answer = client.patch(f"/plugins/{plugin['id']}", {"enabled": enabled}, '"1"')
    assert [error["pointer"] for error in answer.body["errors"]] == ["/enabled"]
