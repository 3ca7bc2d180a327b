"""Sends what runs asked for, in the time a batch has left, and leaves a chat server alone that fails or asks for it."""

from guildhook.events.delivery.breaker import BreakerRules, CircuitBreaker
from guildhook.events.delivery.sender import Sender

__all__ = ["BreakerRules", "CircuitBreaker", "Sender"]
