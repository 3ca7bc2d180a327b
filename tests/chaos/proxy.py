"""A TCP proxy that passes all data on, unless it is set to another mode."""

import asyncio
import socket
import struct
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from enum import Enum, auto

Address = tuple[str, int] | str
"""Host and port, or the path of a Unix socket."""
_Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]

_UNAVAILABLE = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
_CHUNK = 64 * 1024


class Mode(Enum):
    PASS = auto()
    REFUSE = auto()
    """Connections end as soon as they are made. The port stays taken, so that nobody else gets it."""
    HANG = auto()
    """No byte moves, either way."""
    SWALLOW = auto()
    """Requests arrive, and answers are thrown away; connections are reset at its end."""
    UNAVAILABLE = auto()
    """The proxy answers every request with HTTP 503."""


class Proxy:
    """Safe to use from any thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop, upstream: Address) -> None:
        self._loop = loop
        self._upstream = upstream
        self._mode = Mode.PASS
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._at_answer: Callable[[], None] | None = None
        self.port = 0

    async def start(self) -> asyncio.Server:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        return server

    def enter(self, mode: Mode) -> None:
        self._loop.call_soon_threadsafe(self._enter, mode)

    def cut(self) -> None:
        """Reset every connection."""
        self._loop.call_soon_threadsafe(self._cut)

    def at_next_answer(self, act: Callable[[], None]) -> None:
        """Call `act` once in the proxy's thread, in place of passing the next answer on."""
        self._at_answer = act

    def _enter(self, mode: Mode) -> None:
        left, self._mode = self._mode, mode
        if mode is Mode.HANG:
            self._flowing.clear()
        else:
            self._flowing.set()
        if mode in {Mode.REFUSE, Mode.UNAVAILABLE} or left is Mode.SWALLOW:
            self._cut()

    def _cut(self) -> None:
        for writer in self._writers:
            _reset(writer)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._mode is Mode.REFUSE:
            _reset(writer)
            return
        writers = {writer}
        self._writers.add(writer)
        try:
            if self._mode is Mode.UNAVAILABLE:
                await reader.read(_CHUNK)
                writer.write(_UNAVAILABLE)
                await writer.drain()
                return
            await self._flowing.wait()
            upstream_reader, upstream_writer = await self._connect()
            writers.add(upstream_writer)
            self._writers.add(upstream_writer)
            ways = [
                asyncio.create_task(self._pump(reader, upstream_writer, answers=False)),
                asyncio.create_task(self._pump(upstream_reader, writer, answers=True)),
            ]
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
        except (OSError, asyncio.CancelledError):  # the latter when the proxy is closed
            _reset(writer)
        finally:
            self._writers -= writers
            for each in writers:
                each.close()

    async def _connect(self) -> _Ends:
        if isinstance(self._upstream, str):
            return await asyncio.open_unix_connection(self._upstream)
        return await asyncio.open_connection(*self._upstream)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, answers: bool) -> None:
        while data := await reader.read(_CHUNK):
            await self._flowing.wait()
            if answers and self._at_answer:
                act, self._at_answer = self._at_answer, None
                act()
                return
            if answers and self._mode is Mode.SWALLOW:
                continue
            writer.write(data)
            await writer.drain()


def _reset(writer: asyncio.StreamWriter) -> None:
    # A close with a linger time of 0 sends RST.
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


@contextmanager
def proxies(upstreams: Mapping[str, Address]) -> Iterator[Mapping[str, Proxy]]:
    """Start a proxy for each address; yields the proxies by name."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="proxies")
    thread.start()
    found = {name: Proxy(loop, upstream) for name, upstream in upstreams.items()}
    servers = [asyncio.run_coroutine_threadsafe(proxy.start(), loop).result() for proxy in found.values()]
    try:
        yield found
    finally:
        for server in servers:
            loop.call_soon_threadsafe(server.close)
        asyncio.run_coroutine_threadsafe(_cancel_all(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _cancel_all() -> None:
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
