import json
import re
from contextlib import closing
from dataclasses import replace
from hashlib import sha256
from uuid import uuid4

import psycopg
import pytest
from psycopg.rows import dict_row

import wat
from guildhook.errors import InfrastructureError
from guildhook.model import Artifact, Refusal
from guildhook.modules import ArtifactBucket
from guildhook.sandbox import with_settings_schema
from guildhook.store.compiling import CompileStore
from guildhook.versions.checker import Checker
from guildhook.versions.compiler import Compiler
from guildhook.versions.uploads import upload_key
from project import ROOT
from samples import limits
from versions import add_plugin, announce, announce_wasm, upload

PING = (ROOT / "plugins" / "ping" / "ping.wasm").read_bytes()
SCHEMA = b'{"type":"object","properties":{"greeting":{"type":"string"}}}'


def checker_of(system, engine):
    store = CompileStore(system.database)
    return Checker(
        Compiler(engine, limits(), ArtifactBucket(system.aws.access, system.bucket), store, system.signer), store
    )


@pytest.fixture
def checker(system, engine):
    checker = checker_of(system, engine)
    with closing(checker.store):
        yield checker


@pytest.fixture
def shared_checker(shared_system, engine):
    checker = checker_of(shared_system, engine)
    with closing(checker.store):
        yield checker


def version_of(system, version_id):
    with psycopg.connect(system.database_url, row_factory=dict_row) as connection:
        return connection.execute("SELECT * FROM plugin_versions WHERE id = %s", [version_id]).fetchone()


@pytest.fixture
def row(system):
    return lambda version_id: version_of(system, version_id)


@pytest.fixture
def shared_row(shared_system):
    return lambda version_id: version_of(shared_system, version_id)


def check(system, checker, version_id, file):
    upload(system, version_id, file)
    return checker.check_upload(upload_key(version_id))


def test_an_upload_is_stored_with_its_findings_and_compiled(system, checker, row, engine):
    version_id = announce_wasm(system, PING)
    before = row(version_id)
    artifact = check(system, checker, version_id, PING)
    assert isinstance(artifact, Artifact)
    assert checker.compiler.store.artifact(sha256(PING).digest(), engine.fingerprint) == artifact
    after = row(version_id)
    assert (after["state"], after["reasons"]) == ("ready", [])
    assert after["wasm_blob"] == PING
    assert after["needs"] == ["SEND_MESSAGES"]
    assert "guildhook:plugin/host-api@1.2.0" in after["imports"]
    assert (after["warnings"], after["unavailable"], after["settings_schema"]) == ([], [], None)
    assert after["updated_at"] > before["updated_at"]
    assert after["number"] == 1


def test_the_warnings_of_an_upload_are_stored_and_it_is_ready(system, checker, row):
    frozen = wat.plugin(wat.on_message(""), lowered='(core module $m (memory 1) (data (i32.const 0) "__cqjs"))')
    version_id = announce_wasm(system, frozen)
    assert isinstance(check(system, checker, version_id, frozen), Artifact)
    (warning,) = row(version_id)["warnings"]
    assert "Math.random() gives the same numbers in every run" in warning
    assert row(version_id)["state"] == "ready"


def test_the_settings_schema_of_an_upload_is_stored(system, checker, row):
    file = with_settings_schema(wat.SILENT, SCHEMA)
    version_id = announce_wasm(system, file)
    assert isinstance(check(system, checker, version_id, file), Artifact)
    assert (row(version_id)["state"], row(version_id)["settings_schema"]) == ("ready", json.loads(SCHEMA))


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (b"", "it is not JSON"),
        (b"\xff", "it is not UTF-8 at byte 0"),
        (b"[]", "it is not a schema"),
        (b'{"type":"string"}', 'its type must be "object"'),
        (b'{"type":"object","$ref":"#"}', "it has the keyword '$ref'"),
        (b"[" * 65_536, "it is nested too deeply"),
    ],
)
def test_a_bad_schema_refuses_the_upload(shared_system, shared_checker, shared_row, said, reason):
    file = with_settings_schema(wat.SILENT, said)
    version_id = announce_wasm(shared_system, file)
    refusal = check(shared_system, shared_checker, version_id, file)
    assert isinstance(refusal, Refusal)
    assert refusal.reason.startswith(f"its settings schema is refused: {reason}")
    after = shared_row(version_id)
    assert (after["state"], after["reasons"]) == ("refused", [refusal.reason])
    assert (after["wasm_blob"], after["settings_schema"]) == (None, None)


