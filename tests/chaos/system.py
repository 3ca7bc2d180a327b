"""The running system of a test: the embedded stack behind proxies, guilds with plugins, and handlers."""

import json
import resource
import signal
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import datetime
from functools import wraps
from hashlib import sha256
from random import Random
from time import monotonic, sleep, time
from typing import Any, Literal, LiteralString
from unittest.mock import patch
from urllib.parse import urlsplit
from uuid import UUID

import psycopg
from moto import backends
from moto.sqs.models import Message, Queue, SQSBackend, sqs_backends
from psycopg import sql
from psycopg.conninfo import make_conninfo

import samples
from chaos.account import COUNTER, ECHO, FinalState, TypedMessage, plugins_of
from chaos.faults import Fault
from chaos.handlers import Handlers
from chaos.proxy import Mode, Proxy, proxies
from guildhook.errors import InfrastructureError
from guildhook_local.aws import aws_server
from guildhook_local.chat_server import Fault as ChatFault
from guildhook_local.function import LambdaContext
from guildhook_local.guard import Admitted
from guildhook_local.postgres import Postgres, create_migrated_template, restartable_postgres
from guildhook_local.stack import COMPILE_PLUGIN, MIGRATIONS, ON_MESSAGE, LocalGuild, Servers, Stack, stack
from project import ROOT
from wasm import section
from wat import TRAPS, on_message, plugin

_COUNTER_WASM = ROOT / "plugins" / "counter" / "counter.wasm"
_COUNTERS = 3
"""Different modules of the same code: a handler that starts cold has more than one to fetch."""
_BATCH = 10
_SWEEP_SECONDS = 2
_NO_LIMIT = str(10**9)
_SETTINGS = {
    # Seconds stand for the minutes of production.
    "GUILDHOOK_RETRY_SECONDS": "1",
    "GUILDHOOK_LONGEST_RETRY_SECONDS": "4",
    "GUILDHOOK_REQUEUE_AFTER_SECONDS": "5",
    "GUILDHOOK_COMPILE_SECONDS": "2",
    # These limits would delay well-formed messages.
    "GUILDHOOK_GUILD_FUEL_PER_MINUTE": str(2**53),
    "GUILDHOOK_GUILD_SENDS_PER_MINUTE": _NO_LIMIT,
    "GUILDHOOK_GUILD_LOG_BYTES_PER_MINUTE": str(2**53),
    "GUILDHOOK_QUARANTINE_FAILURES_IN_A_ROW": _NO_LIMIT,
    "GUILDHOOK_QUARANTINE_FAILURES_IN_AN_HOUR": _NO_LIMIT,
    # The deadline is wall time, and the machine is busy.
    "GUILDHOOK_LIMITS__DEADLINE_MS": str(samples.DEADLINE_MS),
}

# The mode of a proxy for each kind of fault.
_MODES = {
    "postgres-refuses": Mode.REFUSE,
    "postgres-hangs": Mode.HANG,
    "postgres-answers-lost": Mode.SWALLOW,
    "chat-refuses": Mode.REFUSE,
    "chat-dies-after-storing": Mode.SWALLOW,
    "s3-503": Mode.UNAVAILABLE,
    "s3-refuses": Mode.REFUSE,
    "s3-hangs": Mode.HANG,
    "sqs-answers-lost": Mode.SWALLOW,
}

# These faults end by time, not after a number of sends.
_SENDS = 10**6
_CHAT_FAULTS = {
    "chat-hangs": ChatFault(_SENDS, delay_seconds=7),
    "chat-500": ChatFault(_SENDS, status=500),
    "chat-429": ChatFault(_SENDS, status=429, retry_after_seconds=1),
    "chat-500-after-storing": ChatFault(_SENDS, after_storing=True),
}


# A limit of the processes that compile.
_COMPILE_LIMITS = {
    # Less than a process that compiles wants to have, and more than one of the function has.
    "compile-no-memory": (resource.RLIMIT_AS, 7 * 2**27),
    "compile-disk-full": (resource.RLIMIT_FSIZE, 0),
}
_COMPILE_SIGNALS = {"compile-killed": signal.SIGKILL, "compile-hangs": signal.SIGSTOP}
_COMPILE_TIMEOUT_SECONDS = 60

