import json

import pytest
from psycopg.types.json import Jsonb

import wat
from admin_client import admin_system

SCHEMA = {
    "type": "object",
    "properties": {"greeting": {"type": "string"}, "token": {"type": "string", "writeOnly": True}},
    "required": ["greeting"],
    "additionalProperties": False,
}


@pytest.fixture
def path(plugin):
    return f"/plugins/{plugin['id']}"


@pytest.fixture
def save(client, path):
    """Saves settings and returns the plugin."""
    return lambda settings: client.patch(path, {"settings": settings}, client.get(path).ok()["etag"]).ok()


@pytest.fixture
def write(admin, plugin):
    """Writes settings into the database directly."""
    return lambda settings: admin.execute("UPDATE plugins SET config = %s WHERE id = %s", Jsonb(settings), plugin["id"])


def test_each_save_is_listed_with_its_author_and_its_difference_from_now(admin, client, path, save, write):
    save({"a": 1, "b": [1]})
    write({"a": 1, "b": [2], "c": None})
    save({"a": True, "b": [2]})
    listed = client.get(f"{path}/settings-versions").ok()
    ((role,),) = admin.execute("SELECT session_user")
    names = ("number", "actor_name", "database_role", "current", "differs", "version", "kept")
    assert [tuple(each[name] for name in names) for each in listed["items"]] == [
        (4, "Ada", None, True, [], None, True),
        (3, None, role, False, ["a", "c"], None, True),
        (2, "Ada", None, False, ["a", "b"], None, True),
        (1, "Ada", None, False, ["a", "b"], None, True),
    ]
    assert {each["actor_id"] for each in listed["items"]} == {str(admin.manager_id), None}
    assert listed["next_cursor"] is None


def test_the_list_has_pages(client, path, save):
    for number in range(4):
        save({"n": number})
    first = client.get(f"{path}/settings-versions", limit=3).ok()
    rest = client.get(f"{path}/settings-versions", limit=3, cursor=first["next_cursor"]).ok()
    assert [each["number"] for each in first["items"] + rest["items"]] == [5, 4, 3, 2, 1]
    assert rest["next_cursor"] is None
    assert client.get(f"{path}/settings-versions", cursor="x").kind == "bad-cursor"


def test_settings_are_read_and_compared_with_now_and_with_others(client, path, save):
    save({"same": {"x": [1, 2.0]}, "gone": None, "number": 1})
    save({"same": {"x": [1.0, 2]}, "number": True, "new": "text"})
    second = client.get(f"{path}/settings-versions/2").ok()
    assert second["settings"] == {"same": {"x": [1, 2.0]}, "gone": None, "number": 1}
    assert second["differences"] == [
        {"name": "gone", "change": "added", "before": None, "after": None},
        {"name": "new", "change": "removed", "before": "text", "after": None},
        {"name": "number", "change": "changed", "before": True, "after": 1},
    ]
    assert client.get(f"{path}/settings-versions/3").ok()["differences"] == []
    compared = client.get(f"{path}/settings-versions/2", base=1).ok()["differences"]
    assert [(each["name"], each["change"]) for each in compared] == [
        ("gone", "added"),
        ("number", "added"),
        ("same", "added"),
    ]
    assert client.get(f"{path}/settings-versions/4").kind == "not-found"
    assert client.get(f"{path}/settings-versions/1", base=4).kind == "not-found"
    for wrong in ("0", "-1", "x", "99999999999"):
        assert client.get(f"{path}/settings-versions/{wrong}").kind == "not-found", wrong


def test_restoring_is_a_new_save_with_an_entry_in_the_audit_log(client, path, save):
    save({"a": 1, "b": 1})
    save({"a": 2})
    etag = client.get(path).ok()["etag"]
    restored = client.post(f"{path}/settings-versions/2/restore", None, if_match=etag)
    assert restored.ok()["settings"] == {"a": 1, "b": 1}
    assert restored.headers["ETag"] == restored.body["etag"] != etag
    newest, *_ = client.get(f"{path}/settings-versions").ok()["items"]
    assert (newest["number"], newest["actor_name"], newest["current"]) == (4, "Ada", True)
    entry, *_ = client.get("/audit").ok()["items"]
    assert (entry["action"], entry["detail"]) == ("settings.restored", {"number": 2, "changed": ["a", "b"]})
    # The same settings once more are no new version.
    client.post(f"{path}/settings-versions/4/restore", None, if_match=restored.body["etag"]).ok()
    assert client.get(f"{path}/settings-versions").ok()["items"][0]["number"] == 4


