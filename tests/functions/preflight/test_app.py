import json
import time
from uuid import uuid4

import pytest

from certificates import self_signed
from guildhook.configuration import PreflightConfiguration, load_configuration
from guildhook.preflight import BoundedClient, Reach, Verdict, check_account, check_network, raise_for
from guildhook_local.function import LambdaContext, loaded_function
from guildhook_local.stack import PREFLIGHT
from http_server import Answer, http_server
from samples import SERVICE_TOKEN, resource_request

CONTEXT = LambdaContext("preflight", "request", deadline=time.monotonic() + 3_600)
TYPES = ["Custom::AccountPreflight", "Custom::NetworkPreflight"]


@pytest.fixture
def secret(aws):
    """Creates a secret, and returns its ARN."""

    def secret(**content):
        name = f"preflight/{uuid4()}"
        return aws.client("secretsmanager").create_secret(Name=name, SecretString=json.dumps(content))["ARN"]

    return secret


@pytest.fixture
def environment(aws, secret, chat_server):
    """The function's environment, with a chat server and an identity provider on this machine that run."""
    with chat_server.running() as url:
        yield {
            **aws.environment,
            "GUILDHOOK_JWT_ISSUER": chat_server.issuer.url,
            "GUILDHOOK_JWT_AUDIENCE": "guildhook",
            "GUILDHOOK_JWT_CLIENT_ID": "guildhook-page",
            "GUILDHOOK_JWT_ALGORITHM": "EdDSA",
            "GUILDHOOK_CHAT_API_URL": url,
            "GUILDHOOK_CHAT_SECRET": secret(chat_api_token=SERVICE_TOKEN),
        }


@pytest.fixture
def checked(environment):
    """The findings by check, of a client that may ask servers of this machine."""

    def checked(check, **variables):
        configuration = load_configuration(PreflightConfiguration, {**environment, **variables})
        return {each.check: each for each in check(configuration, BoundedClient(Reach.MACHINE, allow_http=True))}

    return checked


def provide(environment, resource_type, request_type="Create", **fields):
    """The function's answer to CloudFormation."""
    with http_server(Answer()) as server, loaded_function(PREFLIGHT, environment) as handler:
        assert handler(resource_request(server.url, resource_type, request_type, **fields), CONTEXT) == {}
    (upload,) = server.uploads
    return json.loads(upload.body)


@pytest.fixture
def certificate(aws):
    """The ARN of a certificate for plugins.example.org, issued in eu-central-1."""
    acm = aws.client("acm")
    certificate, key = self_signed("plugins.example.org")
    arn = acm.import_certificate(Certificate=certificate, PrivateKey=key)["CertificateArn"]
    yield arn
    acm.delete_certificate(CertificateArn=arn)


def test_an_account_with_all_that_a_deploy_needs_passes(checked, secret, certificate):
    limits = {"AccountLimit": {"UnreservedConcurrentExecutions": 135}}
    with http_server(Answer(json.dumps(limits).encode())) as lambda_api:
        findings = checked(
            check_account,
            AWS_ENDPOINT_URL_LAMBDA=lambda_api.url,
            GUILDHOOK_DATABASE_SECRET=secret(password="s3cret"),
            GUILDHOOK_MIGRATION_SECRET=secret(username="owner", password="s3cret"),
            GUILDHOOK_ORIGIN_SECRET=secret(origin_secret="s3cret" * 6),
            GUILDHOOK_RESERVED_CONCURRENCY="10,7,2,1,5,10",
            GUILDHOOK_STACK="guildhook",
            GUILDHOOK_AVAILABILITY_ZONES="eu-central-1a,eu-central-1b",
            GUILDHOOK_DOMAIN_NAME="plugins.example.org",
            GUILDHOOK_CERTIFICATE=certificate,
            GUILDHOOK_CERTIFICATE_REGION="eu-central-1",
        )
    raise_for(list(findings.values()))
    verdicts = {check: finding.verdict for check, finding in findings.items()}
    assert verdicts.pop("audience") is Verdict.UNCHECKED
    assert verdicts == dict.fromkeys(
        (
            "discovery",
            "keys",
            "chat secret",
            "database secret",
            "origin secret",
            "certificate",
            "concurrency",
            "zones",
        ),
        Verdict.PASSED,
    )


