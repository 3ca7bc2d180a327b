"""Messages a second through the on_message function: real Postgres, and a chat server that answers after 20 ms.

Against the same code that delivers one message at a time.
"""

import random
from collections.abc import Iterator

from bench import builds
from bench.handler import handler, ping
from bench.report import Figure, Goal
from guildhook_local.chat_server import ChatServer, Fault
from guildhook_local.stack import LocalGuild, Stack, servers, stack

GUILDS, MESSAGES = 100, 2_000
BATCH_SIZE = 10
"""As template.yaml has it."""
CHAT_SECONDS = 0.02
ONE_BY_ONE = 200
"""Messages delivered one by one: enough for a rate."""
STATEMENTS = 3


def measure() -> Iterator[Figure]:
    with servers() as running, stack(running) as system:
        # Its replies are not put onto a queue that nobody reads.
        chat = ChatServer("local-service-token", lambda _event: None)
        chat.inject(Fault(times=2**31, delay_seconds=CHAT_SECONDS))
        with chat.running() as chat_url:
            guilds = list(_guilds(system, chat))
            environment = {**system.environment, "GUILDHOOK_CHAT_API_URL": chat_url}
            together, statements = _rate(environment, guilds, MESSAGES)
            one_by_one, _ = _rate(environment, guilds, ONE_BY_ONE, "--one-by-one")
            replies = len(chat.replies())
    if replies != MESSAGES + ONE_BY_ONE + 2 * BATCH_SIZE:
        raise SystemExit(f"bench: {replies} replies")
    yield Figure(
        f"{MESSAGES:,} messages of {GUILDS} guilds", together, "msg/s", "delivered one by one", one_by_one,
        Goal("at least", 5),
    )  # fmt: skip
    yield Figure("SQL statements a batch, at most", statements, "", "goal", STATEMENTS, Goal("at most", 1))


def _guilds(system: Stack, chat: ChatServer) -> Iterator[LocalGuild]:
    for _ in range(GUILDS):
        guild = system.add_guild()
        chat.add_channel(guild.id, guild.channel_id)
        system.install(guild, "ping", builds.c(), {"SEND_MESSAGES"})
        yield guild
    system.compile(builds.c())


def _rate(environment: dict[str, str], guilds: list[LocalGuild], messages: int, *options: str) -> tuple[float, int]:
    """Messages a second, and the most statements that a batch took."""
    shuffled = random.Random(1)
    with handler(environment, *options) as function:
        # The first batch is a cold one.
        function.handle([ping(guild) for guild in guilds[:BATCH_SIZE]])
        batches = [
            function.handle([ping(guild) for guild in chosen])
            for chosen in [shuffled.choices(guilds, k=BATCH_SIZE) for _ in range(messages // BATCH_SIZE)]
        ]
    if any(batch.failed for batch in batches):
        raise SystemExit("bench: messages came back")
    return messages / sum(batch.seconds for batch in batches), max(batch.statements for batch in batches)