@pytest.mark.parametrize(
    ("file", "reason"),
    [
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "this is not a WebAssembly component"),
        (b"\x7fELF" + bytes(100), "this is a precompiled file with native code; upload the .wasm component"),
        (b"\0asm\x01\0\0\0", "this is a core module, not a component; wrap it with"),
        (b"(component)", "this is WebAssembly text"),
        (wat.SILENT[:-3], "."),
        (wat.plugin(wat.on_message("", "(func $s (unreachable)) (start $s)")), "it does not start: invalid: "),
    ],
    ids=["png", "precompiled", "core-module", "text", "cut-off", "traps-at-start"],
)
def test_a_file_that_is_no_plugin_is_refused_with_the_reason_and_not_kept(
    shared_system, shared_checker, shared_row, file, reason
):
    version_id = announce_wasm(shared_system, file)
    refusal = check(shared_system, shared_checker, version_id, file)
    assert isinstance(refusal, Refusal)
    after = shared_row(version_id)
    assert (after["state"], after["wasm_blob"]) == ("refused", None)
    assert re.search(re.escape(reason) if reason != "." else ".", after["reasons"][0])
    assert refusal.reason == "; ".join(after["reasons"])


def test_every_reason_is_kept(shared_system, shared_checker, shared_row):
    file = wat.plugin(
        wat.on_message(""), imports='(import "wasi:http/types@0.2.0" (instance)) (import "a:b/c" (instance))'
    )
    version_id = announce_wasm(shared_system, file)
    check(shared_system, shared_checker, version_id, file)
    assert [reason[:33] for reason in shared_row(version_id)["reasons"]] == [
        "it imports 'wasi:http/types@0.2.0",
        "it imports 'a:b/c', which plugins",
    ]


def test_another_file_than_the_one_announced_is_refused(shared_system, shared_checker, shared_row):
    announced, other = sha256(PING), wat.SILENT + bytes(len(PING) - len(wat.SILENT))
    plugin_id = add_plugin(shared_system)
    for size, reason in [
        (len(PING), f"the file's SHA-256 is {sha256(other).hexdigest()}; announced was {announced.hexdigest()}"),
        (len(PING) - 1, f"the file has more than the {len(PING) - 1} bytes that were announced"),
        (len(PING) + 1, f"the file has {len(PING)} bytes; {len(PING) + 1} were announced"),
    ]:
        version_id = announce(shared_system, plugin_id, announced.digest(), size)
        assert check(shared_system, shared_checker, version_id, other) == Refusal(reason)
        assert (shared_row(version_id)["state"], shared_row(version_id)["reasons"]) == ("refused", [reason])


def test_sixty_megabytes_are_refused_without_being_read(shared_system, shared_checker, shared_row):
    file = bytes(60_000_000)
    version_id = announce_wasm(shared_system, file)
    reason = "the file was announced with 60000000 bytes; the limit is 33554432"
    assert check(shared_system, shared_checker, version_id, file) == Refusal(reason)
    assert (shared_row(version_id)["state"], shared_row(version_id)["reasons"]) == ("refused", [reason])


@pytest.mark.parametrize(
    "key", ["uploads/ping.wasm", "uploads/6a1d0000-0000-4000-8000-00000000000a", "uploads/", "artifacts/x"]
)
def test_an_upload_that_nobody_announced_is_ignored(system, checker, query, key):
    system.aws.client("s3").put_object(Bucket=system.bucket, Key=key, Body=PING)
    assert checker.check_upload(key) is None
    assert query("SELECT count(*) FROM plugin_versions") == [(0,)]
    assert query("SELECT count(*) FROM plugin_artifacts") == [(0,)]


