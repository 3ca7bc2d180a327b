"""A migrated database for each test, and the stores that connect to it."""

from contextlib import closing
from uuid import UUID, uuid4

import psycopg
import pytest

import wat
from guildhook.store import Database
from guildhook.store.compiling import CompileStore
from guildhook.store.events import EventStore
from guildhook.store.upkeep import UpkeepStore
from guildhook_local.direct_install import install_plugin
from run_records import record, save, sending
from versions import add_version


@pytest.fixture
def database(migrated_database):
    with psycopg.connect(migrated_database, autocommit=True) as connection:
        yield connection


@pytest.fixture
def store(migrated_database, database):
    with closing(EventStore(Database(migrated_database))) as store:
        yield store


@pytest.fixture
def compiles(migrated_database, database):
    with closing(CompileStore(Database(migrated_database))) as store:
        yield store


@pytest.fixture
def upkeep(migrated_database, database):
    with closing(UpkeepStore(Database(migrated_database))) as store:
        yield store


@pytest.fixture
def guild(database) -> UUID:
    return database.execute("INSERT INTO guilds DEFAULT VALUES RETURNING id").fetchone()[0]


@pytest.fixture
def channel(database, guild) -> UUID:
    return database.execute("INSERT INTO channels (guild_id) VALUES (%s) RETURNING id", [guild]).fetchone()[0]


@pytest.fixture
def installed(database, store, guild):
    install_plugin(database, guild, "silent", wat.SILENT, {"a": 1}, ["SEND_MESSAGES"])
    return store.snapshot([guild], [], "engine").plugins[guild][0]


@pytest.fixture
def shadowed(store, database, guild, installed):
    """The live version of a plugin, and the one that shadows it."""
    add_version(database, installed.id, wat.SILENT, live=True)
    add_version(database, installed.id, wat.TRAPS, shadow=True)
    live, shadow = store.snapshot([guild], [], "engine").plugins[guild]
    return live, shadow


@pytest.fixture
def pending(store, channel, installed):
    """Three messages with two answers each that are still to be sent."""
    runs = [record(installed, channel, sending(installed, m, channel, channel), m) for m in (uuid4() for _ in range(3))]
    save(store, *runs)
    return runs
