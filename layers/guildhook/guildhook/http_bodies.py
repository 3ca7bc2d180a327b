"""Reads HTTP bodies with a limit for their size and for the time, since the other side decides both."""

import time
from contextlib import suppress
from typing import Final

import urllib3

_PIECE_BYTES: Final = 256 * 1024


class EndlessAnswerError(urllib3.exceptions.HTTPError):
    """A body is larger than its bound, or takes longer. The text names the bound."""


def read_at_most(answer: urllib3.BaseHTTPResponse, max_bytes: int, total_seconds: float) -> bytes:
    """The first `max_bytes` of the body.

    `total_seconds` limit the time of reading. A timeout of the socket does not, since it starts again with each byte.
    Raises urllib3's HTTPError, and EndlessAnswerError, which is one, when the time is over.
    """
    deadline = time.monotonic() + total_seconds
    data = bytearray()
    while len(data) < max_bytes and (piece := answer.read1(min(max_bytes - len(data), _PIECE_BYTES))):
        data += piece
        if time.monotonic() > deadline:
            raise EndlessAnswerError(f"only {len(data)} bytes arrived within the limit of {total_seconds} s")
    return bytes(data)


def read_arriving(answer: urllib3.BaseHTTPResponse, max_bytes: int, total_seconds: float) -> bytes:
    """The first `max_bytes` of the body, or as many as arrive before the connection fails or the time is over."""
    deadline = time.monotonic() + total_seconds
    data = bytearray()
    with suppress(urllib3.exceptions.HTTPError):
        while len(data) < max_bytes and time.monotonic() < deadline:
            piece = answer.read1(min(max_bytes - len(data), _PIECE_BYTES))
            if not piece:
                break
            data += piece
    return bytes(data)


def read_whole(answer: urllib3.BaseHTTPResponse, max_bytes: int, total_seconds: float) -> bytes:
    """The body. Raises as `read_at_most` does, and EndlessAnswerError if there are more than `max_bytes`."""
    data = read_at_most(answer, max_bytes + 1, total_seconds)
    if len(data) > max_bytes:
        raise EndlessAnswerError(f"the answer has more than {max_bytes} bytes")
    return data
