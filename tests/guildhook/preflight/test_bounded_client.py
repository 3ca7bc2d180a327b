import socket

import pytest

from guildhook.preflight.addresses import Reach
from guildhook.preflight.bounded_client import (
    MAX_BODY_BYTES,
    TOTAL_SECONDS,
    AnswerFault,
    BoundedAnswer,
    MissingAnswer,
    may_pass_later,
    reason_of,
    resolve_host,
)
from http_server import Answer, http_server, raw_server

HERE = "127.0.0.1"


def names(**addresses):
    """Resolves these names, given with underscores for dots, and no others."""

    def resolve(host, port):
        found = addresses.get(host.replace(".", "_"))
        if found is None:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return found

    return resolve


def port_of(server):
    return int(server.url.rpartition(":")[2])


def test_an_answer_is_given_whatever_its_status(client):
    with http_server(Answer(b"gone", status=410)) as server:
        assert client().get(f"{server.url}/a?b=c", "t0ken") == BoundedAnswer(410, b"gone")
    assert server.requests == ["/a?b=c"]
    (headers,) = server.headers
    assert headers["Authorization"] == "Bearer t0ken"
    assert headers["Host"] == server.url.removeprefix("http://")


def test_without_a_token_none_is_sent(client):
    with http_server(Answer()) as server:
        client().get(server.url)
    assert "Authorization" not in server.headers[0]


def test_the_body_is_not_in_the_text_of_an_answer():
    assert "s3cret" not in repr(BoundedAnswer(200, b"s3cret"))


@pytest.mark.parametrize(
    "url", ["http://chat.example.org", "ftp://chat.example.org", "chat.example.org", "file:///etc"]
)
def test_nothing_but_https_is_asked(client, url):
    assert client(allow_http=False).get(url).fault is AnswerFault.NOT_HTTPS


@pytest.mark.parametrize("url", ["https://[", "https://", "https://me:s3cret@chat.example.org"])
def test_a_url_needs_a_host_and_no_user(client, url):
    missing = client().get(url)
    assert missing == MissingAnswer(AnswerFault.MALFORMED)
    assert "s3cret" not in reason_of(missing, in_ipv6_network=False)


def test_a_redirect_is_not_followed(client):
    with http_server(Answer()) as other, http_server(Answer(status=302, headers={"Location": other.url})) as server:
        assert client().get(server.url, "t0ken").status == 302
    assert (len(server.requests), other.requests) == (1, [])


def test_the_name_is_resolved_and_the_certificate_is_for_it(client, tls):
    with http_server(Answer(b"hello"), tls=tls) as server:
        secure = client(allow_http=False, resolve=names(chat_example_org=[HERE]))
        answer = secure.get(f"https://chat.example.org:{port_of(server)}/")
        assert answer == BoundedAnswer(200, b"hello")
        assert server.headers[0]["Host"] == f"chat.example.org:{port_of(server)}"


def test_a_certificate_for_another_name_is_refused_before_the_token_is_sent(client, tls):
    with http_server(Answer(), tls=tls) as server:
        secure = client(resolve=names(other_example_org=[HERE]))
        missing = secure.get(f"https://other.example.org:{port_of(server)}/", "t0ken")
    assert missing.fault is AnswerFault.CERTIFICATE
    assert server.requests == []


def test_a_certificate_of_an_unknown_authority_is_refused(client, tls, monkeypatch):
    monkeypatch.delenv("SSL_CERT_FILE")
    with http_server(Answer(), tls=tls) as server:
        secure = client(resolve=names(chat_example_org=[HERE]))
        assert secure.get(f"https://chat.example.org:{port_of(server)}/").fault is AnswerFault.CERTIFICATE


def test_a_server_without_tls_is_told_from_one_with_a_bad_certificate(client):
    with http_server(Answer()) as server:
        missing = client().get(f"https://127.0.0.1:{port_of(server)}/", "t0ken")
    assert missing.fault is AnswerFault.NO_TLS
    reason = reason_of(missing, in_ipv6_network=False)
    assert reason.startswith(f"127.0.0.1 does not speak TLS on port {port_of(server)}")
    assert server.requests == []


@pytest.mark.parametrize("reach", [Reach.INTERNET, Reach.NETWORK])
@pytest.mark.parametrize("address", [HERE, "169.254.169.254", "::1", "fd00:ec2::254"])
def test_a_forbidden_address_is_never_connected_to(client, reach, address):
    with http_server(Answer()) as server:
        # A public address besides is no way around it.
        careful = client(reach, resolve=names(chat_example_org=["93.184.216.34", address]))
        missing = careful.get(f"http://chat.example.org:{port_of(server)}/", "t0ken")
        assert missing.fault is AnswerFault.FORBIDDEN_ADDRESS
        assert client(reach).get(server.url).fault is AnswerFault.FORBIDDEN_ADDRESS
    assert server.requests == []


def test_a_name_is_resolved_once_so_that_no_second_answer_leads_elsewhere(client):
    asked = []

    def rebinding(host, port):
        asked.append(host)
        return [HERE] if len(asked) == 1 else ["169.254.169.254"]

    with http_server(Answer(b"hello")) as server:
        assert client(resolve=rebinding).get(f"http://chat.example.org:{port_of(server)}/").body == b"hello"
    assert asked == ["chat.example.org"]


