"""The statements of erase: find, export and erase the data of a person or a guild."""

from guildhook.store.erasure.erasure_store import (
    ErasureBatch,
    ErasureStore,
    ExportSource,
    MentioningPlugin,
)

__all__ = ["ErasureBatch", "ErasureStore", "ExportSource", "MentioningPlugin"]
