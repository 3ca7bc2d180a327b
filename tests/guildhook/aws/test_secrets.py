import json
import logging
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest

from guildhook.aws.access import AwsAccess
from guildhook.aws.secrets import Secret
from guildhook.chat import ServiceToken
from guildhook.errors import InfrastructureError
from guildhook.store.database import Credentials
from http_server import Answer, http_server

VARIABLE = "GUILDHOOK_CHAT_SECRET"
OLD, NEW = ServiceToken("old-t0ken"), ServiceToken("new-t0ken")


class Clock:
    def __init__(self):
        self.time = 1_000.0

    def now(self):
        return self.time


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def name():
    return f"chat/{uuid4()}"


@pytest.fixture
def environment(aws):
    return dict(aws.environment)


@pytest.fixture
def access(environment):
    return AwsAccess(environment)


@pytest.fixture
def secrets_manager(aws):
    return aws.client("secretsmanager")


@pytest.fixture
def secret(access, secrets_manager, name, clock):
    """The secret after a refusal of the old token."""
    secrets_manager.create_secret(Name=name, SecretString=text(OLD))
    return Secret(access, name, VARIABLE, ServiceToken, clock.now)


def text(token):
    return json.dumps({"chat_api_token": token.chat_api_token})


def answer(token, status=200):
    return Answer(json.dumps({"SecretString": text(token)}).encode(), status)


def test_a_secret_is_read_by_its_name_or_its_arn(access, secret, secrets_manager, name):
    assert secret.current() == OLD
    arn = secrets_manager.describe_secret(SecretId=name)["ARN"]
    assert Secret(access, arn, VARIABLE, ServiceToken).current() == OLD


def test_a_secret_is_kept_until_it_is_refused(secret, secrets_manager, name):
    assert secret.current() == OLD
    secrets_manager.put_secret_value(SecretId=name, SecretString=text(NEW))
    assert secret.current() == OLD
    assert secret.instead_of(OLD) == NEW
    assert secret.current() == NEW
    # Later callers with the old token get the new one at once.
    assert secret.instead_of(OLD) == NEW


def test_a_secret_that_was_not_replaced_is_read_again_only_after_a_while(secret, secrets_manager, name, clock):
    assert secret.instead_of(secret.current()) is None
    secrets_manager.put_secret_value(SecretId=name, SecretString=text(NEW))
    assert secret.instead_of(OLD) is None
    clock.time += 5
    assert secret.instead_of(OLD) == NEW


def test_many_threads_that_are_refused_ask_once(access, environment):
    together = threading.Barrier(8)
    with http_server(answer(OLD), answer(NEW)) as server, ThreadPoolExecutor(8) as pool:
        environment["AWS_ENDPOINT_URL_SECRETS_MANAGER"] = server.url
        secret = Secret(access, "chat", VARIABLE, ServiceToken)
        refused = secret.current()

        def refuse(_):
            together.wait()
            return secret.instead_of(refused)

        assert list(pool.map(refuse, range(8))) == [NEW] * 8
        assert len(server.requests) == 2


def test_a_database_secret_is_as_rds_writes_it(access, secrets_manager, name):
    content = {"username": "ada", "password": "s3cret", "engine": "postgres", "port": 5432, "host": "db"}
    secrets_manager.create_secret(Name=name, SecretString=json.dumps(content))
    read = Secret(access, name, "GUILDHOOK_DATABASE_SECRET", Credentials).current()
    assert read == Credentials("s3cret", "ada")
    assert "s3cret" not in repr(read)
    assert "old-t0ken" not in repr(OLD)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("s3cret", "JSON is malformed"),
        ("", "truncated"),
        ('["s3cret"]', "Expected `object`, got `array`"),
        ('{"token": "s3cret"}', "missing required field `chat_api_token`"),
        ('{"chat_api_token": 5}', "Expected `str`, got `int` - at `$.chat_api_token`"),
        ('{"chat_api_token": null}', "Expected `str`, got `null` - at `$.chat_api_token`"),
        ('{"chat_api_token": ""}', "chat_api_token is empty"),
        ('{"chat_api_token": "s3cret\\n"}', "chat_api_token is empty or has characters other than visible ASCII"),
        (
            '{"chat_api_token": "s3cr\\r\\nX-Injected: et"}',
            "chat_api_token is empty or has characters other than visible ASCII",
        ),
        ('{"chat_api_token": "s3crét"}', "chat_api_token is empty or has characters other than visible ASCII"),
    ],
)
def test_a_malformed_secret_is_named_and_not_shown(access, environment, content, reason):
    with http_server(Answer(json.dumps({"SecretString": content}).encode())) as server:
        environment["AWS_ENDPOINT_URL_SECRETS_MANAGER"] = server.url
        with pytest.raises(InfrastructureError) as raised:
            Secret(access, "chat", VARIABLE, ServiceToken).current()
    assert str(raised.value).startswith(f"secret chat ({VARIABLE}): its JSON does not have the expected form: ")
    assert reason in str(raised.value)
    assert "s3cr" not in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("password", ["", "a\\u0000b"])
def test_a_password_that_no_server_accepts_is_refused(access, environment, password):
    content = f'{{"password": "{password}"}}'
    with http_server(Answer(json.dumps({"SecretString": content}).encode())) as server:
        environment["AWS_ENDPOINT_URL_SECRETS_MANAGER"] = server.url
        with pytest.raises(InfrastructureError, match="password is empty, or has a NUL in it"):
            Secret(access, "db", "GUILDHOOK_DATABASE_SECRET", Credentials).current()


