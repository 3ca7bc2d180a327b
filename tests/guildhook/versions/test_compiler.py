import json
import re
from contextlib import closing
from dataclasses import replace
from hashlib import sha256

import pytest
from botocore.exceptions import ClientError

import wat
from artifacts import signed_off
from guildhook.errors import FailedCompileError, InfrastructureError
from guildhook.model import Artifact, Refusal, RefusalKind
from guildhook.modules import (
    ArtifactBucket,
    ArtifactSigner,
    ArtifactSigningKeys,
    artifact_key,
    compress,
    is_signed,
    read_public_keys,
)
from guildhook.sandbox import Engine, Limits
from guildhook.store.compiling import CompileStore
from guildhook.versions.compiler import Compiler
from samples import FixedKeys, limits


@pytest.fixture
def store(system):
    with closing(CompileStore(system.database)) as store:
        yield store


@pytest.fixture
def s3(system):
    return system.aws.client("s3")


@pytest.fixture
def compiler(system, engine, store):
    """A compiler with the environment of the stack."""
    return Compiler(engine, limits(), ArtifactBucket(system.aws.access, system.bucket), store, system.signer)


def digest(data):
    return sha256(data).digest()


def key(artifact):
    return artifact_key(artifact.wasm_sha256, artifact.engine)


def objects(system, s3):
    return {item["Key"] for item in s3.list_objects_v2(Bucket=system.bucket).get("Contents", ())}


def test_an_artifact_is_published_with_its_digests_and_sizes(system, compiler, engine, store, s3):
    artifact = compiler.compile(wat.SILENT)
    native = engine.compile_here(wat.SILENT)
    assert (artifact.wasm_sha256, artifact.engine) == (digest(wat.SILENT), engine.fingerprint)
    assert (artifact.sha256, artifact.size) == (digest(native), len(native))
    body = s3.get_object(Bucket=system.bucket, Key=key(artifact))["Body"].read()
    assert (artifact.object_sha256, artifact.object_size) == (digest(body), len(body))
    assert len(body) < len(native) / 2
    assert b"".join(ArtifactBucket(system.aws.access, system.bucket).get(artifact)) == native
    assert store.artifact(digest(wat.SILENT), engine.fingerprint) == artifact


def test_a_refusal_is_recorded_with_the_reason(system, compiler, s3, query):
    refusal = compiler.compile(b"garbage")
    assert "not a WebAssembly component" in refusal.reason
    assert query("SELECT wasm_sha256, reason FROM plugin_refusals") == [(digest(b"garbage"), refusal.reason)]
    assert objects(system, s3) == set()
    assert query("SELECT * FROM plugin_artifacts") == []


@pytest.mark.parametrize(
    ("wasm", "fields", "reason"),
    [
        (wat.plugin(wat.on_message("", "(func $start (unreachable)) (start $start)")), {}, "invalid: .*unreachable"),
        (wat.plugin(wat.on_message("", "(func $s (loop (br 0))) (start $s)")), {"fuel": 1_000}, "out_of_fuel: .* 1000"),
        (wat.SILENT, {"memory_bytes": 0}, "out_of_memory: .* limit of 0 bytes"),
    ],
)
def test_a_plugin_that_does_not_start_is_refused(compiler, wasm, fields, reason):
    refusal = replace(compiler, limits=limits(**fields)).compile(wasm)
    assert isinstance(refusal, Refusal)
    assert refusal.reason.startswith("it does not start: ")
    assert re.search(reason, refusal.reason)


def test_a_plugin_that_starts_only_under_higher_limits_is_compiled_for_the_guild_that_has_them(compiler):
    wasm = wat.plugin(wat.on_message("", "(func $s (local i32) (local.set 0 (i32.const 1))) (start $s)"))
    assert isinstance(replace(compiler, limits=Limits(fuel=1)).compile(wasm), Refusal)
    assert isinstance(compiler.compile(wasm), Artifact)


