"""The API of the chat server's page, for the person at this machine, who speaks as any of the users."""

import asyncio
import json
import mimetypes
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path
from typing import Any
from uuid import UUID

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from guildhook.uuids import read_uuid
from guildhook_local.chat_server import MAX_CONTENT_CHARS, ChatServer, MessageJson
from guildhook_local.web_server import from_its_own_page, read_body

BUILT_PAGE = Path(__file__).parent / "chat_page"
"""Where `make page` puts it."""

# Four bytes for a character of UTF-8 or six for its escape, twice if it is half of a pair; and a little for the rest.
_MAX_BODY_BYTES = 12 * MAX_CONTENT_CHARS + 1_000
_MOST_MESSAGES = 200
_MOST_READERS = 64
_MOST_BEHIND = 256
"""The most messages that wait for a slow reader. With more, its stream ends, and it has to connect again."""
_SIGN_OF_LIFE_SECONDS = 15

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; form-action 'none'; frame-ancestors 'none'; base-uri 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def page_routes(chat: ChatServer, built: Path = BUILT_PAGE) -> list[BaseRoute]:
    """Return the routes of the page and of its requests."""
    page = _ChatPage(chat, built)
    return [
        Route("/chat/guilds", page.own(page.list_guilds)),
        Route("/chat/channels/{channel_id:uuid}/messages", page.own(page.list_messages), methods=["GET"]),
        Route("/chat/channels/{channel_id:uuid}/messages", page.own(page.post_message), methods=["POST"]),
        Route("/chat/events", page.own(page.tell_events)),
        Route("/", page.own(page.show_page)),
        Route("/assets/{name}", page.own(page.show_asset)),
        Route("/guilds/{guild_id:uuid}/{channel_id:uuid}", page.own(page.show_page)),
    ]


class _ChatPage:
    def __init__(self, chat: ChatServer, built: Path) -> None:
        self._chat = chat
        self._built = built
        self._readers = 0

    def own(self, answer: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
        """The same, with the headers of everything here."""

        async def with_headers(request: Request) -> Response:
            response = await answer(request)
            response.headers.update(_HEADERS)
            return response

        return with_headers

    async def list_guilds(self, _request: Request) -> Response:
        guilds = [self._guild(guild_id, name) for guild_id, name in self._chat.guilds().items()]
        return JSONResponse(
            {"guilds": guilds, "admin_url": self._chat.admin_url}, headers={"Cache-Control": "no-store"}
        )

    def _guild(self, guild_id: UUID, name: str) -> dict[str, Any]:
        channels = self._chat.channels(guild_id).items()
        members = self._chat.members(guild_id).items()
        return {
            "id": str(guild_id),
            "name": name,
            "channels": [{"id": str(channel_id), "name": channel.name} for channel_id, channel in channels],
            "members": [
                {"id": str(user_id), "name": person.name, "about": person.about} for user_id, person in members
            ],
        }

    async def list_messages(self, request: Request) -> Response:
        messages = self._chat.messages(request.path_params["channel_id"], _MOST_MESSAGES)
        return JSONResponse({"messages": list(map(_shown, messages))}, headers={"Cache-Control": "no-store"})

    async def post_message(self, request: Request) -> Response:
        if not from_its_own_page(request, self._chat.url):
            raise HTTPException(403, "This request was sent by another site.")
        user_id, content = _read_message(await read_body(request, _MAX_BODY_BYTES))
        # In a thread: publishing the event is a request of its own.
        message = await asyncio.to_thread(self._chat.say_as, request.path_params["channel_id"], user_id, content)
        if message is None:
            raise HTTPException(404, "There is no such channel, or nobody of that id is a member of its guild.")
        return JSONResponse(_shown(message), 201)

    async def tell_events(self, _request: Request) -> Response:
        if self._readers >= _MOST_READERS:
            raise HTTPException(503, f"{_MOST_READERS} pages are open already; close some.")
        return StreamingResponse(self._events(), media_type="text/event-stream", headers={"Cache-Control": "no-store"})

    async def _events(self) -> AsyncIterator[str]:
        """Server-sent events, of everything that is said from now on."""
        loop, behind = asyncio.get_running_loop(), asyncio.Queue[MessageJson | None](_MOST_BEHIND + 1)

        def put(message: MessageJson) -> None:
            if behind.qsize() < _MOST_BEHIND:
                behind.put_nowait(message)
            elif not behind.full():
                behind.put_nowait(None)

        def tell(message: MessageJson) -> None:
            # The loop may have ended meanwhile: nobody reads any more.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(put, message)

        self._readers += 1
        try:
            with self._chat.subscribed(tell):
                yield ": here\n\n"
                while True:
                    try:
                        message = await asyncio.wait_for(behind.get(), _SIGN_OF_LIFE_SECONDS)
                    except TimeoutError:
                        yield ": still here\n\n"
                        continue
                    if message is None:
                        return
                    yield f"data: {json.dumps(_shown(message))}\n\n"
        finally:
            self._readers -= 1

    async def show_page(self, _request: Request) -> Response:
        return self._file(self._built / "index.html", "no-cache")

    async def show_asset(self, request: Request) -> Response:
        # A file's name has a digest of its content, so the content never changes.
        return self._file(self._built / "assets" / request.path_params["name"], "public, max-age=31536000, immutable")

    def _file(self, path: Path, caching: str) -> Response:
        if not (self._built / "index.html").is_file():
            return PlainTextResponse(
                "The page is not built. `make page` does it, with Node 20 or newer.\n", HTTPStatus.SERVICE_UNAVAILABLE
            )
        # A name of the route has no slash in it, but it can be "..".
        if not path.is_file():
            raise HTTPException(404, "There is no such page.")
        content_type = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
        return Response(path.read_bytes(), media_type=content_type, headers={"Cache-Control": caching})


def _shown(message: MessageJson) -> dict[str, Any]:
    author = message["author"]
    return {
        "id": message["id"],
        "channel_id": message["channel_id"],
        "author": {"id": author["id"], "name": author["display_name"], "bot": author["bot"]},
        "content": message["content"],
        "created_at": message["created_at"],
    }


def _read_message(body: bytes) -> tuple[UUID, str]:
    """Raises HTTPException."""
    try:
        message = json.loads(body)
        user_id, content = read_uuid(message["user_id"]), message["content"]
        content.encode()  # half of a surrogate pair is no text
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise HTTPException(400, "The body must be a JSON object with user_id, an id, and content, a text.") from None
    if not content.strip() or len(content) > MAX_CONTENT_CHARS:
        raise HTTPException(400, f"content must have 1 to {MAX_CONTENT_CHARS} characters.")
    return user_id, content
