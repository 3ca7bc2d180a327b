"""The whole way of one message on the embedded stack, step by step."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import dict_row

from guildhook.model import Permission
from guildhook_local.stack import servers, stack

_PING = Path(__file__).parents[2] / "plugins" / "ping" / "ping.wasm"
_TIMEOUT_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Step:
    """One line of the timeline; `at_ms` counts from the moment that the message was typed."""

    at_ms: float
    name: str
    text: str


@dataclass(frozen=True, slots=True)
class DemoResult:
    timeline: tuple[Step, ...]
    fuel_used: int
    duration_us: int
    outcome: str
    replies: tuple[dict[str, str], ...]

    @property
    def succeeded(self) -> bool:
        return self.outcome == "ok" and [reply["content"] for reply in self.replies] == ["pong"]


class DemoError(Exception):
    """The reply did not come. The text says how far the message got."""


def run_demo(progress: Callable[[str], None]) -> DemoResult:
    """Start the stack, type "!ping" in a channel, and wait for the reply. Raises DemoError."""
    progress("Starting PostgreSQL, SQS and S3")
    with servers() as running:
        progress("Applying the migrations, starting the chat server and the on_message function")
        with stack(running) as system:
            progress("Installing and compiling the plugin plugins/ping")
            guild = system.add_guild()
            wasm = _PING.read_bytes()
            system.install(guild, "ping", wasm, {Permission.SEND_MESSAGES})
            system.compile(wasm)
            progress("A member types !ping")
            started = time.monotonic()
            message = system.chat.say(guild.channel_id, "ada", "!ping")
            queued_ms = (time.monotonic() - started) * 1000
            with system.mapping.running():
                replies = system.chat.wait_for_replies(1, _TIMEOUT_SECONDS)
            return _result(system.database_url, message, queued_ms, replies)


def _result(database_url: str, message: dict[str, Any], queued_ms: float, replies: list[dict[str, Any]]) -> DemoResult:
    with psycopg.connect(database_url, row_factory=dict_row) as connection:
        run = connection.execute("SELECT * FROM plugin_runs WHERE message_id = %s", [message["id"]]).fetchone()
    if run is None:
        raise DemoError(f"no plugin ran for the message within {_TIMEOUT_SECONDS} s")
    if not replies:
        raise DemoError(f"the plugin's run ended {run['outcome']} {run['detail']}, and no reply came")
    typed = datetime.fromisoformat(message["created_at"])
    timeline = [
        Step(0, "message typed", f"{message['author']['display_name']}: {message['content']}"),
        Step(queued_ms, "event queued", f"message.created of guild {run['guild_id']}"),
        Step(
            _ms_between(typed, run["created_at"]),
            "plugin run",
            f"ping: {run['outcome']}, {run['fuel_used']:,} fuel, {run['duration_us']:,} µs",
        ),
    ]
    timeline += [
        Step(
            _ms_between(typed, datetime.fromisoformat(reply["created_at"])),
            "reply received",
            f"{reply['author']['display_name']}: {reply['content']}",
        )
        for reply in replies
    ]
    return DemoResult(
        timeline=tuple(timeline),
        fuel_used=run["fuel_used"],
        duration_us=run["duration_us"],
        outcome=run["outcome"],
        replies=tuple({"channel_id": reply["channel_id"], "content": reply["content"]} for reply in replies),
    )


def _ms_between(start: datetime, end: datetime) -> float:
    return (end - start).total_seconds() * 1000
