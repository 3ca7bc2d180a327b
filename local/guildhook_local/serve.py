"""The embedded stack for people: it runs until it is interrupted, and functions in containers can use it too."""

import json
import os
import re
import select
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from guildhook_local.chat_page import BUILT_PAGE
from guildhook_local.guard import BearerToken, EitherSecret, SecretCheck
from guildhook_local.http_api import http_api
from guildhook_local.output_files import replace_file
from guildhook_local.sample import CHANNEL_ID
from guildhook_local.sample_guilds import OLGA, PEOPLE, add_sample_guilds, install_sample_plugins, live_through_a_day
from guildhook_local.stack import ADMIN_API, Stack, servers, stack
from guildhook_local.web_server import bound

_PAGES = {
    "the admin page": ADMIN_API / "page" / "index.html",
    "the chat page": BUILT_PAGE / "index.html",
}
_SAM_LOCAL_ORIGIN = "http://127.0.0.1:3000"
"""The origin of `sam local start-api`, which serves the same page."""
SAM_LOCAL_PROFILE = "guildhook"
CONTAINERS_NAME_OF_THE_HOST = "host.docker.internal"
_LOOPBACK = re.compile(r"\b(127\.0\.0\.1|localhost)\b")
_NOT_FOR_CONTAINERS = frozenset({"GUILDHOOK_CACHE_DIR", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"})
_LOOK_AGAIN_SECONDS = 0.1
_PIECE_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Served:
    system: Stack
    admin_url: str
    replies_before: int
    """The number of replies by bots in the sample's history."""

    @property
    def chat_url(self) -> str:
        return self.system.chat.url

    @property
    def operator_token(self) -> str:
        """A new access token of the sample's operator, for `guildhook admin`."""
        return self.system.issuer.issue_operator(OLGA, PEOPLE[OLGA].name)

    @property
    def admin_link(self) -> str:
        """The address that opens the admin page in a browser. It has a secret in it."""
        return self.system.chat.session.link(self.admin_url)

    @property
    def chat_link(self) -> str:
        """The address that opens the chat page in a browser. It has a secret in it."""
        return self.system.chat.session.link(self.chat_url)


class PortTakenError(Exception):
    """The text says which port, and the way out."""


@contextmanager
def serving(address: str, port: int = 0, *, history: bool = True) -> Iterator[Served]:
    """The whole system on `address`, at work: the admin page on `port`, the chat server on the one after it, and the
    sample guilds, with a day that they have lived through if there is to be a history. Port 0 is any two.

    Raises PortTakenError before anything is started.
    """
    for taken in filter(None, (port, port and port + 1)):
        _check_free(address, taken)
    # All AWS servers of a process share their queues and buckets, so only a system on known ports has known names.
    name = "guildhook" if port else None
    with (
        servers(address) as running,
        stack(running, name=name, chat_port=port and port + 1) as system,
        http_api(system.admin_handler, admin_secret(system), address, port) as admin_url,
    ):
        system.chat.admin_url = admin_url
        for origin in (admin_url, _SAM_LOCAL_ORIGIN):
            system.issuer.allow(f"{origin}/signed-in")
            system.admitted.origins.add(origin)
        add_sample_guilds(system)
        install_sample_plugins(system, admin_url)
        if history:
            live_through_a_day(system)
        with system.mapping.running(), system.compile_mapping.running():
            yield Served(system, admin_url, len(system.chat.replies()))


def admin_secret(system: Stack) -> SecretCheck:
    """The secrets of the admin page and its API: a browser has the session, and other clients have a token."""
    return EitherSecret(BearerToken(system.issuer.has_signed), system.chat.session)


def missing_pages() -> list[str]:
    """The pages that `make page` has still to build."""
    return [name for name, index in _PAGES.items() if not index.is_file()]


def _check_free(address: str, port: int) -> None:
    try:
        bound(address, port).close()
    except OSError as error:
        raise PortTakenError(
            f"cannot listen on {address}, port {port}: {error.strerror}; "
            f"`guildhook serve --port {port + 10}` uses that port and the next one"
        ) from None


def write_environment(file: Path, system: Stack) -> None:
    """Let containers use the servers of the system, and write a file for `sam local --env-vars`.

    A file beside it, `credentials`, is for AWS_SHARED_CREDENTIALS_FILE: sam local gives functions the credentials that
    it has itself, and no others. Only the user can read the files. Raises OSError.
    """
    system.admitted.hosts.add(CONTAINERS_NAME_OF_THE_HOST)
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    keys = system.aws.keys
    credentials = (
        f"[{SAM_LOCAL_PROFILE}]\naws_access_key_id = {keys.access_key_id}\n"
        f"aws_secret_access_key = {keys.secret_access_key}\n"
    )
    replace_file(file, f"{json.dumps(container_environment(system), indent=2)}\n".encode(), private=True)
    replace_file(file.with_name("credentials"), credentials.encode(), private=True)


def container_environment(system: Stack) -> dict[str, dict[str, str]]:
    """Return the variables of all functions. sam local passes on to each function the variables that the template
    declares for it. An address other than the loopback's is the same for containers and browsers.
    """
    variables = {
        name: _LOOPBACK.sub(CONTAINERS_NAME_OF_THE_HOST, value)
        for name, value in system.environment.items()
        if name not in _NOT_FOR_CONTAINERS
    }
    return {"Parameters": {"GUILDHOOK_DATABASE_IAM": "false", **variables}}


def converse(served: Served, typed: int | None, show: Callable[[str, str], None], interrupted: threading.Event) -> None:
    """Send each line of the file descriptor `typed` to the channel, and show the names and messages of bots."""
    system, seen = served.system, served.replies_before
    sources, begun = [] if typed is None else [typed], b""
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
