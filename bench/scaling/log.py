"""Measures the log of a batch with the real function."""

from dataclasses import dataclass
from pathlib import Path

from bench.handler import Body, handler, ping
from guildhook_local.stack import Stack

PING = (Path(__file__).parents[2] / "plugins" / "ping" / "ping.wasm").read_bytes()
PLUGINS, MESSAGES = 2, 10


@dataclass(frozen=True, slots=True)
class LogBytes:
    a_batch: float
    a_message: float
    """Additional bytes for each message of the batch."""


def measure(system: Stack) -> LogBytes:
    """The log with two plugins a message, one answer to ten messages, and no failures."""
    guild = system.add_guild()
    for number in range(PLUGINS):
        system.install(guild, f"ping {number}", PING, {"SEND_MESSAGES"})
    system.compile(PING)
    with handler(system.environment) as function:
        function.handle([ping(guild)])  # a cold start
        one = function.handle([_talk(ping(guild))])
        many = function.handle([ping(guild), *(_talk(ping(guild)) for _ in range(MESSAGES - 1))])
    if one.failed or many.failed:
        raise SystemExit("bench.scaling: messages came back")
    a_message = (many.log_bytes - one.log_bytes) / (MESSAGES - 1)
    return LogBytes(one.log_bytes - a_message, a_message)


def _talk(event: Body) -> Body:
    """The same log without answers."""
    return {**event, "message": {**event["message"], "content": "good morning, all of you"}}
