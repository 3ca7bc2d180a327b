"""The checks that every request passes, on any route."""

import json
from base64 import b64encode
from uuid import uuid4

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from admin_client import admin_system
from guildhook.admin.api import ENDPOINTS, described_api
from guildhook.admin.endpoints import Access
from guildhook.admin.guards import check_json
from guildhook.admin.problems import ProblemError
from guildhook_local.stack import LocalGuild, stack
from samples import http_request


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ("[" * 10_000, "malformed"),
        ('{"settings":' + '{"a":' * 10_000 + "1" + "}" * 10_001, "malformed"),
        ('{"settings":' + "[" * 10_000, "malformed"),
        ('{"settings": "' + "x" * 10_000_000 + '"}', "too-large"),
        ("", "invalid"),
        ("  ", "invalid"),
        ("[]", "invalid"),
        ('[{"name": "A"}]', "invalid"),
        ("null", "invalid"),
        ('"name"', "invalid"),
        ("{", "malformed"),
        ('{"name": NaN}', "malformed"),
        ('{"name": Infinity}', "malformed"),
        ('{"name": 1e999}', "malformed"),
        ('{"name": "\\ud800"}', "malformed"),
        ('{"name": "\ud800"}', "malformed"),
        ('{"name": "A"} {}', "malformed"),
        ("{'name': 'A'}", "malformed"),
        ('{"name": ' + "9" * 10_000 + "}", "malformed"),
    ],
)
def test_a_body_that_cannot_be_read_changes_nothing(admin, client, body, kind):
    answer = client.post("/plugins", body)
    assert answer.kind == kind
    assert "Traceback" not in answer.text
    assert admin.plugins("id") == []


def test_brackets_in_texts_do_not_count_as_levels():
    check_json(json.dumps({"a": '[{"\\' * 10_000}).encode())
    check_json(b'{"a": "' + b'\\"' * 1_000 + b'[[["}')
    with pytest.raises(ProblemError, match="more than 64 levels"):
        check_json(b'{"\\\\": ' + b"[" * 64)
    with pytest.raises(ProblemError, match="not JSON"):
        check_json(b'{"a": "' + b"[" * 100_000)


def test_a_bound_is_named(client):
    assert "262144" in client.post("/plugins", "x" * 262_145).body["detail"]
    assert "64" in client.post("/plugins", "[" * 65).body["detail"]


def test_a_body_that_is_wrong_in_many_places_has_a_short_answer(client):
    plugin = client.post("/plugins", {"name": "Greeter"}).ok(201)
    for body in ({"permissions": ["x"] * 20_000}, {f"a{number}": 0 for number in range(20_000)}, {"x" * 200_000: 0}):
        answer = client.patch(f"/plugins/{plugin['id']}", body, '"1"')
        assert (answer.kind, len(answer.text) < 10_000) == ("invalid", True)
        assert 1 <= len(answer.body["errors"]) <= 20


def test_a_body_is_json_by_its_content_type(client):
    assert client.post("/plugins", '{"name": "A"}', content_type="text/plain").kind == "not-json"
    assert client.post("/plugins", "name=A", content_type="application/x-www-form-urlencoded").kind == "not-json"
    assert client.post("/plugins", '{"name": "A"}', content_type="application/json-seq").kind == "not-json"
    client.post("/plugins", '{"name": "A"}', content_type="application/json; charset=utf-8").ok(201)


@pytest.mark.parametrize(
    ("body", "status"),
    [(b'{"name": "\xc3\xa9"}', 201), (b'{"name": "\xff"}', 400), (b"\x00asm", 400), (b"x" * 262_145, 413)],
)
def test_bodies_come_in_base64_as_well(client, body, status):
    event = http_request("POST", f"{client.base}/plugins")
    event["headers"] |= {"content-type": "application/json", "authorization": f"Bearer {client.token}"}
    event |= {"body": b64encode(body).decode(), "isBase64Encoded": True}
    assert client.send(event).status == status


@pytest.mark.parametrize(
    ("authorization", "error"),
    [
        (None, False),
        ("", False),
        ("Basic YTpi", False),
        ("Bearer", False),
        ("Bearer a b", False),
        ("Bearer a.b.c", True),
        ("bearer " + "x" * 9_000, True),
    ],
)
def test_a_request_without_a_token_is_told_how_to_authenticate(admin, client, authorization, error):
    nobody = type(client)(client.handler, None, client.base, {"authorization": authorization} if authorization else {})
    answer = nobody.get("/plugins")
    assert answer.kind == "unauthorized"
    challenge = 'Bearer realm="guildhook"' + (', error="invalid_token"' if error else "")
    assert answer.headers["WWW-Authenticate"] == challenge


@pytest.mark.parametrize(
    ("claims", "said"),
    [
        ({"exp": 1}, "expired"),
        ({"iat": 4_000_000_000, "nbf": 4_000_000_000}, "clock"),
        ({"iss": "https://elsewhere.example"}, "issuer"),
        ({"aud": "another"}, "audience"),
        ({"sub": "somebody"}, "sub"),
        ({"exp": None}, "exp"),
    ],
)
def test_a_token_that_does_not_hold_is_told_why(admin, claims, said):
    answer = admin.client(**claims).get("/plugins")
    assert answer.kind == "unauthorized"
    assert said in answer.body["detail"]


