import json
from uuid import UUID

import pytest

from guildhook_local.cli.admin.admin_client import AdminClient
from guildhook_local.cli.ending import CommandError
from http_server import Answer, http_server


def test_the_token_comes_from_the_environment_a_file_or_standard_input(guildhook, environment, token, tmp_path):
    guilds = ("guilds", "--json")
    assert guildhook("admin", *guilds)[0] == 0
    del environment["GUILDHOOK_ADMIN_TOKEN"]
    file = tmp_path / "token"
    file.write_text(f"{token}\n")
    assert guildhook("admin", "--token-file", file, *guilds)[0] == 0
    assert guildhook("admin", "--token-file", "-", *guilds, stdin=f"{token}\n")[0] == 0
    environment["GUILDHOOK_ADMIN_TOKEN"] = "not the one that the file has"
    assert guildhook("admin", "--token-file", file, *guilds)[0] == 0


def test_a_missing_url_or_token_is_named(failure, environment, tmp_path):
    for arguments in (("--token-file", "-"), ("--token-file", tmp_path / "empty")):
        (tmp_path / "empty").write_text("\n")
        status, line = failure("admin", *arguments, "guilds")
        assert (status, line.startswith("the access token is empty")) == (2, True)
    assert failure("admin", "--token-file", tmp_path / "none", "guilds")[0] == 3
    environment["GUILDHOOK_ADMIN_TOKEN"] = ""
    assert "set GUILDHOOK_ADMIN_TOKEN" in failure("admin", "guilds")[1]
    del environment["GUILDHOOK_ADMIN_URL"]
    assert "set GUILDHOOK_ADMIN_URL" in failure("admin", "guilds")[1]


def test_a_manager_and_a_stranger_are_refused(failure, environment, operated):
    environment["GUILDHOOK_ADMIN_TOKEN"] = operated.chat.issuer.issue(UUID(int=8), "Ada")
    assert failure("admin", "guilds") == (
        1,
        f"{environment['GUILDHOOK_ADMIN_URL']}: HTTP 401: the token is for another audience",
    )
    environment["GUILDHOOK_ADMIN_TOKEN"] = operated.chat.issuer.issue_operator(UUID(int=8), "Ada", groups=[])
    status, line = failure("admin", "guilds")
    assert (status, "HTTP 403: the token's claim groups" in line) == (1, True)


@pytest.mark.parametrize(
    "url",
    [
        "http://admin.example.org",
        "http://127.0.0.1.example.org",
        "http://10.0.0.1",
        "ftp://127.0.0.1",
        "admin.example.org",
        "https://",
        "https://user:secret@admin.example.org",
        "https://admin.example.org/?x",
    ],
)
def test_a_token_is_sent_by_https_or_to_this_machine_alone(url):
    with pytest.raises(CommandError) as raised:
        AdminClient(url, "token")
    assert raised.value.status == 2
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize("url", ["https://admin.example.org/stage/", "http://localhost:1", "http://[::1]:1"])
def test_urls_of_the_admin_api_are_taken(url):
    AdminClient(url, "token")


@pytest.mark.parametrize(
    ("answer", "status", "said"),
    [
        (Answer(b"<html>", status=200), 3, "no JSON; is this the URL of the admin API?"),
        (Answer(b"<html>", status=404), 1, "HTTP 404, and no JSON"),
        (Answer(json.dumps({"message": "Unauthorized"}).encode(), status=401), 1, "HTTP 401: Unauthorized"),
        (Answer(json.dumps({"message": "Service Unavailable"}).encode(), status=503), 3, "Service Unavailable"),
        (Answer(b"{}", status=302), 3, "HTTP 302"),
    ],
)
def test_an_answer_that_is_not_the_admin_apis_is_an_error(failure, environment, answer, status, said):
    with http_server(answer) as server:
        environment["GUILDHOOK_ADMIN_URL"] = server.url
        ended, line = failure("admin", "guilds")
    assert (ended, said in line) == (status, True), line


def test_a_server_out_of_reach_is_an_error_that_may_pass(failure, environment):
    environment["GUILDHOOK_ADMIN_URL"] = "http://127.0.0.1:9"
    status, line = failure("admin", "guilds")
    assert (status, line) == (3, "http://127.0.0.1:9 does not answer: NewConnectionError")
