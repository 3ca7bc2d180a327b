import json
from uuid import uuid4

import pytest

from guildhook.aws.access import AwsAccess
from guildhook.chat import ServiceToken
from guildhook.preflight import Verdict, check_chat_secret, check_database_secret, read_token
from guildhook.preflight.secret_checks import check_origin_secret


@pytest.fixture
def secret(aws):
    """Creates a secret with this text, and returns its ARN."""

    def secret(text):
        value = {"SecretBinary": text} if isinstance(text, bytes) else {"SecretString": text}
        return aws.client("secretsmanager").create_secret(Name=f"preflight/{uuid4()}", **value)["ARN"]

    return secret


def test_secrets_of_the_expected_form_pass(aws, secret):
    chat = secret(json.dumps({"chat_api_token": "t0ken"}))
    assert check_chat_secret(aws.access, chat).verdict is Verdict.PASSED
    assert read_token(aws.access, chat) == ServiceToken("t0ken")
    database = secret(json.dumps({"username": "hook", "password": "s3cret", "port": 5432}))
    finding = check_database_secret(aws.access, database, "MigrationSecretArn")
    assert (finding.verdict, finding.sentence) == (
        Verdict.PASSED,
        f"MigrationSecretArn {database}: it can be read, and has the expected form",
    )


@pytest.mark.parametrize(
    "text",
    [
        "s3cret",
        '"s3cret"',
        '{"token": "s3cret"}',
        '{"chat_api_token": ""}',
        '{"chat_api_token": "s3cret s3cret"}',
        '{"chat_api_token": ["s3cret"]}',
        '{"chat_api_token": "s3cret"',
        b'{"chat_api_token": "s3cret"}',
        "[" * 10_000,
    ],
)
def test_a_secret_of_another_form_fails_and_nothing_of_it_is_shown(aws, secret, text):
    name = secret(text)
    finding = check_chat_secret(aws.access, name)
    assert finding.verdict is Verdict.FAILED
    assert finding.sentence.startswith(
        f'ChatSecretArn {name}: its text is not JSON of the form {{"chat_api_token": "…"}}'
    )
    assert "s3cret" not in finding.sentence
    assert "\n" not in finding.sentence


def test_a_database_secret_needs_a_password(aws, secret):
    name = secret('{"username": "s3cret"}')
    finding = check_database_secret(aws.access, name, "DatabaseSecretArn")
    assert finding.verdict is Verdict.FAILED
    assert finding.sentence.startswith(f"DatabaseSecretArn {name}: its text is not JSON of the form")
    assert "s3cret" not in finding.sentence


@pytest.mark.parametrize(("origin", "verdict"), [("s3cret" * 6, Verdict.PASSED), ("s3cret", Verdict.FAILED)])
def test_the_secret_of_a_cache_is_long_enough(aws, secret, origin, verdict):
    finding = check_origin_secret(aws.access, secret(json.dumps({"origin_secret": origin})))
    assert finding.verdict is verdict
    assert "s3cret" not in finding.sentence


def test_a_missing_secret_is_named_with_the_reason_of_secrets_manager(aws):
    finding = check_chat_secret(aws.access, "no such secret")
    assert finding.verdict is Verdict.UNAVAILABLE
    assert finding.sentence.startswith("ChatSecretArn no such secret: HTTP 404 ResourceNotFoundException: ")


def test_secrets_cannot_be_read_without_a_region():
    assert "names no region" in check_chat_secret(AwsAccess({}), "chat").sentence
