"""Guilds, plugins, batches and sandboxes, simulated.

Batches go to sandboxes at random. While there are few sandboxes, all of them are simulated, over every message of a
stream with bursts. When there are many, each sees so thin a part of the stream that two messages of one burst hardly
ever meet in it: a few sandboxes are simulated then, over messages drawn one by one.
"""

import heapq
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from bench.scaling.parameters import AccountLimits, Deployment, Installation, Platform, Prices, Workload

DAY_SECONDS = 86_400
FEW_SANDBOXES = 32
SAMPLED_SANDBOXES = 4
SECONDS_OF_A_BATCH = 0.1
"""A guess, to tell few sandboxes from many."""


@dataclass(frozen=True, slots=True)
class Scenario:
    guilds: int
    workload: Workload = field(default_factory=Workload)
    deployment: Deployment = field(default_factory=Deployment)
    platform: Platform = field(default_factory=Platform)
    limits: AccountLimits = field(default_factory=AccountLimits)
    installation: Installation = field(default_factory=Installation)
    prices: Prices = field(default_factory=Prices)

    @property
    def messages_per_second(self) -> float:
        """The rate in the busiest minutes."""
        return self.guilds * self.workload.messages_per_guild_day * self.workload.peak / DAY_SECONDS


@dataclass(frozen=True, slots=True)
class SimulationResult:
    """The state in the busiest minutes."""

    guilds: int
    messages_per_second: float
    batch: float
    """The mean number of messages in a batch."""
    sandboxes: float
    """Sandboxes that are busy at the same time."""
    memory_hits: float
    disk_hits: float
    s3_hits: float
    """Shares of all lookups of a module. Their sum is 1, since plugins are compiled at upload."""
    s3_gets_per_second: float
    statements_per_second: float
    sends_per_second: float
    cold_starts: float
    """The share of all batches."""
    usd_per_million: float
    first_limit: str
    """The nearest limit, and the used share of it."""
    used: float


class Lru:
    """An LRU cache of keys with sizes, with a limit in bytes."""

    def __init__(self, limit_bytes: float) -> None:
        self._limit = limit_bytes
        self._used = 0.0
        self._sizes: OrderedDict[int, float] = OrderedDict()

    def look_up(self, key: int, size: float) -> bool:
        """True if the key was in the cache. It is now, as the most recently used."""
        if key in self._sizes:
            self._sizes.move_to_end(key)
            return True
        self._sizes[key] = size
        self._used += size
        while self._used > self._limit and len(self._sizes) > 1:
            self._used -= self._sizes.popitem(last=False)[1]
        return False


@dataclass(slots=True)
class LambdaSandbox:
    memory: Lru
    disk: Lru
    batches: int = 0


@dataclass(slots=True)
class Counts:
    """Counts after the sandboxes' caches have filled."""

    batches: int = 0
    messages: int = 0
    busy_seconds: float = 0.0
    cold_starts: int = 0
    lookups: dict[str, int] = field(default_factory=lambda: dict.fromkeys(("memory", "disk", "s3"), 0))


class Population:
    """The plugins of a guild and the toolchain of a plugin, computed from a seed instead of stored."""

    def __init__(self, scenario: Scenario) -> None:
        self._workload = scenario.workload
        self._catalogue = zipf(
            max(50, round(scenario.guilds * self._workload.catalogue_per_guild)), self._workload.catalogue_exponent
        )
        self._toolchains = np.cumsum([toolchain.share for toolchain in self._workload.toolchains])

    def plugins(self, guild: int) -> list[int]:
        """The plugins of a guild: 0, 1, … are from the catalogue, negative numbers are the guild's own."""
        found = []
        for slot in range(self._workload.plugins_per_guild):
            key = guild * self._workload.plugins_per_guild + slot
            if uniform(key, 1) < self._workload.shared:
                found.append(int(np.searchsorted(self._catalogue, uniform(key, 2))))
            else:
                found.append(-1 - key)
        return found

    def toolchain(self, plugin: int) -> int:
        return min(int(np.searchsorted(self._toolchains, uniform(plugin, 3))), len(self._toolchains) - 1)


def zipf(count: int, exponent: float) -> np.ndarray:
    """Cumulative probabilities of ranks."""
    weights = np.arange(1, count + 1, dtype=np.float64) ** -exponent
    return np.cumsum(weights / weights.sum())


