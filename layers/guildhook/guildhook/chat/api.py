"""What guildhook asks of a chat server."""

from typing import Protocol

from guildhook.model import Delivery, SendMessage


class ChatApi(Protocol):
    def send(self, intent: SendMessage) -> Delivery:
        """Deliver one message under its idempotency key. Called from several threads at once.

        Never raises for what the server or the network did: a fault that may pass leaves it pending,
        a refusal for good is refused with the server's code.
        """

    def connect(self) -> None:
        """Open a connection ahead of its first use. Raises InfrastructureError."""

    def close(self) -> None: ...