_LOCKED_TABLES = ("plugins", "plugin_runs", "plugin_intents", "plugin_state", "plugin_usage")
_LOCK_MODES = ("ACCESS EXCLUSIVE", "SHARE")
"""The first makes readers wait as well, the second only writers."""


class System:
    def __init__(
        self,
        stack: Stack,
        postgres: Postgres,
        proxies: Mapping[str, Proxy],
        handlers: Handlers,
        compilers: Handlers,
        guilds: Sequence[LocalGuild],
    ) -> None:
        self.stack = stack
        self.handlers = handlers
        self.compilers = compilers
        self.redriven = 0
        self._postgres = postgres
        self._proxies = proxies
        self._guilds = guilds
        self._sqs = stack.aws.client("sqs")
        self._background = ThreadPoolExecutor(1, thread_name_prefix="postgres")
        self._restarts: list[Future[None]] = []
        self._schedule = ThreadPoolExecutor(1, thread_name_prefix="schedule")
        self._sweep: Future[None] | None = None
        self._swept = 0.0
        self._compile_signals: list[signal.Signals] = []
        """The signals that every process that compiles receives now."""
        self._digests: Sequence[bytes] = ()
        """The digests of the wasm of all plugins."""
        self._messages: dict[str, int] = {}
        """Numbers by id."""
        self._bodies: dict[str, int] = {}
        """Numbers of malformed events."""
        self._plugins: dict[UUID, str] = {}
        self._guild_of_plugin: dict[UUID, int] = {}

    def install(self) -> None:
        """Install the plugins of all guilds, and compile them."""
        installed = set()
        for number, guild in enumerate(self._guilds):
            for name in sorted(plugins_of(number)):
                wasm = _wasm(name, number, guild)
                plugin_id = self.stack.install(guild, name, wasm, {"SEND_MESSAGES"})
                self._plugins[plugin_id], self._guild_of_plugin[plugin_id] = name, number
                installed.add(wasm)
        for wasm in installed:
            self.stack.compile(wasm)
        self._digests = [sha256(wasm).digest() for wasm in installed]

    def event(self, said: TypedMessage) -> tuple[str, str]:
        """Return the body of an event and its message group."""
        guild = self._guilds[said.guild]
        if said.malformed:
            body = json.dumps({"type": "message.created", "number": said.number})
            self._bodies[body] = said.number
            return body, str(guild.id)
        event = samples.event(guild.id, guild.channel_id, content=f"!count {said.number}", **said.fields)
        self._messages[event["message"]["id"]] = said.number
        return json.dumps(event), str(guild.id)

    def publish(self, events: Sequence[tuple[str, str]], delay_seconds: int = 0) -> None:
        for start in range(0, len(events), _BATCH):
            entries = [
                {"Id": str(i), "MessageBody": body, "MessageGroupId": group, "DelaySeconds": delay_seconds}
                for i, (body, group) in enumerate(events[start : start + _BATCH])
            ]
            answer = self._sqs.send_message_batch(QueueUrl=self.stack.queue.url, Entries=entries)
            assert not answer.get("Failed"), answer

    def begin(self, fault: Fault, random: Random) -> Callable[[], None] | None:
        """Begin a fault. Returns a function that ends it, or None if it ends by itself."""
        mode = _MODES.get(fault.kind)
        if mode:
            proxy = self._proxies[fault.kind.split("-")[0]]
            proxy.enter(mode)
            if fault.kind.startswith("s3"):
                self.handlers.kill_one(random)
            return lambda: proxy.enter(Mode.PASS)
        if fault.kind in _CHAT_FAULTS:
            self.stack.chat.inject(_CHAT_FAULTS[fault.kind])
            return self.stack.chat.recover
        if fault.kind == "postgres-table-locked":
            return self._lock_table(random)
        if fault.kind in _COMPILE_SIGNALS:
            number = _COMPILE_SIGNALS[fault.kind]
            self._compile_signals.append(number)
            self._forget_artifacts()
            return lambda: self._end_compile_signals(number)
        if fault.kind in _COMPILE_LIMITS:
            return self._limited(self.compilers, *_COMPILE_LIMITS[fault.kind], then=self._forget_artifacts)
        if fault.kind == "cache-disk-full":
            return self._limited(self.handlers, resource.RLIMIT_FSIZE, 0, then=self.handlers.kill_all)
        kill_all = self.handlers.kill_all
        acts: dict[str, Callable[[], None]] = {
            "handler-killed": lambda: self.handlers.kill_one(random),
            "handler-killed-in-batch": lambda: self.handlers.heard.kill_in_batch(random.uniform(0, 0.08)),
            "handlers-killed-as-chat-answers": lambda: self._proxies["chat"].at_next_answer(kill_all),
            "handlers-killed-as-postgres-answers": lambda: self._proxies["postgres"].at_next_answer(kill_all),
            "postgres-restarted": lambda: self._restart("fast", fault.seconds),
            "postgres-crashed": lambda: self._restart("immediate", fault.seconds),
            "postgres-cut": self._proxies["postgres"].cut,
            "chat-cut": self._proxies["chat"].cut,
            "visibility-jump": self.make_visible,
        }
        acts[fault.kind]()
        return None

    def keep(self) -> None:
        """Replace processes that have ended, and let faults reach the processes that compile."""
        self.handlers.keep()
        self.compilers.keep()
        for number in self._compile_signals:
            self.compilers.signal_compiles(number)

    def restarted(self) -> bool:
        """True if no restart of Postgres is in progress. Raises the error of a restart that failed."""
        for restart in [restart for restart in self._restarts if restart.done()]:
            restart.result()
            self._restarts.remove(restart)
        return not self._restarts

    def sweep(self) -> None:
        """Sweep repeatedly, as the schedule does, but more often."""
        if self._sweep is None or (self._sweep.done() and monotonic() - self._swept > _SWEEP_SECONDS):
            self._swept = monotonic()
            self._sweep = self._schedule.submit(self._sweep_once)

    def _sweep_once(self) -> None:
        with suppress(InfrastructureError):  # the next sweep tries again
            self.stack.sweep_handler({}, LambdaContext("sweep", "chaos", monotonic() + 60))

    def quiet(self) -> bool:
        """True if the queue is empty, and Postgres has no pending messages."""
        return not self.queued() and not self._count("SELECT count(*) FROM plugin_intents WHERE state = 'pending'")

    def queued(self) -> int:
        """Events in the queue, visible or not."""
        names = [f"ApproximateNumberOfMessages{which}" for which in ("", "NotVisible", "Delayed")]
        answer = self._sqs.get_queue_attributes(QueueUrl=self.stack.queue.url, AttributeNames=names)
        return sum(map(int, answer["Attributes"].values()))

    def redrive(self) -> int:
        """Move well-formed messages back to the queue, as an operator does. Returns their number."""
        moved = 0
        for message in self._dead_letters():
            if message["Body"] not in self._bodies:
                self.publish([(message["Body"], message["Attributes"].get("MessageGroupId", "redriven"))])
                self._sqs.delete_message(
                    QueueUrl=self.stack.queue.dead_letter_url, ReceiptHandle=message["ReceiptHandle"]
                )
                moved += 1
        self.redriven += moved
        return moved

    def find(self) -> FinalState:
        """Raises psycopg.Error."""
        replies: Counter[tuple[int, str]] = Counter()
        counts: dict[int, list[int]] = {}
        guild_of = {str(guild.channel_id): number for number, guild in enumerate(self._guilds)}
        for message in self.stack.chat.replies():
            number, plugin_name, count = reply(message["content"])
            replies[number, plugin_name] += 1
            if plugin_name == COUNTER:
                counts.setdefault(guild_of[message["channel_id"]], []).append(count)
        with psycopg.connect(self.stack.database_url, autocommit=True) as connection:
            runs: dict[tuple[int, str], list[str]] = {}
            for message_id, plugin_id, outcome in connection.execute(
                "SELECT message_id, plugin_id, outcome FROM plugin_runs"
            ):
                runs.setdefault((self._messages[str(message_id)], self._plugins[plugin_id]), []).append(outcome)
            states = {
                self._guild_of_plugin[plugin_id]: int(count)
                for plugin_id, count in connection.execute("SELECT plugin_id, entries->>'count' FROM plugin_state")
            }
        return FinalState(
            replies=replies,
            counts=counts,
            states=states,
            runs=runs,
            skipped={self._messages[id_] for id_ in self.handlers.heard.skipped_messages if id_ in self._messages},
            dead=Counter(self._number(message["Body"]) for message in self._dead_letters()),
            undelivered=self._count("SELECT count(*) FROM plugin_intents WHERE state <> 'delivered'"),
            queued=self.queued(),
        )

    def window_ms(self) -> list[float]:
        """Return the sorted times, in ms, from the storing of each message to the record of its delivery."""
        with psycopg.connect(self.stack.database_url) as connection:
            delivered = connection.execute(
                "SELECT detail, updated_at FROM plugin_intents WHERE state = 'delivered'"
            ).fetchall()
        stored = {message["id"]: datetime.fromisoformat(message["created_at"]) for message in self.stack.chat.replies()}
        return sorted((written - stored[id_]).total_seconds() * 1000 for id_, written in delivered)

    def close(self) -> None:
        """Close the system at once, without waiting for work that is under way."""
        for processes in (self.handlers, self.compilers):
            processes.kill_all()
            processes.close()
        self._background.shutdown()
        self._schedule.shutdown()

    def _lock_table(self, random: Random) -> Callable[[], None] | None:
        """Lock a table that batches need. Returns a function that releases it; None if Postgres is being restarted."""
        lock = sql.SQL("LOCK TABLE {} IN {} MODE").format(
            sql.Identifier(random.choice(_LOCKED_TABLES)), sql.SQL(random.choice(_LOCK_MODES))
        )
        try:
            holder = psycopg.connect(self.stack.database_url)
            holder.execute(lock)
        except psycopg.OperationalError:
            return None
        return holder.close

    def _forget_artifacts(self) -> None:
        """Let all plugins be compiled again, as after an update of wasmtime."""
        with suppress(psycopg.OperationalError), psycopg.connect(self.stack.database_url) as connection:
            connection.execute("SET lock_timeout = '1s'")
            connection.execute("DELETE FROM plugin_artifacts")
        with suppress(InfrastructureError):  # the handlers ask as well
            self.stack.compile_queue.ask(self._digests)
        self.handlers.kill_all()

    def _end_compile_signals(self, number: signal.Signals) -> None:
        self._compile_signals.remove(number)
        self.compilers.signal_compiles(signal.SIGCONT)

    def _limited(self, processes: Handlers, kind: int, value: int, then: Callable[[], None]) -> Callable[[], None]:
        processes.limit(kind, value)
        then()
        return lambda: processes.end_limit(kind)

    def _restart(self, mode: Literal["fast", "immediate"], seconds: float) -> None:
        def restart() -> None:
            self._postgres.stop(mode)
            sleep(seconds)
            self._postgres.start()

        self._restarts.append(self._background.submit(restart))

    def make_visible(self) -> None:
        """Make all messages in flight visible, as if their visibility timeouts were over."""
        queue = _backend(self.stack.queue.url)
        with queue._messages_lock:
            for message in queue._messages:
                message.visible_at = 0

    def _dead_letters(self) -> list[dict[str, Any]]:
        """Receive all dead letters. Other receivers do not see them for ten minutes."""
        queue = _backend(self.stack.queue.dead_letter_url)
        with queue._messages_lock:
            for message in queue._messages:
                message.visible_at = 0
        found: list[dict[str, Any]] = []
        while messages := self._sqs.receive_message(
            QueueUrl=self.stack.queue.dead_letter_url,
            MaxNumberOfMessages=_BATCH,
            VisibilityTimeout=600,
            MessageSystemAttributeNames=["All"],
        ).get("Messages"):
            found += messages
        return found

    def _count(self, query: LiteralString) -> int:
        with psycopg.connect(self.stack.database_url, autocommit=True) as connection:
            row = connection.execute(query).fetchone()
        return row[0] if row else 0

    def _number(self, body: str) -> int:
        return self._bodies[body] if body in self._bodies else self._messages[json.loads(body)["message"]["id"]]


