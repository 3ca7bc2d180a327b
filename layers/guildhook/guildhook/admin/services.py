"""What the admin API is made of."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from guildhook.admin.access import GuildAccess
from guildhook.admin.models import SignIn
from guildhook.admin.rates import Rates
from guildhook.admin.tokens import TokenVerifier
from guildhook.events.budgets import GuildBudget
from guildhook.plugin_settings.sealing import Sealer
from guildhook.sandbox import Limits
from guildhook.store.admin import AdminStore
from guildhook.trials import Trials
from guildhook.versions.compile_queue import CompileQueue
from guildhook.versions.uploads import Uploads


@dataclass(frozen=True, slots=True)
class RequestReport:
    """What is said of a request in log and metrics: nothing of what was sent or answered."""

    operation: str
    """Its operation id; empty for what is no route of the API."""
    method: str
    status: int
    actor_id: UUID | None
    guild_id: str | None
    """As the path has it, once the actor was found to manage it."""
    seconds: float
    problem: str | None
    """For operators alone."""
    fault: Exception | None
    """Of ours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    store: AdminStore
    tokens: TokenVerifier
    access: GuildAccess
    rates: Rates
    uploads: Uploads
    trials: Trials
    compile_queue: CompileQueue
    sealer: Sealer
    sign_in: SignIn
    limits_of: Callable[[UUID], Limits]
    budget_of: Callable[[UUID], GuildBudget]
    guild_plugins: int
    """How many a guild may have."""
    guild_wasm_bytes: int
    """Of all their versions together."""
    document: Callable[[], dict[str, Any]]
    """OpenAPI's."""
    report: Callable[[RequestReport], None]
