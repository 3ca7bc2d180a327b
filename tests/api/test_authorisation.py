"""Every route of the OpenAPI document refuses every actor without access. New routes are tested without a change."""

import json
from typing import Any
from uuid import uuid4

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa

from admin_client import Client, add_plugin
from guildhook.admin.endpoints import OPERATOR_PREFIX, SERVICE
from guildhook_local.issuer import OPERATOR_GROUP
from guildhook_local.stack import LocalGuild
from project import ROOT

DOCUMENT = json.loads((ROOT / "web" / "openapi.json").read_text())
OPERATIONS: list[Any] = [
    pytest.param(method.upper(), path, operation, id=operation["operationId"])
    for path, operations in sorted(DOCUMENT["paths"].items())
    for method, operation in sorted(operations.items())
]
SIGNED_IN = [operation for operation in OPERATIONS if "security" in operation.values[2]]
OF_OPERATORS = [each for each in SIGNED_IN if each.values[2]["security"] == [{"operator_token": []}]]
OF_A_GUILD = [each for each in OPERATIONS if "{guild_id}" in each.values[1] and each not in OF_OPERATORS]

NOBODY = {
    "no token": None,
    "empty": "",
    "no JWT": "token",
    "expired": {"exp": 1},
    "not yet": {"nbf": 4_000_000_000, "iat": 4_000_000_000},
    "of another issuer": {"iss": "https://elsewhere.example"},
    "for another audience": {"aud": "another", "client_id": "another"},
    "of an id token": {"token_use": "id"},
    "for no user": {"sub": "ada"},
    "endless": {"exp": None},
}


@pytest.fixture(scope="module")
def parameters(admin):
    return add_plugin(admin)


@pytest.fixture
def unchanged(admin):
    """Fails if the test has changed anything in the database."""

    def everything():
        return [
            admin.execute(f"SELECT count(*), coalesce(sum(hashtext(row::text)), 0) FROM {table} AS row")
            for table in (
                "plugins",
                "plugin_versions",
                "plugin_secrets",
                "plugin_settings_versions",
                "plugin_audit",
                "guild_settings",
                "plugin_runs",
            )
        ]

    before = everything()
    yield
    assert everything() == before


def ask(admin, parameters, method, path, token):
    client = Client(admin.stack.admin_handler, token)
    # Most routes accept this body, so that a missing body is not the reason for the refusal.
    body = {"name": "Taken over", "version": 1, "value": "x", "keep_content": True, "message": {"content": "hi"}}
    takes_body = "requestBody" in DOCUMENT["paths"][path][method.lower()]
    return client.ask(method, path.format(**parameters), body if takes_body else None, if_match='"1"')


@pytest.mark.parametrize(("method", "path", "operation"), SIGNED_IN)
def test_a_request_without_a_valid_token_is_unauthorized(admin, parameters, unchanged, method, path, operation):
    for case, claims in NOBODY.items():
        client = admin.operator if path.startswith(OPERATOR_PREFIX) else admin.client
        token = client(**claims).token if isinstance(claims, dict) else claims
        answer = ask(admin, parameters, method, path, token)
        assert (answer.status, answer.kind) == (401, "unauthorized"), case
        assert answer.headers["WWW-Authenticate"].startswith("Bearer"), case


@pytest.mark.parametrize(("method", "path", "operation"), SIGNED_IN)
def test_a_token_with_a_foreign_signature_is_refused(admin, parameters, unchanged, method, path, operation):
    token = admin.client().token
    claims = jwt.decode(token, options={"verify_signature": False})
    header = jwt.get_unverified_header(token)
    key, of_rsa = ed25519.Ed25519PrivateKey.generate(), rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
    head, body, signature = token.split(".")
    forged = [
        jwt.encode(claims, key, "EdDSA", headers={"kid": header["kid"]}),
        jwt.encode(claims, key, "EdDSA", headers={"kid": "another"}),
        jwt.encode(claims, of_rsa, "RS256", headers={"kid": header["kid"]}),
        jwt.encode(claims, None, "none", headers={"kid": header["kid"]}),
        jwt.encode(claims, "x" * 64, "HS256", headers={"kid": header["kid"]}),
        f"{head}.{body}.",
        f"{head}.{body}.{signature[:-8]}AAAAAAAA",
    ]
    for number, each in enumerate(forged):
        assert ask(admin, parameters, method, path, each).status == 401, number