def test_restored_settings_are_the_same_to_the_last_digit(admin, client, path, plugin, save):
    """Python cannot hold this number; somebody wrote it into the database directly."""
    written = '{"fine": 0.1234567890123456789012345}'
    admin.execute("UPDATE plugins SET config = %s::jsonb WHERE id = %s", written, plugin["id"])
    save({"a": 1})
    client.post(f"{path}/settings-versions/2/restore", None, if_match=client.get(path).ok()["etag"]).ok()
    ((exact,),) = admin.execute("SELECT config = %s::jsonb FROM plugins WHERE id = %s", written, plugin["id"])
    assert exact
    assert client.get(f"{path}/settings-versions/2").ok()["differences"] == []


def test_restoring_needs_the_current_entity_tag(client, path, save):
    save({"a": 1})
    assert client.post(f"{path}/settings-versions/1/restore", None).kind == "condition-missing"
    assert client.post(f"{path}/settings-versions/1/restore", None, if_match='"1"').kind == "changed-meanwhile"
    assert client.get(path).ok()["settings"] == {"a": 1}


def test_settings_that_the_live_version_does_not_take_are_not_restored(admin, client, path, plugin, save):
    save({"text": "hi", "greeting": 7})
    number = admin.add_version(plugin["id"], wat.SILENT, schema=SCHEMA)
    etag = client.get(path).ok()["etag"]
    etag = client.put(f"{path}/live", {"version": number, "settings": {"greeting": "hi"}}, etag).ok()["etag"]
    answer = client.post(f"{path}/settings-versions/2/restore", None, if_match=etag)
    assert answer.kind == "settings-invalid"
    assert answer.body["detail"] == (
        "version 1, which is live, does not take the settings number 2; change them and save them as new settings"
    )
    assert {(error["pointer"], error["message"]) for error in answer.body["errors"]} == {
        ("/settings/greeting", "must be a text"),
        ("/settings/text", "is not a setting of this version; remove it"),
    }
    # The way out.
    assert client.patch(path, {"settings": {"greeting": "7"}}, etag).ok()["settings"] == {"greeting": "7"}


def test_secrets_are_never_shown_and_stay_as_they_are(admin, client, path, plugin, save, write):
    save({"greeting": "hi", "token": "s3cret"})
    etag = client.put(f"{path}/secrets/token", {"value": "sealed s3cret"}, client.get(path).ok()["etag"]).ok()["etag"]
    saved = client.get(f"{path}/settings-versions/2").ok()
    assert (saved["settings"], saved["withheld"]) == ({"greeting": "hi"}, ["token"])
    # Somebody writes a secret into the settings: it is no difference, and restoring leaves it.
    write({"greeting": "hello", "token": "other s3cret"})
    saved = client.get(f"{path}/settings-versions/2").ok()
    assert [each["name"] for each in saved["differences"]] == saved["differs"] == ["greeting"]
    assert client.get(f"{path}/settings-versions/1").ok()["differs"] == ["greeting"]
    restored = client.post(f"{path}/settings-versions/2/restore", None, if_match=etag).ok()
    assert restored["settings"] == {"greeting": "hi", "token": "other s3cret"}
    assert [secret["name"] for secret in restored["secrets"]] == ["token"]
    everything = [client.get(f"{path}/settings-versions").text]
    everything += [client.get(f"{path}/settings-versions/{number}").text for number in (1, 2, 3, 4)]
    assert "s3cret" not in json.dumps(everything)
    assert admin.execute("SELECT count(*) FROM plugin_secrets WHERE plugin_id = %s", plugin["id"]) == [(1,)]


def test_settings_that_were_too_large_are_known_to_have_been_saved(client, path, write, save):
    write({"a": "x" * 200_000})
    save({})
    listed = client.get(f"{path}/settings-versions").ok()["items"]
    assert [(each["number"], each["kept"], each["differs"]) for each in listed] == [
        (3, True, []),
        (2, False, []),
        (1, True, []),
    ]
    assert client.get(f"{path}/settings-versions/2").ok()["settings"] is None
    etag = client.get(path).ok()["etag"]
    answer = client.post(f"{path}/settings-versions/2/restore", None, if_match=etag)
    assert answer.kind == client.get(f"{path}/settings-versions/1", base=2).kind == "settings-unknown"
    assert answer.body["detail"] == (
        "the settings number 2 are not kept, since they had more than the limit of 131072 bytes; choose others"
    )


def test_settings_that_are_too_large_for_the_api_are_not_restored(client, path, write, save):
    write({"a": "x" * 70_000})
    save({})
    etag = client.get(path).ok()["etag"]
    answer = client.post(f"{path}/settings-versions/2/restore", None, if_match=etag)
    assert (answer.kind, answer.body["errors"][0]["pointer"]) == ("settings-invalid", "/settings")


def test_the_history_of_another_guilds_plugin_is_not_there(admin, client, plugin):
    other = admin_system(admin.stack).client()
    history = f"/plugins/{plugin['id']}/settings-versions"
    assert client.get(history).status == 200
    assert other.get(history).kind == other.get(f"{history}/1").kind == "not-found"
    assert other.post(f"{history}/1/restore", None, if_match='"1"').kind == "not-found"
