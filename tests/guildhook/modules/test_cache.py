import hashlib
from dataclasses import replace
from uuid import uuid4

import pytest

import wat
from guildhook.errors import InfrastructureError
from guildhook.model import Artifact
from guildhook.modules import ArtifactBucket, ModuleCache, Rejected, Unavailable, Wanted, artifact_key
from guildhook.sandbox import Module
from guildhook_local.aws import create_bucket

MIB = 1024 * 1024


@pytest.fixture
def s3(running, monkeypatch):
    for name, value in running.aws.environment.items():
        monkeypatch.setenv(name, value)
    return running.aws.client("s3")


@pytest.fixture
def bucket(running, s3):
    name = f"cache-{uuid4().hex}"
    create_bucket(running.aws, name)
    return name


@pytest.fixture
def cache(engine, bucket, tmp_path):
    def cache(directory="cache", memory_bytes=MIB, disk_bytes=MIB):
        return ModuleCache(engine, ArtifactBucket(bucket), tmp_path / directory, memory_bytes, disk_bytes)

    return cache


@pytest.fixture
def publish(engine, bucket, s3):
    """Compiles a plugin into S3, as the compile step does, and returns what Postgres would vouch for."""

    def publish(wasm: bytes) -> Artifact:
        compiled = engine.compile(wasm)
        artifact = Artifact(
            wasm_sha256=sha256(wasm),
            engine=engine.fingerprint,
            sha256=sha256(compiled.artifact),
            size=len(compiled.artifact),
            memories=compiled.memories,
        )
        key = artifact_key(artifact.wasm_sha256, artifact.engine)
        s3.put_object(Bucket=bucket, Key=key, Body=compiled.artifact)
        return artifact

    return publish


def sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def nothing(_digests):
    raise AssertionError("the cache asked for wasm that it should have found")


def wasm_of(*plugins: bytes):
    return lambda digests: {sha256(wasm): wasm for wasm in plugins if sha256(wasm) in digests}


def resolve(cache, artifact, fetch_wasm=nothing):
    return cache.resolve([Wanted(artifact.wasm_sha256, artifact)], fetch_wasm)[artifact.wasm_sha256]


def test_a_module_comes_from_s3_once_and_then_from_memory(cache, publish, s3, bucket):
    artifact, modules = publish(wat.SILENT), cache()
    first = resolve(modules, artifact)
    assert isinstance(first, Module)
    assert first.memories == artifact.memories
    s3.delete_object(Bucket=bucket, Key=artifact_key(artifact.wasm_sha256, artifact.engine))
    assert resolve(modules, artifact) is first


def test_a_new_process_finds_it_on_the_disk(cache, publish, s3, bucket):
    artifact = publish(wat.SILENT)
    resolve(cache(), artifact)
    s3.delete_object(Bucket=bucket, Key=artifact_key(artifact.wasm_sha256, artifact.engine))
    assert isinstance(resolve(cache(), artifact), Module)


def test_what_was_never_compiled_is_compiled_here_with_one_fetch(cache):
    fetched = []

    def fetch_wasm(digests):
        fetched.append(sorted(digests))
        return wasm_of(wat.SILENT, wat.TRAPS)(digests)

    wanted = [Wanted(sha256(wasm), None) for wasm in (wat.SILENT, wat.TRAPS)]
    modules = cache()
    assert all(isinstance(module, Module) for module in modules.resolve(wanted, fetch_wasm).values())
    modules.resolve(wanted, fetch_wasm)
    assert fetched == [sorted(want.wasm_sha256 for want in wanted)]


def test_what_cannot_be_compiled_is_rejected_and_remembered(cache):
    modules, digest = cache(), sha256(b"garbage")
    want = [Wanted(digest, None)]
    rejected = modules.resolve(want, lambda _: {digest: b"garbage"})[digest]
    assert isinstance(rejected, Rejected)
    assert "not a WebAssembly component" in rejected.reason
    assert modules.resolve(want, nothing)[digest] is rejected


