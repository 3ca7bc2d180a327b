"""Chat servers behind one protocol."""

from guildhook.chat.api import ChatApi
from guildhook.chat.rest import RestChatApi

__all__ = ["ChatApi", "RestChatApi"]
