"""The route by which the chat server learns which guilds need their messages sent to guildhook."""

import hmac
from collections.abc import Sequence
from hashlib import sha256
from http import HTTPStatus
from typing import Any, Final
from uuid import UUID

from aws_lambda_powertools.event_handler import Response

from guildhook.admin.admin_request import CurrentRequest
from guildhook.admin.endpoints import Access, Endpoints, IfNoneMatch
from guildhook.admin.etags import is_fresh
from guildhook.admin.models import SubscriberList
from guildhook.admin.responses import respond

endpoints = Endpoints("service", Access.CHAT_SERVER, "/api/subscribers")

MOST_LISTED: Final = 250_000
"""The most guilds in an answer, which Lambda limits to 6 MB: each takes 19 bytes."""
_HASH_BYTES: Final = 8


@endpoints.add("GET", "", "listSubscribers", SubscriberList)
def list_subscribers(request: CurrentRequest, if_none_match: IfNoneMatch = None) -> Response[Any]:
    """List the guilds whose messages guildhook needs.

    It is for the chat server, which need not send the messages of other guilds. A guild is in the list from the moment
    when its first plugin is created, before any version of it can go live, until a day after its last one was deleted.
    """
    hashes = hashes_of(request.services.store.subscribers(MOST_LISTED + 1), request.chat_server_token)
    etag = f'"{sha256(repr(hashes).encode()).hexdigest()[:32]}"'
    if if_none_match is not None and is_fresh(if_none_match, etag):
        return respond(None, HTTPStatus.NOT_MODIFIED, etag)
    return respond(SubscriberList(guilds=hashes), etag=etag)


def hashes_of(guilds: Sequence[UUID], token: str) -> list[str] | None:
    """The guilds as SubscriberList shows them; None if there are more than MOST_LISTED."""
    if len(guilds) > MOST_LISTED:
        return None
    key = token.encode()
    return sorted(hmac.digest(key, str(guild_id).encode(), sha256)[:_HASH_BYTES].hex() for guild_id in guilds)
