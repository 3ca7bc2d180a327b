"""The services that the routes of the admin API use."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from guildhook.admin.access import GuildAccess
from guildhook.admin.models import SignIn
from guildhook.admin.origin import OriginCheck
from guildhook.admin.rate_limiter import RateLimiter
from guildhook.admin.request_report import RequestReport
from guildhook.admin.tokens import TokenVerifier
from guildhook.chat import ServiceTokenCheck
from guildhook.events.budgets import GuildBudget
from guildhook.plugin_settings.sealing import Sealer
from guildhook.sandbox import Limits
from guildhook.store.admin import AdminStore
from guildhook.store.operator import OperatorStore
from guildhook.trials import Trials
from guildhook.versions.compile_queue import CompileQueue
from guildhook.versions.uploads import Uploads


@dataclass(frozen=True, slots=True, kw_only=True)
class AdminServices:
    store: AdminStore
    origin: OriginCheck | None
    """None if no cache is in front of the API."""
    operator_store: OperatorStore
    tokens: TokenVerifier
    service_token: ServiceTokenCheck
    access: GuildAccess
    rate_limiter: RateLimiter
    uploads: Uploads
    trials: Trials
    compile_queue: CompileQueue
    sealer: Sealer
    sign_in: SignIn
    limits_of: Callable[[UUID], Limits]
    """The limits of a run, by guild."""
    budget_of: Callable[[UUID], GuildBudget]
    guild_plugins: int
    """The most plugins that a guild may have."""
    guild_wasm_bytes: int
    """The most bytes that all versions of a guild may have together."""
    document: Callable[[], dict[str, Any]]
    """Returns the OpenAPI document."""
    report: Callable[[RequestReport], None]
