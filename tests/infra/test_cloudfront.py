"""Tests CloudFront in front of the API: its template, and its function, which runs in Node as it does there."""

import json
import re
import subprocess
from shutil import which

import pytest

from guildhook.admin.admin_page import AdminPage
from guildhook.admin.api import ENDPOINTS
from guildhook.admin.endpoints import Access
from guildhook.admin.models import Problem
from guildhook.admin.problems import CONTENT_TYPE, KINDS
from infra.templates import ACCOUNT, WEB_ACL, deployment, read_template, resolve
from project import ROOT

PARAMETERS = {
    "ApiHost": "6a1d0000.execute-api.eu-central-1.amazonaws.com",
    "OriginSecretArn": f"arn:aws:secretsmanager:eu-central-1:{ACCOUNT}:secret:origin-AbCdEf",
    "Release": "1",
    "DomainName": "",
    "CertificateArn": "",
    "WebAclArn": "",
}
CERTIFICATE = f"arn:aws:acm:us-east-1:{ACCOUNT}:certificate/7f0d5c9c-0000-4000-8000-000000000001"
CACHING_OPTIMIZED = "658327ea-f89d-4fab-a63d-7e88639e58f6"
ALL_BUT_HOST = "b689b0a8-53d0-40ab-baf2-68738e2966ac"
GUILD = "6a1d0000-0000-4000-8000-000000000001"
TOKEN = "Bearer eyJ.eyJ.sig"
ANSWERING = """
const lines = require('node:readline').createInterface({ input: process.stdin });
lines.on('line', (line) => console.log(JSON.stringify(handler(JSON.parse(line)))));
"""
"""Answers each line, which is an event, with a line."""
WITHOUT_TOKEN = [endpoint.path for endpoint in ENDPOINTS if endpoint.access is Access.ANYBODY]
PAGES = ["/", "/signed-in", "/guilds", f"/guilds/{GUILD}", f"/guilds/{GUILD}/plugins/any/runs/%C3%A9?a"]
FILES = [
    "/api.html",
    "/licenses.md",
    "/assets/index-B-4q3QT6.js",
    "/assets/entities.browser-DTea_uXE.js",
    "/assets/icon-DdR4OnxH.svg",
]


def resolved(**parameters):
    return resolve(read_template("infra/cloudfront.yaml"), {**PARAMETERS, **parameters})


def configuration(**parameters):
    return resolved(**parameters)["Distribution"]["DistributionConfig"]


def behaviors():
    config = configuration()
    return {"*": config["DefaultCacheBehavior"]} | {each["PathPattern"]: each for each in config["CacheBehaviors"]}


def behavior_of(path):
    """The behaviour that CloudFront takes for a path: the first that matches."""
    for pattern, behavior in [*list(behaviors().items())[1:], ("*", behaviors()["*"])]:
        if re.fullmatch(re.escape(pattern).replace(r"\*", ".*"), path):
            return behavior
    raise AssertionError(path)


