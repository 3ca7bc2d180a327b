import hashlib
from base64 import b64encode

import pytest
import urllib3

import wat

DIGEST = hashlib.sha256(wat.SILENT).hexdigest()
ASKED = {"wasm_sha256": DIGEST, "wasm_bytes": len(wat.SILENT)}


@pytest.fixture
def path(plugin):
    return f"/plugins/{plugin['id']}"


def send(upload, wasm):
    fields = {**upload["fields"], "file": ("plugin.wasm", wasm)}
    return urllib3.request("POST", upload["url"], fields=fields).status


def test_an_upload_is_announced_sent_and_confirmed(admin, client, path, system):
    made = client.post(f"{path}/versions", ASKED).ok(201)
    version, upload = made["version"], made["upload"]
    assert (version["number"], version["state"], version["live"], version["shadow"]) == (1, "expected", False, False)
    assert (version["wasm_sha256"], version["wasm_bytes"]) == (DIGEST, len(wat.SILENT))
    assert upload["fields"]["key"] == f"uploads/{version['id']}"
    assert upload["fields"]["x-amz-checksum-sha256"] == b64encode(bytes.fromhex(DIGEST)).decode()
    assert send(upload, wat.SILENT) == 204
    stored = system.aws.client("s3").get_object(Bucket=system.bucket, Key=f"uploads/{version['id']}")
    assert stored["Body"].read() == wat.SILENT
    assert client.ask("POST", f"{path}/versions/1/uploaded").ok()["state"] == "uploaded"
    assert client.ask("POST", f"{path}/versions/1/uploaded").ok()["state"] == "uploaded"
    assert client.ask("POST", f"{path}/versions/2/uploaded").kind == "not-found"
    admin.execute("UPDATE plugin_versions SET state = 'ready', wasm_blob = %s WHERE id = %s", wat.SILENT, version["id"])
    assert client.ask("POST", f"{path}/versions/1/uploaded").ok()["state"] == "ready"
    assert client.get(path).ok()["latest"]["state"] == "ready"


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"wasm_sha256": "0" * 63, "wasm_bytes": 1}, "/wasm_sha256"),
        ({"wasm_sha256": "g" * 64, "wasm_bytes": 1}, "/wasm_sha256"),
        ({"wasm_sha256": "0" * 64, "wasm_bytes": 0}, "/wasm_bytes"),
        ({"wasm_sha256": "0" * 64, "wasm_bytes": 60 * 1024 * 1024}, "/wasm_bytes"),
        ({"wasm_sha256": "0" * 64, "wasm_bytes": "many"}, "/wasm_bytes"),
        ({"wasm_sha256": "0" * 64}, "/wasm_bytes"),
    ],
)
def test_an_impossible_upload_is_refused_before_it_is_sent(client, path, body, pointer):
    answer = client.post(f"{path}/versions", body)
    assert [error["pointer"] for error in answer.body["errors"]] == [pointer]
    assert client.get(f"{path}/versions").ok()["items"] == []


def test_a_digest_in_upper_case_is_the_same_digest(client, path):
    made = client.post(f"{path}/versions", {**ASKED, "wasm_sha256": DIGEST.upper()}, idempotency_key="k").ok(201)
    assert made["version"]["wasm_sha256"] == DIGEST
    again = client.post(f"{path}/versions", ASKED, idempotency_key="k").ok(201)
    assert again["version"]["id"] == made["version"]["id"]


def test_the_error_of_a_malformed_digest_is_a_sentence(client, path):
    answer = client.post(f"{path}/versions", {**ASKED, "wasm_sha256": "0" * 63})
    assert [error["message"] for error in answer.body["errors"]] == [
        "is not a SHA-256, which has 64 characters of 0-9 and a-f"
    ]


