"""The embedded stack: every part of guildhook on one machine, wired as template.yaml wires it in AWS."""

import json
import secrets
import tempfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import psycopg

from guildhook.aws.secrets import Secret
from guildhook.modules import ArtifactSigner, ArtifactSigningKeys, write_public_keys
from guildhook.store import Database
from guildhook.versions.compile_queue import CompileQueue
from guildhook_local.aws import Aws, QueueUrls, aws_server, create_bucket, create_queue, create_secret, tell_of_uploads
from guildhook_local.chat_page import page_routes
from guildhook_local.chat_server import ChatServer
from guildhook_local.direct_install import install_plugin
from guildhook_local.function import Handler, invoked_function, loaded_function
from guildhook_local.guard import Admitted
from guildhook_local.issuer import ALGORITHM, AUDIENCE, CLIENT_ID, OPERATOR_AUDIENCE, OPERATOR_GROUP, Issuer
from guildhook_local.lambda_api import lambda_api
from guildhook_local.poller import EventSourceMapping
from guildhook_local.postgres import create_migrated_template, created_database, postgres_server
from guildhook_local.web_server import check_reachable

_PROJECT = Path(__file__).parents[2]
MIGRATIONS = _PROJECT / "migrations"
FUNCTIONS = _PROJECT / "functions"
ON_MESSAGE = FUNCTIONS / "on_message"
SWEEP = FUNCTIONS / "sweep"
MIGRATE = FUNCTIONS / "migrate"
ADMIN_API = FUNCTIONS / "admin_api"
COMPILE_PLUGIN = FUNCTIONS / "compile_plugin"
TEST_RUN = FUNCTIONS / "test_run"
DEPLOY_STEPS = FUNCTIONS / "deploy_steps"
PREFLIGHT = FUNCTIONS / "preflight"
ERASE = FUNCTIONS / "erase"
_TEST_RUN_FUNCTION = "test_run"
_LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Servers:
    """Postgres and AWS; any number of stacks can use them, each with its own database, queue and bucket."""

    postgres_url: str
    aws: Aws
    template: str
    """The name of a migrated database, which each stack gets a copy of."""
    address: str = "127.0.0.1"
    """Where everything of them listens, a Unix socket aside."""
    admitted: Admitted = field(default_factory=Admitted)
    """The names and pages that may reach them and the servers of their stacks, besides their own."""


@dataclass(frozen=True, slots=True)
class LocalGuild:
    id: UUID = field(default_factory=uuid4)
    channel_id: UUID = field(default_factory=uuid4)


