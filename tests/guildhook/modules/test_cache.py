import logging
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from hashlib import sha256
from uuid import uuid4

import pytest

import wat
from artifacts import PUBLIC_KEYS, SIGNER, compiled, signed_off
from guildhook.aws.access import AwsAccess
from guildhook.errors import InfrastructureError
from guildhook.model import Artifact, FailedCompile, Refusal
from guildhook.modules import (
    ArtifactBucket,
    ArtifactSigner,
    ArtifactSigningKeys,
    CacheEvent,
    ModuleCache,
    NeededModule,
    UnavailableModule,
    artifact_key,
    compress,
    write_public_keys,
)
from guildhook.sandbox import LoadedModule
from guildhook_local.aws import create_bucket
from http_server import Answer, http_server
from samples import FixedKeys

MIB = 1024 * 1024
IN_TIME = float("inf")


@pytest.fixture
def s3(aws):
    return aws.client("s3")


@pytest.fixture
def bucket(aws):
    name = f"cache-{uuid4().hex}"
    create_bucket(aws, name)
    return name


@pytest.fixture
def asked() -> list[bytes]:
    """The requests to the compile function."""
    return []


@pytest.fixture
def cache(engine, aws, bucket, tmp_path, asked):
    def cache(directory="cache", memory_bytes=MIB, disk_bytes=MIB, ask=asked.extend, access=aws.access, loader=engine):
        objects = ArtifactBucket(access, bucket)
        return ModuleCache(loader, objects, ask, tmp_path / directory, memory_bytes, disk_bytes, PUBLIC_KEYS)

    return cache


@pytest.fixture
def publish(engine, bucket, s3):
    """Compiles a plugin into S3, as the compile function does, and returns the artifact to be recorded in Postgres."""

    def publish(wasm: bytes) -> Artifact:
        artifact, data = compiled(engine, wasm)
        s3.put_object(Bucket=bucket, Key=key(artifact), Body=data)
        return artifact

    return publish


def key(artifact):
    return artifact_key(artifact.wasm_sha256, artifact.engine)


def digest(wasm):
    return sha256(wasm).digest()


def find(modules, artifact):
    """Return the module, and the events that the cache counted."""
    found = modules.find([NeededModule(artifact.wasm_sha256, artifact)], IN_TIME)
    return found.get(artifact.wasm_sha256), dict(modules.take_events())


def compile_here(modules, *plugins, latest_start=IN_TIME):
    stored = {digest(wasm): wasm for wasm in plugins}
    needed = [NeededModule(name, None) for name in stored]
    return modules.compile(needed, lambda digests: {name: stored[name] for name in digests}, latest_start)


def test_a_module_comes_from_s3_once_and_then_from_memory(cache, publish, s3, bucket):
    artifact, modules = publish(wat.SILENT), cache()
    first, events = find(modules, artifact)
    assert isinstance(first, LoadedModule)
    assert first.memories == artifact.memories
    assert events == {CacheEvent.S3: 1}
    s3.delete_object(Bucket=bucket, Key=key(artifact))
    assert find(modules, artifact) == (first, {CacheEvent.MEMORY: 1})


def test_a_new_process_finds_a_module_on_the_disk(cache, publish, s3, bucket):
    artifact = publish(wat.SILENT)
    find(cache(), artifact)
    s3.delete_object(Bucket=bucket, Key=key(artifact))
    module, events = find(cache(), artifact)
    assert isinstance(module, LoadedModule)
    assert events == {CacheEvent.DISK: 1}


def test_memory_keeps_the_most_recently_used_modules_and_the_disk_the_others(cache, publish):
    a, b, c = (publish(wat.logs(text)) for text in "abc")
    modules = cache(memory_bytes=a.size + b.size)
    events = [find(modules, artifact)[1] for artifact in (a, b, a, c, a, b)]
    assert [next(iter(event)) for event in events] == ["s3", "s3", "memory", "s3", "memory", "disk"]