@pytest.mark.parametrize(("method", "path", "operation"), OF_A_GUILD)
def test_a_member_without_the_permission_is_refused(admin, parameters, unchanged, method, path, operation):
    answer = ask(admin, parameters, method, path, admin.member("SEND_MESSAGES", "ADMINISTRATOR").token)
    assert (answer.status, answer.kind) == (403, "forbidden")


@pytest.mark.parametrize(("method", "path", "operation"), OF_A_GUILD)
def test_a_manager_of_another_guild_sees_nothing_of_this_one(admin, parameters, unchanged, method, path, operation):
    theirs = LocalGuild()
    admin.stack.chat.add_guild(theirs.id, "Theirs")
    token = admin.member("MANAGE_GUILD", guild=theirs).token
    answer = ask(admin, parameters, method, path, token)
    unknown = ask(admin, {**parameters, "guild_id": str(uuid4())}, method, path, token)
    assert (answer.status, answer.kind) == (404, "not-found")
    assert answer.text == unknown.text


@pytest.mark.parametrize(
    ("method", "path", "operation"), [each for each in OF_A_GUILD if "{plugin_id}" in each.values[1]]
)
def test_a_plugin_of_one_guild_is_not_found_in_another(admin, parameters, unchanged, method, path, operation):
    """One person manages both guilds, and asks for the plugin of one by the path of the other."""
    second = LocalGuild()
    admin.stack.chat.add_guild(second.id, "Second")
    admin.stack.chat.add_member(second.id, admin.manager_id, ["MANAGE_GUILD"])
    answer = ask(admin, {**parameters, "guild_id": str(second.id)}, method, path, admin.client().token)
    assert answer.status in {404, 422}, answer.text
    if answer.status == 422:  # The body does not fit this route.
        assert "requestBody" in operation


@pytest.mark.parametrize(("method", "path", "operation"), OF_OPERATORS)
def test_a_route_of_operators_is_below_their_path_and_refuses_others(
    admin, parameters, unchanged, method, path, operation
):
    assert path.startswith(OPERATOR_PREFIX)
    # A manager's token is for another audience, also with the group in it.
    for token in (admin.client().token, admin.client(groups=[OPERATOR_GROUP]).token):
        answer = ask(admin, parameters, method, path, token)
        assert (answer.status, answer.kind) == (401, "unauthorized")
    for groups in (None, [], ["others"], "not-operators", {"operators": True}):
        answer = ask(admin, parameters, method, path, admin.operator(groups=groups).token)
        assert (answer.status, answer.kind) == (403, "forbidden"), groups


@pytest.mark.parametrize(("method", "path", "operation"), [each for each in SIGNED_IN if each not in OF_OPERATORS])
def test_an_operators_token_is_for_no_route_of_admins(admin, parameters, unchanged, method, path, operation):
    assert not path.startswith(OPERATOR_PREFIX)
    answer = ask(admin, parameters, method, path, admin.operator(sub=str(admin.manager_id)).token)
    assert (answer.status, answer.kind) == (401, "unauthorized")


@pytest.mark.parametrize(("method", "path", "operation"), OPERATIONS)
def test_a_manager_of_the_guild_or_an_operator_may_use_the_operation(admin, parameters, method, path, operation):
    if operation.get("security") == [{SERVICE: []}]:
        token = admin.stack.chat.service_token
    else:
        token = (admin.operator() if path.startswith(OPERATOR_PREFIX) else admin.client()).token
    answer = ask(admin, parameters, method, path, token)
    assert answer.status in {200, 201, 204, 403, 409, 412, 422}, answer.text
    # The request was not refused for the reasons of the others.
    assert str(answer.status) in operation["responses"]


@pytest.mark.parametrize(
    ("method", "path", "operation"), [each for each in OPERATIONS if "security" not in each.values[2]]
)
def test_only_health_sign_in_and_the_document_are_public(admin, parameters, method, path, operation):
    assert operation["operationId"] in {"getHealth", "getSignIn", "getOpenApi"}
    assert ask(admin, parameters, method, path, None).status == 200
