"""The headers by which a cache in front of the API decides, of answers over HTTP."""

import pytest
import urllib3

from admin_client import PROBLEM, add_plugin
from api.test_authorisation import DOCUMENT, OPERATIONS
from guildhook.admin.admin_page import AdminPage, add_admin_page
from guildhook.admin.api import described_api
from guildhook_local.guard import BrowserSession
from guildhook_local.http_api import http_api

SESSION = BrowserSession()
KEPT_SECONDS = {"/api/health": 10, "/api/sign-in": 60, "/api/openapi.json": 300}
"""The routes without a token."""
NOT_SHARED = {"set-cookie", "access-control-allow-origin"}


def asking(url):
    http = urllib3.PoolManager(retries=False)

    def ask(method, path, token=None, **headers):
        sent = {"Cookie": SESSION.cookie, **{name.replace("_", "-"): value for name, value in headers.items()}}
        if token is not None:
            sent["Authorization"] = f"Bearer {token}"
        return http.request(method, url + path, headers=sent, redirect=False)

    return ask


@pytest.fixture(scope="module")
def ask(admin):
    with http_api(admin.stack.admin_handler, SESSION) as url:
        yield asking(url)


@pytest.fixture(scope="module")
def parameters(admin):
    return add_plugin(admin)


@pytest.fixture
def ask_page(tmp_path):
    (tmp_path / "assets").mkdir()
    (tmp_path / "index.html").write_text("<!doctype html>" + " " * 2_000)
    (tmp_path / "api.html").write_text("<!doctype html>")
    (tmp_path / "assets" / "index-B-4q3QT6.js").write_text("export {};")
    api = described_api()
    add_admin_page(api, AdminPage(tmp_path, "https://issuer.example.org", lambda: "https://bucket.example.org"))
    with http_api(api.resolve, SESSION) as url:
        yield asking(url)


def test_answers_without_a_token_are_kept_for_the_same_time_for_everybody(ask):
    for path, seconds in KEPT_SECONDS.items():
        answer = ask("GET", path)
        assert (answer.status, answer.headers["Cache-Control"]) == (200, f"public, max-age={seconds}"), path
        assert not NOT_SHARED & {name.lower() for name in answer.headers}
        assert answer.headers.get("Vary", "Accept-Encoding") == "Accept-Encoding"
        # The answer is the same with a token, a cookie and a query, which are no part of the key.
        assert ask("GET", f"{path}?any=1", "any", X_Any="1").data == answer.data


@pytest.mark.parametrize(("method", "path", "operation"), OPERATIONS)
def test_no_answer_to_a_token_may_be_kept(admin, ask, parameters, method, path, operation):
    if path in KEPT_SECONDS:
        assert "security" not in operation
        return
    takes_body = "requestBody" in DOCUMENT["paths"][path][method.lower()]
    sent = {"Content_Type": "application/json"} if takes_body else {}
    # The first two are refused; the last one has the rights, and gets an answer or the problem of its missing body.
    for token in (None, "nobody", admin.client().token):
        answer = ask(method, path.format(**parameters), token, **sent)
        assert answer.headers["Cache-Control"] == "no-store", token
        assert "Set-Cookie" not in answer.headers


def test_an_error_of_the_api_may_not_be_kept(ask):
    for method, path in (("GET", "/api/nothing"), ("POST", "/api/health"), ("GET", "/nothing")):
        answer = ask(method, path)
        assert answer.status in (404, 405)
        assert (answer.headers["Content-Type"], answer.headers["Cache-Control"]) == (PROBLEM, "no-store")


@pytest.mark.parametrize("path", ["/", "/signed-in", "/guilds/any/plugins", "/api.html"])
def test_the_page_is_kept_for_a_minute_by_a_cache_and_asked_for_again_by_browsers(ask_page, path):
    answer = ask_page("GET", path)
    assert answer.headers["Cache-Control"] == "public, max-age=0, s-maxage=60, must-revalidate"
    assert answer.headers["Vary"] == "Accept-Encoding"
    assert not NOT_SHARED & {name.lower() for name in answer.headers}
    again = ask_page("GET", path, If_None_Match=answer.headers["ETag"])
    assert (again.status, again.data) == (304, b"")
    assert again.headers["Cache-Control"] == answer.headers["Cache-Control"]
    assert again.headers["ETag"] == answer.headers["ETag"]


def test_a_compressed_page_has_the_tag_of_the_uncompressed_one(ask_page):
    plain, compressed = ask_page("GET", "/"), ask_page("GET", "/", Accept_Encoding="gzip")
    assert compressed.headers["Content-Encoding"] == "gzip"
    assert compressed.data == plain.data
    assert compressed.headers["ETag"] == plain.headers["ETag"]
    assert compressed.headers["ETag"].startswith("W/")


def test_a_file_of_the_page_is_kept_for_a_year_and_a_missing_one_for_seconds(ask_page):
    found, missing = ask_page("GET", "/assets/index-B-4q3QT6.js"), ask_page("GET", "/assets/index-AAAAAAAA.js")
    assert found.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert found.headers["Vary"] == "Accept-Encoding"
    assert missing.status != 200