def test_a_token_of_another_algorithm_is_told_the_way_out_and_so_is_the_log(admin, client, capsys):
    key = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
    token = jwt.encode({"sub": str(admin.manager_id)}, key, "RS256", headers={"kid": "key"})
    answer = type(client)(client.handler, token, client.base).get("/plugins")
    said = (
        "the token is signed with RS256, and this deployment takes EdDSA; its operator can set JwtAlgorithm "
        "(GUILDHOOK_JWT_ALGORITHM) to RS256"
    )
    assert (answer.kind, answer.body["detail"]) == ("unauthorized", said)
    assert said in capsys.readouterr().out


def test_a_person_without_the_permission_is_kept_out(admin):
    member = admin.member("SEND_MESSAGES").get("/plugins")
    stranger = admin.member("MANAGE_GUILD", guild=LocalGuild()).get("/plugins")
    assert (member.kind, stranger.kind) == ("forbidden", "not-found")
    client = admin.client()
    paths = [f"/api/guilds/{guild}" for guild in (uuid4(), "x", str(admin.guild.id).upper(), f"{{{admin.guild.id}}}")]
    unknown = [type(client)(client.handler, client.token, path).get() for path in paths]
    assert {answer.text for answer in unknown} == {stranger.text}


def test_a_chat_server_out_of_reach_lets_nobody_in(admin, client, capsys):
    client.get("/plugins").ok()
    stranger = admin.member("MANAGE_GUILD")
    token, admin.stack.chat.service_token = admin.stack.chat.service_token, "another"
    try:
        assert stranger.get("/plugins").kind == "unavailable"
    finally:
        admin.stack.chat.service_token = token
    assert "GUILDHOOK_CHAT" in capsys.readouterr().out


def test_requests_of_a_minute_are_bounded(admin, client):
    client.get("/plugins").ok()
    # The next minute may begin before the next request.
    update = "UPDATE admin_requests SET cost = 600, minute = minute + interval '1 minute' WHERE actor_id = %s"
    admin.execute(update, str(admin.manager_id))
    answer = client.get("/plugins")
    assert answer.kind == "too-many-requests"
    assert 1 <= int(answer.headers["Retry-After"]) <= 120
    admin.member("MANAGE_GUILD").get("/plugins").ok()


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("POST", "", "GET, PATCH"),
        ("PUT", "/plugins", "GET, POST"),
        ("OPTIONS", "/plugins", "GET, POST"),
        ("HEAD", "/plugins/x/versions/1", "DELETE, GET"),
        ("GET", "/plugins/x/live", "PUT"),
    ],
)
def test_another_method_is_told_which_there_are(client, method, path, allow):
    answer = client.ask(method, path)
    assert answer.kind == "method-not-allowed"
    assert answer.headers["Allow"] == allow


@pytest.mark.parametrize("path", ["/plugins/", "/nothing", "/plugins/x/y/z", "/plugins//versions"])
def test_an_unknown_path_is_not_found(client, path):
    assert client.get(path).kind == "not-found"


def test_every_answer_forbids_to_be_kept(client, plugin):
    for path in ("", "/plugins", f"/plugins/{plugin['id']}", "/plugins/x", "/nothing"):
        assert client.get(path).headers["Cache-Control"] == "no-store"


def test_no_route_is_open_that_is_not_meant_to_be():
    assert [endpoint.operation_id for endpoint in ENDPOINTS if endpoint.access is Access.ANYBODY] == [
        "getHealth",
        "getSignIn",
        "getOpenApi",
    ]
    assert [endpoint.operation_id for endpoint in ENDPOINTS if endpoint.access is Access.SIGNED_IN] == ["listGuilds"]
    api = described_api()
    routes = {(route.method, route.openapi_path) for route in api._static_routes + api._dynamic_routes}
    assert routes == {(endpoint.method, endpoint.path) for endpoint in ENDPOINTS}


def test_a_request_is_logged_without_its_contents(client, plugin, capsys):
    client.patch(f"/plugins/{plugin['id']}?q=s3cret", {"description": "s3cret"}, '"1"')
    client.patch(f"/plugins/{plugin['id']}", {"description": "s3cret"}, '"1"').ok()
    client.patch(f"/plugins/{plugin['id']}", {"settings": {"s3cret": "s3cret\u0000"}}, '"2"')
    logged = capsys.readouterr().out
    assert "s3cret" not in logged
    assert client.token not in logged
    (line,) = [json.loads(line) for line in logged.splitlines() if '"status":200' in line]
    assert line["operation"] == "changePlugin"
    assert (line["guild_id"], line["method"]) == (plugin["guild_id"], "PATCH")
    assert "Ada" not in logged


def test_without_its_configuration_there_is_no_operator(running):
    environment = {"GUILDHOOK_OPERATOR_AUDIENCE": None, "GUILDHOOK_OPERATOR_GROUP": None}
    with stack(running, environment=environment) as without:
        answer = admin_system(without).operator().get("/audit")
    assert (answer.status, answer.kind) == (404, "not-found")
    assert "OperatorAudience" in answer.body["detail"]
