"""Chat servers behind one protocol."""

from guildhook.chat.api import Answer, ChatApi, Pause, ServiceToken
from guildhook.chat.rest import RestChatApi

__all__ = ["Answer", "ChatApi", "Pause", "RestChatApi", "ServiceToken"]