@dataclass(frozen=True, slots=True)
class Stack:
    database_url: str
    aws: Aws
    queue: QueueUrls
    bucket: str
    chat: ChatServer
    handler: Handler
    mapping: EventSourceMapping
    compile_handler: Handler
    compile_mapping: EventSourceMapping
    sweep_handler: Handler
    admin_handler: Handler
    test_run_handler: Handler
    erase_handler: Handler
    environment: Mapping[str, str]
    """The variables of the functions."""
    address: str
    """Where everything of it listens."""
    admitted: Admitted
    """The names and pages that may reach its servers besides their own."""

    @property
    def issuer(self) -> Issuer:
        return self.chat.issuer

    @property
    def database(self) -> Database:
        return Database(self.database_url)

    @property
    def signer(self) -> ArtifactSigner:
        """Signs artifacts with the key of its compile function."""
        name = self.environment["GUILDHOOK_SIGNING_SECRET"]
        return ArtifactSigner(Secret(self.aws.access, name, "GUILDHOOK_SIGNING_SECRET", ArtifactSigningKeys))

    @property
    def compile_queue(self) -> CompileQueue:
        return CompileQueue(self.aws.access, self.environment["GUILDHOOK_COMPILE_QUEUE_URL"])

    def add_guild(self, guild: LocalGuild | None = None, name: str | None = None) -> LocalGuild:
        """A guild with one channel, in the database and in the chat server; a new one unless it is given."""
        guild = guild or LocalGuild()
        with psycopg.connect(self.database_url, autocommit=True) as connection:
            connection.execute("INSERT INTO guilds (id) VALUES (%s)", [guild.id])
        self.chat.add_guild(guild.id, name or str(guild.id))
        self.add_channel(guild.id, guild.channel_id, "general")
        return guild

    def add_channel(self, guild_id: UUID, channel_id: UUID, name: str) -> None:
        """One more, of a guild that is there."""
        with psycopg.connect(self.database_url, autocommit=True) as connection:
            connection.execute("INSERT INTO channels (id, guild_id) VALUES (%s, %s)", [channel_id, guild_id])
        self.chat.add_channel(guild_id, channel_id, name)

    def install(
        self,
        guild: LocalGuild,
        name: str,
        wasm: bytes,
        permissions: Collection[str] = (),
        settings: Mapping[str, Any] | None = None,
    ) -> UUID:
        """Add a plugin to a guild, not compiled yet: `compile` does that, or its first message."""
        with psycopg.connect(self.database_url, autocommit=True) as connection:
            return install_plugin(connection, guild.id, name, wasm, settings or {}, permissions)

    def compile(self, wasm: bytes) -> None:
        """Request a compile of this wasm of an installed plugin, and let the compile function handle all requests."""
        self.compile_queue.ask([sha256(wasm).digest()])
        while self.compile_mapping.poll():
            pass

    def send_event(self, body: str, guild_id: UUID | None = None) -> None:
        """Put a body onto the queue as the chat server does."""
        group = {"MessageGroupId": str(guild_id)} if guild_id else {}
        self.aws.client("sqs").send_message(QueueUrl=self.queue.url, MessageBody=body, **group)


@contextmanager
def servers(address: str | None = None) -> Iterator[Servers]:
    """They listen on `address`; without one, on a Unix socket and 127.0.0.1, for this machine's processes.

    Raises InfrastructureError if a server cannot be reached, or has no folder for its data.
    """
    check_reachable(address or _LOOPBACK)
    with postgres_server(address) as postgres_url:
        address, admitted = address or _LOOPBACK, Admitted()
        with aws_server(address, admitted) as aws:
            yield Servers(postgres_url, aws, create_migrated_template(postgres_url, MIGRATIONS), address, admitted)