def reply(content: str) -> tuple[int, str, int]:
    """Return the number of the message that a reply answers, the plugin, and the value of the counter."""
    if content.startswith("{"):
        return int(json.loads(content)["content"].split()[1]), ECHO, 0
    count, number = content.split()
    return int(number), COUNTER, int(count)


@contextmanager
def running(
    guilds: int, handlers: int, function_timeout_seconds: float, visibility_timeout_seconds: int
) -> Iterator[System]:
    admitted = Admitted()
    with (
        _moto_made_for_load(),
        restartable_postgres() as postgres,
        aws_server(admitted=admitted) as aws,
        stack(
            Servers(postgres.url, aws, create_migrated_template(postgres.url, MIGRATIONS), admitted=admitted),
            visibility_timeout_seconds,
            environment=_SETTINGS,
        ) as parts,
        proxies(
            {
                "postgres": postgres.socket,
                "chat": _address(parts.environment["GUILDHOOK_CHAT_API_URL"]),
                "s3": _address(aws.endpoint),
                "sqs": _address(aws.endpoint),
            }
        ) as ways,
    ):
        admitted.hosts.update(urlsplit(_url(ways[name])).netloc for name in ("chat", "s3", "sqs"))
        queue_url = _url(ways["sqs"]) + urlsplit(parts.queue.url).path
        environment = {
            **parts.environment,
            "GUILDHOOK_DATABASE_URL": make_conninfo(
                parts.database_url, host="127.0.0.1", port=ways["postgres"].port, sslmode="disable"
            ),
            "GUILDHOOK_CHAT_API_URL": _url(ways["chat"]),
            "GUILDHOOK_EVENT_QUEUE_URL": queue_url,
            "AWS_ENDPOINT_URL_S3": _url(ways["s3"]),
            "AWS_ENDPOINT_URL_SQS": _url(ways["sqs"]),
        }
        compile_queue_url = _url(ways["sqs"]) + urlsplit(parts.environment["GUILDHOOK_COMPILE_QUEUE_URL"]).path
        system = System(
            parts,
            postgres,
            ways,
            Handlers(ON_MESSAGE, environment, queue_url, handlers, function_timeout_seconds),
            Handlers(COMPILE_PLUGIN, environment, compile_queue_url, 1, _COMPILE_TIMEOUT_SECONDS),
            [parts.add_guild() for _ in range(guilds)],
        )
        try:
            system.install()
            yield system
        finally:
            system.close()


