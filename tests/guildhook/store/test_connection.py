import json
import ssl
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import uuid4

import botocore
import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from guildhook.aws.secrets import Secret
from guildhook.errors import InfrastructureError, TimeLimitError
from guildhook.store.compiling import CompileStore
from guildhook.store.connection import connect
from guildhook.store.database import Credentials, Database
from guildhook.store.migrations import migrate
from guildhook_local.stack import MIGRATIONS
from postgres_wire import wire_server

FIRST, SECOND = "f1rst-p4ssword", "s3cond-p4ssword"


class Role:
    """A role of the server that must log in with its password."""

    def __init__(self, name: str, admin: psycopg.Connection) -> None:
        self.name = name
        self._admin = admin

    def set_password(self, password: str) -> None:
        self._admin.execute(sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(self.name), password))


@pytest.fixture
def role(running) -> Iterator[Role]:
    name = f"role-{uuid4()}"
    with psycopg.connect(running.postgres_url, autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(name)))
        rules = Path(admin.execute("SHOW hba_file").fetchone()[0])
        everybody = rules.read_text()
        rules.write_text(f'local all "{name}" scram-sha-256\n{everybody}')
        admin.execute("SELECT pg_reload_conf()")
        yield Role(name, admin)
        rules.write_text(everybody)
        admin.execute("SELECT pg_reload_conf()")
        admin.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(name)))


@pytest.fixture
def secrets_manager(aws):
    return aws.client("secretsmanager")


@pytest.fixture
def database(running, role, secrets_manager):
    """The database for a connection as the role, with the first password from a secret of the same name."""
    role.set_password(FIRST)
    secrets_manager.create_secret(Name=role.name, SecretString=json.dumps({"password": FIRST}))
    secret = Secret(running.aws.access, role.name, "GUILDHOOK_DATABASE_SECRET", Credentials)
    return Database(make_conninfo(running.postgres_url, user=role.name), secret)


def put(secrets_manager, role, **content):
    secrets_manager.put_secret_value(SecretId=role.name, SecretString=json.dumps(content))


def user_of(connection):
    return connection.execute("SELECT current_user").fetchone()[0]


def test_the_password_comes_from_the_secret(database, role):
    with closing(connect(database)) as connection:
        assert user_of(connection) == role.name


def test_the_secrets_user_goes_before_the_urls(database, running, role, secrets_manager):
    put(secrets_manager, role, password=FIRST, username=role.name)
    with closing(connect(Database(make_conninfo(running.postgres_url, user="nobody"), database.credentials))) as it:
        assert user_of(it) == role.name


def test_a_password_that_was_rotated_is_read_again_and_nobody_notices(database, role, secrets_manager):
    connect(database).close()
    role.set_password(SECOND)
    put(secrets_manager, role, password=SECOND)
    with closing(connect(database)) as connection:
        assert user_of(connection) == role.name


def test_a_function_goes_on_through_a_rotation(database, role, secrets_manager, running):
    with closing(CompileStore(database)) as store:
        store.connect()
        role.set_password(SECOND)
        put(secrets_manager, role, password=SECOND)
        with psycopg.connect(running.postgres_url, autocommit=True) as admin:
            admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s", [role.name])
        # The error shows that the statement reached the server as the role. The database has no tables.
        with pytest.raises(InfrastructureError, match=r'a migration is missing: relation "\w+" does not exist; invoke'):
            store.uncompiled("engine", bytes(32))


def test_a_password_that_is_wrong_and_stays_wrong_is_the_servers_answer(database, role):
    role.set_password(SECOND)
    for _ in range(2):
        with pytest.raises(InfrastructureError, match=f'password authentication failed for user "{role.name}"') as e:
            connect(database)
        assert "\n" not in str(e.value)
        assert "p4ssword" not in str(e.value)


def test_a_server_that_asks_for_no_password_costs_no_second_reading(running, role, database, secrets_manager):
    connect(database).close()
    secrets_manager.delete_secret(SecretId=role.name, ForceDeleteWithoutRecovery=True)
    with pytest.raises(InfrastructureError, match='role "nobody" does not exist'):
        connect(Database(make_conninfo(running.postgres_url, user="nobody"), database.credentials))


def test_a_secret_that_cannot_be_read_is_named(running, aws):
    secret = Secret(aws.access, "nothing", "GUILDHOOK_DATABASE_SECRET", Credentials)
    database = Database(running.postgres_url, secret)
    with pytest.raises(InfrastructureError, match=r"secret nothing \(GUILDHOOK_DATABASE_SECRET\): HTTP 40. Resource"):
        connect(database)


def test_an_old_server_is_refused_with_its_version_and_the_one_that_is_needed():
    with wire_server("15.4", 150004) as server, pytest.raises(InfrastructureError) as raised:
        connect(Database(make_conninfo(server.url, password=FIRST)))
    address = server.url.removeprefix("postgresql://ada@")
    assert str(raised.value) == (
        f"database at {address} (GUILDHOOK_DATABASE_URL): it is PostgreSQL 15; guildhook needs 16 or newer"
    )


def test_a_pooler_may_announce_another_version_than_its_server_has():
    with wire_server("9.6.16", 160004) as server:
        connect(Database(make_conninfo(server.url, password=FIRST))).close()
    assert server.logins == [("ada", FIRST)]


def test_no_connection_is_begun_if_the_hosts_together_could_take_too_long():
    database = Database("postgresql://one.invalid,two.invalid,three.invalid/guildhook")
    with pytest.raises(TimeLimitError, match="no time is left to connect, which may take 6 s or more"):
        connect(database, time.monotonic() + 5)


def test_a_missing_privilege_of_the_role_is_named(running, migrated_database, role):
    role.set_password(FIRST)
    migrate(Database(migrated_database), MIGRATIONS)
    url = make_conninfo(migrated_database, user=role.name, password=FIRST)
    with (
        closing(CompileStore(Database(url))) as store,
        pytest.raises(InfrastructureError, match=r"permission denied for table plugin_\w+: .* GUILDHOOK_DATABASE_ROLE"),
    ):
        store.uncompiled("engine", bytes(32))


def test_the_root_certificates_in_the_layer_include_amazons():
    """RDS Proxy has a certificate of Amazon's roots; sslrootcert=/opt/python/botocore/cacert.pem is this file."""
    context = ssl.create_default_context(cafile=Path(botocore.__file__).with_name("cacert.pem"))
    roots: list[dict[str, Any]] = context.get_ca_certs()
    names = {name for root in roots for ((kind, name), *_) in root["subject"] if kind == "commonName"}
    assert {f"Amazon Root CA {number}" for number in range(1, 5)} <= names
