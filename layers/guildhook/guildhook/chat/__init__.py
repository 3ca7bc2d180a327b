"""Chat servers behind one protocol."""

from guildhook.chat.api import Answer, ChatApi, Members, Membership, Pause, ServiceToken
from guildhook.chat.rest import RestChatApi

__all__ = ["Answer", "ChatApi", "Members", "Membership", "Pause", "RestChatApi", "ServiceToken"]
