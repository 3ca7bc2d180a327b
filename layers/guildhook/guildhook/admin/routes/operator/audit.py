"""Routes of everything that operators have changed."""

from http import HTTPStatus
from typing import Any

from aws_lambda_powertools.event_handler import Response

from guildhook.admin import cursors
from guildhook.admin.admin_request import CurrentRequest
from guildhook.admin.cursors import NumberCursor
from guildhook.admin.endpoints import OPERATOR_PREFIX, Access, Cursor, Endpoints, PageLimit, QueryId
from guildhook.admin.operator_models import OperatorAuditPage, OperatorEntry, OutsideChange
from guildhook.admin.responses import respond

endpoints = Endpoints("operator", Access.OPERATORS, OPERATOR_PREFIX)


@endpoints.add("GET", "/audit", "listOperatorAudit", OperatorAuditPage)
def list_operator_audit(
    request: CurrentRequest, guild_id: QueryId = None, cursor: Cursor = None, limit: PageLimit = 50
) -> Response[Any]:
    """List the changes that operators have made, the newest first."""
    after = cursors.decode(cursor, NumberCursor)
    entries = request.services.operator_store.audit(guild_id, after.number if after else None, limit + 1)
    items, next_cursor = cursors.page(
        entries, limit, OperatorEntry.model_validate, lambda entry: NumberCursor(entry.id)
    )
    return respond(OperatorAuditPage(items=items, next_cursor=next_cursor))


@endpoints.add("POST", "/audit", "noteOutsideChange", None, HTTPStatus.NO_CONTENT)
def note_outside_change(request: CurrentRequest, body: OutsideChange) -> Response[Any]:
    """Note a change that was made with rights of the operator's own in AWS."""
    events = {} if body.events is None else {"events": body.events}
    request.services.operator_store.note(None, None, request.change(body.action, reason=body.reason, **events))
    return respond(None, HTTPStatus.NO_CONTENT)