def test_announcing_twice_with_one_key_is_one_version(admin, client, path):
    first = client.post(f"{path}/versions", ASKED, idempotency_key="k").ok(201)
    again = client.post(f"{path}/versions", ASKED, idempotency_key="k").ok(201)
    assert again["version"] == first["version"]
    assert again["upload"]["fields"]["key"] == first["upload"]["fields"]["key"]
    other = {**ASKED, "wasm_bytes": 7}
    assert client.post(f"{path}/versions", other, idempotency_key="k").kind == "key-used"
    admin.execute("UPDATE plugin_versions SET state = 'checking' WHERE id = %s", first["version"]["id"])
    assert client.post(f"{path}/versions", ASKED, idempotency_key="k").ok(201)["upload"] is None
    assert client.post(f"{path}/versions", ASKED).ok(201)["version"]["number"] == 2
    assert [entry["action"] for entry in client.get("/audit").ok()["items"]].count("version.created") == 2


def test_a_plugin_has_a_bounded_number_of_versions(admin, client, path, plugin):
    for _ in range(20):
        admin.add_version(plugin["id"], wat.SILENT)
    assert client.post(f"{path}/versions", ASKED).kind == "limit-reached"
    assert client.delete(f"{path}/versions/7").ok(204) is None
    assert client.post(f"{path}/versions", ASKED).ok(201)["version"]["number"] == 21
    page = client.get(f"{path}/versions", limit=15).ok()
    rest = client.get(f"{path}/versions", limit=15, cursor=page["next_cursor"]).ok()
    numbers = [version["number"] for version in page["items"] + rest["items"]]
    assert numbers == [21, *range(20, 7, -1), *range(6, 0, -1)]
    assert rest["next_cursor"] is None


def test_a_guild_has_a_bounded_number_of_bytes_in_versions(admin, client, path):
    client.post(f"{path}/versions", ASKED).ok(201)
    almost = 1024**3 - 2 * len(wat.SILENT)
    admin.execute("UPDATE plugin_versions SET wasm_bytes = %s WHERE plugin_id = %s", almost, path.rpartition("/")[2])
    other = client.post("/plugins", {"name": "Other"}).ok(201)
    client.post(f"/plugins/{other['id']}/versions", ASKED).ok(201)
    client.post(f"/plugins/{other['id']}/versions", ASKED).ok(201)
    answer = client.post(f"/plugins/{other['id']}/versions", ASKED)
    assert answer.kind == "limit-reached"
    assert answer.body["detail"] == (
        f"the guild's versions would have {1024**3 + len(wat.SILENT)} bytes together; the limit is {1024**3}. "
        "Delete versions that are not in use"
    )
    # Refused wasm is not kept.
    admin.execute("UPDATE plugin_versions SET state = 'refused' WHERE plugin_id = %s AND number = 1", other["id"])
    client.post(f"/plugins/{other['id']}/versions", ASKED).ok(201)


def test_going_live_asks_for_consent_to_newly_needed_permissions(admin, client, path, plugin):
    number = admin.add_version(plugin["id"], wat.SILENT, needs=["SEND_MESSAGES"])
    assert client.get(f"{path}/versions/{number}").ok()["newly_needed"] == ["SEND_MESSAGES"]
    answer = client.put(f"{path}/live", {"version": number}, '"1"')
    assert answer.kind == "consent-required"
    assert answer.body["consent"] == ["SEND_MESSAGES"]
    assert client.get(path).ok()["live"] is None

    live = client.put(f"{path}/live", {"version": number, "consent": ["SEND_MESSAGES"]}, '"1"').ok()
    assert (live["live"]["number"], live["permissions"], live["previous"]) == (1, ["SEND_MESSAGES"], None)
    assert live["live"]["newly_needed"] == []
    assert admin.plugins("wasm_blob") == [(wat.SILENT,)]

    second = admin.add_version(plugin["id"], wat.TRAPS, needs=["SEND_MESSAGES"])
    answer = client.put(f"{path}/live", {"version": second, "consent": ["SEND_MESSAGES"]}, '"2"')
    assert (answer.kind, answer.body["consent"]) == ("consent-required", [])
    live = client.put(f"{path}/live", {"version": second}, '"2"').ok()
    assert (live["live"]["number"], live["previous"]) == (2, 1)

    # Consent is asked for again, because the permission was taken away meanwhile.
    client.patch(path, {"permissions": []}, '"3"').ok()
    assert client.post(f"{path}/roll-back", {}, if_match='"4"').kind == "consent-required"
    back = client.post(f"{path}/roll-back", {"consent": ["SEND_MESSAGES"]}, if_match='"4"').ok()
    assert (back["live"]["number"], back["previous"], back["etag"]) == (1, 2, '"5"')
    assert admin.plugins("wasm_blob") == [(wat.SILENT,)]
    actions = [(entry["action"], entry["detail"].get("granted")) for entry in client.get("/audit").ok()["items"]]
    assert actions == [
        ("plugin.rolled_back", ["SEND_MESSAGES"]),
        ("plugin.changed", None),
        ("plugin.live", []),
        ("plugin.live", ["SEND_MESSAGES"]),
        ("plugin.created", None),
    ]