def test_the_disk_evicts_the_least_recently_used_module(cache, publish, tmp_path):
    a, b, c = (publish(wat.logs(text)) for text in "abc")
    modules = cache(disk_bytes=a.size + b.size)
    for artifact in (a, b, a, c):
        find(modules, artifact)
    assert {file.name for file in (tmp_path / "cache").iterdir()} == {a.sha256.hex(), c.sha256.hex()}


def test_a_module_outlives_its_file(cache, publish, tmp_path, run):
    artifacts = [publish(wat.logs(text)) for text in "ab"]
    modules = cache(disk_bytes=artifacts[0].size)
    first = find(modules, artifacts[0])[0]
    find(modules, artifacts[1])
    assert [file.name for file in (tmp_path / "cache").iterdir()] == [artifacts[1].sha256.hex()]
    assert find(modules, artifacts[0]) == (first, {CacheEvent.MEMORY: 1})
    assert run(first).logs == ("a",)


def test_a_loaded_module_does_not_change_with_its_file(cache, publish, tmp_path, run):
    artifact = publish(wat.logs("a"))
    module = find(cache(), artifact)[0]
    (file,) = (tmp_path / "cache").iterdir()
    file.unlink()
    file.write_bytes(bytes(artifact.size))
    assert run(module).logs == ("a",)


def test_many_modules_are_found_at_once(cache, publish):
    artifacts = [publish(wat.logs(f"number {number}")) for number in range(12)]
    modules = cache()
    found = modules.find([NeededModule(artifact.wasm_sha256, artifact) for artifact in artifacts], IN_TIME)
    assert list(found) == [artifact.wasm_sha256 for artifact in artifacts]
    assert modules.take_events() == {CacheEvent.S3: 12}


def test_threads_that_want_the_same_module_share_one_download(cache, engine, aws):
    artifact, data = compiled(engine, wat.SILENT)
    everybody = threading.Barrier(8, timeout=10)
    started = threading.Event()
    with http_server(Answer(data), between=started.wait) as server:
        modules = cache(access=AwsAccess({**aws.environment, "AWS_ENDPOINT_URL": server.url}))

        def want():
            if everybody.wait() == 0:
                started.set()
            return find(modules, artifact)[0]

        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(lambda _: want(), range(8)))
    assert len(server.requests) == 1
    assert isinstance(found[0], LoadedModule)
    assert all(module is found[0] for module in found)


def test_a_module_that_does_not_arrive_in_time_is_fetched_on_and_delays_no_other(cache, publish, engine, aws):
    at_hand, (distant, data) = publish(wat.SILENT), compiled(engine, wat.TRAPS)
    find(cache(), at_hand)
    released = threading.Event()
    with http_server(Answer(data), between=released.wait) as server:
        modules = cache(access=AwsAccess({**aws.environment, "AWS_ENDPOINT_URL": server.url}))
        needed = [NeededModule(artifact.wasm_sha256, artifact) for artifact in (distant, at_hand)]
        first = modules.find(needed, time.monotonic() + 0.3)
        assert not released.is_set()
        assert isinstance(first[at_hand.wasm_sha256], LoadedModule)
        assert first[distant.wasm_sha256] == UnavailableModule(
            "its module did not arrive in time from the disk or S3; the fetch goes on"
        )
        released.set()
        assert isinstance(modules.find(needed, IN_TIME)[distant.wasm_sha256], LoadedModule)
    assert len(server.requests) == 1
    events = modules.take_events()
    # The fetch may be done when it is asked for again, and is then found on the disk.
    arrived = events.pop(CacheEvent.DISK) + events.pop(CacheEvent.S3, 0)
    assert (arrived, events) == (2, {CacheEvent.UNAVAILABLE: 1, CacheEvent.MEMORY: 1})


