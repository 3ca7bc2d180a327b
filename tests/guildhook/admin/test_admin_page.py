import re

import pytest
from aws_lambda_powertools.event_handler import APIGatewayHttpResolver

from guildhook.admin.admin_page import AdminPage, add_admin_page
from guildhook.admin.problems import ProblemError
from samples import http_request

INDEX = "<!doctype html><title>guildhook</title>"


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "page"
    (folder / "assets").mkdir(parents=True)
    (folder / "index.html").write_text(INDEX)
    (folder / "api.html").write_text("the API")
    (folder / "assets" / "index-a1b2.js").write_text("export {};")
    (folder / "notes.txt").write_text("nobody's business")
    (tmp_path / "secret.js").write_text("outside")
    return folder


@pytest.fixture
def page(folder):
    return AdminPage(folder, "https://issuer.example.org/realms/guild", lambda: "https://bucket.example.org")


@pytest.mark.parametrize(
    "path", ["/", "/signed-in", "/guilds", "/guilds/a", "/guilds/a/plugins/b/runs/c", "/guilds/a/"]
)
def test_all_paths_of_the_page_itself_are_its_index(page, path):
    response = page.answer(path)
    assert (response.status_code, response.body) == (200, INDEX.encode())
    assert response.headers["Content-Type"] == "text/html; charset=utf-8"
    assert response.headers["Cache-Control"] == "public, max-age=0, s-maxage=60, must-revalidate"


def test_assets_never_change(page):
    response = page.answer("/assets/index-a1b2.js")
    assert response.body == b"export {};"
    assert response.headers["Content-Type"] == "text/javascript; charset=utf-8"
    assert response.headers["Cache-Control"] == "public, max-age=31536000, immutable"


def test_a_file_that_the_browser_has_is_not_sent_again(page):
    etag = page.answer("/").headers["ETag"]
    response = page.answer("/", if_none_match=f'"other", {etag.removeprefix("W/")}')
    assert (response.status_code, response.body) == (304, None)
    assert page.answer("/", if_none_match='"other"').status_code == 200


def test_head_has_the_headers_alone(page):
    response = page.answer("/", "HEAD")
    assert (response.status_code, response.body) == (200, None)
    assert response.headers["ETag"] == page.answer("/").headers["ETag"]


def test_the_page_may_ask_itself_the_issuer_and_the_bucket_and_run_its_own_files_alone(page):
    headers = page.answer("/").headers
    policy = dict(part.strip().partition(" ")[::2] for part in headers["Content-Security-Policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == "'self'"
    assert policy["connect-src"] == "'self' https://issuer.example.org https://bucket.example.org"
    assert policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert not re.search(r"unsafe|\*", headers["Content-Security-Policy"])
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"


@pytest.mark.parametrize(
    "path",
    [
        "/notes.txt",
        "/../secret.js",
        "/assets/../../secret.js",
        "/assets/..%2f..%2fsecret.js",
        "/assets/",
        "/assets",
        "//etc/passwd",
        "/assets/index-a1b2.js/",
        "/guildsx",
    ],
)
def test_nothing_else_is_served(page, path):
    with pytest.raises(ProblemError) as raised:
        page.answer(path)
    assert raised.value.status == 404
    # A deploy may bring the file within seconds.
    assert raised.value.headers["Cache-Control"] == "public, max-age=10"


def test_a_page_that_is_not_built_names_the_command_that_builds_it(tmp_path):
    page = AdminPage(tmp_path / "page", "https://issuer.example.org", lambda: "https://bucket.example.org")
    with pytest.raises(ProblemError, match="make page") as raised:
        page.answer("/")
    assert raised.value.status == 503
    assert "Cache-Control" not in raised.value.headers


def test_the_page_is_compressed_for_browsers_that_accept_it(page):
    api = APIGatewayHttpResolver()
    add_admin_page(api, page)
    event = http_request("GET", "/guilds/a/plugins/b")
    event["headers"] = {"accept-encoding": "gzip, br"}
    answer = api.resolve(event, None)
    assert (answer["statusCode"], answer["headers"]["Content-Encoding"]) == (200, "gzip")
    assert answer["isBase64Encoded"]
