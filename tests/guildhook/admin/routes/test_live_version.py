"""Tests the way back: a version and the settings that it was live with."""

import pytest
from psycopg.types.json import Jsonb

import wat


def schema(*names, secrets=(), required=None):
    properties = {name: {"type": "string", "writeOnly": name in secrets} for name in names}
    required = list(names) if required is None else required
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


@pytest.fixture
def path(plugin):
    return f"/plugins/{plugin['id']}"


@pytest.fixture
def live(admin, client, path, plugin):
    """Adds a version with a schema and makes it live. Returns the plugin."""

    def live(wasm, described, settings, needs=()):
        number = admin.add_version(plugin["id"], wasm, schema=described, needs=list(needs))
        body = {"version": number, "settings": settings, "consent": list(needs)}
        return client.put(f"{path}/live", body, client.get(path).ok()["etag"]).ok()

    return live


@pytest.fixture
def roll_back(client, path):
    def roll_back(body=None):
        return client.post(f"{path}/roll-back", body or {}, if_match=client.get(path).ok()["etag"])

    return roll_back


@pytest.fixture
def forget(admin, plugin):
    """Deletes the saved settings, as the bounds do."""
    return lambda: admin.execute("DELETE FROM plugin_settings_versions WHERE plugin_id = %s", plugin["id"])


def test_rolling_back_brings_the_version_and_its_settings(client, path, live, roll_back):
    live(wat.SILENT, schema("greeting"), {"greeting": "hi"})
    live(wat.TRAPS, schema("text"), {"text": "hello"})
    preview = client.get(f"{path}/roll-back").ok()
    assert (preview["version"]["number"], preview["settings"]["settings"]) == (1, {"greeting": "hi"})
    assert [(each["name"], each["change"]) for each in preview["settings"]["differences"]] == [
        ("greeting", "added"),
        ("text", "removed"),
    ]
    assert (preview["errors"], preview["etag"]) == ([], client.get(path).ok()["etag"])
    back = roll_back().ok()
    assert (back["live"]["number"], back["previous"], back["settings"]) == (1, 2, {"greeting": "hi"})
    entry, *_ = client.get("/audit").ok()["items"]
    assert entry["action"] == "plugin.rolled_back"
    assert entry["detail"]["settings"] == {"changed": ["greeting", "text"], "number": 2}
    # And forward again.
    forth = roll_back().ok()
    assert (forth["live"]["number"], forth["previous"], forth["settings"]) == (2, 1, {"text": "hello"})


def test_the_settings_are_those_at_the_end_of_the_versions_time_however_they_were_saved(
    admin, client, path, plugin, live, roll_back
):
    live(wat.SILENT, schema("greeting"), {"greeting": "hi"})
    client.patch(path, {"settings": {"greeting": "hey"}}, client.get(path).ok()["etag"]).ok()
    # The chat server's own code writes what the schema does not take: the version was live with it.
    admin.execute("UPDATE plugins SET config = %s WHERE id = %s", Jsonb({"greeting": 7}), plugin["id"])
    live(wat.TRAPS, schema("text"), {"text": "a"})
    admin.execute("UPDATE plugins SET config = %s WHERE id = %s", Jsonb({"unknown": 1}), plugin["id"])
    preview = client.get(f"{path}/roll-back").ok()
    assert preview["errors"] == [{"pointer": "/settings/greeting", "message": "must be a text"}]
    assert roll_back().ok()["settings"] == {"greeting": 7}
    assert roll_back().ok()["settings"] == {"unknown": 1}


def test_settings_come_back_to_the_last_digit(admin, client, path, plugin, live, roll_back):
    """Python and JavaScript cannot hold these numbers; somebody wrote them into the database directly."""
    live(wat.SILENT, None, {})
    written = '{"huge": 1e400, "fine": 0.1234567890123456789012345}'
    admin.execute("UPDATE plugins SET config = %s::jsonb WHERE id = %s", written, plugin["id"])
    live(wat.TRAPS, None, {"token": "plain s3cret"})
    # The settings have a secret in clear text, which a roll-back leaves where it is.
    client.put(f"{path}/secrets/token", {"value": "s3cret"}, client.get(path).ok()["etag"]).ok()
    assert client.get(f"{path}/roll-back").status == roll_back().status == 200
    ((exact, token),) = admin.execute(
        "SELECT (config - 'token') = %s::jsonb, config ->> 'token' FROM plugins WHERE id = %s", written, plugin["id"]
    )
    assert (exact, token) == (True, "plain s3cret")


def test_settings_of_the_request_replace_those_of_before(client, live, roll_back):
    live(wat.SILENT, schema("greeting"), {"greeting": "hi"})
    live(wat.TRAPS, schema("text"), {"text": "hello"})
    answer = roll_back({"settings": {"greeting": 1, "text": "hello"}})
    assert answer.kind == "invalid"
    assert {error["pointer"] for error in answer.body["errors"]} == {"/settings/greeting", "/settings/text"}
    back = roll_back({"settings": {"greeting": "hey"}}).ok()
    assert (back["live"]["number"], back["settings"]) == (1, {"greeting": "hey"})
    entry, *_ = client.get("/audit").ok()["items"]
    assert entry["detail"]["settings"] == {"changed": ["greeting", "text"]}


