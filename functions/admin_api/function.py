"""Answers the requests of guild admins and operators, which an HTTP API of API Gateway passes on."""

import time
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from aws_lambda_powertools.logging import correlation_paths

from guildhook.admin.access import GuildAccess
from guildhook.admin.admin_page import AdminPage, add_admin_page
from guildhook.admin.api import create_api
from guildhook.admin.models import SignIn
from guildhook.admin.origin import OriginCheck, OriginSecrets
from guildhook.admin.rate_limiter import RateLimiter
from guildhook.admin.request_report import RequestReport
from guildhook.admin.services import AdminServices
from guildhook.admin.tokens import OperatorRule, SigningKeys, TokenVerifier
from guildhook.aws.secrets import Secret
from guildhook.chat import RestChatApi, ServiceToken, ServiceTokenCheck
from guildhook.configuration import AdminConfiguration, load_configuration
from guildhook.errors import UnknownEventError
from guildhook.observability import create_telemetry, report_request
from guildhook.plugin_settings.sealing import Sealer, SettingsKeys
from guildhook.sandbox import MAX_WASM_BYTES
from guildhook.startup import Function
from guildhook.store.admin import AdminStore
from guildhook.store.operator import OperatorStore
from guildhook.trials import Trials
from guildhook.versions.compile_queue import CompileQueue
from guildhook.versions.uploads import Uploads

_PAGE = Path(__file__).parent / "page"
_STATEMENTS_SECONDS = 20
"""The time of all statements of a request together. A client waits for the answer, so it is short."""
_ANSWER_SECONDS = 2
"""The part of the function's time that is kept for the answer."""


def create(environment: Mapping[str, str]) -> Function:
    """Raises ConfigurationError."""
    telemetry = create_telemetry(environment)
    configuration = load_configuration(AdminConfiguration, environment)
    aws = configuration.aws
    store = AdminStore(configuration.database)
    operator_store = OperatorStore(configuration.database)
    token = Secret(aws, configuration.chat_secret, "GUILDHOOK_CHAT_SECRET", ServiceToken)
    chat = RestChatApi(configuration.chat_api_url, token)
    uploads = Uploads(aws, configuration.artifact_bucket)
    origin = configuration.origin_secret and OriginCheck(
        Secret(aws, configuration.origin_secret, "GUILDHOOK_ORIGIN_SECRET", OriginSecrets)
    )

    def report(request: RequestReport) -> None:
        report_request(telemetry, request)

    api = create_api(
        AdminServices(
            store=store,
            origin=origin or None,
            operator_store=operator_store,
            tokens=TokenVerifier(
                configuration.jwt_issuer,
                configuration.jwt_audience,
                SigningKeys(configuration.jwt_issuer),
                configuration.jwt_algorithms,
                _operators(configuration),
            ),
            service_token=ServiceTokenCheck(token),
            access=GuildAccess(chat),
            rate_limiter=RateLimiter(store, configuration.admin_requests_per_minute),
            uploads=uploads,
            trials=Trials(aws, configuration.test_run_function),
            compile_queue=CompileQueue(aws, configuration.compile_queue_url),
            sealer=Sealer(Secret(aws, configuration.settings_secret, "GUILDHOOK_SETTINGS_SECRET", SettingsKeys)),
            sign_in=SignIn(
                issuer=configuration.jwt_issuer,
                client_id=configuration.jwt_client_id,
                scope=configuration.jwt_scope,
                algorithms=list(configuration.jwt_algorithms),
                max_wasm_bytes=MAX_WASM_BYTES,
                subscribers_max_age_seconds=configuration.subscribers_max_age_seconds,
            ),
            limits_of=configuration.limits_of,
            budget_of=configuration.budget_of,
            guild_plugins=configuration.guild_plugins,
            guild_wasm_bytes=configuration.guild_wasm_bytes,
            document=_document,
            report=report,
        )
    )
    add_admin_page(api, AdminPage(_PAGE, configuration.jwt_issuer, lambda: uploads.origin))

    def close() -> None:
        store.close()
        operator_store.close()
        chat.close()

    def handle(event: Any, context: Any) -> dict[str, Any]:
        """Raises UnknownEventError."""
        if not _is_request(event):
            raise UnknownEventError("this function takes requests of an HTTP API, in payload format 2.0")
        remaining = context.get_remaining_time_in_millis() / 1000 - _ANSWER_SECONDS
        deadline = time.monotonic() + min(remaining, _STATEMENTS_SECONDS)
        with store.within(deadline), operator_store.within(deadline):
            return api.resolve(event, context)

    return Function(telemetry.handler(handle, correlation_paths.API_GATEWAY_HTTP), close)


def _operators(configuration: AdminConfiguration) -> OperatorRule | None:
    if configuration.operator_audience is None or configuration.operator_group is None:
        return None
    return OperatorRule(configuration.operator_audience, configuration.operator_claim, configuration.operator_group)


def _is_request(event: Any) -> bool:
    match event:
        # Events of an authorizer and of VPC Lattice have the version 2.0 too.
        case {"version": "2.0", "rawPath": str(), "requestContext": {"http": {"method": str()}, "stage": str()}}:
            return True
    return False


@cache
def _document() -> dict[str, Any]:
    # Imported here: only this request needs the document, and it takes a while to build.
    from guildhook.admin.openapi import document  # noqa: PLC0415

    return document()
