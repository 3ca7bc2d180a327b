"""The embedded stack for people: it runs until it is interrupted, and functions in containers can use it too."""

import json
import os
import select
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from guildhook.model import Permission
from guildhook_local.sample import CHANNEL_ID, GUILD_ID
from guildhook_local.stack import Guild, Stack, servers, stack

_PING = Path(__file__).parents[2] / "plugins" / "ping" / "ping.wasm"
CONTAINERS_NAME_OF_THE_HOST = "host.docker.internal"
_LOOK_AGAIN_SECONDS = 0.1
_PIECE_BYTES = 64 * 1024


@contextmanager
def serving(address: str) -> Iterator[Stack]:
    """A stack that listens on `address` and does its work, with what the events in events/ are about: a guild that has
    the plugin ping, not compiled yet, and an upload of it.
    """
    with servers(address) as running, stack(running, name="guildhook") as system:
        wasm = _PING.read_bytes()
        guild = system.add_guild(Guild(GUILD_ID, CHANNEL_ID))
        system.install(guild, "ping", wasm, {Permission.SEND_MESSAGES})
        system.aws.client("s3").put_object(Bucket=system.bucket, Key="uploads/ping.wasm", Body=wasm)
        with system.mapping.running(), system.compile_mapping.running():
            yield system


def write_environment(file: Path, system: Stack) -> None:
    """Write what `sam local` takes as --env-vars. Only the user can read a new one."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.touch(mode=0o600)
    file.write_text(json.dumps(container_environment(system), indent=2) + "\n")


def container_environment(system: Stack) -> dict[str, dict[str, str]]:
    """For all functions. sam local gives each of them what the template declares for it, and what the template has for
    AWS unless it stands here.
    """
    variables = {
        name: value.replace(system.address, CONTAINERS_NAME_OF_THE_HOST)
        for name, value in system.environment.items()
        if name != "GUILDHOOK_CACHE_DIR"
    }
    return {"Parameters": {"GUILDHOOK_DATABASE_IAM": "false", **variables}}


def converse(system: Stack, typed: int | None, show: Callable[[str, str], None], interrupted: threading.Event) -> None:
    """Say each line of the file descriptor `typed` in the channel, and show by name and content what bots say."""
    sources, begun, seen = [] if typed is None else [typed], b"", 0
    while not interrupted.is_set():
        ready, _, _ = select.select(sources, [], [], _LOOK_AGAIN_SECONDS)
        for source in ready:
            data = os.read(source, _PIECE_BYTES)
            if not data:
                sources, data = [], b"\n"
            *lines, begun = (begun + data).split(b"\n")
            for line in filter(bytes.strip, lines):
                system.chat.say(CHANNEL_ID, "you", line.decode(errors="replace"))
        for reply in system.chat.replies()[seen:]:
            seen += 1
            show(reply["author"]["display_name"], reply["content"])


def interrupts() -> threading.Event:
    """Set by SIGINT and SIGTERM. An exception instead could come while something is started or cleaned up."""
    interrupted = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: interrupted.set())
    return interrupted