def test_a_name_that_does_not_resolve_is_named(client):
    missing = client(resolve=names()).get("https://chat.example.org/")
    assert missing.fault is AnswerFault.NO_ADDRESS
    assert "the name chat.example.org does not resolve" in reason_of(missing, in_ipv6_network=True)


@pytest.mark.parametrize("error", [socket.EAI_AGAIN, socket.EAI_FAIL, socket.EAI_SYSTEM])
def test_name_servers_that_do_not_answer_are_asked_again_and_are_no_fault_of_the_name(client, error):
    asked = []

    def failing(host, port):
        asked.append(host)
        if len(asked) % 2:
            raise socket.gaierror(error, "Temporary failure in name resolution")
        return [HERE]

    with http_server(Answer(b"hello")) as server:
        url = f"http://chat.example.org:{port_of(server)}/"
        missing = client(resolve=failing).get(url)
        assert missing.fault is AnswerFault.NO_NAME_SERVER
        assert may_pass_later(missing)
        assert reason_of(missing, in_ipv6_network=True).startswith("no name server has answered for chat.example.org")
        asked.clear()
        assert client(resolve=failing, pauses=(0, 0)).get(url).body == b"hello"


@pytest.mark.parametrize("error", [socket.EAI_NONAME, socket.EAI_NODATA])
def test_a_name_without_an_address_is_asked_for_once(client, error):
    asked = []

    def unknown(host, port):
        asked.append(host)
        raise socket.gaierror(error, "Name or service not known")

    missing = client(resolve=unknown, pauses=(0, 0)).get("https://chat.example.org/")
    assert missing.fault is AnswerFault.NO_ADDRESS
    assert not may_pass_later(missing)
    assert len(asked) == 1


@pytest.mark.parametrize("host", ["a" * 64 + ".example.org", "a..example.org"])
def test_a_name_that_no_name_server_can_have_does_not_resolve(client, host):
    assert client().get(f"https://{host}/").fault is AnswerFault.NO_ADDRESS


def test_the_addresses_are_tried_in_turn(client):
    with http_server(Answer(b"hello")) as server:
        # Nothing listens at the first address.
        several = client(resolve=names(chat_example_org=["127.0.0.2", HERE]))
        assert several.get(f"http://chat.example.org:{port_of(server)}/").body == b"hello"


@pytest.mark.parametrize("addresses", [[HERE], [HERE, "::1"]])
@pytest.mark.parametrize("in_ipv6_network", [True, False])
def test_a_host_without_an_address_of_ipv6_is_named_with_the_ways_out(client, addresses, in_ipv6_network):
    missing = client(resolve=names(chat_example_org=addresses)).get("http://chat.example.org:1/")
    assert (missing.fault, missing.has_ipv6) == (AnswerFault.NO_CONNECTION, "::1" in addresses)
    reason = reason_of(missing, in_ipv6_network=in_ipv6_network, more_ways=", or peer them")
    if in_ipv6_network and not missing.has_ipv6:
        assert reason.startswith("chat.example.org has no IPv6 address (no AAAA record)")
        assert reason.endswith("or use subnets of your own (SubnetIds), or peer them")
    else:
        assert reason == "chat.example.org accepts no connection on port 1; start it, or open its firewall"


def test_a_shell_can_do_without_ipv4_as_the_network_does(client):
    with http_server(Answer()) as server:
        missing = client(ipv6_only=True).get(server.url)
    assert (missing.fault, missing.has_ipv6, server.requests) == (AnswerFault.NO_CONNECTION, False, [])


def test_a_large_answer_is_refused(client):
    with http_server(Answer(b"x" * (MAX_BODY_BYTES + 1))) as server:
        assert client().get(server.url).fault is AnswerFault.TOO_LARGE
    with http_server(Answer(b"x" * MAX_BODY_BYTES)) as server:
        assert len(client().get(server.url).body) == MAX_BODY_BYTES


def test_an_answer_that_breaks_off_is_asked_for_again(client):
    with http_server(Answer(b"x", length=2), Answer(b"xy")) as server:
        assert client(pauses=(0, 0)).get(server.url).body == b"xy"
    with http_server(Answer(b"x", length=2)) as server:
        assert client(pauses=(0, 0)).get(server.url).fault is AnswerFault.BROKEN
    assert len(server.requests) == 2


def test_no_server_holds_a_client_for_longer_than_the_limit(client, monkeypatch):
    monkeypatch.setattr("guildhook.preflight.bounded_client.TOTAL_SECONDS", 0.2)
    with http_server(Answer()) as gate:
        drip = [b"HTTP/1.1 200 OK\r\n", *[b"X-Drip: 1\r\n"] * 1_000]
        with raw_server(drip, between=lambda: client().get(gate.url)) as url:
            assert client().get(url).fault is AnswerFault.BROKEN
    assert len(gate.requests) < 1_000


def test_the_names_of_this_machine_resolve():
    assert resolve_host("localhost", 80)
    assert resolve_host("127.0.0.1", 80) == ["127.0.0.1"]
    assert TOTAL_SECONDS <= 5