@pytest.mark.parametrize("state", ["expected", "uploaded", "checking", "compiling", "refused"])
def test_only_a_ready_version_goes_live(admin, client, path, plugin, state):
    number = admin.add_version(plugin["id"], wat.SILENT, state=state)
    assert client.put(f"{path}/live", {"version": number}, '"1"').kind == "not-ready"
    assert client.put(f"{path}/shadow", {"version": number}, '"1"').kind == "not-ready"
    assert client.post(f"{path}/roll-back", {}, if_match='"1"').kind == "nothing-before"
    assert client.put(f"{path}/live", {"version": number + 1}, '"1"').kind == "not-found"
    assert admin.plugins("octet_length(wasm_blob), revision") == [(0, 1)]


def test_a_consent_that_is_null_is_one_that_is_missing(admin, client, path, plugin):
    first, second = (admin.add_version(plugin["id"], wat.SILENT) for _ in range(2))
    client.put(f"{path}/live", {"version": first, "consent": None}, '"1"').ok()
    client.put(f"{path}/live", {"version": second}, '"2"').ok()
    assert client.post(f"{path}/roll-back", {"consent": None}, if_match='"3"').ok()["live"]["number"] == first


def test_consent_that_says_it_often_grants_it_once(admin, client, path, plugin):
    number = admin.add_version(plugin["id"], wat.SILENT, needs=["SEND_MESSAGES"])
    client.put(f"{path}/live", {"version": number, "consent": ["SEND_MESSAGES"] * 1_000}, '"1"').ok()
    assert admin.plugins("permissions") == [(["SEND_MESSAGES"],)]
    (entry, _) = client.get("/audit").ok()["items"]
    assert entry["detail"]["granted"] == ["SEND_MESSAGES"]


def test_a_shadow_is_another_version_than_the_live_one(admin, client, path, plugin):
    first, second = (admin.add_version(plugin["id"], wasm) for wasm in (wat.SILENT, wat.TRAPS))
    client.put(f"{path}/live", {"version": first}, '"1"').ok()
    assert client.put(f"{path}/shadow", {"version": first}, '"2"').kind == "in-use"
    shadowed = client.put(f"{path}/shadow", {"version": second}, '"2"').ok()
    assert (shadowed["shadow"], shadowed["live"]["number"], shadowed["latest"]["shadow"]) == (2, 1, True)
    assert client.delete(f"{path}/versions/{second}").kind == "in-use"
    assert client.put(f"{path}/shadow", {"version": None}, '"3"').ok()["shadow"] is None
    client.put(f"{path}/shadow", {"version": second}, '"4"').ok()
    # A shadow that goes live is no longer the shadow.
    live = client.put(f"{path}/live", {"version": second}, '"5"').ok()
    assert (live["shadow"], live["live"]["number"], live["previous"]) == (None, 2, 1)
    for number in (first, second):
        assert client.delete(f"{path}/versions/{number}").kind == "in-use"


