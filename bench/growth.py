"""Processor time of a message as guilds and plugins become many, against the same with few."""

import random
from collections.abc import Iterator
from uuid import UUID

import psycopg

from bench import builds
from bench.handler import handler, ping
from bench.report import Figure, Goal
from guildhook_local.stack import LocalGuild, Stack, servers, stack

FEW, MANY = 10, 10_000
PLUGINS_OF_A_GUILD = 10
"""Only one plugin is enabled, so that a message costs the same work everywhere."""
BATCHES, BATCH_SIZE, ROUNDS = 40, 10, 3

ADD_GUILDS = """
WITH added AS (INSERT INTO guilds SELECT gen_random_uuid() FROM generate_series(1, %(count)s) RETURNING id)
INSERT INTO channels (guild_id) SELECT id FROM added RETURNING guild_id, id
"""
ADD_PLUGINS = """
INSERT INTO plugins (guild_id, name, wasm_blob, permissions, enabled)
SELECT guild_id, 'plugin ' || number, %(wasm)s, '["SEND_MESSAGES"]', number = 1
FROM unnest(%(guilds)s::uuid[]) AS guild_id, generate_series(1, %(plugins)s) AS number
"""


def measure() -> Iterator[Figure]:
    with servers() as running, stack(running) as few, stack(running) as many:
        systems = {count: (system, _populate(system, count)) for count, system in ((FEW, few), (MANY, many))}
        best = dict.fromkeys(systems, float("inf"))
        for _ in range(ROUNDS):
            for count, (system, guilds) in systems.items():
                best[count] = min(best[count], _cpu_us(system, guilds))
    yield Figure(
        f"CPU a message, {MANY:,} guilds, {MANY * PLUGINS_OF_A_GUILD:,} plugins", best[MANY], "µs",
        f"{FEW} guilds, {FEW * PLUGINS_OF_A_GUILD} plugins", best[FEW], Goal("at most", 1.2),
    )  # fmt: skip


def _populate(system: Stack, count: int) -> list[LocalGuild]:
    with psycopg.connect(system.database_url, autocommit=True) as connection:
        rows: list[tuple[UUID, UUID]] = connection.execute(ADD_GUILDS, {"count": count}).fetchall()
        guilds = [LocalGuild(*row) for row in rows]
        parameters = {"guilds": [guild.id for guild in guilds], "plugins": PLUGINS_OF_A_GUILD, "wasm": builds.c()}
        connection.execute(ADD_PLUGINS, parameters)
        connection.execute("ANALYZE")
    for guild in guilds:
        system.chat.add_channel(guild.id, guild.channel_id)
    system.compile(builds.c())
    return guilds


def _cpu_us(system: Stack, guilds: list[LocalGuild]) -> float:
    """The processor time of the function's process; each batch has other guilds."""
    choice = random.Random(1)
    with handler(system.environment) as function:
        batches = [
            function.handle([ping(guild) for guild in choice.sample(guilds, BATCH_SIZE)]) for _ in range(BATCHES)
        ]
    if any(batch.failed for batch in batches):
        raise SystemExit("bench: messages came back")
    # The first batch is left out, since it is cold.
    return sum(batch.cpu_seconds for batch in batches[1:]) / (BATCHES - 1) / BATCH_SIZE * 1e6