def test_headers_that_drip_hold_nobody_beyond_the_deadline(cache, engine, aws):
    artifact, _ = compiled(engine, wat.SILENT)
    with dripping_server(b"HTTP/1.1 200 OK\r\n") as (url, ended):
        modules = cache(access=AwsAccess({**aws.environment, "AWS_ENDPOINT_URL": url}))
        found = modules.find([NeededModule(artifact.wasm_sha256, artifact)], time.monotonic() + 0.3)
        assert not ended.is_set()
    assert isinstance(found[artifact.wasm_sha256], UnavailableModule)


@contextmanager
def dripping_server(start):
    """A server that sends the start of an answer, and then one byte of a header now and then; yields its URL and an
    event that ends it.
    """
    ended = threading.Event()

    def drip(listener):
        client, _ = listener.accept()
        with client, suppress(OSError):
            client.recv(65_536)
            client.sendall(start)
            while not ended.wait(0.05):
                client.sendall(b"X")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=drip, args=(listener,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}", ended
        finally:
            ended.set()
            thread.join()


def test_a_module_that_was_never_compiled_is_compiled_here_while_the_compile_function_is_asked(cache, asked):
    modules = cache()
    assert modules.find([NeededModule(digest(wat.SILENT), None)], IN_TIME) == {}
    compiled = compile_here(modules, wat.SILENT, wat.TRAPS)
    assert {name: type(module) for name, module in compiled.items()} == {
        digest(wat.SILENT): LoadedModule,
        digest(wat.TRAPS): LoadedModule,
    }
    assert asked == [digest(wat.SILENT), digest(wat.TRAPS)]
    assert modules.take_events() == {CacheEvent.COMPILED: 2}
    assert modules.find([NeededModule(digest(wat.SILENT), None)], IN_TIME) == {
        digest(wat.SILENT): compiled[digest(wat.SILENT)]
    }


def test_threads_that_want_the_same_compile_share_it(cache):
    modules = cache()
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda _: compile_here(modules, wat.SILENT)[digest(wat.SILENT)], range(4)))
    assert all(module is results[0] for module in results)
    assert modules.take_events()[CacheEvent.COMPILED] == 1


def test_a_compile_goes_on_when_the_compile_function_cannot_be_asked(cache, caplog):
    def ask(_digests):
        raise InfrastructureError("no such queue")

    with caplog.at_level(logging.ERROR):
        assert isinstance(compile_here(cache(ask=ask), wat.SILENT)[digest(wat.SILENT)], LoadedModule)
    assert "the compile function is not asked: no such queue" in caplog.text


def test_a_module_that_cannot_be_compiled_in_time_is_left_to_the_compile_function(cache, asked):
    modules = cache()
    (unavailable,) = compile_here(modules, wat.SILENT, latest_start=0).values()
    assert unavailable == UnavailableModule("it is not compiled yet; the compile function was asked")
    assert asked == [digest(wat.SILENT)]
    assert modules.take_events() == {CacheEvent.UNAVAILABLE: 1}


def test_a_plugin_deleted_meanwhile_is_unavailable(cache):
    gone = digest(b"gone")
    assert cache().compile([NeededModule(gone, None)], lambda _: {}, IN_TIME) == {
        gone: UnavailableModule("the plugin was deleted")
    }


def test_a_refusal_to_compile_is_remembered(cache):
    modules = cache()
    (refusal,) = compile_here(modules, b"garbage").values()
    assert "not a WebAssembly component" in refusal.reason
    assert modules.find([NeededModule(digest(b"garbage"), None)], IN_TIME) == {digest(b"garbage"): refusal}
    assert modules.take_events() == {CacheEvent.REFUSED: 2}


