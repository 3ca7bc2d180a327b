import itertools
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs

import pytest
from botocore.config import Config

from guildhook.aws.access import AwsAccess
from guildhook.errors import InfrastructureError
from guildhook.store.connection import connect
from guildhook.store.database import Credentials, Database, IamTokens
from postgres_wire import wire_server

URL = "postgresql://ada@db.example:6432/chat?sslmode=verify-full"


@pytest.fixture
def environment():
    return {"AWS_REGION": "eu-central-1", "AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "s3cret"}


@pytest.fixture
def seconds_pass(monkeypatch):
    """Lets a second pass between each two readings of the clock with which botocore signs."""
    times = (datetime(2026, 11, 25, tzinfo=UTC) + timedelta(seconds=each) for each in itertools.count())
    monkeypatch.setattr("botocore.auth.get_current_datetime", lambda: next(times))


@pytest.fixture
def time_stands_still(monkeypatch):
    monkeypatch.setattr("botocore.auth.get_current_datetime", lambda: datetime(2026, 11, 25, tzinfo=UTC))


@pytest.mark.parametrize("session_token", [None, "se/ss+ion=="])
@pytest.mark.parametrize(
    ("url", "host", "port", "user"),
    [
        (URL, "db.example", 6432, "ada"),
        ("postgresql://ada%2Fb%20c%2B@db.example/chat?sslmode=require", "db.example", 5432, "ada/b c+"),
    ],
)
def test_a_token_equals_that_of_botocores_client(environment, time_stands_still, session_token, url, host, port, user):
    if session_token:
        environment["AWS_SESSION_TOKEN"] = session_token
    rds = AwsAccess(environment).client("rds", Config())
    token = IamTokens(AwsAccess(environment), url).current().password
    assert token == rds.generate_db_auth_token(host, port, user)
    query = parse_qs(token.partition("?")[2])
    assert (query["Action"], query["DBUser"], query["X-Amz-Expires"]) == (["connect"], [user], ["900"])


def test_every_connection_has_a_token_of_its_own(environment, seconds_pass):
    with wire_server("16.4", 160004) as server:
        database = Database(server.url, IamTokens(AwsAccess(environment), f"{server.url}?sslmode=require"))
        for _ in range(2):
            connect(database).close()
    (first_user, first), (second_user, second) = server.logins
    assert (first_user, second_user) == ("ada", "ada")
    assert first != second
    assert {token.partition("/?")[0] for token in (first, second)} == {server.url.split("@")[1].removesuffix("/chat")}


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("postgresql://db.example/chat?sslmode=require", "the URL has no user$"),
        ("postgresql:///chat?sslmode=require", "the URL has no user and no host$"),
        ("postgresql://ada@db.example/chat", "needs TLS: sslmode=require or verify-ca or verify-full"),
        ("postgresql://ada@db.example/chat?sslmode=prefer", "needs TLS"),
    ],
)
def test_a_url_that_no_token_can_be_made_for_is_refused(environment, url, reason):
    with pytest.raises(ValueError, match=reason):
        IamTokens(AwsAccess(environment), url)


@pytest.mark.parametrize("name", ["AWS_REGION", "AWS_ACCESS_KEY_ID"])
def test_without_region_or_credentials_there_is_no_token(environment, name):
    del environment[name]
    with pytest.raises(InfrastructureError, match=r"GUILDHOOK_DATABASE_IAM\): .*(region|credentials)"):
        IamTokens(AwsAccess(environment), URL).current()


def test_neither_the_address_nor_the_repr_shows_the_password():
    database = Database("postgresql://ada:s3cret@db/chat")
    assert database.address == "db:5432/chat"
    assert "s3cret" not in repr(database)
    assert "s3cret" not in repr(Credentials("s3cret"))


@pytest.mark.parametrize("url", ["s3cret", "postgresql://ada:s3cret@[db/chat"])
def test_a_malformed_url_is_refused_and_not_shown(url):
    with pytest.raises(ValueError, match="not a PostgreSQL URL") as raised:
        Database(url)
    assert "s3cret" not in str(raised.value)
