"""Every server of the embedded stack, asked over raw HTTP as a web page, another user or a container would ask it."""

import http.client
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from urllib.parse import urlencode, urlsplit
from uuid import uuid4

import pytest
import urllib3

import wat
from guildhook.aws.access import AwsAccess
from guildhook.aws.signing import Signer
from guildhook_local.guard import BrowserSession
from guildhook_local.http_api import http_api
from guildhook_local.issuer import Issuer, Person
from guildhook_local.serve import admin_secret
from guildhook_local.signatures import KeyPair

ELSEWHERE = "https://elsewhere.example"
SERVERS = ("S3", "SQS", "Lambda", "admin page", "admin API", "chat API", "chat page", "chat message", "issuer")
ADA = uuid4()


@dataclass(frozen=True)
class Asked:
    method: str
    url: str
    headers: Mapping[str, str | list[str]]
    body: bytes | None = None

    def status(self):
        parts = urlsplit(self.url)
        connection = http.client.HTTPConnection(parts.netloc, timeout=30)
        try:
            connection.putrequest(
                self.method,
                self.url.removeprefix(f"http://{parts.netloc}"),
                skip_host=True,
                skip_accept_encoding=True,
            )
            for name, value in {"Host": parts.netloc, **self.headers}.items():
                for each in [value] if isinstance(value, str) else value:
                    connection.putheader(name, each)
            if self.body is not None:
                connection.putheader("Content-Length", str(len(self.body)))
            connection.endheaders(self.body)
            return connection.getresponse().status
        finally:
            connection.close()

    def with_headers(self, **headers):
        """The same with other headers. None leaves one out; the underscores are hyphens."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        kept = {name: value for name, value in self.headers.items() if name not in named}
        return replace(self, headers=kept | {name: value for name, value in named.items() if value is not None})


@pytest.fixture(scope="module")
def admin_url(shared_system):
    with http_api(shared_system.admin_handler, admin_secret(shared_system)) as url:
        yield url


@pytest.fixture(scope="module")
def asked(shared_system, admin_url):
    """A request with its secret for each server. `keys`, `session` and the like are those of the stack if not given."""
    chat, guild = shared_system.chat, shared_system.add_guild()
    channel = guild.channel_id
    chat.add_person(ADA, Person("Ada"))
    chat.add_member(guild.id, ADA)
    lambda_url = shared_system.environment["AWS_ENDPOINT_URL_LAMBDA"]

    def signed(keys, service, method, url, body=None, **headers):
        known = {"AWS_ACCESS_KEY_ID": keys.access_key_id, "AWS_SECRET_ACCESS_KEY": keys.secret_access_key}
        signer = Signer(AwsAccess({"AWS_REGION": "eu-central-1", **known}))
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        return Asked(method, url, signer.headers(service, method, url, given, body), body)

    def asked(server, keys=None, session=None, token=None, issuer=None):
        keys, issuer = keys or shared_system.aws.keys, issuer or chat.issuer
        cookie = {"Cookie": (session or chat.session).cookie}
        posted = cookie | {"Origin": chat.url}
        aws, invoke = f"{shared_system.aws.endpoint}/", f"{lambda_url}/2015-03-31/functions/test_run/invocations"
        said = json.dumps({"user_id": str(ADA), "content": "hi"}).encode()
        return {
            "S3": lambda: signed(keys, "s3", "GET", aws),
            "SQS": lambda: signed(keys, "sqs", "POST", aws, b"{}", X_Amz_Target="AmazonSQS.ListQueues"),
            "Lambda": lambda: signed(keys, "lambda", "POST", invoke, b"{}"),
            "admin page": lambda: Asked("GET", f"{admin_url}/api/sign-in", cookie),
            "admin API": lambda: Asked("GET", f"{admin_url}/api/guilds", bearer(issuer.issue(ADA, "Ada"))),
            "chat API": lambda: Asked("GET", f"{chat.url}/api/users/{ADA}/guilds", bearer(token or chat.service_token)),
            "chat page": lambda: Asked("GET", f"{chat.url}/chat/guilds", cookie),
            "chat message": lambda: Asked("POST", f"{chat.url}/chat/channels/{channel}/messages", posted, said),
            "issuer": lambda: Asked("GET", f"{issuer.url}/jwks", {}),
        }[server]()

    return asked


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


@pytest.fixture(scope="module")
def strange(shared_system):
    """The secrets of an earlier stack, which the same person has run at the same addresses."""
    chat = shared_system.chat
    session = BrowserSession()
    session.name = chat.session.name
    issuer = Issuer(chat.people, session)
    issuer.url = f"{chat.url}/oidc/{'x' * 32}"
    return {"keys": KeyPair(), "session": session, "token": "local-service-token", "issuer": issuer}


@pytest.mark.parametrize("server", SERVERS)
def test_a_request_with_the_secret_is_answered(asked, server):
    assert asked(server).status() in (200, 201)


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize(
    "host", ["rebound.example", "localhost:{port}", "127.0.0.1", "", None, ["{own}", "rebound.example"]]
)
def test_another_host_name_is_refused_even_with_the_secret(asked, server, host):
    request = asked(server)
    own = urlsplit(request.url).netloc
    values = {"own": own, "port": own.partition(":")[2]}
    if host is None:
        refused = Asked(request.method, request.url, {**request.headers, "Host": []}, request.body)
    else:
        given = [each.format(**values) for each in host] if isinstance(host, list) else host.format(**values)
        refused = request.with_headers(Host=given)
    assert refused.status() in (400, 421)


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize("origin", [ELSEWHERE, "null", "http://127.0.0.1:1", "http://localhost"])
def test_a_page_of_another_origin_is_refused_even_with_the_secret(asked, server, origin):
    assert asked(server).with_headers(Origin=origin).status() == 403


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize("site", ["cross-site", "same-site"])
@pytest.mark.parametrize("mode", [("no-cors", "script"), ("no-cors", "image"), ("navigate", "iframe")])
def test_a_part_of_another_page_is_refused_even_with_the_secret(asked, server, site, mode):
    request = asked(server).with_headers(
        Origin=None, Sec_Fetch_Site=site, Sec_Fetch_Mode=mode[0], Sec_Fetch_Dest=mode[1]
    )
    assert request.status() == 403


@pytest.mark.parametrize("server", SERVERS)
def test_a_preflight_of_another_origin_is_refused(asked, server):
    request = replace(asked(server), method="OPTIONS", headers={"Origin": ELSEWHERE}, body=None)
    assert request.with_headers(Access_Control_Request_Method="PUT").status() == 403


@pytest.mark.parametrize("server", [server for server in SERVERS if server != "issuer"])
def test_a_request_without_the_secret_is_refused(asked, server):
    secrets = {"Authorization": None, "Cookie": None}
    assert asked(server).with_headers(**secrets).status() in (401, 403)


@pytest.mark.parametrize("server", SERVERS)
def test_a_request_with_the_secret_of_an_earlier_stack_is_refused(asked, strange, server):
    assert asked(server, **strange).status() in (401, 403)


@pytest.mark.parametrize("server", ["S3", "SQS", "Lambda"])
def test_the_id_of_the_key_is_not_enough(asked, shared_system, server):
    keys = KeyPair(shared_system.aws.keys.access_key_id, "guess")
    assert asked(server, keys=keys).status() == 403


@pytest.mark.parametrize("path", ["/moto-api/", "/moto-api/data.json", "/", "/latest/meta-data/"])
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS"])
def test_nothing_of_moto_is_open(shared_system, method, path):
    assert Asked(method, shared_system.aws.endpoint + path, {}).status() == 403


def test_a_form_of_another_site_puts_nothing_into_the_bucket(shared_system):
    s3 = shared_system.aws.client("s3")
    url, key = f"{shared_system.aws.endpoint}/{shared_system.bucket}", f"modules/{uuid4()}"
    file = ("plugin", wat.SILENT, "application/wasm")
    with urllib3.PoolManager(retries=False) as pool:
        for headers in ({}, {"Origin": ELSEWHERE}, {"Host": "rebound.example"}):
            assert pool.request("POST", url, fields={"key": key, "file": file}, headers=headers).status in (403, 421)
            assert pool.request("PUT", f"{url}/{key}", body=wat.SILENT, headers=headers).status in (403, 421)
    assert s3.list_objects_v2(Bucket=shared_system.bucket, Prefix=key)["KeyCount"] == 0


def test_an_admitted_page_uploads_and_reads_the_answer(shared_system):
    page = f"http://127.0.0.1:{uuid4().int % 60_000}"
    shared_system.admitted.origins.add(page)
    form = shared_system.aws.client("s3").generate_presigned_post(shared_system.bucket, str(uuid4()))
    fields = {**form["fields"], "file": ("plugin", wat.SILENT, "application/wasm")}
    with urllib3.PoolManager(retries=False) as pool:
        sent = pool.request("POST", form["url"], fields=fields, headers={"Origin": page})
        asking = {"Origin": page, "Access-Control-Request-Method": "POST"}
        preflight = pool.request("OPTIONS", form["url"], headers=asking)
    assert (sent.status, sent.headers["Access-Control-Allow-Origin"]) == (204, page)
    assert (preflight.status, preflight.headers["Access-Control-Allow-Origin"]) == (204, page)


def test_containers_use_their_name_of_the_machine_once_they_are_let_in(asked, shared_system):
    port = urlsplit(shared_system.aws.endpoint).port
    names = {"chat API": f"host.docker.internal:{urlsplit(shared_system.chat.url).port}"}
    request = asked("chat API").with_headers(Host=names["chat API"])
    assert request.status() == 421
    shared_system.admitted.hosts.add("host.docker.internal")
    try:
        assert request.status() == 200
        assert asked("chat API").with_headers(Host=f"host.docker.internal:{port}").status() == 421
    finally:
        shared_system.admitted.hosts.remove("host.docker.internal")


def test_a_link_with_the_secret_becomes_a_cookie_for_this_site_alone(admin_url, shared_system):
    session = shared_system.chat.session
    with urllib3.PoolManager(retries=False) as pool:
        link = session.link(admin_url).replace("/?", "//elsewhere.example/a?x=1&")
        answer = pool.request("GET", link, redirect=False)
        guess = pool.request("GET", f"{admin_url}/?{urlencode({session.PARAMETER: 'guess'})}", redirect=False)
    assert (answer.status, answer.headers["Location"]) == (303, "/elsewhere.example/a?x=1")
    assert answer.headers["Set-Cookie"] == f"{session.cookie}; Path=/; HttpOnly; SameSite=Strict"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert (guess.status, guess.headers.get("Set-Cookie")) == (403, None)
    assert "the link that `guildhook serve` has printed" in guess.json()["message"]
