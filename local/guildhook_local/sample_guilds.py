"""The guilds of `guildhook serve`: people, plugins that an admin has uploaded, and a day of messages."""

import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, LiteralString
from uuid import UUID

import psycopg
import urllib3

from guildhook_local.issuer import Person
from guildhook_local.sample import CHANNEL_ID, GUILD_ID
from guildhook_local.stack import LocalGuild, Stack

_PLUGINS = Path(__file__).parents[2] / "plugins"

ADA = UUID("6a1d0000-0000-4000-8000-000000000004")
BEN = UUID("6a1d0000-0000-4000-8000-000000000005")
CLEO = UUID("6a1d0000-0000-4000-8000-000000000006")
OLGA = UUID("6a1d0000-0000-4000-8000-00000000000a")
TRIPS_CHANNEL_ID = UUID("6a1d0000-0000-4000-8000-000000000007")
LIGHTHOUSE_ID = UUID("6a1d0000-0000-4000-8000-000000000008")
LIGHTHOUSE_CHANNEL_ID = UUID("6a1d0000-0000-4000-8000-000000000009")

PEOPLE = {
    ADA: Person("Ada", "manages the guild Harbour"),
    BEN: Person("Ben", "is a member of both guilds, and manages none"),
    CLEO: Person("Cleo", "manages the guild Lighthouse"),
    OLGA: Person("Olga", "operates the installation with `guildhook admin`, and is a member of no guild"),
}
_MANAGES = ("MANAGE_GUILD", "SEND_MESSAGES")

_READY_SECONDS = 60
_HOURS = 24
_INSTALLED_HOURS_AGO = 30