def test_an_artifact_takes_the_place_of_a_refusal(compiler, store, query, engine):
    store.add_refusal(digest(wat.SILENT), engine.fingerprint, Refusal("it did not start", RefusalKind.START))
    compiler.compile(wat.SILENT)
    assert query("SELECT * FROM plugin_refusals") == []


@pytest.mark.parametrize("kind", [kind for kind in RefusalKind if kind is not RefusalKind.START])
def test_refused_wasm_is_not_compiled_again_for_anybody(compiler, store, query, engine, kind):
    refusal = Refusal("as before", kind)
    store.add_refusal(digest(wat.SILENT), engine.fingerprint, refusal)
    assert compiler.compile(wat.SILENT) == refusal
    assert query("SELECT * FROM plugin_artifacts") == []


def test_a_refusal_by_another_engine_or_of_an_old_release_is_no_verdict(compiler, store, query, engine):
    store.add_refusal(digest(wat.SILENT), "another engine", Refusal("as before"))
    store.add_refusal(digest(wat.TRAPS), engine.fingerprint, Refusal("as before"))
    query("UPDATE plugin_refusals SET kind = NULL WHERE engine <> 'another engine'")
    assert isinstance(compiler.compile(wat.TRAPS), Artifact)
    assert isinstance(compiler.compile(wat.SILENT), Artifact)


def test_wasm_is_compiled_once_at_a_time(compiler, store, query, engine):
    assert store.reserve(digest(wat.SILENT), engine.fingerprint, 60)
    assert not store.reserve(digest(wat.SILENT), engine.fingerprint, 60)
    with pytest.raises(FailedCompileError, match="another request compiles the same file now") as error:
        compiler.compile(wat.SILENT)
    assert error.value.seconds == 30
    assert query("SELECT * FROM plugin_compile_failures") == []
    assert isinstance(compiler.compile(wat.TRAPS), Artifact)
    store.release(digest(wat.SILENT), engine.fingerprint)
    assert isinstance(compiler.compile(wat.SILENT), Artifact)


def test_a_reservation_ends_with_its_compile_however_that_ends_and_by_time(system, compiler, store, query, engine):
    nowhere = replace(compiler, bucket=ArtifactBucket(system.aws.access, "no-such-bucket"))
    with pytest.raises(InfrastructureError, match="no-such-bucket"):
        nowhere.compile(wat.SILENT)
    assert query("SELECT * FROM plugin_compile_reservations") == []
    assert store.reserve(digest(wat.SILENT), engine.fingerprint, 0)
    assert isinstance(compiler.compile(wat.SILENT), Artifact)
    assert query("SELECT * FROM plugin_compile_reservations") == []


def test_wasm_that_another_request_has_compiled_meanwhile_is_not_compiled_again(compiler, store, engine):
    artifact = compiler.compile(wat.SILENT)
    assert compiler.compile(wat.SILENT) == artifact


def test_the_object_is_there_before_postgres_vouches_for_it(system, compiler, engine, store):
    nowhere = replace(compiler, bucket=ArtifactBucket(system.aws.access, "no-such-bucket"))
    with pytest.raises(InfrastructureError, match="no-such-bucket"):
        nowhere.compile(wat.SILENT)
    assert store.artifact(digest(wat.SILENT), engine.fingerprint) is None


def install(system, *plugins):
    guild = system.add_guild()
    for wasm in plugins:
        system.install(guild, "plugin", wasm)


def test_a_valid_artifact_is_not_compiled_again(system, compiler, query, s3):
    install(system, wat.SILENT)
    first = compiler.compile_stored(digest(wat.SILENT))
    (before,) = query("SELECT created_at FROM plugin_artifacts")
    assert compiler.compile_stored(digest(wat.SILENT)) == first
    assert query("SELECT created_at FROM plugin_artifacts") == [before]


