from dataclasses import replace
from hashlib import sha256

import wat
from guildhook.model import (
    Artifact,
    MemoryType,
    Refusal,
)
from guildhook_local.direct_install import install_plugin
from versions import add_version

KEY = b"k" * 32
"""The public key of the signatures. The store takes any."""


def artifact(wasm_sha256, engine="engine", **fields):
    return replace(
        Artifact(
            wasm_sha256=wasm_sha256,
            engine=engine,
            sha256=b"n" * 32,
            size=20,
            object_sha256=b"o" * 32,
            object_size=10,
            memories=(MemoryType(1, None), MemoryType(2, 3)),
            signature=KEY + b"s" * 64,
        ),
        **fields,
    )


def test_an_artifact_is_found_for_its_engine_alone(store, guild, installed, compiles):
    ours = artifact(installed.wasm_sha256)
    compiles.add_artifact(replace(ours, size=10))
    compiles.add_artifact(ours)
    assert store.snapshot([guild], [], "engine").plugins[guild][0].compiled == ours
    assert store.snapshot([guild], [], "another").plugins[guild][0].compiled is None
    assert compiles.artifact(installed.wasm_sha256, "engine") == ours
    assert compiles.artifact(installed.wasm_sha256, "another") is None


def test_an_artifact_of_the_previous_version_counts_as_not_compiled(store, guild, installed, database, compiles):
    # This is the statement of the previous version, which may still be running.
    database.execute(
        """INSERT INTO plugin_artifacts (wasm_sha256, engine, artifact_sha256, artifact_bytes, object_sha256,
                                         object_bytes, memories)
           VALUES (%s, 'engine', %s, 20, %s, 10, '[]')
           ON CONFLICT (wasm_sha256, engine) DO UPDATE SET
               artifact_sha256 = excluded.artifact_sha256,
               artifact_bytes = excluded.artifact_bytes,
               object_sha256 = excluded.object_sha256,
               object_bytes = excluded.object_bytes,
               memories = excluded.memories,
               created_at = now()""",
        [installed.wasm_sha256, bytes(32), bytes(32)],
    )
    assert store.snapshot([guild], [], "engine").plugins[guild][0].compiled is None
    assert compiles.artifact(installed.wasm_sha256, "engine") is None
    assert compiles.uncompiled("engine", KEY) == [installed.wasm_sha256]


def test_an_artifact_that_another_key_signed_is_found_and_listed_as_uncompiled(store, guild, installed, compiles):
    ours = artifact(installed.wasm_sha256)
    compiles.add_artifact(ours)
    assert compiles.uncompiled("engine", b"l" * 32) == [installed.wasm_sha256]
    assert store.snapshot([guild], [], "engine").plugins[guild][0].compiled == ours
    again = replace(ours, signature=b"l" * 32 + b"s" * 64)
    compiles.add_artifact(again)
    assert compiles.uncompiled("engine", b"l" * 32) == []
    assert compiles.artifact(installed.wasm_sha256, "engine") == again


def test_a_refusal_is_found_for_its_engine_until_there_is_an_artifact(store, guild, installed, compiles):
    def compiled(engine):
        return store.snapshot([guild], [], engine).plugins[guild][0].compiled

    compiles.add_refusal(installed.wasm_sha256, "engine", Refusal("too slow"))
    compiles.add_refusal(installed.wasm_sha256, "engine", Refusal("too\0 large"))
    assert compiled("engine") == Refusal("too large")
    assert compiled("another") is None
    assert compiles.uncompiled("engine", KEY) == []
    ours = artifact(installed.wasm_sha256)
    compiles.add_artifact(ours)
    assert compiled("engine") == ours


