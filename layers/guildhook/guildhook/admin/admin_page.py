"""The admin page: the files that `make page` builds, and the headers that they are served with."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response
from aws_lambda_powertools.event_handler.middlewares import NextMiddleware

from guildhook.admin.etags import is_fresh
from guildhook.admin.problems import ProblemError

INDEX: Final = "/index.html"
ASSETS: Final = "/assets/"

_TYPES: Final[Mapping[str, str]] = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".md": "text/plain; charset=utf-8",
}
"""The media types of all files that a build makes. Files of other types are not served."""
# The page has a router of its own for these paths. The server answers each of them with the index.
_OWN_ROUTES: Final = re.compile(r"/|/signed-in|/guilds(?:/[^/]+)*/?")
_IMMUTABLE: Final = "public, max-age=31536000, immutable"
# A browser asks again each time. A cache in front of the API asks once a minute for everybody.
_REVALIDATED: Final = "public, max-age=0, s-maxage=60, must-revalidate"
# So short that a file of a version that is being deployed is not missed for long.
_MISSING: Final = "public, max-age=10"


@dataclass(frozen=True, slots=True)
class _File:
    content: bytes
    media_type: str
    etag: str


class AdminPage:
    """The files of a folder. They are read once, at the first request."""

    def __init__(self, folder: Path, issuer: str, bucket_origin: Callable[[], str]) -> None:
        """`bucket_origin` returns the origin to which the page sends uploads. It may raise InfrastructureError."""
        self._folder = folder
        self._issuer = issuer
        self._bucket_origin = bucket_origin

    def answer(self, path: str, method: str = "GET", if_none_match: str | None = None) -> Response[Any]:
        """Raises ProblemError, and InfrastructureError."""
        name = INDEX if _OWN_ROUTES.fullmatch(path) else path
        file = self._files.get(name)
        if file is None:
            raise self._missing(name)
        headers = {
            **self._headers,
            "Cache-Control": _IMMUTABLE if name.startswith(ASSETS) else _REVALIDATED,
            "ETag": file.etag,
            "Vary": "Accept-Encoding",
        }
        if if_none_match is not None and is_fresh(if_none_match, file.etag):
            return Response(HTTPStatus.NOT_MODIFIED.value, headers=headers)
        body = None if method == "HEAD" else file.content
        return Response(HTTPStatus.OK.value, file.media_type, body, headers, compress=True)

    @cached_property
    def _files(self) -> Mapping[str, _File]:
        """The files by path. The path of a request is never looked up in the file system."""
        found: dict[str, _File] = {}
        for path in sorted(self._folder.rglob("*")):
            media_type = _TYPES.get(path.suffix)
            if media_type is not None and path.is_file():
                content = path.read_bytes()
                # The tag is weak, because it is the same for the compressed file.
                etag = f'W/"{sha256(content).hexdigest()[:32]}"'
                found[f"/{path.relative_to(self._folder).as_posix()}"] = _File(content, media_type, etag)
        return found

    @cached_property
    def _headers(self) -> Mapping[str, str]:
        issuer = urlsplit(self._issuer)
        connect = " ".join(("'self'", f"{issuer.scheme}://{issuer.netloc}", self._bucket_origin()))
        return {
            "Content-Security-Policy": (
                "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
                f"connect-src {connect}; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
            ),
            "Cross-Origin-Opener-Policy": "same-origin",
            "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
            "Referrer-Policy": "no-referrer",
            "Strict-Transport-Security": "max-age=31536000",
            "X-Content-Type-Options": "nosniff",
        }

    def _missing(self, name: str) -> ProblemError:
        if not self._files:
            return ProblemError(
                "unavailable", "the page is not built; build it with `make page`, which needs Node 20 or newer"
            )
        return ProblemError(
            "not-found",
            f"the page has no file {name[:100]!r}; an older version may have had it: reload the page",
            headers={"Cache-Control": _MISSING},
        )


def add_admin_page(api: APIGatewayHttpResolver, page: AdminPage) -> None:
    def named(app: APIGatewayHttpResolver, next_middleware: NextMiddleware) -> Response[Any]:
        app.context["operation"] = "page"
        return next_middleware(app)

    def answer() -> Response[Any]:
        event = api.current_event
        return page.answer(event.path, event.http_method, event.headers.get("if-none-match"))

    for path in ("/", "/signed-in", "/guilds", "/guilds/.+", "/api.html", "/licenses.md", "/assets/<name>"):
        route = api.route(path, ["GET", "HEAD"], middlewares=[named])
        route((lambda name: answer()) if "<name>" in path else answer)  # noqa: ARG005 - the path has it
