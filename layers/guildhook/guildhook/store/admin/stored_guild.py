"""A guild's decisions and its use of its budget, as stored."""

from datetime import datetime

import msgspec

from guildhook.model import RaisedBudget


class StoredBudget(msgspec.Struct, frozen=True, kw_only=True):
    """Use in this minute. `over_at` is the last time when the guild was over its budget, in whichever minute."""

    fuel: int = 0
    sends: int = 0
    log_bytes: int = 0
    delayed: int = 0
    over_at: datetime | None = None
    over_reason: str | None = None


class StoredGuild(msgspec.Struct, frozen=True, kw_only=True):
    keep_content: bool
    revision: int
    plugins: int
    """The number of its plugins."""
    budget: StoredBudget | None
    raised: RaisedBudget | None
    """Limits that an operator has raised for some time."""
    paused: str | None
    """The operator's reason, if the guild's messages wait."""
