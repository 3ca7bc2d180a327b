import stat
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import parse_qsl, urlsplit

import psycopg
import pytest

from guildhook_local.postgres import DataHomeError, data_home, postgres_server


@pytest.fixture(scope="module")
def url():
    with postgres_server("127.0.0.1") as url:
        yield urlsplit(url)


def test_the_password_allows_creating_databases(url):
    assert url.hostname == "127.0.0.1"
    with psycopg.connect(url.geturl(), autocommit=True) as connection:
        connection.execute("CREATE DATABASE another")
        assert connection.execute("SHOW listen_addresses").fetchone() == ("127.0.0.1",)


@pytest.mark.parametrize("user", ["guildhook", "postgres", "guildhook:guess"])
def test_without_the_password_there_is_no_way_in(url, user):
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(url._replace(netloc=f"{user}@{url.hostname}:{url.port}").geturl())


def test_without_an_address_it_listens_on_none():
    with postgres_server() as url, psycopg.connect(url) as connection:
        assert connection.execute("SHOW listen_addresses").fetchone() == ("",)


@pytest.fixture
def folder():
    with TemporaryDirectory(dir="/tmp") as folder:
        yield Path(folder)


def test_data_is_in_memory_with_room_and_otherwise_among_temporary_files(folder):
    memory, disk = folder / "memory", folder / "disk"
    memory.mkdir()
    disk.mkdir()
    assert data_home(memory, free_bytes=1, disk=[disk]) == memory
    assert data_home(memory, free_bytes=2**62, disk=[disk]) == disk
    assert data_home(folder / "missing", free_bytes=1, disk=[disk]) == disk


@pytest.mark.parametrize("name", ["a" * 90, "a b", "$(id)", "it's", '"quoted"', "\udcff", "missing/folder"])
def test_a_path_that_postgres_cannot_use_is_passed_over(folder, name):
    odd = folder / name
    if not name.startswith("missing"):
        odd.mkdir()
    assert data_home(folder / "missing", disk=[odd, folder]) == folder
    with pytest.raises(DataHomeError, match="set TMPDIR to a folder") as raised:
        data_home(folder / "missing", disk=[odd])
    assert "\n" not in str(raised.value)


def test_no_other_user_of_the_machine_reaches_the_socket():
    with postgres_server() as url:
        folder = Path(dict(parse_qsl(urlsplit(url).query))["host"])
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        (socket,) = folder.glob(".s.PGSQL.*[0-9]")
        assert socket.is_socket()


def test_a_limit_of_the_shell_is_not_taken_for_a_full_disk():
    program = "from guildhook_local.postgres import postgres_server\nwith postgres_server(): pass"
    ended = subprocess.run(
        ["bash", "-c", 'ulimit -f 16; exec "$0" -c "$1"', sys.executable, program],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "MiB are free there, which is enough; look at the limits of the shell, `ulimit -a`" in ended.stderr
