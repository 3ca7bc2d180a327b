"""Routes of compiles that failed."""

from typing import Any

from aws_lambda_powertools.event_handler import Response

from guildhook.admin import cursors
from guildhook.admin.admin_request import CurrentRequest
from guildhook.admin.cursors import DigestCursor
from guildhook.admin.endpoints import OPERATOR_PREFIX, Access, Cursor, Endpoints, PageLimit
from guildhook.admin.operator_models import CompileFailureOfWasm, CompileFailurePage, CompilesRetried, CompilesRetry
from guildhook.admin.responses import respond
from guildhook.admin.routes.operator.plugins import AT_ONCE

endpoints = Endpoints("operator", Access.OPERATORS, OPERATOR_PREFIX)


@endpoints.add("GET", "/failed-compiles", "listFailedCompiles", CompileFailurePage)
def list_failed_compiles(request: CurrentRequest, cursor: Cursor = None, limit: PageLimit = 50) -> Response[Any]:
    """List the compiles that failed through no fault of the plugin."""
    failed = request.services.operator_store.failed_compiles(_after(cursor), limit + 1)
    items, next_cursor = cursors.page(
        failed, limit, CompileFailureOfWasm.model_validate, lambda each: DigestCursor(each.wasm_sha256)
    )
    return respond(CompileFailurePage(items=items, next_cursor=next_cursor))


@endpoints.add("POST", "/failed-compiles/retry", "retryCompiles", CompilesRetried)
def retry_compiles(request: CurrentRequest, body: CompilesRetry) -> Response[Any]:
    """Request failed compiles again, with all of their tries."""
    one = bytes.fromhex(body.wasm_sha256) if body.wasm_sha256 else None
    change = request.change("compiles.retried", reason=body.reason)
    retried = request.services.operator_store.retry_compiles(one, _after(body.cursor), AT_ONCE, change)
    queue = request.services.compile_queue
    queue.ask(each.wasm_sha256 for each in retried)
    queue.ask_versions(version_id for each in retried for version_id in each.version_ids)
    digests = [each.wasm_sha256.hex() for each in retried]
    next_cursor = cursors.encode(DigestCursor(digests[-1])) if len(digests) == AT_ONCE else None
    return respond(CompilesRetried(items=digests, next_cursor=next_cursor))


def _after(cursor: str | None) -> bytes | None:
    after = cursors.decode(cursor, DigestCursor)
    return bytes.fromhex(after.digest) if after else None
