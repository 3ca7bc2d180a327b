"""Lambda behind an HTTP API: what guild admins and operators ask."""

import sys
from functools import cache
from pathlib import Path
from typing import Any

from aws_lambda_powertools.logging import correlation_paths

from guildhook.admin.access import GuildAccess
from guildhook.admin.api import create_api
from guildhook.admin.models import SignIn
from guildhook.admin.page import Page, add_page
from guildhook.admin.rates import Rates
from guildhook.admin.services import RequestReport, Services
from guildhook.admin.tokens import SigningKeys, TokenVerifier
from guildhook.chat import RestChatApi, ServiceToken
from guildhook.errors import ConfigurationError
from guildhook.modules import CompileQueue
from guildhook.modules.uploads import Uploads
from guildhook.observability import create_telemetry, report_request
from guildhook.sandbox import MAX_WASM_BYTES
from guildhook.sealing import Sealer, SettingsKeys
from guildhook.secret import Secret
from guildhook.settings import AdminSettings, load_settings
from guildhook.store.admin import AdminStore
from guildhook.store.rates import RateStore
from guildhook.trial import Trials

try:
    telemetry = create_telemetry()
    settings = load_settings(AdminSettings)
except ConfigurationError as error:
    sys.exit(f"guildhook: {error}")
store = AdminStore(settings.database)
chat = RestChatApi(settings.chat_api_url, Secret(settings.chat_secret, "GUILDHOOK_CHAT_SECRET", ServiceToken))


@cache
def document() -> dict[str, Any]:
    # Only here: nobody else needs it, and it takes a while to be made.
    from guildhook.admin.openapi import document  # noqa: PLC0415

    return document()


def report(request: RequestReport) -> None:
    report_request(telemetry, request)


uploads = Uploads(settings.artifact_bucket)
api = create_api(
    Services(
        store=store,
        tokens=TokenVerifier(settings.jwt_issuer, settings.jwt_audience, SigningKeys(settings.jwt_issuer)),
        access=GuildAccess(chat),
        rates=Rates(RateStore(store), settings.admin_requests_per_minute),
        uploads=uploads,
        trials=Trials(settings.test_run_function),
        compile_queue=CompileQueue(settings.compile_queue_url),
        sealer=Sealer(Secret(settings.settings_secret, "GUILDHOOK_SETTINGS_SECRET", SettingsKeys)),
        sign_in=SignIn(
            issuer=settings.jwt_issuer,
            client_id=settings.jwt_client_id,
            scope=settings.jwt_scope,
            max_wasm_bytes=MAX_WASM_BYTES,
        ),
        limits_of=settings.limits_of,
        budget_of=settings.budget_of,
        guild_plugins=settings.guild_plugins,
        guild_wasm_bytes=settings.guild_wasm_bytes,
        document=document,
        report=report,
    )
)

add_page(api, Page(Path(__file__).parent / "page", settings.jwt_issuer, lambda: uploads.origin))

handler = telemetry.handler(api.resolve, correlation_paths.API_GATEWAY_HTTP)


def close() -> None:
    store.close()
    chat.close()
