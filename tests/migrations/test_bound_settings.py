"""The bound for the settings and secrets of a guild, which triggers keep for everybody who saves."""

from uuid import uuid4

import psycopg
import pytest
from psycopg.types.json import Jsonb

from guildhook.store.admin import MOST_READ_BYTES

HALF = {"a": "x" * (MOST_READ_BYTES // 2)}


def insert(database, guild_id, settings):
    plugin_id = uuid4()
    database.execute(
        "INSERT INTO plugins (id, guild_id, name, wasm_blob, config) VALUES (%s, %s, 'p', '', %s)",
        [plugin_id, guild_id, Jsonb(settings)],
    )
    return plugin_id


def write(database, plugin_id, settings):
    database.execute("UPDATE plugins SET config = %s WHERE id = %s", [Jsonb(settings), plugin_id])


def seal(database, plugin_id, size):
    database.execute(
        """INSERT INTO plugin_secrets (plugin_id, name, sealed) VALUES (%s, 'key', %s)
           ON CONFLICT (plugin_id, name) DO UPDATE SET sealed = excluded.sealed""",
        [plugin_id, bytes(size)],
    )


def refused(save, *parameters):
    with pytest.raises(psycopg.errors.CheckViolation, match=f"the limit is {MOST_READ_BYTES}\n") as error:
        save(*parameters)
    return error.value.diag.constraint_name == "guild_settings_bytes"


@pytest.fixture
def database(migrated_database):
    with psycopg.connect(migrated_database, autocommit=True) as connection:
        yield connection


@pytest.fixture
def add_guild(database):
    def add_guild():
        guild_id = uuid4()
        database.execute("INSERT INTO guilds (id) VALUES (%s)", [guild_id])
        return guild_id

    return add_guild


def test_plugins_of_a_guild_share_the_bound_and_other_guilds_have_their_own(database, add_guild):
    guild, other = add_guild(), add_guild()
    plugin_id = insert(database, guild, HALF)
    assert refused(insert, database, guild, HALF)
    assert refused(write, database, plugin_id, {"a": "x" * MOST_READ_BYTES})
    insert(database, other, HALF)


def test_secrets_count_twice_as_they_travel_in_hexadecimal_digits(database, add_guild):
    plugin_id = insert(database, add_guild(), HALF)
    seal(database, plugin_id, MOST_READ_BYTES // 4 - 100)
    assert refused(seal, database, plugin_id, MOST_READ_BYTES // 4)
    seal(database, plugin_id, 100)


def test_numbers_count_as_postgres_writes_them(database, add_guild):
    # A request may have a third less, without spaces.
    assert refused(insert, database, add_guild(), {"a": [1] * (MOST_READ_BYTES // 3)})


def test_a_guild_beyond_the_bound_may_make_its_settings_smaller(database, add_guild):
    database.execute("ALTER TABLE plugins DISABLE TRIGGER bound_first_settings")
    plugin_id = insert(database, add_guild(), {"a": "x" * 2 * MOST_READ_BYTES})
    database.execute("UPDATE plugins SET name = 'other', config = config")
    write(database, plugin_id, {"a": "x" * (2 * MOST_READ_BYTES - 1)})
    assert refused(seal, database, plugin_id, 1)


def test_the_bound_is_that_which_the_reference_states(database):
    query = "SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE tgname LIKE 'bound%'"
    definitions = [definition for (definition,) in database.execute(query).fetchall()]
    assert [definition.endswith(f"('{MOST_READ_BYTES}')") for definition in definitions] == [True] * 4