def test_settings_that_are_not_known_are_asked_for(client, path, live, roll_back, forget):
    live(wat.SILENT, schema("greeting"), {"greeting": "hi"})
    live(wat.TRAPS, schema("text"), {"text": "hello"})
    forget()
    preview = client.get(f"{path}/roll-back").ok()
    assert (preview["version"]["number"], preview["settings"], preview["errors"]) == (1, None, [])
    answer = roll_back()
    assert answer.kind == "settings-unknown"
    assert answer.body["detail"] == (
        "it is not known which settings version 1 was live with; send `settings` with this request"
    )
    back = roll_back({"settings": {"greeting": "hi"}}).ok()
    assert (back["live"]["number"], back["settings"]) == (1, {"greeting": "hi"})


def test_settings_that_were_too_large_to_be_kept_are_asked_for(admin, plugin, live, roll_back):
    live(wat.SILENT, None, {})
    admin.execute("UPDATE plugins SET config = %s WHERE id = %s", Jsonb({"a": "x" * 200_000}), plugin["id"])
    live(wat.TRAPS, None, {})
    assert roll_back().kind == "settings-unknown"
    assert roll_back({"settings": {}}).ok()["live"]["number"] == 1


def test_the_way_out_names_secrets_that_the_version_requires(client, path, live, roll_back, forget):
    etag = client.put(f"{path}/secrets/token", {"value": "s3cret"}, '"1"').ok()["etag"]
    live(wat.SILENT, schema("greeting", "token", secrets=["token"]), {"greeting": "hi"})
    etag = live(wat.TRAPS, schema("text"), {"text": "hello"})["etag"]
    etag = client.delete(f"{path}/secrets/token", etag).ok()["etag"]
    # The settings are known: they come back, and the preview says that the secret is missing.
    missing = {"pointer": "/settings/token", "message": "is a secret that is required; set it with the secrets"}
    assert client.get(f"{path}/roll-back").ok()["errors"] == [missing]
    forget()
    assert roll_back().body["detail"] == (
        "it is not known which settings version 1 was live with; "
        "set the secret token first, and then send `settings` with this request"
    )
    assert roll_back({"settings": {"greeting": "hi"}}).body["errors"] == [missing]
    client.put(f"{path}/secrets/token", {"value": "s3cret"}, etag).ok()
    assert roll_back({"settings": {"greeting": "hi"}}).ok()["live"]["number"] == 1


def test_going_live_names_the_secrets_too(admin, client, path, plugin):
    number = admin.add_version(plugin["id"], wat.SILENT, schema=schema("token", secrets=["token"]))
    answer = client.put(f"{path}/live", {"version": number}, '"1"')
    assert answer.kind == "settings-invalid"
    assert answer.body["detail"] == (
        "version 1 does not take the plugin's current settings; "
        "set the secret token first, and then send new ones with this request"
    )


def test_secrets_stay_as_they_are_now(client, path, live, roll_back):
    live(wat.SILENT, None, {"greeting": "hi", "token": "s3cret"})
    number_two = schema("greeting", "token", secrets=["token"], required=[])
    etag = live(wat.TRAPS, number_two, {"greeting": "hello"})["etag"]
    client.put(f"{path}/secrets/token", {"value": "new s3cret"}, etag).ok()
    preview = client.get(f"{path}/roll-back")
    assert preview.ok()["settings"]["withheld"] == ["token"]
    assert "s3cret" not in preview.text
    back = roll_back().ok()
    assert (back["settings"], [secret["name"] for secret in back["secrets"]]) == ({"greeting": "hi"}, ["token"])


def test_rolling_back_keeps_shadow_and_asks_for_consent(admin, client, path, plugin, live, roll_back):
    live(wat.SILENT, None, {"a": 1}, needs=["SEND_MESSAGES"])
    live(wat.TRAPS, None, {"a": 2})
    shadow = admin.add_version(plugin["id"], wat.LOOPS)
    client.put(f"{path}/shadow", {"version": shadow}, client.get(path).ok()["etag"]).ok()
    client.patch(path, {"permissions": []}, client.get(path).ok()["etag"]).ok()
    assert client.get(f"{path}/roll-back").ok()["version"]["newly_needed"] == ["SEND_MESSAGES"]
    refused = roll_back()
    assert (refused.kind, refused.body["consent"]) == ("consent-required", ["SEND_MESSAGES"])
    assert client.get(path).ok()["settings"] == {"a": 2}
    back = roll_back({"consent": ["SEND_MESSAGES"]}).ok()
    assert (back["live"]["number"], back["shadow"], back["settings"]) == (1, shadow, {"a": 1})


def test_without_a_previous_version_there_is_no_way_back(client, path, live, roll_back):
    assert client.get(f"{path}/roll-back").kind == roll_back().kind == "nothing-before"
    live(wat.SILENT, None, {})
    assert client.get(f"{path}/roll-back").kind == roll_back().kind == "nothing-before"


def test_of_a_roll_back_that_comes_too_late_nothing_is_written(client, path, live):
    live(wat.SILENT, None, {"a": 1})
    before = live(wat.TRAPS, None, {"a": 2})
    client.patch(path, {"name": "Renamed"}, before["etag"]).ok()
    assert client.post(f"{path}/roll-back", {}, if_match=before["etag"]).kind == "changed-meanwhile"
    after = client.get(path).ok()
    assert (after["live"]["number"], after["settings"]) == (2, {"a": 2})