@contextmanager
def stack(
    servers: Servers,
    visibility_timeout_seconds: int = 360,
    max_receive_count: int = 10,
    environment: Mapping[str, str] | None = None,
    name: str | None = None,
    chat_port: int = 0,
) -> Iterator[Stack]:
    """A stack of its own on running servers. `environment` is added to the functions'. Raises OSError if the port of
    the chat server is taken; 0 is any.
    """
    name = name or f"guildhook-{uuid4().hex[:12]}"
    queue = create_queue(servers.aws, name, visibility_timeout_seconds, max_receive_count)
    compile_queue = create_queue(servers.aws, f"{name}-compile", visibility_timeout_seconds, max_receive_count)
    create_bucket(servers.aws, name)
    tell_of_uploads(servers.aws, name, compile_queue)
    service_token = secrets.token_urlsafe(32)
    create_secret(servers.aws, name, {"chat_api_token": service_token})
    create_secret(servers.aws, f"{name}-settings", {"settings_key": secrets.token_urlsafe(48)})
    signing_keys = ArtifactSigningKeys(signing_key=secrets.token_urlsafe(48))
    create_secret(servers.aws, f"{name}-signing", {"signing_key": signing_keys.signing_key})
    sqs = servers.aws.client("sqs")

    def publish(event: Mapping[str, Any]) -> None:
        sqs.send_message(QueueUrl=queue.url, MessageBody=json.dumps(event), MessageGroupId=event["guild_id"])

    chat = ChatServer(service_token, publish)
    with (
        created_database(servers.postgres_url, name, servers.template) as database_url,
        tempfile.TemporaryDirectory(prefix="guildhook-cache-") as cache_dir,
        tempfile.TemporaryDirectory(prefix="guildhook-trial-cache-") as trial_cache_dir,
        chat.running(servers.address, chat_port, page_routes(chat), servers.admitted) as chat_url,
    ):
        variables = {
            **servers.aws.environment,
            **_database_access(servers.aws, name, database_url),
            "GUILDHOOK_CHAT_API_URL": chat_url,
            "GUILDHOOK_CHAT_SECRET": name,
            "GUILDHOOK_SETTINGS_SECRET": f"{name}-settings",
            "GUILDHOOK_SIGNING_SECRET": f"{name}-signing",
            "GUILDHOOK_ARTIFACT_PUBLIC_KEYS": write_public_keys(signing_keys.public_keys),
            "GUILDHOOK_JWT_ISSUER": chat.issuer.url,
            "GUILDHOOK_JWT_ALGORITHM": ALGORITHM,
            "GUILDHOOK_JWT_AUDIENCE": AUDIENCE,
            "GUILDHOOK_JWT_CLIENT_ID": CLIENT_ID,
            "GUILDHOOK_OPERATOR_AUDIENCE": OPERATOR_AUDIENCE,
            "GUILDHOOK_OPERATOR_GROUP": OPERATOR_GROUP,
            "GUILDHOOK_ARTIFACT_BUCKET": name,
            "GUILDHOOK_COMPILE_QUEUE_URL": compile_queue.url,
            "GUILDHOOK_EVENT_QUEUE_URL": queue.url,
            "GUILDHOOK_UNMARKED_AUTHORS": "person",
            "GUILDHOOK_CACHE_DIR": cache_dir,
            "GUILDHOOK_TEST_RUN_FUNCTION": _TEST_RUN_FUNCTION,
            **(environment or {}),
        }
        with (
            invoked_function(TEST_RUN, {**variables, "GUILDHOOK_CACHE_DIR": trial_cache_dir}) as test_run_handler,
            lambda_api(
                {_TEST_RUN_FUNCTION: test_run_handler}, servers.aws.keys, servers.address, servers.admitted
            ) as lambda_url,
            # This one is created now, since the time of its start is not a message's time.
            loaded_function(ON_MESSAGE, variables := {**variables, "AWS_ENDPOINT_URL_LAMBDA": lambda_url}) as handler,
            invoked_function(COMPILE_PLUGIN, variables) as compile_handler,
            invoked_function(SWEEP, variables) as sweep_handler,
            invoked_function(ADMIN_API, variables) as admin_handler,
            invoked_function(ERASE, variables) as erase_handler,
        ):
            yield Stack(
                database_url=database_url,
                aws=servers.aws,
                queue=queue,
                bucket=name,
                chat=chat,
                handler=handler,
                mapping=EventSourceMapping(sqs, queue.url, "on_message", handler),
                compile_handler=compile_handler,
                compile_mapping=EventSourceMapping(
                    sqs, compile_queue.url, "compile_plugin", compile_handler, batch_size=1
                ),
                sweep_handler=sweep_handler,
                admin_handler=admin_handler,
                test_run_handler=test_run_handler,
                erase_handler=erase_handler,
                environment=variables,
                address=servers.address,
                admitted=servers.admitted,
            )


def _database_access(aws: Aws, name: str, url: str) -> Mapping[str, str]:
    """Variables of the functions. A password is in a secret, as in AWS."""
    parts = urlsplit(url)
    if not parts.password:
        return {"GUILDHOOK_DATABASE_URL": url}
    secret = f"{name}-database"
    create_secret(aws, secret, {"username": str(parts.username), "password": parts.password})
    without = parts._replace(netloc=f"{parts.username}@{parts.netloc.rpartition('@')[2]}").geturl()
    return {
        "GUILDHOOK_DATABASE_URL": without,
        "GUILDHOOK_DATABASE_SECRET": secret,
        # Only migrate reads these, and creates the role. All functions share one role here.
        **{f"GUILDHOOK_DATABASE_{of}ROLE": f"{name}-functions" for of in ("", "COMPILE_", "SWEEP_", "ADMIN_")},
    }