def _wasm(name: str, number: int, guild: LocalGuild) -> bytes:
    match name:
        case "counter":
            # An unused custom section makes a further module of the same code.
            return _COUNTER_WASM.read_bytes() + section(0, b"\x05chaos" + bytes([number % _COUNTERS]))
        case "echo":
            return _echo(str(guild.channel_id))
        case "trap":
            return TRAPS
    raise ValueError(f"no such plugin: {name}")


def _echo(channel_id: str) -> bytes:
    """Return a plugin that sends the whole message back."""
    send = (
        f"(call $send (i32.const 64) (i32.const {len(channel_id)}) (local.get $message) (local.get $length)"
        " (i32.const 16))"
    )
    return plugin(on_message(send, f'(data (i32.const 64) "{channel_id}")'))


def _address(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    assert parts.hostname
    assert parts.port
    return parts.hostname, parts.port


def _url(proxy: Proxy) -> str:
    return f"http://127.0.0.1:{proxy.port}"


def _backend(queue_url: str) -> Any:
    """Return moto's queue object, for operations that the API of SQS does not have."""
    *_, account, name = urlsplit(queue_url).path.split("/")
    return sqs_backends[account]["eu-central-1"].queues[name]


@contextmanager
def _moto_made_for_load() -> Iterator[None]:
    """Patch moto. Its queue loses an event that arrives while another is deleted, so requests change a queue in turn.
    With many events moto spends most of its time on reading clocks and its folders, so both are avoided.
    """

    def locked(owner: type, name: str, queue_of: Callable[..., Any]) -> AbstractContextManager[Any]:
        method = getattr(owner, name)

        @wraps(method)
        def call(*arguments: Any, **options: Any) -> Any:
            with queue_of(*arguments, **options)._messages_lock:  # a long poll releases it while it waits
                return method(*arguments, **options)

        return patch.object(owner, name, call)

    def named(backend: Any, queue_name: str, *_: Any, **__: Any) -> Any:
        return backend.get_queue(queue_name)

    folders = frozenset(backends.list_of_moto_modules())
    with (
        locked(Queue, "delete_message", lambda queue, *_: queue),
        locked(SQSBackend, "receive_message", named),
        locked(SQSBackend, "change_message_visibility", named),
        patch.object(Message, "visible", property(lambda message: message.visible_at < time() * 1000)),
        patch.object(Message, "delayed", property(lambda message: message.delayed_until > time() * 1000)),
        patch.object(backends, "list_of_moto_modules", lambda: folders),
    ):
        yield
