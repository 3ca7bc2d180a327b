from email.utils import formatdate

import pytest

from guildhook.chat import Pause
from guildhook.chat.asked_pauses import asked_pause

NOW = 1_769_342_400.0  # 2026-01-25T12:00:00Z
UNCLEAR = 900


def seconds(headers, answer=None, *, limited=True):
    pause = asked_pause(headers, answer or {}, NOW, UNCLEAR, limited=limited)
    return pause and pause.seconds


@pytest.mark.parametrize(
    ("retry_after", "expected"),
    [
        ("7", 7),
        ("0", 0),
        ("64.57", 65),
        ("0.2", 1),
        (".5", 1),
        ("1e2", 100),
        (" 12 ", 12),
        ("30, 2", 30),
        ("2,30", 30),
        ("2, soon, 30", 30),
        ("Sun, 25 Jan 2026 12:00:40 GMT", 40),
        ("Sunday, 25-Jan-26 12:00:40 GMT", 40),
        ("Sun Jan 25 12:00:40 2026", 40),
        ("5, Sun, 25 Jan 2026 12:00:40 GMT, 7", 40),
        ("Sun, 25 Jan 2026 11:00:00 GMT", 0),
        ("3601", 3_600),
        ("9" * 20, 3_600),
        ("9" * 5_000, 3_600),
        ("1e999", 3_600),
        ("Sun, 25 Jan 2099 12:00:00 GMT", 3_600),
    ],
)
def test_a_pause_is_at_least_what_retry_after_says_and_at_most_an_hour(retry_after, expected):
    for limited in (True, False):
        assert seconds({"Retry-After": retry_after}, limited=limited) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        ",",
        "soon",
        "-5",
        "nan",
        "NaN",
        "5 s",
        "30s",
        "1.2.3",
        "1:30",
        "0x10",
        f"Sun, 25 Jan {'9' * 30} 12:00:00 GMT",
    ],
)
def test_a_pause_that_cannot_be_understood_is_a_long_one(text):
    assert seconds({"Retry-After": text}) == UNCLEAR
    assert seconds({}, {"retry_after": text}) == UNCLEAR
    assert seconds({"Retry-After": text}, {"retry_after": 64.57}) == 65


@pytest.mark.parametrize("limited", [True, False])
def test_the_longest_unclear_pause_is_an_hour_as_well(limited):
    pause = asked_pause({"Retry-After": "soon"}, {}, NOW, 7_200, limited=limited)
    assert pause == Pause(3_600, everywhere=False)


@pytest.mark.parametrize(
    ("value", "expected"),
    [(64, 64), (64.57, 65), ("64.57", 65), (0, 0), (10**400, 3_600), (float("inf"), 3_600)]
    + [(value, UNCLEAR) for value in (-1, -0.5, float("nan"), True, [64], {"seconds": 64})],
)
def test_the_body_can_ask_for_a_pause(value, expected):
    for limited in (True, False):
        assert seconds({}, {"retry_after": value}, limited=limited) == expected


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"X-RateLimit-Reset-After": "30.5"}, 31),
        ({"X-RateLimit-Reset-After": "2, 30.5"}, 31),
        ({"X-RateLimit-Reset-After": "later"}, UNCLEAR),
        ({"X-RateLimit-Reset": "1"}, 1),
        ({"X-RateLimit-Reset": str(NOW + 64.57)}, 65),
        ({"X-RateLimit-Reset": str(int((NOW + 64.57) * 1_000))}, 65),
        ({"X-RateLimit-Reset": str(NOW - 60)}, 0),
        ({"X-RateLimit-Reset": "2026-01-25T12:00:40Z"}, UNCLEAR),
        ({"RateLimit-Reset": "30"}, 30),
        ({"RateLimit": "limit=10, remaining=0, reset=30"}, 30),
        ({"RateLimit": '"minute";r=0;t=30, "hour";r=7;t=300'}, 300),
        ({"RateLimit": "reset=soon"}, UNCLEAR),
        ({"RateLimit": "limit=10"}, 1),
        ({}, 1),
    ],
)
def test_a_quota_that_is_used_up_asks_for_a_pause_and_the_state_of_a_quota_alone_does_not(headers, expected):
    assert seconds(headers) == expected
    assert seconds(headers, limited=False) is None


@pytest.mark.parametrize("text", ["soon", "30s", "PT1H", "2026-01-25T12:00:40Z", "NaN", "-Infinity"])
def test_a_quota_does_not_shorten_a_pause_that_cannot_be_understood(text):
    quota = {"X-RateLimit-Reset": "1", "X-RateLimit-Reset-After": "2"}
    assert seconds({**quota, "Retry-After": text}) == UNCLEAR
    assert seconds(quota, {"retry_after": text}) == UNCLEAR
    assert seconds({"X-RateLimit-Reset": "1000", "Retry-After": text}) == 1_000


def test_a_quota_that_cannot_be_understood_does_not_lengthen_a_pause_that_can():
    assert seconds({"X-RateLimit-Reset": "2026-01-25T12:00:40Z", "Retry-After": "2"}) == 2
    assert seconds({"X-RateLimit-Reset": "2026-01-25T12:00:40Z", "X-RateLimit-Reset-After": "2"}) == 2


def test_the_longest_of_all_pauses_counts():
    headers = {"Retry-After": "7", "X-RateLimit-Reset-After": "2.5", "X-RateLimit-Reset": "1"}
    assert seconds(headers) == 7
    assert seconds(headers, {"retry_after": 64.57}) == 65
    assert seconds({**headers, "X-RateLimit-Reset-After": "30.5"}) == 31


def test_a_date_is_meant_by_the_clock_of_the_server():
    server = NOW - 500
    headers = {"Date": formatdate(server, usegmt=True), "Retry-After": formatdate(server + 40, usegmt=True)}
    assert seconds(headers) == 40
    assert seconds({"Date": headers["Date"], "X-RateLimit-Reset": str(server + 40)}) == 40
    assert seconds({"Date": "today", "Retry-After": formatdate(NOW + 40, usegmt=True)}) == 40


@pytest.mark.parametrize(
    ("headers", "answer", "everywhere"),
    [
        ({}, {}, False),
        ({"X-RateLimit-Scope": "global"}, {}, True),
        ({"X-RateLimit-Scope": "user"}, {}, False),
        ({"X-RateLimit-Scope": "Global "}, {}, True),
        ({"X-RateLimit-Scope": "user, global"}, {}, True),
        ({"X-RateLimit-Scope": "globally"}, {}, False),
        ({"X-RateLimit-Global": "True "}, {}, True),
        ({"X-RateLimit-Global": "true"}, {}, True),
        ({"X-RateLimit-Global": "false"}, {"global": False}, False),
        ({}, {"global": True}, True),
        ({}, {"global": "yes"}, False),
    ],
)
def test_a_pause_is_for_a_channel_unless_the_response_says_that_it_is_for_all(headers, answer, everywhere):
    assert asked_pause({"Retry-After": "7", **headers}, answer, NOW, UNCLEAR, limited=True).everywhere is everywhere