@pytest.mark.parametrize("damage", [lambda body: body[:-1], lambda body: bytes(len(body)), None])
def test_a_damaged_or_missing_object_is_written_again(system, compiler, s3, damage):
    install(system, wat.SILENT)
    artifact = compiler.compile_stored(digest(wat.SILENT))
    good = s3.get_object(Bucket=system.bucket, Key=key(artifact))["Body"].read()
    if damage:
        s3.put_object(Bucket=system.bucket, Key=key(artifact), Body=damage(good))
    else:
        s3.delete_object(Bucket=system.bucket, Key=key(artifact))
    assert compiler.compile_stored(digest(wat.SILENT)) == artifact
    assert s3.get_object(Bucket=system.bucket, Key=key(artifact))["Body"].read() == good


def test_an_artifact_that_does_not_load_is_written_again(system, compiler, engine, store):
    install(system, wat.SILENT)
    native = engine.compile_here(wat.SILENT).replace(b"\x0250", b"\x0249")
    unreadable, data = signed_off(wat.SILENT, engine.fingerprint, native, compress(native), ())
    unreadable = system.signer.sign(unreadable)
    compiler.bucket.put(unreadable, data)
    store.add_artifact(unreadable)
    mended = compiler.compile_stored(digest(wat.SILENT))
    assert mended != unreadable
    assert store.artifact(digest(wat.SILENT), engine.fingerprint) == mended
    assert b"".join(compiler.bucket.get(mended)) == engine.compile_here(wat.SILENT)


def test_an_artifact_is_signed_for_the_functions_that_load_it(system, compiler):
    public_keys = read_public_keys(system.environment["GUILDHOOK_ARTIFACT_PUBLIC_KEYS"])
    assert is_signed(compiler.compile(wat.SILENT), public_keys)


UNSIGNED = "UPDATE plugin_artifacts SET signature = NULL"
FORGED = "UPDATE plugin_artifacts SET signature = substring(signature FOR 32) || decode(repeat('00', 64), 'hex')"
# This is the statement of the release before, which leaves the signature as it is.
OVERWRITTEN = "UPDATE plugin_artifacts SET artifact_sha256 = sha256('other'), object_sha256 = sha256('other object')"


@pytest.mark.parametrize("change", [UNSIGNED, FORGED, OVERWRITTEN])
def test_an_artifact_without_a_valid_signature_is_compiled_anew_and_never_signed(
    system, compiler, store, query, change
):
    install(system, wat.SILENT)
    artifact = compiler.compile_stored(digest(wat.SILENT))
    query(change)
    assert compiler.published(digest(wat.SILENT)) is None
    assert store.artifact(digest(wat.SILENT), artifact.engine) != artifact
    assert compiler.compile_stored(digest(wat.SILENT)) == artifact
    assert store.artifact(digest(wat.SILENT), artifact.engine) == artifact


def test_native_code_of_an_attacker_is_neither_loaded_nor_signed(system, compiler, engine, store, s3):
    """The attacker writes to the database and to the bucket."""
    install(system, wat.SILENT)
    native = engine.compile_here(wat.TRAPS)
    planted, data = signed_off(wat.SILENT, engine.fingerprint, native, compress(native), ())
    s3.put_object(Bucket=system.bucket, Key=key(planted), Body=data)
    store.add_artifact(planted)
    loads = []
    watched = replace(compiler, engine=Watched(loads))
    assert watched.published(digest(wat.SILENT)) is None
    assert loads == []
    mended = compiler.compile_stored(digest(wat.SILENT))
    assert mended.sha256 == digest(engine.compile_here(wat.SILENT))


class Watched(Engine):
    """An engine that notes the artifacts that it loads."""

    def __init__(self, loads):
        super().__init__()
        self._loads = loads

    def load(self, path, memories):
        self._loads.append(path)
        return super().load(path, memories)