def test_a_repaired_secret_is_read_after_a_while(access, secrets_manager, name, clock):
    secret = Secret(access, name, VARIABLE, ServiceToken, clock.now)
    missing = rf"secret {name} \({VARIABLE}\): HTTP 40. ResourceNotFoundException: Secrets Manager can't find"
    with pytest.raises(InfrastructureError, match=missing):
        secret.current()
    secrets_manager.create_secret(Name=name, SecretString="{}")
    with pytest.raises(InfrastructureError, match=missing):
        secret.current()
    clock.time += 5
    with pytest.raises(InfrastructureError, match="missing required field `chat_api_token`"):
        secret.current()
    secrets_manager.put_secret_value(SecretId=name, SecretString=text(NEW))
    clock.time += 5
    assert secret.current() == NEW


DENIED = Answer(b'{"__type": "AccessDeniedException", "Message": "User: arn:aws:x is not authorized\\nto y"}', 400)


@pytest.mark.parametrize(
    ("answers", "reason"),
    [
        ([DENIED], "HTTP 400 AccessDeniedException: User: arn:aws:x is not authorized to y"),
        ([Answer(b'{"__type": "com.aws#Odd"}', 400)], "HTTP 400 Odd:"),
        ([Answer(b"<html>", 502)], "HTTP 502 "),
        ([Answer(b"[]", 403)], "HTTP 403 "),
        ([Answer(b"moved", 302, headers={"Location": "http://127.0.0.1:1/"})], "HTTP 302 "),
        ([Answer(b"<html>")], "an answer that is no JSON object"),
        ([Answer(b"[1]")], "an answer that is no JSON object"),
        ([Answer(b"{", length=2)], "ProtocolError"),
    ],
)
def test_an_unreadable_secret_is_named_with_the_reason_of_aws(access, environment, answers, reason):
    with http_server(*answers) as server:
        environment["AWS_ENDPOINT_URL_SECRETS_MANAGER"] = server.url
        with pytest.raises(InfrastructureError) as raised:
            Secret(access, "chat", VARIABLE, ServiceToken).current()
    assert str(raised.value).startswith(f"secret chat ({VARIABLE}): ")
    assert reason in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_temporary_fault_of_secrets_manager_is_not_noticed(access, environment):
    with http_server(Answer(b"", 503), Answer(b"", 500), answer(NEW)) as server:
        environment["AWS_ENDPOINT_URL_SECRETS_MANAGER"] = server.url
        assert Secret(access, "chat", VARIABLE, ServiceToken).current() == NEW


def test_the_last_value_is_used_while_secrets_manager_is_unreachable(access, environment, clock, caplog):
    with http_server(answer(OLD), DENIED, DENIED, answer(NEW)) as server:
        environment["AWS_ENDPOINT_URL_SECRETS_MANAGER"] = server.url
        secret = Secret(access, "chat", VARIABLE, ServiceToken, clock.now)
        assert secret.current() == OLD
        with caplog.at_level(logging.WARNING):
            assert secret.instead_of(OLD) is None
        (line,) = caplog.messages
        assert line.startswith(f"secret chat is kept as it was ({VARIABLE}): HTTP 400 AccessDenied")
        assert secret.current() == OLD
        assert len(server.requests) == 2
        clock.time += 5
        assert secret.current() == OLD
        clock.time += 5
        assert secret.current() == NEW


def test_threads_use_the_last_value_while_another_thread_reads(access, environment, clock):
    asked, answered = threading.Event(), threading.Event()

    def hold_the_third():
        if len(server.requests) == 3:
            asked.set()
            answered.wait()

    with http_server(answer(OLD), DENIED, answer(NEW), between=hold_the_third) as server, ThreadPoolExecutor(2) as pool:
        environment["AWS_ENDPOINT_URL_SECRETS_MANAGER"] = server.url
        secret = Secret(access, "chat", VARIABLE, ServiceToken, clock.now)
        assert secret.instead_of(secret.current()) is None
        clock.time += 5
        asking = pool.submit(secret.current)
        try:
            assert asked.wait(30)
            assert pool.submit(secret.current).result(30) == OLD
        finally:
            answered.set()
        assert asking.result() == NEW


def test_a_silent_secrets_manager_is_given_up_soon(access, environment):
    """A function has ten seconds to start, and connects to more than this."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        environment["AWS_ENDPOINT_URL_SECRETS_MANAGER"] = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(InfrastructureError, match="ReadTimeoutError"):
            Secret(access, "chat", VARIABLE, ServiceToken).current()
        silent.setblocking(False)
        silent.accept()[0].close()
        with pytest.raises(BlockingIOError):
            silent.accept()


@pytest.mark.parametrize("variable", ["AWS_DEFAULT_REGION", "AWS_ACCESS_KEY_ID"])
def test_without_region_or_credentials_nothing_is_asked(access, environment, variable):
    del environment[variable]
    environment.pop("AWS_REGION", None)
    with pytest.raises(InfrastructureError, match=rf"secret chat \({VARIABLE}\): .*(region|credentials)"):
        Secret(access, "chat", VARIABLE, ServiceToken).current()
