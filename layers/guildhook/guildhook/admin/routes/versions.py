"""Routes of a plugin's versions."""

from http import HTTPStatus
from typing import Any, Final

from aws_lambda_powertools.event_handler import Response

from guildhook.admin import cursors, views
from guildhook.admin.admin_request import AdminRequest, CurrentRequest, no_plugin
from guildhook.admin.cursors import NumberCursor
from guildhook.admin.endpoints import Access, Cursor, Endpoints, IdempotencyKey, PageLimit, PathId, PathVersionNumber
from guildhook.admin.idempotency import key_used, new_id
from guildhook.admin.models import Upload, Version, VersionCreate, VersionCreated, VersionPage, VersionState
from guildhook.admin.problems import ProblemError
from guildhook.admin.rate_limiter import UPLOAD_COST
from guildhook.admin.responses import respond
from guildhook.store.admin import VersionLimits

endpoints = Endpoints("versions", Access.MANAGERS, "/api/guilds/{guild_id}/plugins/{plugin_id}/versions")

_MOST_VERSIONS: Final = 20
"""The versions of a plugin. Delete one to upload another."""
_LARGEST_NUMBER: Final = 2**31 - 1


@endpoints.add("GET", "", "listVersions", VersionPage)
def list_versions(
    request: CurrentRequest, guild_id: PathId, plugin_id: PathId, cursor: Cursor = None, limit: PageLimit = 50
) -> Response[Any]:
    """List the versions of a plugin, the newest first."""
    after = cursors.decode(cursor, NumberCursor)
    before = min(after.number, _LARGEST_NUMBER) if after else None
    versions = request.of_plugin(plugin_id, request.services.store.versions(request.key(plugin_id), before, limit + 1))
    items, next_cursor = cursors.page(versions, limit, views.version, lambda version: NumberCursor(version.number))
    return respond(VersionPage(items=items, next_cursor=next_cursor))


@endpoints.add("POST", "", "createVersion", VersionCreated, HTTPStatus.CREATED, conflicts=True, cost=UPLOAD_COST)
def create_version(
    request: CurrentRequest,
    guild_id: PathId,
    plugin_id: PathId,
    body: VersionCreate,
    idempotency_key: IdempotencyKey = None,
) -> Response[Any]:
    """Announce an upload and get the form that uploads it.

    Send the file to `upload.url` as a multipart form of `upload.fields`, followed by `file`. It must have the announced
    size and digest. The version is then checked and compiled, and becomes `ready` or `refused` within a minute.
    """
    store, key = request.services.store, request.key(plugin_id)
    version_id = new_id(request.actor, plugin_id, idempotency_key)
    change = request.change("version.created", wasm_sha256=body.wasm_sha256, wasm_bytes=body.wasm_bytes)
    limits = VersionLimits(_MOST_VERSIONS, request.services.guild_wasm_bytes)
    made = store.create_version(key, version_id, body.wasm_sha256, body.wasm_bytes, limits, change)
    version = store.version_by_id(key, version_id)
    if version is None:
        if made or not store.has_plugin(key):
            raise no_plugin()
        raise _limit_reached(request, body.wasm_bytes)
    if (version.wasm_sha256, version.wasm_bytes) != (body.wasm_sha256, body.wasm_bytes):
        raise key_used("another file")
    upload = None
    if version.state == VersionState.EXPECTED:
        form = request.services.uploads.form(version.id, bytes.fromhex(version.wasm_sha256), version.wasm_bytes)
        upload = Upload(url=form.url, fields=dict(form.fields), expires_at=form.expires_at)
    return respond(VersionCreated(version=views.version(version), upload=upload), HTTPStatus.CREATED)


@endpoints.add("GET", "/{number}", "getVersion", Version)
def get_version(
    request: CurrentRequest, guild_id: PathId, plugin_id: PathId, number: PathVersionNumber
) -> Response[Any]:
    """Read a version."""
    return respond(views.version(request.version(plugin_id, number)))


@endpoints.add("DELETE", "/{number}", "deleteVersion", None, HTTPStatus.NO_CONTENT, conflicts=True)
def delete_version(
    request: CurrentRequest, guild_id: PathId, plugin_id: PathId, number: PathVersionNumber
) -> Response[Any]:
    """Delete a version that is neither live nor the shadow nor the version to roll back to."""
    version = request.version(plugin_id, number)
    change = request.change("version.deleted", version=number, wasm_sha256=version.wasm_sha256)
    if not request.services.store.delete_version(request.key(plugin_id), number, change):
        request.version(plugin_id, number)
        detail = (
            f"version {number} is live, the shadow or the version to roll back to; choose another one for that first"
        )
        raise ProblemError("in-use", detail)
    return respond(None, HTTPStatus.NO_CONTENT)


@endpoints.add("POST", "/{number}/uploaded", "confirmUpload", Version)
def confirm_upload(
    request: CurrentRequest, guild_id: PathId, plugin_id: PathId, number: PathVersionNumber
) -> Response[Any]:
    """Report that the file was uploaded. The version is checked without this report as well."""
    request.services.store.confirm_upload(request.key(plugin_id), number)
    return respond(views.version(request.version(plugin_id, number)))


@endpoints.add("POST", "/{number}/try-again", "tryVersionAgain", Version, cost=UPLOAD_COST)
def try_version_again(
    request: CurrentRequest, guild_id: PathId, plugin_id: PathId, number: PathVersionNumber
) -> Response[Any]:
    """Check and compile a version again whose compiles failed through no fault of the plugin.

    Nothing happens if no compile of the version has failed.
    """
    version = request.version(plugin_id, number)
    if request.services.store.try_version_again(request.key(plugin_id), version.id):
        request.services.compile_queue.ask_versions([version.id])
    return respond(views.version(request.version(plugin_id, number)))


def _limit_reached(request: AdminRequest, wasm_bytes: int) -> ProblemError:
    limit, held = request.services.guild_wasm_bytes, request.services.store.guild_wasm_bytes(request.guild.id)
    if held + wasm_bytes > limit:
        detail = f"the guild's versions would have {held + wasm_bytes} bytes together; the limit is {limit}"
    else:
        detail = f"the plugin has {_MOST_VERSIONS} versions, which is the limit"
    return ProblemError("limit-reached", f"{detail}. Delete versions that are not in use")
