"""The first run of a plugin, by where its module is found, against the least that each level costs."""

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from hashlib import file_digest, sha256
from pathlib import Path
from uuid import uuid4

import urllib3
from backports import zstd

from bench import builds
from bench.messages import CHANNEL, LIMITS, MESSAGE
from bench.report import Figure, Goal
from guildhook.model import Artifact
from guildhook.modules import ArtifactBucket, CacheEvent, ModuleCache, Wanted, artifact_key, compress
from guildhook.sandbox import Engine, Module, Plugin, Sandbox
from guildhook_local.aws import aws_server, create_bucket

ROUNDS = 15
COMPILES = 3
MIB = 1024 * 1024
COMPILE_GOALS = {"QuickJS": Goal("at least", 5), "SpiderMonkey": Goal("at least", 25)}


def measure() -> Iterator[Figure]:
    engine = Engine()
    bucket = f"bench-{uuid4().hex}"
    with aws_server() as aws, tempfile.TemporaryDirectory() as folder:
        os.environ.update(aws.environment)
        create_bucket(aws, bucket)
        s3 = aws.client("s3")
        for name in ("QuickJS", "SpiderMonkey"):
            artifact, data = published(engine, builds.PLUGINS[name]())
            key = artifact_key(artifact.wasm_sha256, artifact.engine)
            s3.put_object(Bucket=bucket, Key=key, Body=data)
            url = s3.generate_presigned_url("get_object", {"Bucket": bucket, "Key": key})
            yield from _measure(name, engine, artifact, bucket, url, Path(folder, name))


def published(engine: Engine, wasm: bytes) -> tuple[Artifact, bytes]:
    """As the compile function has it."""
    module = builds.compiled(engine, wasm)
    data = compress(module.artifact)
    digests = [sha256(each).digest() for each in (wasm, module.artifact, data)]
    sizes = len(module.artifact), len(data)
    artifact = Artifact(
        digests[0], engine.fingerprint, digests[1], sizes[0], digests[2], sizes[1], builds.memories(wasm)
    )
    return artifact, data


def _measure(name: str, engine: Engine, artifact: Artifact, bucket: str, url: str, folder: Path) -> Iterator[Figure]:
    sandbox = Sandbox(engine)
    s3, http = ArtifactBucket(bucket), urllib3.PoolManager()
    native = folder / "native.cwasm"
    folder.mkdir()
    native.write_bytes(builds.compiled(engine, builds.PLUGINS[name]()).artifact)

    def run(module: Module) -> None:
        plugin = Plugin(MESSAGE.id, module, frozenset({"SEND_MESSAGES"}), LIMITS)
        if len(sandbox.run(plugin, MESSAGE, {}, MESSAGE.created_at, 0).intents) != 1:
            raise SystemExit(f"bench: {name} sends nothing to {CHANNEL}")

    def cache(directory: str) -> ModuleCache[Module]:
        return ModuleCache(engine, s3, [].extend, folder / directory, 64 * MIB, 256 * MIB)

    def found(modules: ModuleCache[Module], level: CacheEvent) -> None:
        module = modules.find([Wanted(artifact.wasm_sha256, artifact)])[artifact.wasm_sha256]
        if modules.take_events() != {level: 1} or not isinstance(module, Module):
            raise SystemExit(f"bench: the module was not found in {level}: {module}")
        run(module)

    def get() -> bytes:
        data = http.request("GET", url).data
        if sha256(data).digest() != artifact.object_sha256:
            raise SystemExit("bench: another object")
        return data

    warm = cache("warm")
    found(warm, CacheEvent.S3)
    loaded = engine.load(native, artifact.memories)

    def forgotten() -> None:
        warm._memory.clear()  # noqa: SLF001 - as if other modules had pushed it out

    memory, alone = best(lambda: found(warm, CacheEvent.MEMORY), lambda: run(loaded))
    yield Figure(f"first run, {name}, from memory", memory, "ms", "run", alone)

    def from_disk() -> None:
        found(warm, CacheEvent.DISK)

    disk, floor = best(from_disk, lambda: run(engine.load(native, artifact.memories)), before=forgotten)
    yield Figure(f"first run, {name}, from /tmp", disk, "ms", "deserialise + run", floor, Goal("at most", 1.3))

    def hashed() -> None:
        with native.open("rb") as file:
            file_digest(file, "sha256").digest()
        run(engine.load(native, artifact.memories))

    fresh = best(lambda: found(cache("warm"), CacheEvent.DISK), hashed)
    yield Figure(f"the same, {name}, in a new process", fresh[0], "ms", "sha256 + those", fresh[1], Goal("at most", 1.3))

    def from_s3() -> None:
        with tempfile.TemporaryDirectory(dir=folder) as empty:
            found(cache(Path(empty).name), CacheEvent.S3)

    def unpacked() -> None:
        # In pieces, which is a third faster than whole for the largest.
        decompressor, data = zstd.ZstdDecompressor(), get()
        while not decompressor.eof:
            decompressor.decompress(data, max_length=MIB)
            data = b""
        run(engine.load(native, artifact.memories))

    far, floor = best(from_s3, unpacked)
    yield Figure(
        f"first run, {name}, from S3", far, "ms", "GET + sha256 + unzstd + those", floor, Goal("at most", 1.5)
    )

    patient, wasm = Engine(builds.PATIENT), builds.PLUGINS[name]()
    (compiling,) = best(lambda: patient.compile(wasm), rounds=COMPILES)
    yield Figure("the same", far, "ms", f"compile {name}", compiling, COMPILE_GOALS[name], faster=True)


def best(*timed: Callable[[], object], before: Callable[[], None] = lambda: None, rounds: int = ROUNDS) -> list[float]:
    """Milliseconds of each, in turns, by the best round."""
    seconds = [float("inf")] * len(timed)
    for _ in range(rounds):
        for i, one in enumerate(timed):
            before()
            started = time.perf_counter()
            one()
            seconds[i] = min(seconds[i], time.perf_counter() - started)
    return [each * 1000 for each in seconds]