def test_without_an_algorithm_the_keys_must_be_those_that_api_gateway_takes(checked, environment):
    del environment["GUILDHOOK_JWT_ALGORITHM"]
    for check in (check_account, check_network):
        finding = checked(check)["keys"]
        assert finding.verdict is Verdict.FAILED
        assert "it has keys only for EdDSA, and this deployment accepts RS256" in finding.sentence


def test_only_the_parts_that_the_stack_uses_are_checked(checked):
    assert set(checked(check_account)) == {"discovery", "keys", "audience", "chat secret"}


def test_the_network_reaches_the_chat_api_with_the_token_and_the_issuer(checked):
    findings = checked(check_network)
    assert {check: finding.verdict for check, finding in findings.items()} == dict.fromkeys(
        ("chat API", "discovery", "keys"), Verdict.PASSED
    )


def test_a_token_that_cannot_be_read_is_a_finding_of_the_network_as_well(checked, secret):
    findings = checked(check_network, GUILDHOOK_CHAT_SECRET=secret(token="s3cret"))
    assert findings["chat secret"].verdict is Verdict.FAILED
    assert "chat API" not in findings


def test_everything_that_is_wrong_is_answered_at_once(environment, secret, chat_server):
    """A deployed function asks no server of this machine, whatever its environment says."""
    wrong = {**environment, "GUILDHOOK_CHAT_SECRET": secret(token="s3cret"), "GUILDHOOK_JWT_AUDIENCE": "ü"}
    answer = provide(wrong, "Custom::AccountPreflight")
    assert answer["Status"] == "FAILED"
    issuer, audience, chat = answer["Reason"].split(" | ")
    assert issuer.startswith(f"JwtIssuer {chat_server.issuer.url}: it does not start with https://")
    assert audience.startswith("JwtAudience must have 1 to 255 characters")
    assert chat.startswith("ChatSecretArn arn:aws:secretsmanager:")
    assert "s3cret" not in json.dumps(answer)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "169.254.169.254", "[::1]"])
def test_a_deployed_function_asks_neither_this_machine_nor_metadata(environment, host):
    inside = {
        **environment,
        "GUILDHOOK_JWT_ISSUER": f"https://{host}/realm",
        "GUILDHOOK_CHAT_API_URL": f"https://{host}/chat",
    }
    for resource_type in TYPES:
        reason = provide(inside, resource_type)["Reason"]
        name = host.strip("[]")
        assert f"JwtIssuer https://{host}/realm: {name} resolves to an address of this machine" in reason
        chat = f"ChatApiUrl https://{host}/chat: {name} resolves to an address of this machine"
        assert (chat in reason) == (resource_type == "Custom::NetworkPreflight")


def test_a_failed_check_is_logged_without_the_token(environment, capsys):
    provide(environment, "Custom::NetworkPreflight")
    out = capsys.readouterr().out
    logged = [json.loads(line) for line in out.splitlines()]
    checks = {line["check"]: line["verdict"] for line in logged if line.get("message") == "preflight check"}
    assert checks == {"chat API": "failed", "discovery": "failed"}
    assert SERVICE_TOKEN not in out


@pytest.mark.parametrize("resource_type", TYPES)
def test_a_missing_variable_is_answered_as_well(environment, resource_type):
    del environment["GUILDHOOK_JWT_ISSUER"]
    answer = provide(environment, resource_type)
    assert answer["Status"] == "FAILED"
    assert answer["Reason"].startswith("wrong environment: GUILDHOOK_JWT_ISSUER: missing")


@pytest.mark.parametrize("resource_type", TYPES)
def test_a_delete_is_answered_without_a_check(resource_type):
    assert provide({}, resource_type, "Delete", PhysicalResourceId="as it was")["Status"] == "SUCCESS"


def test_an_invocation_cannot_say_where_the_token_goes(environment):
    with http_server(Answer(b"[]")) as elsewhere:
        properties = {"ServiceToken": "arn", "ChatApi": [elsewhere.url], "Issuer": [elsewhere.url]}
        provide(environment, "Custom::NetworkPreflight", ResourceProperties=properties)
    assert elsewhere.requests == []