@pytest.fixture(scope="module")
def at_edge(tmp_path_factory):
    """The function's result for a request, by its method, its path and its headers."""
    if not which("node"):
        pytest.skip("the function of CloudFront is tested with Node 20 or newer")
    script = tmp_path_factory.mktemp("edge") / "edge.js"
    script.write_text(resolved()["EdgeFunction"]["FunctionCode"] + ANSWERING)
    node = subprocess.Popen(["node", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def at_edge(path, method="GET", **headers):
        uri, _, query = path.partition("?")
        event = {
            "version": "1.0",
            "context": {"eventType": "viewer-request"},
            "viewer": {"ip": "192.0.2.1"},
            "request": {
                "method": method,
                "uri": uri,
                "querystring": {query: {"value": ""}} if query else {},
                "headers": {name: {"value": value} for name, value in headers.items()},
                "cookies": {},
            },
        }
        print(json.dumps(event), file=node.stdin, flush=True)
        return json.loads(node.stdout.readline())

    yield at_edge
    node.stdin.close()
    node.wait()
    node.stdout.close()


def passed(result):
    """The path that is looked up in the cache and asked from the API. Fails if the function has answered itself."""
    assert "statusCode" not in result, result
    return result["uri"]


def refused(result):
    """The status and the kind of the problem that the function answers with, and its headers."""
    headers = {name: each["value"] for name, each in result["headers"].items()}
    problem = Problem.model_validate_json(result["body"])
    kind = problem.type.removeprefix("urn:guildhook:problem:")
    assert (problem.status, problem.title) == (KINDS[kind][0], KINDS[kind][1])
    assert (result["statusCode"], result["statusDescription"]) == (problem.status, KINDS[kind][0].phrase)
    assert (headers.pop("content-type"), headers.pop("cache-control")) == (CONTENT_TYPE, "no-store")
    assert headers.pop("x-content-type-options") == "nosniff"
    return problem.status, kind, headers


def test_all_paths_of_the_page_are_one_object_of_the_cache(at_edge):
    assert {passed(at_edge(path)) for path in PAGES} == {"/"}


def test_files_of_the_page_and_routes_without_a_token_pass(at_edge):
    for path in [*FILES, *WITHOUT_TOKEN]:
        assert passed(at_edge(path)) == path


def test_every_file_of_a_built_page_passes(at_edge):
    built = ROOT / "functions" / "admin_api" / "page" / "assets"
    if not built.exists():
        pytest.skip("the page is not built; `make page` builds it, with Node 20.19 or newer")
    found = {f"/assets/{path.name}" for path in built.iterdir()}
    assert len(found) > 10
    assert {passed(at_edge(path)) for path in found} == found


def test_the_edge_knows_exactly_the_routes_that_need_no_token(at_edge):
    code = resolved()["EdgeFunction"]["FunctionCode"]
    (listed,) = re.findall(r"WITHOUT_TOKEN = \[([^]]*)\]", code)
    assert sorted(re.findall(r"'([^']*)'", listed)) == sorted(WITHOUT_TOKEN)
    parameters = {"guild_id": GUILD, "plugin_id": GUILD, "run_id": GUILD, "message_id": GUILD}
    for endpoint in ENDPOINTS:
        path = endpoint.path.format(**parameters, number="1", name="a_token.v-2")
        if endpoint.access is Access.ANYBODY:
            assert passed(at_edge(path, endpoint.method)) == path
            continue
        assert refused(at_edge(path, endpoint.method)) == (
            401,
            "unauthorized",
            {"www-authenticate": 'Bearer realm="guildhook"'},
        )
        assert passed(at_edge(path, endpoint.method, authorization=TOKEN)) == path


@pytest.mark.parametrize("authorization", ["", "Bearer", "Bearer ", "Basic YTpi", "eyJ.eyJ.sig"])
def test_another_authorization_than_a_bearer_token_does_not_reach_the_api(at_edge, authorization):
    assert refused(at_edge("/api/guilds", authorization=authorization))[:2] == (401, "unauthorized")


@pytest.mark.parametrize(
    "path",
    [
        "/favicon.ico",
        "/index.html",
        "/guildsx",
        "/wp-admin/setup.php",
        "/assets/",
        "/assets/index.js",
        "/assets/../api/guilds",
        "/assets/%2e%2e/index-B-4q3QT6.js",
        "/assets/a/index-B-4q3QT6.js",
        "/assets/index-B-4q3QT6.php",
        f"/assets/{'a' * 81}-B4q3QT6x.js",
        "//api/guilds",
        "/API/guilds",
        "/api",
        "/api/",
        "/api/guilds/",
        "/api//guilds",
        "/api/../guilds",
        "/api/..",
        "/api/.git/config",
        "/api/guilds/%2e%2e",
        "/api/health/",
        "/api/health%20",
        "/x/../api/guilds",
    ],
)
def test_an_unknown_path_is_answered_at_the_edge(at_edge, path):
    status, _, _ = refused(at_edge(path, authorization=TOKEN) if path != "/api/health/" else at_edge(path))
    assert status in (401, 404)


@pytest.mark.parametrize("method", ["HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_the_page_and_the_routes_without_a_token_take_get_alone(at_edge, method):
    """The API has no routes for HEAD, and its 404 must not take the place of the page in the cache."""
    for path in [*PAGES, *FILES, *WITHOUT_TOKEN]:
        assert refused(at_edge(path, method)) == (405, "method-not-allowed", {"allow": "GET"})


def test_the_function_is_within_cloudfronts_limits():
    function = resolved()["EdgeFunction"]
    assert len(function["FunctionCode"].encode()) < 10 * 1024
    assert function["FunctionConfig"]["Runtime"] == "cloudfront-js-2.0"
    assert function["AutoPublish"] is True
    assert re.fullmatch(r"[A-Za-z0-9_-]{1,64}", function["Name"])


def test_the_function_sees_every_request_before_the_cache():
    for pattern, behavior in behaviors().items():
        (association,) = behavior["FunctionAssociations"]
        assert association["EventType"] == "viewer-request", pattern
        assert association["FunctionARN"] == "EdgeFunction.FunctionARN", pattern


def test_a_stranger_reaches_only_the_cache():
    """Neither a query, a cookie nor a header makes another object of the cache, or reaches the API."""
    for path in ["/", *FILES, *WITHOUT_TOKEN, "/nothing"]:
        behavior = behavior_of(path)
        assert behavior["CachePolicyId"] == CACHING_OPTIMIZED
        assert behavior["AllowedMethods"] == ["GET", "HEAD"]
        assert "OriginRequestPolicyId" not in behavior


def test_no_answer_to_a_token_is_shared_with_another_token():
    for path in ("/api/guilds", f"/api/guilds/{GUILD}/plugins", "/api/operator/tail", "/api/subscribers"):
        behavior = behavior_of(path)
        assert behavior["CachePolicyId"] == "ByToken"
        assert behavior["OriginRequestPolicyId"] == ALL_BUT_HOST
        # A compressed answer would get a weak entity tag, which If-Match never has.
        assert behavior["Compress"] is False
        assert set(behavior["AllowedMethods"]) == {"GET", "HEAD", "OPTIONS", "PUT", "PATCH", "POST", "DELETE"}
    policy = resolved()["ByToken"]["CachePolicyConfig"]
    key = policy["ParametersInCacheKeyAndForwardedToOrigin"]
    assert key["HeadersConfig"] == {"HeaderBehavior": "whitelist", "Headers": ["Authorization"]}
    assert key["QueryStringsConfig"] == {"QueryStringBehavior": "all"}
    # With a minimum of 0, CloudFront keeps nothing that is no-store.
    assert (policy["MinTTL"], policy["DefaultTTL"]) == (0, 0)


def test_an_error_is_kept_only_if_the_api_says_so():
    """CloudFront keeps each of these for ten seconds for everybody, also if the API forbids it."""
    kept = {each["ErrorCode"]: each["ErrorCachingMinTTL"] for each in configuration()["CustomErrorResponses"]}
    assert kept == dict.fromkeys((400, 403, 404, 405, 414, 500, 501, 502, 503, 504), 0)


def test_nothing_is_sent_without_tls():
    (origin,) = configuration()["Origins"]
    assert origin["DomainName"] == PARAMETERS["ApiHost"]
    assert origin["CustomOriginConfig"] == {"OriginProtocolPolicy": "https-only", "OriginSSLProtocols": ["TLSv1.2"]}
    redirected = {pattern for pattern, each in behaviors().items() if each["ViewerProtocolPolicy"] != "https-only"}
    assert redirected == {"*", *WITHOUT_TOKEN}
    assert {behaviors()[pattern]["ViewerProtocolPolicy"] for pattern in redirected} == {"redirect-to-https"}


def test_the_api_gets_the_secret_and_a_new_release_reads_it_anew():
    (header,) = configuration()["Origins"][0]["OriginCustomHeaders"]
    assert header == {
        "HeaderName": "X-Guildhook-Origin",
        "HeaderValue": f"{{{{resolve:secretsmanager:{PARAMETERS['OriginSecretArn']}:SecretString:origin_secret}}}}",
    }
    assert configuration(Release="origin-2") != configuration(Release="origin-1")
    # CloudFront takes 128 characters, and Release may have 64.
    assert len(configuration(Release="r" * 64)["Comment"]) <= 128


def test_a_domain_and_a_web_acl_are_there_if_they_are_given():
    without = configuration()
    assert without["ViewerCertificate"] == {"CloudFrontDefaultCertificate": True}
    assert not {"Aliases", "WebACLId"} & set(without)
    with_both = configuration(DomainName="plugins.example.org", CertificateArn=CERTIFICATE, WebAclArn=WEB_ACL)
    assert with_both["Aliases"] == ["plugins.example.org"]
    assert with_both["WebACLId"] == WEB_ACL
    assert with_both["ViewerCertificate"] == {
        "AcmCertificateArn": CERTIFICATE,
        "MinimumProtocolVersion": "TLSv1.2_2021",
        "SslSupportMethod": "sni-only",
    }


@pytest.mark.parametrize("name", ["CloudFront", "CloudFront, a given secret", "EdDSA, CloudFront, a domain"])
def test_cloudfront_sends_the_secret_that_the_functions_ask_for(name):
    stack = deployment(name)
    given = stack["CloudFront"]["Parameters"]
    for function in ("AdminApi", "AdminPage", "OperatorApi"):
        assert stack[function]["Environment"]["Variables"]["GUILDHOOK_ORIGIN_SECRET"] == given["OriginSecretArn"]
    assert ("OriginSecret" in stack.resources) is (given["OriginSecretArn"] == "OriginSecret")
    assert given["ApiHost"] == "Api.execute-api.eu-central-1.amazonaws.com"
    assert set(given) == set(PARAMETERS)


def test_a_secret_of_the_stack_has_the_form_that_the_functions_expect():
    generated = deployment("CloudFront")["OriginSecret"]["GenerateSecretString"]
    assert (generated["SecretStringTemplate"], generated["GenerateStringKey"]) == ("{}", "origin_secret")
    assert 32 <= generated["PasswordLength"] <= 256
    assert generated["ExcludePunctuation"] is True


def test_the_page_answers_each_path_that_the_edge_takes_for_its_index(tmp_path):
    """The edge asks for / in their place, so they must be the same file."""
    (tmp_path / "index.html").write_text("index")
    page = AdminPage(tmp_path, "https://issuer.example.org", lambda: "https://bucket.example.org")
    assert {page.answer(path.partition("?")[0]).body for path in PAGES} == {b"index"}
