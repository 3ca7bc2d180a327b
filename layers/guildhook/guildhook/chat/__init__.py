"""Chat servers behind one protocol."""

from guildhook.chat.protocol import ChatApi, Members, Membership, Pause, SendResult, ServiceToken
from guildhook.chat.rest import RestChatApi, refusal_code
from guildhook.chat.service_token_check import ServiceTokenCheck

__all__ = [
    "ChatApi",
    "Members",
    "Membership",
    "Pause",
    "RestChatApi",
    "SendResult",
    "ServiceToken",
    "ServiceTokenCheck",
    "refusal_code",
]
