"""Sends the intents of runs in the time that a batch has left, and spares a chat server that fails or asks for it."""

from guildhook.events.delivery.breaker import BreakerRules, CircuitBreaker
from guildhook.events.delivery.sender import Sender

__all__ = ["BreakerRules", "CircuitBreaker", "Sender"]