@dataclass(frozen=True, slots=True)
class SamplePlugin:
    name: str
    description: str
    versions: tuple[Path, ...]
    """The first goes live."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    shadow: bool = False
    """True if the last version runs as a shadow of the live one."""


def harbour_plugins() -> Sequence[SamplePlugin]:
    split = _PLUGINS / "split"
    return (
        SamplePlugin("ping", "Answers !ping with pong.", (_PLUGINS / "ping" / "ping.wasm",)),
        SamplePlugin("counter", "Counts how often !count was asked.", (_PLUGINS / "counter" / "counter.wasm",)),
        SamplePlugin(
            "split",
            "Splits a bill: !split 90 4. Version 1 fails at !split 90 0; version 2 is mended, and tried as a shadow.",
            (split / "first.wasm", split / "split.wasm"),
            shadow=True,
        ),
        SamplePlugin(
            "welcome",
            "Answers !welcome with the greeting from its settings.",
            (_PLUGINS / "welcome" / "welcome.wasm",),
            settings={"greeting": "Welcome to Harbour. Mind the tide", "excited": True},
        ),
    )


LIGHTHOUSE_PLUGINS = (SamplePlugin("ping", "Answers !ping with pong.", (_PLUGINS / "ping" / "ping.wasm",)),)

_TALK = (
    (ADA, "hello everybody"),
    (BEN, "!ping"),
    (BEN, "!split 90 4"),
    (ADA, "!count"),
    (BEN, "is the ferry on time?"),
    (ADA, "!split 120 5"),
    (ADA, "!count again"),
    (BEN, "!welcome"),
    (BEN, "!split 64 3"),
)
_MISTAKE = (BEN, "!split 90 0")
_HOURS_OF_MISTAKES = frozenset({21, 14, 13, 6, 1})
_QUIET_HOURS = frozenset({19, 18, 17, 16})
_BETWEEN = timedelta(minutes=4)


def add_sample_guilds(system: Stack) -> None:
    """The guilds and people alone, as the chat server has them."""
    chat = system.chat
    for user_id, person in PEOPLE.items():
        chat.add_person(user_id, person)
    system.add_guild(LocalGuild(GUILD_ID, CHANNEL_ID), "Harbour")
    system.add_channel(GUILD_ID, TRIPS_CHANNEL_ID, "trips")
    system.add_guild(LocalGuild(LIGHTHOUSE_ID, LIGHTHOUSE_CHANNEL_ID), "Lighthouse")
    for guild_id, user_id, permissions in (
        (GUILD_ID, ADA, _MANAGES),
        (GUILD_ID, BEN, ("SEND_MESSAGES",)),
        (LIGHTHOUSE_ID, CLEO, _MANAGES),
        (LIGHTHOUSE_ID, BEN, ("SEND_MESSAGES",)),
    ):
        chat.add_member(guild_id, user_id, permissions)


def install_sample_plugins(system: Stack, admin_url: str) -> None:
    """As the admins would have done it, by the admin API; nothing else may take from the compile queue meanwhile."""
    with urllib3.PoolManager(retries=False) as http:
        ada = _Admin(system, http, admin_url, ADA, GUILD_ID)
        ada.change(f"/api/guilds/{GUILD_ID}", "PATCH", {"keep_content": True})
        for plugin in harbour_plugins():
            ada.install(plugin)
        cleo = _Admin(system, http, admin_url, CLEO, LIGHTHOUSE_ID)
        for plugin in LIGHTHOUSE_PLUGINS:
            cleo.install(plugin)
    # It would all have been done a moment ago, and the first runs are to come after it.
    ago = timedelta(hours=_INSTALLED_HOURS_AGO)
    with psycopg.connect(system.database_url) as connection:
        connection.execute("UPDATE plugins SET created_at = created_at - %(ago)s", {"ago": ago})
        connection.execute(
            "UPDATE plugin_versions SET created_at = created_at - %(ago)s, updated_at = updated_at - %(ago)s",
            {"ago": ago},
        )
        connection.execute("UPDATE plugin_audit SET at = at - %(ago)s", {"ago": ago})


def live_through_a_day(system: Stack) -> None:
    """Send the sample messages of a day, and let the plugins answer. Nothing else may receive from the queue meanwhile.

    Every run is a real one. But runs are recorded with the time at which they were made, which is now: so the rows of
    each hour are moved there, in this machine's database, or charts and lists would have a single moment to show.
    """
    for hours_ago in reversed(range(1, _HOURS)):
        if hours_ago not in _QUIET_HOURS:
            _live_through_an_hour(system, hours_ago)


def _live_through_an_hour(system: Stack, hours_ago: int) -> None:
    ago, began = timedelta(hours=hours_ago), datetime.now(UTC)
    count = 2 + hours_ago % 5
    talk = [_TALK[(hours_ago + i) % len(_TALK)] for i in range(count)]
    if hours_ago in _HOURS_OF_MISTAKES:
        talk.append(_MISTAKE)
    for i, (user_id, content) in enumerate(talk):
        channel_id = TRIPS_CHANNEL_ID if content.startswith("!split") else CHANNEL_ID
        system.chat.say_as(channel_id, user_id, content, began - ago + i * _BETWEEN)
    while system.mapping.poll():
        pass
    system.chat.date_replies(began)
    times = {"began": began, "ago": ago}
    with psycopg.connect(system.database_url) as connection:
        for move in _MOVES:
            connection.execute(move, times)


_MOVES: tuple[LiteralString, ...] = (
    "UPDATE plugin_runs SET created_at = message_time + interval '300 ms' WHERE created_at >= %(began)s",
    "UPDATE plugin_shadow_runs SET created_at = message_time + interval '300 ms' WHERE created_at >= %(began)s",
    "UPDATE plugin_intents SET updated_at = updated_at - %(ago)s WHERE updated_at >= %(began)s",
    "UPDATE plugin_usage SET hour = hour - %(ago)s WHERE hour >= date_trunc('hour', %(began)s)",
    "UPDATE plugin_health SET last_failed_at = last_failed_at - %(ago)s WHERE last_failed_at >= %(began)s",
)


class _Admin:
    """An admin who uses the admin API as its page does."""

    def __init__(self, system: Stack, http: urllib3.PoolManager, url: str, user_id: UUID, guild_id: UUID) -> None:
        self._system = system
        self._http = http
        self._url = url
        self._token = system.issuer.issue(user_id, PEOPLE[user_id].name)
        self._plugins = f"/api/guilds/{guild_id}/plugins"

    def install(self, sample: SamplePlugin) -> None:
        made = self._ask("POST", self._plugins, {"name": sample.name, "description": sample.description})
        plugin = f"{self._plugins}/{made['id']}"
        first, *later = sample.versions
        version = self._upload(plugin, first.read_bytes())
        live = {"version": version["number"], "consent": version["needs"], "settings": dict(sample.settings)}
        self.change(plugin, "PUT", live, "/live")
        for path in later:
            version = self._upload(plugin, path.read_bytes())
        if sample.shadow:
            self.change(plugin, "PUT", {"version": version["number"]}, "/shadow")

    def change(self, path: str, method: str, body: Mapping[str, Any], part: str = "") -> None:
        """Change a part of the resource at the path, with its current entity tag."""
        etag = self._ask("GET", path)["etag"]
        self._ask(method, path + part, body, {"If-Match": etag})

    def _upload(self, plugin: str, wasm: bytes) -> Mapping[str, Any]:
        """The version, once it is ready."""
        announced = {"wasm_sha256": hashlib.sha256(wasm).hexdigest(), "wasm_bytes": len(wasm)}
        created = self._ask("POST", f"{plugin}/versions", announced)
        version = f"{plugin}/versions/{created['version']['number']}"
        if upload := created["upload"]:
            fields = {**upload["fields"], "file": ("plugin.wasm", wasm, "application/wasm")}
            sent = self._http.request("POST", upload["url"], fields=fields)
            if sent.status >= 300:
                raise SampleError(f"the bucket answered {sent.status} to an upload")
            self._ask("POST", f"{version}/uploaded")
        ends = time.monotonic() + _READY_SECONDS
        found: Mapping[str, Any]
        while (found := self._ask("GET", version))["state"] != "ready":
            if found["state"] == "refused" or time.monotonic() > ends:
                raise SampleError(f"{version} is {found['state']}: {found['reasons']}")
            self._system.compile_mapping.poll()
        return found

    def _ask(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, headers: Mapping[str, str] | None = None
    ) -> Any:
        headers = {"Authorization": f"Bearer {self._token}", **(headers or {})}
        answer = self._http.request(method, self._url + path, json=body, headers=headers)
        if answer.status >= 300:
            raise SampleError(f"{method} {path} was answered with {answer.status}: {answer.data.decode()[:500]}")
        return answer.json() if answer.data else None


class SampleError(Exception):
    """The sample guild could not be made. The text says at which step."""