def test_a_notice_that_comes_again_changes_nothing(system, checker, row):
    ready, refused = announce_wasm(system, PING), announce_wasm(system, b"garbage")
    check(system, checker, ready, PING)
    check(system, checker, refused, b"garbage")
    before = row(ready), row(refused)
    # A changed file makes no difference.
    assert check(system, checker, ready, wat.SILENT) is None
    assert check(system, checker, refused, PING) is None
    assert checker.check_stored(refused) is None
    assert (row(ready), row(refused)) == before


def test_a_file_that_is_gone_is_a_reason(system, checker, row):
    version_id = announce_wasm(system, PING)
    assert checker.check_upload(upload_key(version_id)) == Refusal("the file is gone; upload it again")
    assert row(version_id)["state"] == "refused"


class _Meanwhile:
    """Stands in for the stages of a check, and calls a function before one of them."""

    def __init__(self, name, happens):
        self.name, self.happens = name, happens

    def __call__(self, name):
        if name == self.name:
            self.happens()
        return closing(self)

    def close(self):
        pass


@pytest.mark.parametrize("table", ["plugin_versions", "plugins"])
@pytest.mark.parametrize("stage", ["fetch", "inspect", "compile", "upload"])
def test_nothing_is_stored_of_a_version_that_is_deleted_meanwhile(system, checker, query, table, stage):
    version_id = announce_wasm(system, PING)
    meanwhile = _Meanwhile(stage, lambda: query(f"DELETE FROM {table}"))
    checker = replace(checker, stage=meanwhile, compiler=replace(checker.compiler, stage=meanwhile))
    assert check(system, checker, version_id, PING) is None
    assert query("SELECT count(*) FROM plugin_versions") == [(0,)]


def test_a_check_that_was_ended_goes_on_from_where_it_was(system, checker, row):
    """The bucket of artifacts fails at first, and works when the check is repeated."""
    version_id = announce_wasm(system, PING)
    upload(system, version_id, PING)

    class Broken(ArtifactBucket):
        def put(self, artifact, data):
            raise InfrastructureError("no bucket")

    broken = replace(checker, compiler=replace(checker.compiler, bucket=Broken(system.aws.access, system.bucket)))
    with pytest.raises(InfrastructureError, match="no bucket"):
        broken.check_upload(upload_key(version_id))
    assert (row(version_id)["state"], row(version_id)["wasm_blob"]) == ("compiling", PING)
    system.aws.client("s3").delete_object(Bucket=system.bucket, Key=upload_key(version_id))
    assert isinstance(checker.check_upload(upload_key(version_id)), Artifact)
    assert row(version_id)["state"] == "ready"


def test_wasm_that_is_compiled_already_is_not_compiled_again(system, checker, row, query):
    first, second = announce_wasm(system, PING), announce_wasm(system, PING)
    check(system, checker, first, PING)
    before = query("SELECT created_at FROM plugin_artifacts")
    assert isinstance(check(system, checker, second, PING), Artifact)
    assert row(second)["state"] == "ready"
    assert query("SELECT created_at FROM plugin_artifacts") == before


def test_a_version_that_postgres_has_is_checked_without_an_upload(system, checker, row):
    version_id = announce_wasm(system, PING)
    assert checker.check_stored(version_id) is None
    assert row(version_id)["state"] == "expected"
    with psycopg.connect(system.database_url, autocommit=True) as connection:
        connection.execute("UPDATE plugin_versions SET state = 'uploaded', wasm_blob = %s", [PING])
    assert isinstance(checker.check_stored(version_id), Artifact)
    assert (row(version_id)["state"], row(version_id)["needs"]) == ("ready", ["SEND_MESSAGES"])
    assert checker.check_stored(uuid4()) is None


def test_a_version_that_is_ready_is_compiled_for_this_engine_and_stays_as_it_is(system, checker, row, query):
    version_id = announce_wasm(system, PING)
    check(system, checker, version_id, PING)
    before = row(version_id)
    query("DELETE FROM plugin_artifacts")
    assert isinstance(checker.check_stored(version_id), Artifact)
    assert query("SELECT count(*) FROM plugin_artifacts") == [(1,)]
    assert isinstance(checker.check_stored(version_id), Artifact)
    assert row(version_id) == before
