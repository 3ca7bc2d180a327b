"""The first run of a plugin, by where its module is found, against the least that each level costs."""

import math
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from hashlib import file_digest, sha256
from pathlib import Path
from secrets import token_urlsafe
from uuid import uuid4

import urllib3

from bench import builds
from bench.messages import CHANNEL, LIMITS, MESSAGE
from bench.report import Figure, Goal
from guildhook.aws.secrets import Secret
from guildhook.model import Artifact
from guildhook.modules import (
    ArtifactBucket,
    ArtifactSigner,
    ArtifactSigningKeys,
    CacheEvent,
    ModuleCache,
    NeededModule,
    artifact_key,
    compress,
)
from guildhook.sandbox import Engine, LoadedModule, LoadedPlugin, Sandbox
from guildhook_local.aws import aws_server, create_bucket, create_secret

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

ROUNDS = 15
COMPILES = 3
MIB = 1024 * 1024
COMPILE_GOALS = {"QuickJS": Goal("at least", 5), "SpiderMonkey": Goal("at least", 25)}


def measure() -> Iterator[Figure]:
    engine = Engine()
    bucket, keys = f"bench-{uuid4().hex}", ArtifactSigningKeys(token_urlsafe(48))
    with aws_server() as aws, tempfile.TemporaryDirectory() as folder:
        create_bucket(aws, bucket)
        create_secret(aws, bucket, {"signing_key": keys.signing_key})
        signer = ArtifactSigner(Secret(aws.access, bucket, "GUILDHOOK_SIGNING_SECRET", ArtifactSigningKeys))
        s3 = aws.client("s3")
        for name in ("QuickJS", "SpiderMonkey"):
            artifact, data = published(engine, builds.PLUGINS[name]())
            signed = signer.sign(artifact)
            key = artifact_key(artifact.wasm_sha256, artifact.engine)
            s3.put_object(Bucket=bucket, Key=key, Body=data)
            url = s3.generate_presigned_url("get_object", {"Bucket": bucket, "Key": key})
            objects = ArtifactBucket(aws.access, bucket)
            yield from _Level(name, engine, signed, keys.public_keys, objects, url, Path(folder, name)).measure()


def published(engine: Engine, wasm: bytes) -> tuple[Artifact, bytes]:
    """The artifact that the compile function would publish, and its compressed object."""
    module = builds.compiled(engine, wasm)
    data = compress(module.artifact)
    digests = [sha256(each).digest() for each in (wasm, module.artifact, data)]
    sizes = len(module.artifact), len(data)
    artifact = Artifact(
        digests[0], engine.fingerprint, digests[1], sizes[0], digests[2], sizes[1], builds.memories(wasm)
    )
    return artifact, data


class _Level:
    """One plugin, and all ways to its module."""

    def __init__(
        self,
        name: str,
        engine: Engine,
        artifact: Artifact,
        public_keys: Collection[bytes],
        bucket: ArtifactBucket,
        url: str,
        folder: Path,
    ) -> None:
        self._name, self._engine, self._artifact, self._url, self._folder = name, engine, artifact, url, folder
        self._public_keys = public_keys
        self._sandbox, self._s3, self._http = Sandbox(engine), bucket, urllib3.PoolManager()
        folder.mkdir()
        self._native = folder / "native.cwasm"
        self._native.write_bytes(builds.compiled(engine, builds.PLUGINS[name]()).artifact)
        self._warm = self._cache("warm")
        self._find(self._warm, CacheEvent.S3)

    def measure(self) -> Iterator[Figure]:
        name, loaded = self._name, self._loaded()
        ours, floor = best(self._from_memory, lambda: self._run(loaded))
        yield Figure(f"first run, {name}, from memory", ours, "ms", "run", floor)
        ours, floor = best(self._from_disk, self._mapped)
        yield Figure(f"first run, {name}, from /tmp", ours, "ms", "deserialise + run", floor, Goal("at most", 1.3))
        ours, floor = best(self._from_disk_unseen, self._hashed)
        yield Figure(f"the same, {name}, new process", ours, "ms", "sha256 + those", floor, Goal("at most", 1.3))
        ours, floor = best(self._from_s3, self._fetched)
        those = "GET + sha256 + unzstd + those"
        yield Figure(f"first run, {name}, from S3", ours, "ms", those, floor, Goal("at most", 1.5))
        patient, wasm = Engine(builds.PATIENT), builds.PLUGINS[name]()
        (compiling,) = best(lambda: patient.compile(wasm), rounds=COMPILES)
        yield Figure("the same", ours, "ms", f"compile {name}", compiling, COMPILE_GOALS[name], faster=True)

    def _from_memory(self) -> None:
        self._find(self._warm, CacheEvent.MEMORY)

    def _from_disk(self) -> None:
        self._warm._memory.clear()  # as if other modules had pushed it out
        self._warm._used_bytes = 0
        self._find(self._warm, CacheEvent.DISK)

    def _from_disk_unseen(self) -> None:
        self._find(self._cache("warm"), CacheEvent.DISK)

    def _from_s3(self) -> None:
        with tempfile.TemporaryDirectory(dir=self._folder) as empty:
            self._find(self._cache(Path(empty).name), CacheEvent.S3)

    def _mapped(self) -> None:
        self._run(self._loaded())

    def _hashed(self) -> None:
        with self._native.open("rb") as file:
            file_digest(file, "sha256").digest()
        self._mapped()

    def _fetched(self) -> None:
        data = self._http.request("GET", self._url).data
        if sha256(data).digest() != self._artifact.object_sha256:
            raise SystemExit("bench: another object")
        # In pieces, which is a third faster than whole for the largest.
        decompressor = zstd.ZstdDecompressor()
        while not decompressor.eof:
            decompressor.decompress(data, max_length=MIB)
            data = b""
        self._mapped()

    def _cache(self, directory: str) -> ModuleCache[LoadedModule]:
        return ModuleCache(
            self._engine, self._s3, _ask_nobody, self._folder / directory, 64 * MIB, 256 * MIB, self._public_keys
        )

    def _find(self, modules: ModuleCache[LoadedModule], level: CacheEvent) -> None:
        module = modules.find([NeededModule(self._artifact.wasm_sha256, self._artifact)], math.inf)[
            self._artifact.wasm_sha256
        ]
        if modules.take_events() != {level: 1} or not isinstance(module, LoadedModule):
            raise SystemExit(f"bench: the module was not found in {level}: {module}")
        self._run(module)

    def _loaded(self) -> LoadedModule:
        return self._engine.load(self._native, self._artifact.memories)

    def _run(self, module: LoadedModule) -> None:
        plugin = LoadedPlugin(MESSAGE.id, module, frozenset({"SEND_MESSAGES"}), LIMITS)
        if len(self._sandbox.run(plugin, MESSAGE, {}, MESSAGE.created_at, 0).intents) != 1:
            raise SystemExit(f"bench: {self._name} sends nothing to {CHANNEL}")


def _ask_nobody(_digests: Sequence[bytes]) -> None:
    """Stand in for the queue of the compile function: every plugin is compiled."""


def best(*timed: Callable[[], object], rounds: int = ROUNDS) -> list[float]:
    """Milliseconds of each, in turns, by the best round."""
    seconds = [float("inf")] * len(timed)
    for _ in range(rounds):
        for i, one in enumerate(timed):
            started = time.perf_counter()
            one()
            seconds[i] = min(seconds[i], time.perf_counter() - started)
    return [each * 1000 for each in seconds]
