import json

import pytest

from guildhook.preflight import Reach, Verdict, check_chat_api
from http_server import Answer, http_server
from samples import SERVICE_TOKEN

QUESTION = "/api/users/00000000-0000-0000-0000-000000000000/guilds"


def refusal(code):
    return json.dumps({"error": code, "message": "s3cret"}).encode()


def test_the_embedded_chat_server_accepts_its_token_and_no_other(client, chat_server):
    with chat_server.running() as url:
        passed, refused = (check_chat_api(client(), url, token) for token in (SERVICE_TOKEN, "another"))
    assert (passed.verdict, passed.sentence) == (
        Verdict.PASSED,
        f"ChatApiUrl {url}: it answers, and accepts the service token",
    )
    assert refused.verdict is Verdict.FAILED
    assert refused.sentence == (
        f"ChatApiUrl {url}: HTTP 401: it does not accept the service token; put a valid one into the secret of "
        "ChatSecretArn, under chat_api_token"
    )


@pytest.mark.parametrize(
    ("answer", "verdict", "reason"),
    [
        (Answer(b"[]"), Verdict.PASSED, "accepts the service token"),
        (Answer(refusal("VALIDATION_ERROR"), status=404), Verdict.PASSED, "accepts the service token"),
        (Answer(b"<html>s3cret"), Verdict.FAILED, "HTTP 200 without the body that docs/chat-api.md wants"),
        (Answer(b'{"s3cret": 1}'), Verdict.FAILED, "HTTP 200 without the body"),
        (Answer(b"s3cret", status=404), Verdict.FAILED, "HTTP 404 without the body"),
        (
            Answer(b'{"error": "Not found"}', status=404),
            Verdict.FAILED,
            "ChatApiUrl is the part of the URL before /api/",
        ),
        (Answer(refusal("FORBIDDEN"), status=403), Verdict.FAILED, "it does not accept the service token"),
        (Answer(status=307, headers={"Location": "/s3cret"}), Verdict.FAILED, "the token is sent nowhere else"),
        (Answer(refusal("VALIDATION_ERROR"), status=400), Verdict.FAILED, "HTTP 400 to GET"),
        (Answer(status=429), Verdict.UNAVAILABLE, "HTTP 429; look at its log, and try again"),
        (Answer(b"s3cret", status=502), Verdict.UNAVAILABLE, "HTTP 502"),
        (Answer(b"[", length=2), Verdict.UNAVAILABLE, "gave no whole answer"),
    ],
)
def test_an_answer_is_judged_and_not_quoted(client, answer, verdict, reason):
    with http_server(answer) as server:
        finding = check_chat_api(client(), f"{server.url}/base/", "t0ken")
    assert finding.verdict is verdict
    assert reason in finding.sentence
    assert "s3cret" not in finding.sentence
    assert "t0ken" not in finding.sentence
    assert set(server.requests) == {f"/base{QUESTION}"}


@pytest.mark.parametrize(("reach", "allow_http"), [(Reach.NETWORK, True), (Reach.MACHINE, False)])
def test_the_token_is_not_sent_without_tls_or_to_this_machine(client, reach, allow_http):
    with http_server(Answer(b"[]")) as server:
        finding = check_chat_api(client(reach, allow_http=allow_http), server.url, "t0ken")
    assert finding.verdict is Verdict.FAILED
    assert server.requests == []


def test_a_chat_server_with_ipv4_alone_is_named_in_a_network_of_ipv6(client):
    """Documentation addresses lead nowhere; this one is of this machine, and nothing listens on its port."""
    unreached = client(resolve=lambda host, port: ["127.0.0.1"])
    finding = check_chat_api(unreached, "http://chat.example.org:1", "t0ken", in_ipv6_network=True)
    assert finding.verdict is Verdict.UNAVAILABLE
    assert finding.sentence == (
        "ChatApiUrl http://chat.example.org:1: chat.example.org has no IPv6 address (no AAAA record), and the stack's "
        "network reaches the internet by IPv6 alone. Give it an IPv6 address, or use subnets of your own (SubnetIds), "
        "or peer its network with the stack's (VpcId): deploy with Preflight=off, peer them, deploy with "
        "Preflight=required; the stack's network lets this port out with ChatApiPort=1"
    )


def test_a_password_in_the_url_is_not_shown(client):
    finding = check_chat_api(client(), "https://me:s3c@ret@chat.example.org", "t0ken")
    assert finding.sentence == ("ChatApiUrl https://chat.example.org: this is not a URL with a host and without a user")
