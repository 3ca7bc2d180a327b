"""Sends what runs asked for: concurrently across channels, in order within one."""

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain

from guildhook.chat import ChatApi
from guildhook.model import Delivery, DeliveryState, SendMessage

MAX_THREADS = 16


def deliver(chat: ChatApi, intents: Iterable[SendMessage]) -> list[Delivery]:
    """One result for every intent that was tried; those behind a pending one in its channel are not."""
    channels: dict[str, list[SendMessage]] = {}
    for intent in intents:
        channels.setdefault(intent.channel_id, []).append(intent)
    if not channels:
        return []
    with ThreadPoolExecutor(min(len(channels), MAX_THREADS), thread_name_prefix="delivery") as pool:
        return list(chain.from_iterable(pool.map(lambda queue: _in_order(chat, queue), channels.values())))


def _in_order(chat: ChatApi, queue: Sequence[SendMessage]) -> list[Delivery]:
    deliveries = []
    for intent in queue:
        deliveries.append(chat.send(intent))
        if deliveries[-1].state is DeliveryState.PENDING:
            break
    return deliveries
