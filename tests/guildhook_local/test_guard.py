import pytest

from guildhook_local.guard import Admitted, BrowserSession, Guard, GuardedRequest, SecretByPath, SecretPath


def request(host, **headers):
    named = [(name.replace("_", "-"), value) for name, value in headers.items()]
    return GuardedRequest("GET", "/", "/", [("host", host), *named])


@pytest.mark.parametrize(
    ("url", "admitted", "host", "is_mine"),
    [
        ("http://127.0.0.1:8470", set(), "127.0.0.1:8470", True),
        ("http://127.0.0.1:8470", set(), "127.0.0.1", False),
        ("http://127.0.0.1:8470", set(), "127.0.0.1:8471", False),
        ("http://127.0.0.1:8470", set(), "127.0.0.1:8470.rebound.example", False),
        ("http://127.0.0.1", set(), "127.0.0.1", True),
        ("http://[::1]:8470", set(), "[::1]:8470", True),
        ("http://127.0.0.1:8470", {"name"}, "name:8470", True),
        ("http://127.0.0.1:8470", {"name"}, "name", False),
        ("http://127.0.0.1", {"name"}, "name", True),
        ("http://127.0.0.1:8470", {"127.0.0.1:9"}, "127.0.0.1:9", True),
        ("http://127.0.0.1:8470", {"127.0.0.1:9"}, "127.0.0.1:10", False),
    ],
)
def test_the_host_is_the_servers_own_or_an_admitted_one(url, admitted, host, is_mine):
    guard = Guard(url, BrowserSession(), Admitted(hosts=admitted))
    response = guard.response_without_body(request(host))
    assert (response is None) is is_mine
    assert is_mine or (response.status, url in response.message) == (421, True)


def test_the_origin_is_the_servers_own_or_an_admitted_one():
    guard = Guard("http://127.0.0.1:1", BrowserSession(), Admitted(origins={"http://a"}), lambda: ["http://b"])
    for origin, may_send in (("http://127.0.0.1:1", True), ("http://a", True), ("http://b", True), ("http://c", False)):
        response = guard.response_without_body(request("127.0.0.1:1", origin=origin))
        assert (response is None) is may_send


@pytest.mark.parametrize(
    ("headers", "passes"),
    [
        ({}, True),
        ({"sec_fetch_site": "none", "sec_fetch_mode": "navigate", "sec_fetch_dest": "document"}, True),
        ({"sec_fetch_site": "same-origin", "sec_fetch_mode": "no-cors", "sec_fetch_dest": "script"}, True),
        ({"sec_fetch_site": "cross-site", "sec_fetch_mode": "navigate", "sec_fetch_dest": "document"}, True),
        ({"sec_fetch_site": "same-site", "sec_fetch_mode": "navigate", "sec_fetch_dest": "iframe"}, False),
        ({"sec_fetch_site": "cross-site", "sec_fetch_mode": "no-cors", "sec_fetch_dest": "image"}, False),
        ({"sec_fetch_site": "cross-site"}, False),
    ],
)
def test_a_part_of_another_page_is_told_from_a_link_that_a_person_follows(headers, passes):
    guard = Guard("http://127.0.0.1:1", BrowserSession(), Admitted())
    assert (guard.response_without_body(request("127.0.0.1:1", **headers)) is None) is passes


def test_a_session_is_open_for_its_own_cookie_alone():
    session, other = BrowserSession(), BrowserSession()
    assert session.is_open([f"a=b; {session.cookie}; c"])
    for cookies in ([], [""], [other.cookie], [session.cookie + "x"], ["guildhook="], ["guildhook"]):
        assert not session.is_open(cookies)


@pytest.mark.parametrize("path", ["//evil.example/", "/\\evil.example/", "/\\/\\evil.example/"])
def test_a_link_with_the_secret_stays_on_its_host(path):
    session = BrowserSession()
    target = f"{path}{session.link('').removeprefix('/')}"
    answer = session.response(GuardedRequest("GET", target, path, ()), b"")
    assert answer is not None
    assert answer.headers["Location"] == "/evil.example/"


def test_each_part_of_a_server_has_a_secret_of_its_own():
    session = BrowserSession()
    secret = SecretByPath({"/oidc/": SecretPath("/oidc/secret/"), "/": session})

    def is_open(path, cookie=""):
        return secret.response(GuardedRequest("GET", path, path, [("cookie", cookie)]), b"") is None

    assert is_open("/oidc/secret/jwks")
    assert not is_open("/oidc/secrets/jwks", session.cookie)
    assert not is_open("/oidc/", session.cookie)
    assert is_open("/", session.cookie)
    assert not is_open("/secret/")
