"""The memory of the on_message function's process: one plugin in many guilds, and hundreds of different plugins."""

import random
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

from bench import builds, process
from bench.handler import handler, ping
from bench.report import Figure, Goal
from guildhook.model import Artifact
from guildhook.modules import ArtifactBucket, compress
from guildhook.sandbox import Engine
from guildhook.store.compiling import CompileStore
from guildhook_local.stack import LocalGuild, Stack, servers, stack

GUILDS, PLUGINS = 100, 300
LIMIT_MIB = 512
ROUNDS = 3
BATCH_SIZE = 10
MARKER = b"marker-000000"
CGROUP = Path("/sys/fs/cgroup/memory")


def measure() -> Iterator[Figure]:
    with servers() as running:
        with stack(running) as system:
            yield from _shared(system)
        with stack(running) as system:
            yield from _distinct(system)


def _shared(system: Stack) -> Iterator[Figure]:
    wasm = builds.quickjs()
    guilds = [_install(system, wasm) for _ in range(GUILDS)]
    system.compile(wasm)
    with handler(system.environment) as function:
        one = function.handle([ping(guilds[0])])
        for start in range(0, GUILDS, BATCH_SIZE):
            all_of_them = function.handle([ping(guild) for guild in guilds[start : start + BATCH_SIZE]])
    yield Figure(
        f"memory, {GUILDS} guilds on one QuickJS plugin", all_of_them.resident_mib, "MiB", "one guild",
        one.resident_mib, Goal("at most", 1.1),
    )  # fmt: skip


def _distinct(system: Stack) -> Iterator[Figure]:
    guilds = list(_publish(system))
    choice = random.Random(1)
    events: Counter[str] = Counter()
    with handler(system.environment) as function, _limited(function.pid) as limited:
        peak = 0.0
        for _ in range(ROUNDS * PLUGINS // BATCH_SIZE):
            batch = function.handle([ping(guild) for guild in choice.sample(guilds, BATCH_SIZE)])
            if batch.failed:
                raise SystemExit("bench: messages came back")
            events.update(batch.modules)
        peak = process.peak(function.pid)
    if {reply["content"] for reply in system.chat.replies()} > {f"pong of marker-{n:06}" for n in range(PLUGINS)}:
        raise SystemExit("bench: a plugin answered for another")
    found = sum(events.values())
    rates = ", ".join(f"{events[level] / found:.0%} {level}" for level in ("memory", "disk", "s3"))
    name = f"memory, {PLUGINS} distinct QuickJS plugins ({rates})"
    yield Figure(name, peak, "MiB", limited, LIMIT_MIB, Goal("at most", 1))


def _install(system: Stack, wasm: bytes) -> LocalGuild:
    guild = system.add_guild()
    system.install(guild, "echo", wasm, {"SEND_MESSAGES"})
    return guild


def _publish(system: Stack) -> Iterator[LocalGuild]:
    """Guilds with a plugin each. The same plugin but for a number in its text, which compiled is where it was: that
    saves compiling three hundred.
    """
    engine = Engine()
    wasm = builds.quickjs()
    native = builds.compiled(engine, wasm).artifact
    store, bucket = CompileStore(system.database), ArtifactBucket(system.aws.access, system.bucket)
    signer = system.signer
    for number in range(PLUGINS):
        marker = f"marker-{number:06}".encode()
        own_wasm, own_native = wasm.replace(MARKER, marker), native.replace(MARKER, marker)
        data = compress(own_native)
        digests = [sha256(each).digest() for each in (own_wasm, own_native, data)]
        artifact = Artifact(
            digests[0], engine.fingerprint, digests[1], len(own_native), digests[2], len(data), builds.memories(wasm)
        )
        bucket.put(artifact, data)
        store.add_artifact(signer.sign(artifact))
        yield _install(system, own_wasm)
    store.close()


@contextmanager
def _limited(pid: int) -> Iterator[str]:
    """Have the kernel hold the process to the limit, where it lets us; says which."""
    group = CGROUP / f"guildhook-bench-{pid}"
    try:
        group.mkdir()
        (group / "memory.limit_in_bytes").write_text(str(LIMIT_MIB * 1024 * 1024))
        (group / "cgroup.procs").write_text(str(pid))
    except OSError:
        yield "limit, watched"
        return
    try:
        yield "limit, by the kernel"
    finally:
        (CGROUP / "cgroup.procs").write_text(str(pid))
        group.rmdir()