def test_uncompiled_lists_the_wasm_of_enabled_plugins_each_once(guild, installed, database, compiles):
    for name, wasm in [("again", wat.SILENT), ("bad", wat.TRAPS), ("off", wat.logs("off"))]:
        install_plugin(database, guild, name, wasm, {}, [])
    database.execute("UPDATE plugins SET enabled = FALSE WHERE name = 'off'")
    assert compiles.uncompiled("engine", KEY) == sorted(sha256(wasm).digest() for wasm in (wat.SILENT, wat.TRAPS))
    compiles.add_artifact(artifact(installed.wasm_sha256))
    assert compiles.uncompiled("engine", KEY) == [sha256(wat.TRAPS).digest()]


def test_old_artifacts_of_another_engine_or_of_no_plugin_are_stale(installed, database, compiles):
    gone = bytes(32)
    for digest in (installed.wasm_sha256, gone):
        for engine in ("engine", "before"):
            compiles.add_artifact(artifact(digest, engine))
            compiles.add_refusal(digest, engine, Refusal("no"))
    compiles.add_artifact(artifact(installed.wasm_sha256, "long before"))
    for table in ("plugin_artifacts", "plugin_refusals"):
        database.execute(f"UPDATE {table} SET created_at = now() - interval '31 days' WHERE engine <> 'long before'")

    stale = {(gone, "engine"), (gone, "before"), (installed.wasm_sha256, "before")}
    assert set(compiles.stale_artifacts("engine", days=30, limit=10)) == stale
    assert len(compiles.stale_artifacts("engine", days=30, limit=2)) == 2
    assert compiles.stale_artifacts("engine", days=32, limit=10) == []
    compiles.forget_artifacts(sorted(stale))
    compiles.forget_stale_refusals("engine", days=30)
    kept = {(installed.wasm_sha256, "engine"), (installed.wasm_sha256, "long before")}
    assert set(database.execute("SELECT wasm_sha256, engine FROM plugin_artifacts")) == kept
    assert list(database.execute("SELECT wasm_sha256, engine FROM plugin_refusals")) == [
        (installed.wasm_sha256, "engine")
    ]


def test_shadows_are_compiled_like_live_versions_and_other_versions_on_request(
    store, database, installed, shadowed, compiles
):
    unused = add_version(database, installed.id, wat.logs("unused"))
    live, shadow = shadowed
    assert compiles.uncompiled("engine", KEY) == sorted([live.wasm_sha256, shadow.wasm_sha256])
    digests = [sha256(wasm).digest() for wasm in (wat.SILENT, wat.TRAPS, wat.logs("unused"))]
    assert store.wasm(digests) == dict(zip(digests, (wat.SILENT, wat.TRAPS, wat.logs("unused")), strict=True))
    database.execute("DELETE FROM plugin_versions WHERE id = %s", [unused])
    assert set(store.wasm(digests)) == set(digests[:2])


def test_artifacts_are_kept_for_as_long_as_there_is_a_version_of_that_wasm(database, installed, compiles):
    version_id = add_version(database, installed.id, wat.TRAPS)
    digest = sha256(wat.TRAPS).digest()
    compiles.add_artifact(artifact(digest))
    compiles.add_refusal(sha256(wat.LOOPS).digest(), "engine", Refusal("no"))
    for table in ("plugin_artifacts", "plugin_refusals"):
        database.execute(f"UPDATE {table} SET created_at = now() - interval '31 days'")
    assert compiles.stale_artifacts("engine", days=30, limit=10) == []
    database.execute("DELETE FROM plugin_versions WHERE id = %s", [version_id])
    assert compiles.stale_artifacts("engine", days=30, limit=10) == [(digest, "engine")]
    refused = add_version(database, installed.id, wat.LOOPS)
    compiles.forget_stale_refusals("engine", days=30)
    assert database.execute("SELECT count(*) FROM plugin_refusals").fetchone() == (1,)
    database.execute("DELETE FROM plugin_versions WHERE id = %s", [refused])
    compiles.forget_stale_refusals("engine", days=30)
    assert database.execute("SELECT count(*) FROM plugin_refusals").fetchone() == (0,)
