from urllib.parse import urlsplit

import psycopg
import pytest

from guildhook_local.postgres import data_home, postgres_server


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


def test_data_is_in_a_folder_with_room_and_otherwise_among_temporary_files(tmp_path):
    assert data_home(tmp_path, free_bytes=1) == tmp_path
    assert data_home(tmp_path, free_bytes=2**62) is None
    assert data_home(tmp_path / "missing", free_bytes=1) is None