def test_a_plugin_deleted_meanwhile_is_unavailable(cache):
    digest = sha256(b"gone")
    assert cache().resolve([Wanted(digest, None)], lambda _: {}) == {digest: Unavailable("the plugin was deleted")}


@pytest.mark.parametrize("damage", [lambda data: data[:-1], lambda data: data + b"x", lambda data: b"", None])
def test_an_object_that_does_not_match_its_digest_is_never_loaded(cache, publish, s3, bucket, damage):
    artifact = publish(wat.SILENT)
    key = artifact_key(artifact.wasm_sha256, artifact.engine)
    good = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    if damage:
        s3.put_object(Bucket=bucket, Key=key, Body=damage(good))
    else:
        s3.delete_object(Bucket=bucket, Key=key)
    assert isinstance(resolve(cache(), artifact, wasm_of(wat.SILENT)), Module)


def test_a_file_that_does_not_match_its_digest_is_never_loaded(cache, publish, tmp_path):
    artifact = publish(wat.SILENT)
    resolve(cache(), artifact)
    (file,) = (tmp_path / "cache").iterdir()
    file.unlink()
    file.write_bytes(b"native code of somebody else")
    assert isinstance(resolve(cache(), artifact), Module)
    assert sha256(file.read_bytes()) == artifact.sha256


def test_an_artifact_that_the_engine_does_not_load_is_compiled_anew(cache, publish, s3, bucket):
    # Signed off by Postgres, and yet not of this engine.
    artifact = publish(wat.SILENT)
    foreign = b"\x7fELF of another engine"
    s3.put_object(Bucket=bucket, Key=artifact_key(artifact.wasm_sha256, artifact.engine), Body=foreign)
    artifact = replace(artifact, sha256=sha256(foreign), size=len(foreign))
    assert isinstance(resolve(cache(), artifact, wasm_of(wat.SILENT)), Module)


def test_s3_out_of_reach_leaves_only_its_own_plugins_unavailable(engine, publish, tmp_path):
    artifact = publish(wat.SILENT)
    modules = ModuleCache(engine, ArtifactBucket("no-such-bucket"), tmp_path / "cache", MIB, MIB)
    wanted = [Wanted(artifact.wasm_sha256, artifact), Wanted(sha256(wat.TRAPS), None)]
    resolved = modules.resolve(wanted, wasm_of(wat.TRAPS))
    assert isinstance(resolved[sha256(wat.TRAPS)], Module)
    unavailable = resolved[artifact.wasm_sha256]
    assert isinstance(unavailable, Unavailable)
    assert "no-such-bucket (GUILDHOOK_ARTIFACT_BUCKET)" in unavailable.reason


def test_a_disk_that_cannot_be_written_leaves_it_unavailable(cache, publish, tmp_path):
    (tmp_path / "file").write_text("in the way")
    unavailable = resolve(cache(directory="file/cache"), publish(wat.SILENT))
    assert "GUILDHOOK_CACHE_DIR" in unavailable.reason


def test_memory_keeps_what_was_used_last(cache, publish):
    a, b, c = (publish(wat.logs(text)) for text in "abc")
    modules = cache(memory_bytes=a.size + b.size)
    first = resolve(modules, a)
    resolve(modules, b)
    assert resolve(modules, a) is first
    resolve(modules, c)
    assert resolve(modules, a) is first
    resolve(modules, b)


def test_the_disk_stays_within_its_bound_and_modules_outlive_their_file(cache, publish, tmp_path):
    artifacts = [publish(wat.logs(text)) for text in "abcd"]
    modules = cache(disk_bytes=sum(artifact.size for artifact in artifacts[:2]))
    loaded = [resolve(modules, artifact) for artifact in artifacts]
    files = list((tmp_path / "cache").iterdir())
    assert {file.name for file in files} == {artifact.sha256.hex() for artifact in artifacts[2:]}
    assert resolve(modules, artifacts[0]) is loaded[0]


def test_publishing_to_a_bucket_that_is_not_there_fails_by_name(publish):
    with pytest.raises(InfrastructureError, match="no-such-bucket"):
        ArtifactBucket("no-such-bucket").put(publish(wat.SILENT), b"data")
