import json
from uuid import uuid4

import pytest

from certificates import self_signed
from http_server import Answer, http_server
from samples import SERVICE_TOKEN

LOCAL = ("--allow-http", "--allow-local")
KEYS = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "s3cret", "AWS_REGION": "us-east-1"}


@pytest.fixture
def server(chat_server):
    """A chat server with an identity provider."""
    with chat_server.running():
        yield chat_server


@pytest.fixture
def token_file(tmp_path):
    path = tmp_path / "token"
    path.write_text(f"{SERVICE_TOKEN}\n")
    return path


def verdicts(result):
    return {finding["check"]: finding["verdict"] for finding in result["findings"]}


def test_an_identity_provider_and_a_chat_api_that_are_ready_pass(guildhook, server, token_file):
    provider = ("--issuer", server.issuer.url, "--audience", "guildhook", "--algorithm", "EdDSA")
    chat = ("--chat-api-url", server.url, "--chat-token-file", token_file)
    status, out, err = guildhook("preflight", *provider, *chat, *LOCAL)
    assert (status, err) == (0, "")
    assert [line.split(":")[0] for line in out.splitlines()] == [
        "passed      discovery",
        "passed      keys",
        "unchecked   audience",
        "passed      chat API",
    ]


def test_the_findings_can_be_read_by_programs(as_json, server):
    chat = ("--chat-api-url", server.url, "--chat-token-file", "-")
    status, result = as_json("preflight", *chat, *LOCAL, stdin=f"{SERVICE_TOKEN}\n")
    assert status == 0
    assert result == {
        "findings": [
            {
                "check": "chat API",
                "verdict": "passed",
                "sentence": f"ChatApiUrl {server.url}: it answers, and accepts the service token",
            }
        ]
    }


def test_a_refused_token_is_a_status_of_its_own_and_is_not_shown(guildhook, server):
    chat = ("--chat-api-url", server.url, "--chat-token-file", "-")
    status, out, _ = guildhook("preflight", *chat, *LOCAL, stdin="an0ther")
    assert status == 1
    assert out.startswith("failed      chat API: ")
    assert "an0ther" not in out


def test_a_server_that_is_down_may_be_up_later(as_json, token_file):
    chat = ("--chat-api-url", "http://127.0.0.1:1", "--chat-token-file", token_file)
    status, result = as_json("preflight", *chat, *LOCAL)
    assert (status, verdicts(result)) == (3, {"chat API": "unavailable"})
    # A check that failed says more than one that may pass later.
    status, result = as_json("preflight", *chat, *LOCAL, "--issuer", "ftp://login.example.org")
    assert (status, verdicts(result)) == (1, {"discovery": "failed", "chat API": "unavailable"})


@pytest.mark.parametrize("option", LOCAL)
def test_local_servers_need_both_options(as_json, server, token_file, option):
    chat = ("--chat-api-url", server.url, "--chat-token-file", token_file)
    status, result = as_json("preflight", "--issuer", server.issuer.url, *chat, option)
    assert (status, verdicts(result)) == (1, {"discovery": "failed", "chat API": "failed"})


def test_the_keys_must_be_for_the_algorithm(as_json, server):
    status, result = as_json("preflight", "--issuer", server.issuer.url, "--algorithm", "ES256", *LOCAL)
    assert (status, verdicts(result)) == (1, {"discovery": "passed", "keys": "failed"})


def test_the_network_of_the_stack_can_be_tried(as_json, server, token_file):
    chat = ("--chat-api-url", server.url, "--chat-token-file", token_file)
    status, result = as_json("preflight", *chat, *LOCAL, "--ipv6-only")
    assert status == 3
    assert "has no IPv6 address (no AAAA record)" in result["findings"][0]["sentence"]


def test_secrets_are_read_with_the_environments_credentials(as_json, aws, environment, server):
    environment.update(aws.environment)
    content = {"chat_api_token": SERVICE_TOKEN, "password": "s3cret", "origin_secret": "s3cret" * 6}
    client = aws.client("secretsmanager")
    arn = client.create_secret(Name=f"preflight/{uuid4()}", SecretString=json.dumps(content))["ARN"]
    secrets = ("--chat-secret", arn, "--database-secret", arn, "--origin-secret", arn)
    status, result = as_json("preflight", *secrets, "--chat-api-url", server.url, *LOCAL)
    assert status == 0
    assert verdicts(result) == dict.fromkeys(("chat secret", "chat API", "database secret", "origin secret"), "passed")
    status, result = as_json("preflight", "--chat-secret", "no such", "--chat-api-url", server.url, *LOCAL)
    assert (status, verdicts(result)) == (3, {"chat secret": "unavailable"})


def test_the_account_is_asked_with_the_environments_credentials(as_json, aws, environment):
    limits = {"AccountLimit": {"UnreservedConcurrentExecutions": 10}}
    with http_server(Answer(json.dumps(limits).encode())) as lambda_api:
        environment.update({**aws.environment, "AWS_ENDPOINT_URL_LAMBDA": lambda_api.url})
        status, result = as_json("preflight", "--reserve", "35", "--zones", "eu-central-1a,eu-central-1b")
    assert (status, verdicts(result)) == (1, {"concurrency": "failed", "zones": "passed"})


def test_a_certificate_is_looked_up_in_the_region_that_it_must_be_in(as_json, aws, environment):
    environment.update(aws.environment)
    certificate, key = self_signed("plugins.example.org")
    arn = aws.client("acm").import_certificate(Certificate=certificate, PrivateKey=key)["CertificateArn"]
    options = ("--certificate", arn, "--domain", "plugins.example.org")
    assert verdicts(as_json("preflight", *options)[1]) == {"certificate": "passed"}
    status, result = as_json("preflight", *options, "--cloudfront")
    assert (status, verdicts(result)) == (1, {"certificate": "failed"})
    assert "CloudFront needs one in us-east-1" in result["findings"][0]["sentence"]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("--certificate", "a"), "--certificate and --domain are used together"),
        (("--domain", "a"), "--certificate and --domain are used together"),
        ((), "there is nothing to check; give --issuer, --chat-api-url or another part"),
        (("--audience", "a"), "--audience needs --issuer, whose tokens it is in"),
        (("--chat-api-url", "https://a"), "--chat-api-url needs the token: --chat-token-file or --chat-secret"),
        (("--chat-token-file", "-"), "--chat-token-file needs --chat-api-url, where the token is sent"),
        (("--chat-token-file", "-", "--chat-secret", "a"), "both give a token; use one of them"),
        (("--chat-api-url", "https://a", "--chat-token-file", "/no/such"), "cannot read --chat-token-file: /no/such"),
        (("--reserve", "0"), "--reserve"),
    ],
)
def test_wrong_usage_is_said_in_one_line(failure, arguments, reason):
    status, line = failure("preflight", *arguments)
    assert status == 2
    assert reason in line


@pytest.mark.parametrize("text", ["", "s3cret s3cret", "s3cret\ns3cret\n", "s3crét"])
def test_a_file_that_holds_no_token_is_refused_and_not_shown(failure, text):
    status, line = failure("preflight", "--chat-api-url", "https://a", "--chat-token-file", "-", stdin=text)
    assert status == 2
    assert line.startswith("--chat-token-file: chat_api_token is empty or has characters other than visible ASCII")
    assert "s3cr" not in line
