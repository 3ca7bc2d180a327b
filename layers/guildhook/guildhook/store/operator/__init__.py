"""The statements of admin_api for operators: everything that they ask for and change, over all guilds."""

from guildhook.store.operator.operator_store import OperatorStore
from guildhook.store.operator.stored_entry import StoredOperatorEntry

__all__ = ["OperatorStore", "StoredOperatorEntry"]