def test_a_compile_that_fails_through_no_fault_of_the_plugin_rests_and_is_no_refusal(cache, asked, monkeypatch):
    modules, failed = cache(), digest(wat.SILENT)
    monkeypatch.setattr("sys.executable", "/no/such/python")
    unavailable = UnavailableModule("cannot run the compile process: No such file or directory", not_compiled=True)
    assert compile_here(modules, wat.SILENT) == {failed: unavailable}
    monkeypatch.undo()
    # It is not tried again at once, although it would succeed now.
    assert compile_here(modules, wat.SILENT) == {failed: unavailable}
    assert modules.find([NeededModule(failed, None)], IN_TIME) == {}


class LoaderWithBadMemory:
    """Compiles to half of the native code."""

    def __init__(self, engine):
        self._engine = engine
        self.load = engine.load

    def compile(self, wasm):
        whole = self._engine.compile(wasm)
        return replace(whole, artifact=whole.artifact[: len(whole.artifact) // 2])


def test_native_code_that_does_not_load_after_its_compile_is_no_refusal(cache, engine):
    modules = cache(loader=LoaderWithBadMemory(engine))
    (module,) = compile_here(modules, wat.SILENT).values()
    assert isinstance(module, UnavailableModule)
    assert module.not_compiled
    assert "does not load" in module.reason
    assert modules.find([NeededModule(digest(wat.SILENT), None)], IN_TIME) == {}


def test_a_compile_that_has_rested_is_tried_again(cache, monkeypatch):
    monkeypatch.setattr("guildhook.modules.cache._FIRST_REST_SECONDS", 0)
    modules = cache()
    with monkeypatch.context() as broken:
        broken.setattr("sys.executable", "/no/such/python")
        compile_here(modules, wat.SILENT)
    (module,) = compile_here(modules, wat.SILENT).values()
    assert isinstance(module, LoadedModule)


@pytest.mark.parametrize(("due", "given_up", "asks"), [(False, False, 0), (False, True, 0), (True, False, 1)])
def test_the_compile_function_is_asked_only_if_no_other_request_is_on_its_way(cache, asked, due, given_up, asks):
    needed = NeededModule(digest(wat.SILENT), FailedCompile("the machine was busy", due, given_up))
    (module,) = cache().compile([needed], lambda _: {needed.wasm_sha256: wat.SILENT}, IN_TIME).values()
    assert isinstance(module, LoadedModule)
    assert len(asked) == asks


def test_a_refusal_that_postgres_has_is_taken_as_it_is(cache):
    modules, refusal = cache(), Refusal("too large")
    assert modules.find([NeededModule(digest(wat.SILENT), refusal)], IN_TIME) == {digest(wat.SILENT): refusal}
    # The cache does not remember the refusal: the next answer of Postgres counts.
    assert modules.find([NeededModule(digest(wat.SILENT), None)], IN_TIME) == {}


def test_an_artifact_counts_more_than_a_refusal_of_this_process(cache, publish, engine):
    modules = cache()
    compile_here(modules, b"garbage")
    # This stands for a compile that failed only for want of memory.
    artifact = SIGNER.sign(replace(publish(wat.SILENT), wasm_sha256=digest(b"garbage")))
    publish_as(modules, artifact, engine)
    assert isinstance(find(modules, artifact)[0], LoadedModule)


def publish_as(modules, artifact, engine):
    modules._bucket.put(artifact, compiled(engine, wat.SILENT)[1])


DAMAGES = [
    lambda data: data[:-1],
    lambda data: data + b"x",
    lambda data: b"",
    lambda data: data[: len(data) // 2],
    None,
]


@pytest.mark.parametrize("damage", DAMAGES, ids=range(len(DAMAGES)))
def test_an_object_that_does_not_match_its_digest_is_never_loaded(cache, publish, s3, bucket, damage, tmp_path, caplog):
    artifact = publish(wat.SILENT)
    good = s3.get_object(Bucket=bucket, Key=key(artifact))["Body"].read()
    if damage:
        s3.put_object(Bucket=bucket, Key=key(artifact), Body=damage(good))
    else:
        s3.delete_object(Bucket=bucket, Key=key(artifact))
    modules = cache()
    assert find(modules, artifact) == (None, {CacheEvent.DISCARDED: 1})
    (discarded,) = (line for line in caplog.records if line.message.startswith("an artifact is discarded: "))
    assert discarded.wasm_sha256 == artifact.wasm_sha256.hex()
    assert list((tmp_path / "cache").glob("*")) == []
    assert isinstance(compile_here(modules, wat.SILENT)[artifact.wasm_sha256], LoadedModule)


def bomb(native):
    return compress(native + bytes(10 * MIB))


@pytest.mark.parametrize("data", [lambda _: b"no zstd at all", bomb, lambda native: compress(native[:-1])])
def test_an_object_that_is_signed_off_and_unreadable_is_discarded(cache, engine, s3, bucket, data, tmp_path):
    native = engine.compile_here(wat.SILENT)
    artifact, body = signed_off(wat.SILENT, engine.fingerprint, native, data(native), ())
    s3.put_object(Bucket=bucket, Key=key(artifact), Body=body)
    modules = cache()
    assert find(modules, artifact) == (None, {CacheEvent.DISCARDED: 1})
    assert list((tmp_path / "cache").iterdir()) == []


def test_native_code_of_another_wasmtime_is_signed_off_and_not_loaded(cache, engine, s3, bucket):
    native = engine.compile_here(wat.SILENT)
    older = native.replace(b"\x0250", b"\x0249")
    assert older != native
    artifact, body = signed_off(wat.SILENT, engine.fingerprint, older, compress(older), ())
    s3.put_object(Bucket=bucket, Key=key(artifact), Body=body)
    modules = cache()
    assert [find(modules, artifact)[1] for _ in range(2)] == [{CacheEvent.DISCARDED: 1}] * 2
    assert isinstance(compile_here(modules, wat.SILENT)[artifact.wasm_sha256], LoadedModule)


class Untouched(ArtifactBucket):
    """A bucket that nobody may ask."""

    def get(self, artifact):
        raise AssertionError("the bucket was asked")


FORGERIES = {
    "unsigned": lambda artifact: replace(artifact, signature=b""),
    "with the signature of another artifact": lambda artifact: replace(
        artifact, signature=SIGNER.sign(replace(artifact, wasm_sha256=bytes(32))).signature
    ),
    "by another key": ArtifactSigner(FixedKeys(ArtifactSigningKeys("a key that an attacker has made"))).sign,
    "with more memory": lambda artifact: replace(artifact, memories=()),
}


@pytest.mark.parametrize("forge", FORGERIES.values(), ids=FORGERIES)
def test_an_artifact_without_a_valid_signature_counts_as_not_compiled(
    cache, engine, aws, bucket, publish, tmp_path, caplog, forge
):
    artifact = publish(wat.SILENT)
    # Its bytes are on the disk already, where another process has verified them.
    find(cache(), artifact)
    asked = []
    untouched = Untouched(aws.access, bucket)
    modules = ModuleCache(engine, untouched, asked.extend, tmp_path / "cache", MIB, MIB, PUBLIC_KEYS)
    assert find(modules, forge(artifact)) == (None, {CacheEvent.DISCARDED: 1})
    (discarded,) = (line for line in caplog.records if line.message.startswith("an artifact is discarded: "))
    assert discarded.wasm_sha256 == artifact.wasm_sha256.hex()
    assert "GUILDHOOK_ARTIFACT_PUBLIC_KEYS" in discarded.message
    assert isinstance(compile_here(modules, wat.SILENT)[artifact.wasm_sha256], LoadedModule)
    assert asked == [artifact.wasm_sha256]


def test_a_signed_digest_is_that_of_the_bytes_that_are_loaded(cache, engine, s3, bucket, tmp_path):
    native = engine.compile_here(wat.SILENT)
    artifact, body = signed_off(wat.SILENT, engine.fingerprint, native, compress(native), ())
    another = SIGNER.sign(replace(artifact, sha256=digest(b"other native code")))
    s3.put_object(Bucket=bucket, Key=key(another), Body=body)
    assert find(cache(), another) == (None, {CacheEvent.DISCARDED: 1})
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_file_that_does_not_match_its_digest_is_never_loaded(cache, publish, tmp_path):
    artifact = publish(wat.SILENT)
    modules = cache(memory_bytes=1)
    find(modules, artifact)
    find(modules, publish(wat.TRAPS))
    file = tmp_path / "cache" / artifact.sha256.hex()
    # This process has checked the file before.
    file.write_bytes(b"native code of somebody else")
    module, events = find(modules, artifact)
    assert isinstance(module, LoadedModule)
    assert events == {CacheEvent.DISCARDED: 1, CacheEvent.S3: 1}
    assert digest(file.read_bytes()) == artifact.sha256


def test_s3_out_of_reach_leaves_only_its_own_plugins_unavailable(engine, aws, publish, cache, tmp_path):
    on_disk, in_s3 = publish(wat.SILENT), publish(wat.TRAPS)
    find(cache(), on_disk)
    modules = ModuleCache(
        engine, ArtifactBucket(aws.access, "no-such-bucket"), print, tmp_path / "cache", MIB, MIB, PUBLIC_KEYS
    )
    found = modules.find([NeededModule(artifact.wasm_sha256, artifact) for artifact in (on_disk, in_s3)], IN_TIME)
    assert isinstance(found[on_disk.wasm_sha256], LoadedModule)
    unavailable = found[in_s3.wasm_sha256]
    assert isinstance(unavailable, UnavailableModule)
    assert "no-such-bucket (GUILDHOOK_ARTIFACT_BUCKET): HTTP 404 NoSuchBucket" in unavailable.reason
    assert modules.take_events() == {CacheEvent.DISK: 1, CacheEvent.UNAVAILABLE: 1}


def test_a_disk_that_cannot_be_written_leaves_the_module_unavailable(cache, publish, tmp_path):
    (tmp_path / "file").write_text("in the way")
    unavailable, _ = find(cache(directory="file/cache"), publish(wat.SILENT))
    assert "GUILDHOOK_CACHE_DIR" in unavailable.reason


TWO_PROCESSES = """
import os
import sys
from pathlib import Path
from guildhook.aws.access import AwsAccess
from guildhook.modules import ArtifactBucket, ModuleCache, NeededModule, read_public_keys
from guildhook.model import Artifact, MemoryType
from guildhook.sandbox import Engine

artifact = eval(sys.argv[3])
bucket = ArtifactBucket(AwsAccess(os.environ), sys.argv[1])
modules = ModuleCache(Engine(), bucket, print, Path(sys.argv[2]), 2**20, 2**20, read_public_keys(sys.argv[4]))
sys.stdin.readline()
found = modules.find([NeededModule(artifact.wasm_sha256, artifact)], float("inf"))
print(type(found[artifact.wasm_sha256]).__name__, *modules.take_events())
"""


def test_two_processes_that_fill_the_same_file_both_load_it(publish, aws, bucket, tmp_path):
    artifact = publish(wat.SILENT)
    command = [
        sys.executable,
        "-c",
        TWO_PROCESSES,
        bucket,
        str(tmp_path / "cache"),
        repr(artifact),
        write_public_keys(PUBLIC_KEYS),
    ]

    def start():
        return subprocess.Popen(
            command, env=dict(aws.environment), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    with start() as one, start() as other:
        for process in (one, other):
            process.stdin.write("now\n")
            process.stdin.flush()
        outputs = [process.communicate()[0].split() for process in (one, other)]
    assert [output[0] for output in outputs] == ["LoadedModule", "LoadedModule"]
    (file,) = (tmp_path / "cache").iterdir()
    assert digest(file.read_bytes()) == artifact.sha256
