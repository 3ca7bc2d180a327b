import pytest
import urllib3

from guildhook.http_bodies import EndlessAnswerError, read_arriving, read_at_most, read_whole
from http_server import Answer, http_server


def read(server, max_bytes=1_000, total_seconds=60):
    with urllib3.PoolManager().request("GET", server.url, preload_content=False) as answer:
        return read_whole(answer, max_bytes, total_seconds)


@pytest.mark.parametrize("body", [b"", b"x", b"x" * 1_000])
def test_an_answer_is_read_to_its_end(body):
    with http_server(Answer(body, pieces=4)) as server:
        assert read(server) == body


def test_an_answer_that_is_too_large_is_refused():
    with http_server(Answer(b"x" * 1_001)) as server, pytest.raises(EndlessAnswerError, match="more than 1000 bytes"):
        read(server)


def test_an_answer_that_trickles_is_given_up():
    reason = "only 100 bytes arrived within the limit of -1 s"
    with http_server(Answer(b"x" * 100, length=200)) as server, pytest.raises(EndlessAnswerError, match=reason):
        read(server, total_seconds=-1)


@pytest.mark.parametrize(("max_bytes", "read_bytes"), [(0, 0), (10, 10), (100, 100), (101, 100)])
def test_the_start_of_an_answer_is_read_without_the_rest(max_bytes, read_bytes):
    with (
        http_server(Answer(b"x" * 100, pieces=7)) as server,
        urllib3.PoolManager().request("GET", server.url, preload_content=False) as answer,
    ):
        assert read_at_most(answer, max_bytes, 60) == b"x" * read_bytes


@pytest.mark.parametrize(
    ("answer", "total_seconds", "arriving"),
    [
        (Answer(b"x" * 100), 60, 100),
        (Answer(b"x" * 2_000), 60, 1_000),
        (Answer(b"x" * 100, length=200), 60, 100),
        (Answer(b"x" * 100), 0, 0),
    ],
)
def test_an_answer_that_breaks_off_is_read_as_far_as_it_arrives(answer, total_seconds, arriving):
    with (
        http_server(answer) as server,
        urllib3.PoolManager().request("GET", server.url, preload_content=False) as response,
    ):
        assert read_arriving(response, 1_000, total_seconds) == b"x" * arriving
