"""Reading an HTTP answer of which nobody knows how large it is, or whether it ends."""

import time

import urllib3

_PIECE_BYTES = 64 * 1024


class EndlessAnswerError(urllib3.exceptions.HTTPError):
    """More came than was asked for, or it took too long. The text says which."""


def read_whole(answer: urllib3.BaseHTTPResponse, max_bytes: int, total_seconds: float) -> bytes:
    """The body. `total_seconds` bound the reading of it: a timeout of the socket begins anew with each byte.

    Raises urllib3's HTTPError, of which EndlessAnswerError is one.
    """
    deadline = time.monotonic() + total_seconds
    data = bytearray()
    while piece := answer.read1(_PIECE_BYTES):
        data += piece
        if len(data) > max_bytes:
            raise EndlessAnswerError(f"the answer has more than {max_bytes} bytes")
        if time.monotonic() > deadline:
            raise EndlessAnswerError(f"{len(data)} bytes came in {total_seconds} s, and no end")
    return bytes(data)
