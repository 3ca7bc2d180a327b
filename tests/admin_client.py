"""A client of the admin API, which calls its handler with the events of an HTTP API."""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode
from uuid import UUID, uuid4

import psycopg
from psycopg.types.json import Jsonb

import wat
from guildhook.admin.endpoints import OPERATOR_PREFIX
from guildhook_local.function import Handler, LambdaContext
from guildhook_local.issuer import Person
from guildhook_local.stack import LocalGuild, Stack
from samples import http_request

PROBLEM = "application/problem+json"
OPERATOR_ID = UUID(int=7)


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def body(self) -> Any:
        return json.loads(self.text)

    @property
    def kind(self) -> str:
        """The kind of the problem. Fails if the answer is not a problem."""
        assert self.headers["Content-Type"] == PROBLEM
        assert self.body["status"] == self.status
        return str(self.body["type"]).removeprefix("urn:guildhook:problem:")

    def ok(self, status: int = 200) -> Any:
        """The body. Fails if the answer has another status."""
        assert self.status == status, self.text
        return self.body if self.text else None


@dataclass(frozen=True, slots=True)
class Client:
    handler: Handler
    token: str | None
    base: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)

    def ask(
        self,
        method: str,
        path: str = "",
        body: Any = None,
        query: Mapping[str, Any] | None = None,
        if_match: str | None = None,
        **headers: str,
    ) -> Answer:
        """`body` is sent as JSON unless it is text or bytes; `headers` have underscores for their hyphens."""
        event = http_request(method, self.base + path)
        event["headers"] |= {"content-type": "application/json", **self.headers}
        event["headers"] |= {name.replace("_", "-"): value for name, value in headers.items()}
        if self.token is not None:
            event["headers"]["authorization"] = f"Bearer {self.token}"
        if if_match is not None:
            event["headers"]["if-match"] = if_match
        if body is not None:
            event["body"] = body if isinstance(body, str) else json.dumps(body)
        if query:
            event["rawQueryString"] = urlencode(query)
            event["queryStringParameters"] = {name: str(value) for name, value in query.items()}
        return self.send(event)

    def send(self, event: dict[str, Any]) -> Answer:
        context = LambdaContext("admin_api", "request", deadline=time.monotonic() + 3_600)
        answer = self.handler(event, context)
        assert answer["headers"]["X-Content-Type-Options"] == "nosniff"
        return Answer(answer["statusCode"], answer["headers"], answer["body"] or "")

    def get(self, path: str = "", **query: Any) -> Answer:
        return self.ask("GET", path, query=query)

    def post(self, path: str, body: Any, **more: Any) -> Answer:
        return self.ask("POST", path, body, **more)

    def put(self, path: str, body: Any, if_match: str | None = None) -> Answer:
        return self.ask("PUT", path, body, if_match=if_match)

    def patch(self, path: str, body: Any, if_match: str | None = None) -> Answer:
        return self.ask("PATCH", path, body, if_match=if_match)

    def delete(self, path: str, if_match: str | None = None) -> Answer:
        return self.ask("DELETE", path, if_match=if_match)


@dataclass(frozen=True, slots=True)
class AdminSystem:
    """A guild of a stack, with its manager."""

    stack: Stack
    guild: LocalGuild
    manager_id: UUID

    @property
    def path(self) -> str:
        return f"/api/guilds/{self.guild.id}"

    def client(self, **claims: Any) -> Client:
        """A client that is signed in as the guild's manager. `claims` replace claims of the token."""
        token = self.stack.chat.issuer.issue(self.manager_id, "Ada", **claims)
        return Client(self.stack.admin_handler, token, self.path)

    def member(self, *permissions: str, guild: LocalGuild | None = None) -> Client:
        """A client that is signed in as another member, with these permissions in the guild or in another one."""
        user_id = uuid4()
        self.stack.chat.add_person(user_id, Person("Bob"))
        self.stack.chat.add_member((guild or self.guild).id, user_id, permissions)
        return Client(self.stack.admin_handler, self.stack.chat.issuer.issue(user_id, "Bob"), self.path)

    def operator(self, **claims: Any) -> Client:
        """A client that is signed in as an operator, who is a member of no guild. `claims` replace the token's."""
        token = self.stack.chat.issuer.issue_operator(OPERATOR_ID, "Olga", **claims)
        return Client(self.stack.admin_handler, token, OPERATOR_PREFIX)

    def execute(self, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.stack.database_url, autocommit=True) as connection:
            cursor = connection.execute(statement, parameters)
            return cursor.fetchall() if cursor.description else []

    def plugins(self, columns: str) -> list[tuple[Any, ...]]:
        """Columns of the guild's plugins."""
        return self.execute(f"SELECT {columns} FROM plugins WHERE guild_id = %s", self.guild.id)

    def add_version(
        self,
        plugin_id: str,
        wasm: bytes,
        state: str = "ready",
        needs: list[str] | None = None,
        schema: Mapping[str, Any] | None = None,
    ) -> int:
        """Insert a version that counts as checked. Returns its number."""
        ((number,),) = self.execute(
            """INSERT INTO plugin_versions (plugin_id, number, state, wasm_sha256, wasm_bytes, wasm_blob, needs,
                                            settings_schema, created_by)
               SELECT %s, 1 + coalesce(max(number), 0), %s, sha256(%s), length(%s), %s, %s, %s, ''
               FROM plugin_versions WHERE plugin_id = %s
               RETURNING number""",
            plugin_id,
            state,
            wasm,
            wasm,
            wasm if state == "ready" else None,
            Jsonb(needs or []),
            None if schema is None else Jsonb(schema),
            plugin_id,
        )
        return int(number)


def admin_system(stack: Stack) -> AdminSystem:
    guild, manager_id = stack.add_guild(), uuid4()
    stack.chat.add_guild(guild.id, "Reef")
    stack.chat.add_person(manager_id, Person("Ada"))
    stack.chat.add_member(guild.id, manager_id, ["MANAGE_GUILD"])
    return AdminSystem(stack, guild, manager_id)


def add_plugin(admin: AdminSystem) -> dict[str, str]:
    """A plugin with a version, a secret and a run. Returns the parameters of all paths of the API by name."""
    client = admin.client()
    plugin_id = client.post("/plugins", {"name": "Greeter"}).ok(201)["id"]
    path = f"/plugins/{plugin_id}"
    number = admin.add_version(plugin_id, wat.SILENT, needs=["SEND_MESSAGES"])
    live = {"version": number, "consent": ["SEND_MESSAGES"]}
    etag = client.put(f"{path}/live", live, client.get(path).ok()["etag"]).ok()["etag"]
    client.put(f"{path}/secrets/token", {"value": "s3cret"}, etag).ok()
    ((run_id, message_id),) = admin.execute(
        """INSERT INTO plugin_runs (message_id, plugin_id, guild_id, outcome, detail, fuel_used, duration_us,
                                    host_calls, logs, seed, message_time, message)
           VALUES (gen_random_uuid(), %s, %s, 'ok', '', 1, 1, 0, '["hi"]', 1, now(), '{}') RETURNING id, message_id""",
        plugin_id,
        admin.guild.id,
    )
    ((version_id,),) = admin.execute("SELECT live_version_id FROM plugins WHERE id = %s", plugin_id)
    admin.stack.compile_queue.ask_versions([version_id])
    while admin.stack.compile_mapping.poll():
        pass
    return {
        "guild_id": str(admin.guild.id),
        "plugin_id": plugin_id,
        "number": str(number),
        "name": "token",
        "run_id": str(run_id),
        "message_id": str(message_id),
    }
