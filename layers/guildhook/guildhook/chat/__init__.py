"""Chat servers behind one protocol."""

from guildhook.chat.protocol import ChatApi, Members, Membership, Pause, SendResult, ServiceToken
from guildhook.chat.rest import RestChatApi

__all__ = ["ChatApi", "Members", "Membership", "Pause", "RestChatApi", "SendResult", "ServiceToken"]