def uniform(key: int, salt: int) -> float:
    """A number in [0, 1) that depends on the arguments alone (splitmix64)."""
    mask = 2**64 - 1
    x = (key * 0x9E3779B97F4A7C15 + salt * 0xD1B54A32D192ED03) & mask
    x = ((x ^ x >> 30) * 0xBF58476D1CE4E5B9) & mask
    x = ((x ^ x >> 27) * 0x94D049BB133111EB) & mask
    return (x ^ x >> 31) / 2**64


def simulate(scenario: Scenario, lookups: int = 60_000, seed: int = 1) -> SimulationResult:
    """`lookups` of modules are counted, after half as many that fill the caches."""
    random = np.random.default_rng(seed)
    messages = max(1, lookups // scenario.workload.plugins_per_guild)
    guess = _sandboxes(scenario, scenario.deployment.batch_size, SECONDS_OF_A_BATCH)
    if guess <= FEW_SANDBOXES:
        counts = _all_sandboxes(scenario, round(messages * 1.5), messages, random)
    else:
        counts = _some_sandboxes(scenario, messages, random)
    return _outcome(scenario, counts)


def _all_sandboxes(scenario: Scenario, total: int, counted: int, random: np.random.Generator) -> Counts:
    """Every batch of a stream goes to a sandbox that is idle and warm, or starts another."""
    population, counts = Population(scenario), Counts()
    idle: list[tuple[float, LambdaSandbox]] = []
    busy: list[tuple[float, int, LambdaSandbox]] = []
    seen = 0
    for number, (time, guilds) in enumerate(_batches(scenario, *_stream(scenario, total, random))):
        while busy and busy[0][0] <= time:
            since, _, sandbox = heapq.heappop(busy)
            idle.append((since, sandbox))
        idle = [(since, sandbox) for since, sandbox in idle if time - since < scenario.platform.idle_seconds]
        cold = not idle
        sandbox = _new_sandbox(scenario) if cold else idle.pop(int(random.integers(len(idle))))[1]
        kept = counts if seen >= total - counted else Counts()
        seconds = _handle(scenario, population, sandbox, guilds, kept, cold, random)
        heapq.heappush(busy, (time + seconds, number, sandbox))
        seen += len(guilds)
    return counts


def _some_sandboxes(scenario: Scenario, counted: int, random: np.random.Generator) -> Counts:
    population, counts = Population(scenario), Counts()
    popularity = zipf(scenario.guilds, scenario.workload.guild_exponent)
    size = scenario.deployment.batch_size
    for _ in range(SAMPLED_SANDBOXES):
        sandbox = _new_sandbox(scenario)
        share = counted // SAMPLED_SANDBOXES
        for position in range(0, round(share * 1.5), size):
            guilds = np.searchsorted(popularity, random.random(size)).tolist()
            kept = counts if position >= share * 0.5 else Counts()
            _handle(scenario, population, sandbox, guilds, kept, False, random)
    return counts


def _stream(scenario: Scenario, count: int, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Times and guilds of about `count` messages, in order. Bursts come at random, their messages one by one."""
    bursts = max(1, round(count / scenario.workload.burst_messages))
    popularity = zipf(scenario.guilds, scenario.workload.guild_exponent)
    sizes = random.geometric(1 / scenario.workload.burst_messages, bursts)
    starts = np.cumsum(random.exponential(scenario.workload.burst_messages / scenario.messages_per_second, bursts))
    guilds = np.searchsorted(popularity, random.random(bursts))
    times = np.repeat(starts, sizes) + random.exponential(4.0, sizes.sum())
    order = np.argsort(times)
    return times[order], np.repeat(guilds, sizes)[order]


def _batches(scenario: Scenario, times: np.ndarray, guilds: np.ndarray) -> Iterator[tuple[float, Sequence[int]]]:
    """A batch is full, or its first message has waited for the window."""
    wait = max(scenario.deployment.window_seconds, scenario.platform.receive_wait_seconds)
    start = 0
    while start < len(times):
        end = min(
            int(np.searchsorted(times, times[start] + wait, side="right")), start + scenario.deployment.batch_size
        )
        full = end == start + scenario.deployment.batch_size
        yield float(times[end - 1] if full else times[start] + wait), guilds[start:end].tolist()
        start = end


def _handle(
    scenario: Scenario,
    population: Population,
    sandbox: LambdaSandbox,
    guilds: Sequence[int],
    counts: Counts,
    cold: bool,
    random: np.random.Generator,
) -> float:
    """Seconds that the batch takes."""
    platform, toolchains = scenario.platform, scenario.workload.toolchains
    cpu = platform.batch_cpu_seconds + platform.message_cpu_seconds * len(guilds)
    download, sends = 0.0, False
    for plugin in (plugin for guild in guilds for plugin in population.plugins(guild)):
        toolchain = toolchains[population.toolchain(plugin)]
        cpu += toolchain.run_seconds
        in_memory = sandbox.memory.look_up(plugin, toolchain.native_bytes)
        on_disk = sandbox.disk.look_up(plugin, toolchain.native_bytes)
        counts.lookups["memory" if in_memory else "disk" if on_disk else "s3"] += 1
        if not in_memory:
            cpu += platform.load_seconds
        if not (in_memory or on_disk):
            cpu += toolchain.native_bytes / platform.unpack_bytes_per_second
            # Several are fetched at the same time, and share the way.
            download = max(download, platform.s3_first_byte_seconds)
            download += toolchain.object_bytes / platform.s3_bytes_per_second
        sends |= random.random() < scenario.workload.replies
    slowed = max(1.0, platform.full_cpu_mb / scenario.deployment.memory_mb)
    seconds = cpu * slowed + download + platform.statements_per_batch * platform.statement_seconds
    seconds += platform.chat_seconds * sends + platform.cold_start_seconds * slowed * cold
    counts.batches += 1
    counts.messages += len(guilds)
    counts.busy_seconds += seconds
    counts.cold_starts += cold
    sandbox.batches += 1
    return seconds


def _new_sandbox(scenario: Scenario) -> LambdaSandbox:
    return LambdaSandbox(Lru(scenario.deployment.memory_cache_bytes), Lru(scenario.deployment.disk_cache_bytes))


def _sandboxes(scenario: Scenario, batch: float, seconds: float) -> float:
    return scenario.messages_per_second / batch * seconds


def _outcome(scenario: Scenario, counts: Counts) -> SimulationResult:
    deployment, prices, limits = scenario.deployment, scenario.prices, scenario.limits
    batch, seconds = counts.messages / counts.batches, counts.busy_seconds / counts.batches
    lookups = sum(counts.lookups.values())
    rates = {level: count / lookups for level, count in counts.lookups.items()}
    rate, plugins = scenario.messages_per_second, scenario.workload.plugins_per_guild
    sandboxes = _sandboxes(scenario, batch, seconds)
    gets = rate * plugins * rates["s3"]
    statements = rate / batch * scenario.platform.statements_per_batch
    sends = rate * plugins * scenario.workload.replies
    used = {
        "Lambda concurrency": sandboxes / limits.lambda_concurrency,
        "event source concurrency": sandboxes / limits.event_source_concurrency,
        "database connections": sandboxes / limits.database_connections,
        "database statements": statements / limits.database_statements_per_second,
        "S3 GETs of a prefix": gets / limits.s3_gets_per_second,
        "chat API": sends / limits.chat_sends_per_second,
    }
    first = max(used, key=lambda name: used[name])
    memory_gb, tmp_gb = deployment.memory_mb / 1024, max(0, deployment.tmp_mb - 512) / 1024
    queue_request = prices.sqs_request + prices.fair_request
    batch_usd = (
        prices.lambda_request
        + seconds * (memory_gb * prices.lambda_gb_second + tmp_gb * prices.tmp_gb_second)
        # Received and deleted; each message was sent by itself.
        + 2 * queue_request
    )
    message_usd = batch_usd / batch + queue_request + plugins * rates["s3"] * prices.s3_get
    return SimulationResult(
        guilds=scenario.guilds,
        messages_per_second=rate,
        batch=batch,
        sandboxes=sandboxes,
        memory_hits=rates["memory"],
        disk_hits=rates["disk"],
        s3_hits=rates["s3"],
        s3_gets_per_second=gets,
        statements_per_second=statements,
        sends_per_second=sends,
        cold_starts=counts.cold_starts / counts.batches,
        usd_per_million=message_usd * 1e6,
        first_limit=first,
        used=used[first],
    )


def che(probabilities: np.ndarray, sizes: np.ndarray, limit_bytes: float) -> float:
    """Hit rate of an LRU cache by Che's approximation, which needs no simulation."""
    low, high = 0.0, 1e15
    for _ in range(200):
        middle = (low + high) / 2
        filled = float((sizes * -np.expm1(-probabilities * middle)).sum())
        low, high = (middle, high) if filled < limit_bytes else (low, middle)
    return float((probabilities * -np.expm1(-probabilities * low)).sum())
