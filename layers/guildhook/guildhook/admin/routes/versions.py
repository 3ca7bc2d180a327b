"""Versions of a plugin: uploads, and which of them runs."""

from http import HTTPStatus
from typing import Any

from aws_lambda_powertools.event_handler import Response

from guildhook.admin.call import CurrentCall
from guildhook.admin.endpoints import Access, Cursor, Endpoints, Id, IdempotencyKey, IfMatch, NumberOfVersion, PageLimit
from guildhook.admin.models import (
    GoLive,
    Plugin,
    RollBack,
    ShadowChange,
    Version,
    VersionCreate,
    VersionCreated,
    VersionPage,
)
from guildhook.admin.problems import ProblemError

endpoints = Endpoints("versions", Access.MANAGERS, "/api/guilds/{guild_id}/plugins/{plugin_id}")


@endpoints.add("GET", "/versions", "listVersions", VersionPage)
def list_versions(
    call: CurrentCall, guild_id: Id, plugin_id: Id, cursor: Cursor = None, limit: PageLimit = 50
) -> Response[Any]:
    """The versions of a plugin, the newest first."""
    raise ProblemError("not-implemented", "still to come")


@endpoints.add("POST", "/versions", "createVersion", VersionCreated, HTTPStatus.CREATED, conflicts=True, cost=10)
def create_version(
    call: CurrentCall, guild_id: Id, plugin_id: Id, body: VersionCreate, idempotency_key: IdempotencyKey = None
) -> Response[Any]:
    """Announce an upload, and get the form to send it with.

    The file goes straight to `upload.url`: a multipart form of `upload.fields` and, as the last one, `file`. It must
    have the size and the digest that were announced. Then the version is checked and compiled, and `ready` or
    `refused` within a minute.
    """
    raise ProblemError("not-implemented", "still to come")


@endpoints.add("GET", "/versions/{number}", "getVersion", Version)
def get_version(call: CurrentCall, guild_id: Id, plugin_id: Id, number: NumberOfVersion) -> Response[Any]:
    """A version."""
    raise ProblemError("not-implemented", "still to come")


@endpoints.add("DELETE", "/versions/{number}", "deleteVersion", None, HTTPStatus.NO_CONTENT, conflicts=True)
def delete_version(call: CurrentCall, guild_id: Id, plugin_id: Id, number: NumberOfVersion) -> Response[Any]:
    """Delete a version that is neither live, shadow nor the one to roll back to."""
    raise ProblemError("not-implemented", "still to come")


@endpoints.add("POST", "/versions/{number}/uploaded", "confirmUpload", Version)
def confirm_upload(call: CurrentCall, guild_id: Id, plugin_id: Id, number: NumberOfVersion) -> Response[Any]:
    """Say that the file has been sent. The version is checked without it as well."""
    raise ProblemError("not-implemented", "still to come")


@endpoints.add("PUT", "/live", "goLive", Plugin, conflicts=True)
def go_live(call: CurrentCall, guild_id: Id, plugin_id: Id, if_match: IfMatch, body: GoLive) -> Response[Any]:
    """Let a version run on every message from now on."""
    raise ProblemError("not-implemented", "still to come")


@endpoints.add("POST", "/roll-back", "rollBack", Plugin, conflicts=True)
def roll_back(call: CurrentCall, guild_id: Id, plugin_id: Id, if_match: IfMatch, body: RollBack) -> Response[Any]:
    """Let the version run again that was live before."""
    raise ProblemError("not-implemented", "still to come")


@endpoints.add("PUT", "/shadow", "changeShadow", Plugin, conflicts=True)
def change_shadow(
    call: CurrentCall, guild_id: Id, plugin_id: Id, if_match: IfMatch, body: ShadowChange
) -> Response[Any]:
    """Let a version run beside the live one, and send nothing; null ends that."""
    raise ProblemError("not-implemented", "still to come")
