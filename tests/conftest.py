import gc
import os
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir
from typing import Any, LiteralString
from uuid import uuid4

import psycopg
import pytest
from fasteners import InterProcessReaderWriterLock
from hypothesis.configuration import set_hypothesis_home_dir
from psycopg import sql

import samples
from guildhook.model import Message, RunResult
from guildhook.sandbox import Engine, Limits, LoadedModule, LoadedPlugin, Sandbox, inspect
from guildhook_local.aws import Aws
from guildhook_local.chat_server import ChatServer
from guildhook_local.postgres import created_database
from guildhook_local.stack import Servers, Stack, servers, stack
from requirement import skipped_without
from samples import MESSAGE, PLUGIN_ID, TIME
from suite_order import ordered
from suite_times import SuiteTimes


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--times", action="store_true", help="list the slowest tests and fixtures at the end")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("times"):
        config.pluginmanager.register(SuiteTimes())
    # Hypothesis keeps data derived from the source there; its database of examples is off.
    if config.pluginmanager.has_plugin("cacheprovider"):
        set_hypothesis_home_dir(config.cache.mkdir("hypothesis"))
    else:
        home = TemporaryDirectory(prefix="guildhook-hypothesis-")
        config.add_cleanup(home.cleanup)
        set_hypothesis_home_dir(home.name)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    items[:] = ordered(items, getattr(config, "workerinput", {}).get("workercount", 1))


def pytest_collection_finish() -> None:
    # Modules and tests stay until the end, so no garbage collection has to look at them. That saves a tenth of the CPU.
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def network() -> InterProcessReaderWriterLock:
    """A lock on the network interfaces of this machine, which all processes of this user share."""
    return InterProcessReaderWriterLock(Path(gettempdir()) / f".guildhook-network-{os.getuid()}.lock")


@pytest.fixture
def steady_network(network: InterProcessReaderWriterLock) -> Iterator[None]:
    """A test that opens pages needs it: Chromium ends all its requests with ERR_NETWORK_CHANGED when a container adds
    an interface (https://issues.chromium.org/issues/41465264).
    """
    with network.read_lock():
        yield


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Playwright's Chromium, once for each process: a thread cannot have two of Playwright's synchronous drivers."""
    from browser.browsing import BrowserMissingError, chromium, started_browser  # noqa: PLC0415 - most tests need none

    with skipped_without(BrowserMissingError, "GUILDHOOK_BROWSER"):
        chromium()
    with started_browser() as browser:
        yield browser


@pytest.fixture(scope="session")
def engine() -> Engine:
    return Engine()


@pytest.fixture(scope="session")
def running() -> Iterator[Servers]:
    """Postgres and moto, once for each process of the test run."""
    with servers() as running:
        yield running


@pytest.fixture
def aws(running: Servers) -> Aws:
    return running.aws


@pytest.fixture
def events() -> list[Mapping[str, Any]]:
    """The messages that `chat_server` has put on its queue."""
    return []


@pytest.fixture
def chat_server(events: list[Mapping[str, Any]]) -> ChatServer:
    """A chat server that is not running yet."""
    return ChatServer(samples.SERVICE_TOKEN, events.append)


@pytest.fixture
def default_interrupt() -> Iterator[None]:
    """Python's own handler of SIGINT; a shell that starts the tests in the background has the signal ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def empty_database(running: Servers) -> Iterator[str]:
    """The URL of a new database without tables."""
    with created_database(running.postgres_url, f"test-{uuid4().hex}") as url:
        yield url


@pytest.fixture
def migrated_database(running: Servers) -> Iterator[str]:
    """The URL of a new database with every migration applied. It is copied from one that was migrated once."""
    with created_database(running.postgres_url, f"test-{uuid4().hex}", running.template) as url:
        yield url


@pytest.fixture
def role(running: Servers) -> Iterator[str]:
    """A name that no role of the server has yet, and none without quotes can have. Ask for it before the database in
    which it gets privileges: it goes after that.
    """
    name = f'the "role" {uuid4().hex}'
    yield name
    with psycopg.connect(running.postgres_url, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(sql.Identifier(name)))


@contextmanager
def _impatient_stack(running: Servers) -> Iterator[Stack]:
    """A new stack whose queues return failed messages at once."""
    environment = {"GUILDHOOK_LIMITS__DEADLINE_MS": str(samples.DEADLINE_MS), "GUILDHOOK_RETRY_SECONDS": "0"}
    with stack(running, visibility_timeout_seconds=0, max_receive_count=3, environment=environment) as system:
        yield system


@pytest.fixture
def system(running: Servers) -> Iterator[Stack]:
    """A stack for a test that breaks a part of it, or that looks at all of its database, queue, bucket or messages."""
    with _impatient_stack(running) as system:
        yield system


@pytest.fixture(scope="module")
def shared_system(running: Servers) -> Iterator[Stack]:
    """A stack that the tests of a file share. Each of them has a guild of its own and looks at nothing else."""
    with _impatient_stack(running) as system:
        yield system


@pytest.fixture
def query(system: Stack) -> Iterator[Callable[[LiteralString], list[tuple[Any, ...]]]]:
    """Runs a statement in the system's database."""
    with psycopg.connect(system.database_url, autocommit=True) as connection:

        def query(statement: LiteralString) -> list[tuple[Any, ...]]:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

        yield query


@pytest.fixture
def load(engine: Engine, tmp_path: Path) -> Callable[[bytes], LoadedModule]:
    def load(wasm: bytes) -> LoadedModule:
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.cwasm"
        path.write_bytes(engine.compile_here(wasm))
        return engine.load(path, inspect(wasm).memories)

    return load


@pytest.fixture
def run(engine: Engine, load: Callable[[bytes], LoadedModule]) -> Callable[..., RunResult]:
    """Runs a plugin, with SEND_MESSAGES granted unless `permissions` say otherwise."""

    def run(
        wasm: bytes | LoadedModule,
        permissions: frozenset[str] = frozenset({"SEND_MESSAGES"}),
        settings: dict[str, Any] | None = None,
        limits: Limits | None = None,
        seed: int = 1,
        message: Message = MESSAGE,
        now: datetime = TIME,
        state: Mapping[str, str] | None = None,
    ) -> RunResult:
        module = load(wasm) if isinstance(wasm, bytes) else wasm
        plugin = LoadedPlugin(PLUGIN_ID, module, permissions, limits or samples.limits())
        return Sandbox(engine).run(plugin, message, settings or {}, now, seed, state or {})

    return run
