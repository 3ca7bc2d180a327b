from hashlib import sha256

import pytest

import wat

REASON = {"reason": "the disk is larger now"}


@pytest.fixture
def operator(admin):
    return admin.operator()


@pytest.fixture
def failed(admin, plugin):
    """The SHA-256 of a version whose compile has failed for the last time."""
    admin.add_version(plugin["id"], wat.SILENT, state="compiling")
    admin.execute("UPDATE plugin_versions SET wasm_blob = %s WHERE plugin_id = %s", wat.SILENT, plugin["id"])
    digest = sha256(wat.SILENT).digest()
    admin.execute("DELETE FROM plugin_compile_failures")
    admin.execute(
        """INSERT INTO plugin_compile_failures (wasm_sha256, engine, tries, reason, next_try_at)
           VALUES (%s, 'engine', 8, 'no space left', NULL)""",
        digest,
    )
    return digest.hex()


def test_failed_compiles_are_listed_and_requested_again(admin, operator, client, plugin, failed):
    (found,) = operator.get("/failed-compiles").ok()["items"]
    assert (found["wasm_sha256"], found["tries"], found["next_try_at"]) == (failed, 8, None)
    answer = operator.post("/failed-compiles/retry", {**REASON, "wasm_sha256": failed}).ok()
    assert answer == {"items": [failed], "next_cursor": None}
    while admin.stack.compile_mapping.poll():
        pass
    (version,) = client.get(f"/plugins/{plugin['id']}/versions").ok()["items"]
    assert version["state"] == "ready"
    assert operator.get("/failed-compiles").ok()["items"] == []
    (entry,) = [each for each in operator.get("/audit").ok()["items"] if each["action"] == "compiles.retried"][:1]
    assert (entry["guild_id"], entry["detail"]) == (None, {**REASON, "wasm_sha256": [failed]})


def test_all_failed_compiles_are_requested_a_hundred_at_a_time(admin, operator, failed):
    admin.execute(
        """INSERT INTO plugin_compile_failures (wasm_sha256, engine, tries, reason)
           SELECT sha256(number::text::bytea), 'engine', 8, '' FROM generate_series(1, 120) AS number"""
    )
    pages = [operator.post("/failed-compiles/retry", REASON).ok()]
    pages.append(operator.post("/failed-compiles/retry", {**REASON, "cursor": pages[0]["next_cursor"]}).ok())
    assert [len(page["items"]) for page in pages] == [100, 21]
    assert pages[1]["next_cursor"] is None
    assert admin.execute("SELECT count(*) FROM plugin_compile_failures WHERE tries = 0") == [(121,)]
    assert len(operator.get("/failed-compiles", limit=100).ok()["items"]) == 100


def test_an_empty_list_notes_nothing(admin, operator):
    admin.execute("DELETE FROM plugin_compile_failures")
    before = operator.get("/audit").ok()["items"]
    assert operator.post("/failed-compiles/retry", REASON).ok()["items"] == []
    assert operator.get("/audit").ok()["items"] == before
