"""The header of a cache in front of the admin API, by which the API's direct address is closed."""

import json
from dataclasses import dataclass
from uuid import uuid4

import pytest

from admin_client import Client
from guildhook.admin.api import ENDPOINTS
from guildhook.admin.origin import OriginCheck, OriginSecrets
from guildhook_local.aws import create_secret
from guildhook_local.function import loaded_function
from guildhook_local.stack import ADMIN_API

SECRET = "s3cret-" + "a" * 40
EARLIER = "earlier-" + "b" * 40
PAGES = ("/", "/signed-in", "/guilds/6a1d", "/api.html", "/licenses.md", "/assets/index.js")


@dataclass
class Known:
    value: OriginSecrets

    def current(self):
        return self.value

    def instead_of(self, refused):
        raise NotImplementedError


@pytest.mark.parametrize(
    ("header", "admitted"),
    [
        (SECRET, True),
        (EARLIER, True),
        (None, False),
        ("", False),
        (SECRET[:-1], False),
        (SECRET + "a", False),
        (SECRET.upper(), False),
        (f"{SECRET},{SECRET}", False),
        (f"{SECRET},{EARLIER}", False),
        ("\ud800\xe9", False),
    ],
)
def test_two_values_are_admitted_and_no_others(header, admitted):
    assert OriginCheck(Known(OriginSecrets(SECRET, EARLIER))).admits(header) is admitted


def test_without_an_earlier_value_no_header_is_still_refused():
    check = OriginCheck(Known(OriginSecrets(SECRET)))
    assert [check.admits(header) for header in (SECRET, EARLIER, "", None, "None")] == [
        True,
        False,
        False,
        False,
        False,
    ]


def test_an_error_or_a_log_shows_no_secret():
    assert "s3cret" not in repr(OriginSecrets(SECRET, SECRET))


@pytest.fixture
def behind_cache(system):
    """Makes a handler of the function whose secret has this content."""
    functions = []

    def made(content, **more):
        name = f"origin-{uuid4().hex}"
        create_secret(system.aws, name, content)
        variables = {**system.environment, "GUILDHOOK_ORIGIN_SECRET": name, **more}
        functions.append(loaded_function(ADMIN_API, variables))
        return functions[-1].__enter__()

    yield made
    for function in functions:
        function.__exit__(None, None, None)


def test_no_path_answers_without_the_header(admin, behind_cache):
    # The database cannot be reached: no work is done for a request that is refused.
    handler = behind_cache(
        {"origin_secret": SECRET, "earlier_origin_secret": EARLIER},
        GUILDHOOK_DATABASE_URL="postgresql://me@127.0.0.1:1/x",
    )
    asked = [("GET", path) for path in (*PAGES, "/nowhere", "/api/nowhere")]
    asked += [("DELETE", "/"), ("POST", "/api/sign-in")]
    for endpoint in ENDPOINTS:
        asked.append(
            (
                endpoint.method,
                endpoint.path.format_map(
                    dict.fromkeys(("guild_id", "plugin_id", "run_id", "message_id", "number", "name"), str(uuid4()))
                ),
            )
        )
    for header in ({}, {"x-guildhook-origin": "guess"}, {"x-guildhook-origin": f"{SECRET},{SECRET}"}):
        client = Client(handler, admin.client().token, headers=header)
        for method, path in asked:
            answer = client.ask(method, path, "{")
            assert (answer.status, answer.kind) == (403, "closed-address"), (method, path)
            assert answer.headers["Cache-Control"] == "no-store"
            assert SECRET not in answer.text


@pytest.mark.parametrize("header", [SECRET, EARLIER])
def test_a_request_of_the_cache_is_answered_as_any_other(admin, behind_cache, header):
    handler = behind_cache({"origin_secret": SECRET, "earlier_origin_secret": EARLIER})
    client = Client(handler, admin.client().token, headers={"x-guildhook-origin": header})
    assert client.get("/api/sign-in").ok()["algorithms"] == ["EdDSA"]
    assert client.get("/api/guilds").status == 200
    assert client.get("/nowhere").kind == "not-found"
    assert Client(handler, None, headers=client.headers).get("/api/guilds").kind == "unauthorized"


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"origin_secret": "short"},
        {"origin_secret": ""},
        {"origin_secret": " " * 40},
        {"earlier_origin_secret": SECRET},
    ],
)
def test_a_secret_that_cannot_be_read_closes_the_address_for_all(admin, behind_cache, capsys, content):
    handler = behind_cache(content)
    for headers in ({}, {"x-guildhook-origin": content.get("origin_secret", SECRET)}):
        assert Client(handler, None, headers=headers).get("/api/sign-in").kind == "unavailable"
    log = capsys.readouterr().out
    assert "GUILDHOOK_ORIGIN_SECRET" in log
    assert json.dumps(SECRET) not in log


def test_without_a_configured_secret_no_header_is_needed(admin):
    assert Client(admin.stack.admin_handler, None).get("/api/sign-in").status == 200
