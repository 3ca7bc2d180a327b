"""Chat servers behind one protocol."""

from guildhook.chat.api import Answer, ChatApi, Pause
from guildhook.chat.rest import RestChatApi

__all__ = ["Answer", "ChatApi", "Pause", "RestChatApi"]