def test_a_rotation_signs_artifacts_anew_without_compiling_them(system, compiler, store, query, s3):
    install(system, wat.SILENT)
    before = compiler.compile_stored(digest(wat.SILENT))
    name = system.environment["GUILDHOOK_SIGNING_SECRET"]
    client = system.aws.client("secretsmanager")
    earlier = json.loads(client.get_secret_value(SecretId=name)["SecretString"])["signing_key"]

    def rotated(**keys):
        client.put_secret_value(SecretId=name, SecretString=json.dumps(keys))
        return replace(compiler, signer=system.signer)

    key_of_next_year = "the next key, which signs from now on"
    announced = rotated(signing_key=earlier, other_signing_keys=[key_of_next_year])
    assert announced.uncompiled() == []
    swapped = rotated(signing_key=key_of_next_year, other_signing_keys=[earlier])
    assert swapped.uncompiled() == [digest(wat.SILENT)]
    query("DELETE FROM plugins")  # so nothing could be compiled
    after = swapped.compile_stored(digest(wat.SILENT))
    assert replace(after, signature=before.signature) == before
    assert store.artifact(digest(wat.SILENT), after.engine) == after
    assert is_signed(after, ArtifactSigningKeys(key_of_next_year).public_keys)
    ended = rotated(signing_key=key_of_next_year)
    assert ended.published(digest(wat.SILENT)) == after


def test_a_key_that_is_taken_away_makes_its_artifacts_uncompiled(system, compiler, query):
    install(system, wat.SILENT)
    compiler.compile_stored(digest(wat.SILENT))
    keys = ArtifactSigner(FixedKeys(ArtifactSigningKeys("a key that was made after a break-in")))
    later = replace(compiler, signer=keys)
    assert later.uncompiled() == [digest(wat.SILENT)]
    assert later.published(digest(wat.SILENT)) is None
    assert isinstance(later.compile_stored(digest(wat.SILENT)), Artifact)
    assert later.uncompiled() == []


def test_wasm_that_no_plugin_has_any_more_is_not_compiled(compiler):
    assert compiler.compile_stored(digest(wat.SILENT)) is None


def test_after_an_update_of_wasmtime_everything_enabled_is_uncompiled(system, compiler, store, query):
    install(system, wat.SILENT, wat.TRAPS, wat.SILENT)
    for wasm in (wat.SILENT, wat.TRAPS):
        compiler.compile(wasm)
    assert compiler.uncompiled() == []
    # An update leaves the rows of another engine, and a downgrade uses them again.
    query("UPDATE plugin_artifacts SET engine = 'wasmtime-49'")
    assert compiler.uncompiled() == sorted([digest(wat.SILENT), digest(wat.TRAPS)])
    for wasm_sha256 in compiler.uncompiled():
        assert isinstance(compiler.compile_stored(wasm_sha256), Artifact)
    assert compiler.uncompiled() == []
    assert query("SELECT count(*) FROM plugin_artifacts WHERE engine = 'wasmtime-49'") == [(2,)]


def test_pruning_deletes_artifacts_that_are_old_and_not_needed(system, compiler, store, query, s3):
    install(system, wat.SILENT)
    kept, gone = compiler.compile_stored(digest(wat.SILENT)), compiler.compile(wat.TRAPS)
    young = compiler.compile(wat.logs("young"))
    query("UPDATE plugin_artifacts SET created_at = now() - interval '40 days'")
    query(f"UPDATE plugin_artifacts SET created_at = now() WHERE wasm_sha256 = '\\x{young.wasm_sha256.hex()}'")
    assert compiler.prune(days=41) == 0
    assert compiler.prune(days=30) == 1
    assert objects(system, s3) == {key(kept), key(young)}
    assert store.artifact(gone.wasm_sha256, gone.engine) is None
    assert compiler.prune(days=30) == 0


def test_pruning_that_cannot_delete_forgets_nothing(system, compiler, store, query, s3):
    gone = compiler.compile(wat.TRAPS)
    query("UPDATE plugin_artifacts SET created_at = now() - interval '40 days'")
    with pytest.raises(InfrastructureError, match="no-such-bucket"):
        replace(compiler, bucket=ArtifactBucket(system.aws.access, "no-such-bucket")).prune(days=30)
    assert store.artifact(gone.wasm_sha256, gone.engine) == gone
    # The next pruning may find that the object is gone already.
    s3.delete_object(Bucket=system.bucket, Key=key(gone))
    assert compiler.prune(days=30) == 1
    with pytest.raises(ClientError):
        s3.head_object(Bucket=system.bucket, Key=key(gone))
