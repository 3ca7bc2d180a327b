"""HTTP connections whose timeout is for a whole response or its head, and not for each read of it.

The timeout of a socket starts again with each byte. A server that sends one now and then could therefore hold a client
for hours, in the headers as well as in the body.
"""

import http.client
import io
import socket
import time
from collections.abc import Callable
from typing import Any, Final

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection

_SWITCHING_PROTOCOLS = 101


def deadline_pool(
    connections: int, retries: urllib3.Retry | bool, server_hostname: str | None = None
) -> urllib3.PoolManager:
    """A pool of connections for several threads. `server_hostname` is the name that certificates must be for, if it is
    not in the URLs.

    A request whose timeout has a `total` ends by then, unless names are resolved more slowly or a host has many
    addresses that do not answer. Raises as urllib3 does: a late byte is its ReadTimeoutError.
    """
    names: dict[str, Any] = {} if server_hostname is None else {"server_hostname": server_hostname}
    pool = urllib3.PoolManager(maxsize=connections, retries=retries, **names)
    pool.pool_classes_by_scheme = _BY_WHOLE
    return pool


def head_deadline_pool(connections: int, retries: urllib3.Retry | bool) -> urllib3.PoolManager:
    """A pool for large bodies. The read timeout is for status and headers together, and then for each read of the body,
    whose whole time the caller limits. The rest is as in `deadline_pool`.
    """
    pool = urllib3.PoolManager(maxsize=connections, retries=retries)
    pool.pool_classes_by_scheme = _BY_HEAD
    return pool


class _TimedReader(io.RawIOBase):
    """Reads from a socket. The socket's timeout at the beginning is the time for all reads together."""

    def __init__(self, connected: socket.socket, raw: io.RawIOBase, now: Callable[[], float] = time.monotonic) -> None:
        self._socket = connected
        self._raw = raw
        self._now = now
        self._seconds = connected.gettimeout()
        self._ends = None if self._seconds is None else now() + self._seconds

    def time_each_read(self) -> None:
        """Let the timeout be for each read from now on."""
        self._ends = None
        self._socket.settimeout(self._seconds)

    def readinto(self, buffer: Any) -> int | None:
        if self._ends is not None:
            left = self._ends - self._now()
            if left <= 0:
                raise TimeoutError("the time for the response is over")
            self._socket.settimeout(left)
        return self._raw.readinto(buffer)

    def readable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._raw.fileno()

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Response(http.client.HTTPResponse):
    def __init__(self, connected: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(connected, *args, **kwargs)
        self._reader = _TimedReader(connected, self.fp.detach())
        self.fp = io.BufferedReader(self._reader)

    def begin(self) -> None:
        """Read status and headers of the final response; interim ones (RFC 9110, 15.2) are passed over."""
        super().begin()
        while 100 <= self.status < 200 and self.status != _SWITCHING_PROTOCOLS:
            self.headers = self.msg = None  # type: ignore[assignment] # begin() reads them only once
            super().begin()
        lengths = {length.strip() for each in self.headers.get_all("Content-Length", []) for length in each.split(",")}
        if len(lengths) > 1:
            # urllib3 would refuse the whole response. Its status counts, and its body ends with the connection.
            del self.headers["Content-Length"]
            self.length, self.will_close = None, True


class _HeadResponse(_Response):
    def begin(self) -> None:
        super().begin()
        self._reader.time_each_read()


def _pool_classes(response: type[_Response]) -> dict[str, type[urllib3.HTTPConnectionPool]]:
    """The pools, by the scheme of the URL, whose responses are of this class."""

    class TimedConnection(HTTPConnection):
        response_class = response

    class TimedTlsConnection(HTTPSConnection):
        response_class = response

    class TimedPool(urllib3.HTTPConnectionPool):
        ConnectionCls = TimedConnection

    class TimedTlsPool(urllib3.HTTPSConnectionPool):
        ConnectionCls = TimedTlsConnection

    return {"http": TimedPool, "https": TimedTlsPool}


_BY_WHOLE: Final = _pool_classes(_Response)
_BY_HEAD: Final = _pool_classes(_HeadResponse)
