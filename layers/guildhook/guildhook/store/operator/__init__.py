"""The statements of admin_api for operators: everything that they ask for and change, over all guilds."""

from guildhook.store.operator.operator_store import BudgetRaise, OperatorStore, RetriedCompile, RunConditions
from guildhook.store.operator.stored_entry import (
    ExpiredSends,
    FailedCompileOfWasm,
    OperatedGuild,
    OperatedPlugin,
    OperatedRun,
    QuarantineCause,
    StoredOperatorEntry,
    StoredPause,
    StoredRaise,
)

__all__ = [
    "BudgetRaise",
    "ExpiredSends",
    "FailedCompileOfWasm",
    "OperatedGuild",
    "OperatedPlugin",
    "OperatedRun",
    "OperatorStore",
    "QuarantineCause",
    "RetriedCompile",
    "RunConditions",
    "StoredOperatorEntry",
    "StoredPause",
    "StoredRaise",
]