def test_settings_that_the_version_does_not_take_come_with_going_live(admin, client, path, plugin):
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    number = admin.add_version(plugin["id"], wat.SILENT, schema=schema)
    answer = client.put(f"{path}/live", {"version": number}, '"1"')
    assert answer.kind == "settings-invalid"
    assert answer.body["errors"][0]["pointer"].startswith("/settings")
    answer = client.put(f"{path}/live", {"version": number, "settings": {"n": "x"}}, '"1"')
    assert (answer.kind, answer.body["errors"][0]["pointer"]) == ("invalid", "/settings/n")
    assert client.put(f"{path}/live", {"version": number, "settings": {"n": 1}}, '"1"').ok()["settings"] == {"n": 1}
    (entry, _) = client.get("/audit").ok()["items"]
    assert entry["detail"]["settings"] == {"changed": ["n"]}


def test_a_new_version_with_the_number_of_a_deleted_one_does_not_go_live_by_the_old_entity_tag(
    admin, client, path, plugin
):
    number = admin.add_version(plugin["id"], wat.SILENT)
    seen = client.get(path).ok()["etag"]
    client.delete(f"{path}/versions/{number}").ok(204)
    assert admin.add_version(plugin["id"], wat.TRAPS) == number
    assert client.put(f"{path}/live", {"version": number}, seen).kind == "changed-meanwhile"


def test_a_version_has_the_warnings_of_its_check(admin, client, path, plugin):
    admin.add_version(plugin["id"], wat.SILENT)
    assert client.get(f"{path}/versions/1").ok()["warnings"] == []
    admin.execute("UPDATE plugin_versions SET warnings = '[\"frozen\"]' WHERE plugin_id = %s", plugin["id"])
    (version,) = client.get(f"{path}/versions").ok()["items"]
    shown = (version, client.get(f"{path}/versions/1").ok(), client.get(path).ok()["latest"])
    assert [each["warnings"] for each in shown] == [["frozen"]] * 3


def test_a_version_that_is_deleted_is_gone(admin, client, path, plugin):
    number = admin.add_version(plugin["id"], wat.SILENT)
    client.delete(f"{path}/versions/{number}").ok(204)
    assert client.get(f"{path}/versions/{number}").kind == "not-found"
    assert client.delete(f"{path}/versions/{number}").kind == "not-found"
    for wrong in ("0", "-1", "x", "1.0", "99999999999"):
        assert client.get(f"{path}/versions/{wrong}").kind == "not-found", wrong


def test_a_version_that_could_not_be_compiled_yet_says_so_and_is_tried_again_on_request(admin, client, path, system):
    version = client.post(f"{path}/versions", ASKED).ok(201)["version"]
    admin.execute(
        "UPDATE plugin_versions SET state = 'compiling', wasm_blob = %s WHERE id = %s", wat.SILENT, version["id"]
    )
    assert client.ask("POST", f"{path}/versions/1/try-again").ok()["failure"] is None
    admin.execute(
        "INSERT INTO plugin_compile_failures (wasm_sha256, engine, tries, reason)"
        " VALUES (%s, '', 8, 'the disk is full')",
        bytes.fromhex(DIGEST),
    )
    failure = client.get(f"{path}/versions/1").ok()["failure"]
    assert (failure["reason"], failure["tries"], failure["next_try_at"]) == ("the disk is full", 8, None)
    assert client.get(path).ok()["latest"]["failure"] == failure
    again = client.ask("POST", f"{path}/versions/1/try-again").ok()["failure"]
    assert again["tries"] == 0
    assert again["next_try_at"] is not None
    while system.compile_mapping.poll():
        pass
    ready = client.get(f"{path}/versions/1").ok()
    assert (ready["state"], ready["failure"]) == ("ready", None)
    assert client.ask("POST", f"{path}/versions/2/try-again").kind == "not-found"
