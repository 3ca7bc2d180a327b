"""Sends intents: several channels at the same time, each channel in order, and never past the deadline."""

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from math import isinf
from typing import Final

from guildhook.chat import ChatApi, SendResult
from guildhook.events.backoff import doubled, jittered
from guildhook.events.delivery.breaker import CircuitBreaker
from guildhook.events.delivery.pauses import Pauses
from guildhook.model import Delivery, DeliveryState, OutgoingIntent

_logger = logging.getLogger(__name__)

_MAX_THREADS: Final = 16
_ATTEMPTS: Final = 3
"""Attempts in one batch. After them the queue brings the message back later."""
_FIRST_BACKOFF_SECONDS: Final = 0.2
"""The longest pause after the first attempt; it doubles after the second."""
_LONGEST_WAIT_SECONDS: Final = 5
"""The longest pause within a batch. A longer one is spent in the queue, where it costs nothing."""
_LEAST_SECONDS: Final = 0.2
"""No attempt starts with less time left than this."""
_RETURN_SECONDS: Final = 0.1
"""An attempt ends this long before the deadline, so that an answer that it has by then is not lost."""


class Sender:
    """Sends intents through one chat API. The breaker and the pauses count for all batches of the process."""

    def __init__(
        self,
        chat: ChatApi,
        breaker: CircuitBreaker,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._chat = chat
        self.breaker = breaker
        self._pauses = Pauses()
        self._last_failure = ""
        self._now = now
        self._sleep = sleep

    def connect(self) -> None:
        """Raises InfrastructureError."""
        self._chat.connect()

    def close(self) -> None:
        self._chat.close()

    def send(self, outgoing: Iterable[OutgoingIntent], deadline: float) -> list[Delivery]:
        """Send the intents, and return a result for each one that was tried.

        Intents behind a pending one of the same channel are not tried. The call returns by `deadline`, by the clock
        `now`, even if the chat server does not answer. Requests that are under way then have no result: their
        intents are sent again later, under the same keys.
        """
        channels: dict[str, list[OutgoingIntent]] = {}
        for each in outgoing:
            channels.setdefault(each.intent.channel_id, []).append(each)
        if not channels:
            return []
        results: dict[str, Delivery] = {}
        pool = ThreadPoolExecutor(min(len(channels), _MAX_THREADS), thread_name_prefix="delivery")
        tasks = []
        for queue in channels.values():
            try:
                tasks.append(pool.submit(self._in_order, queue, deadline, results))
            except RuntimeError:  # no more processes, or no memory for a stack
                _logger.warning("the system gives this process no further thread; messages that wait for it come back")
                break
        left = max(deadline - self._now(), 0)
        done, late = wait(tasks, timeout=None if isinf(left) else left)
        # Do not wait for late threads: a server holds one for as long as it sends a byte now and then.
        pool.shutdown(wait=False, cancel_futures=True)
        for task in done:
            task.result()  # this raises an error that a chat API must not raise
        for channel_id, task in zip(channels, tasks, strict=False):
            if task in late and not task.cancelled():
                self._note_failure(channel_id, "no answer in the time that was left")
        return list(results.copy().values())

    def _in_order(self, queue: Sequence[OutgoingIntent], deadline: float, results: dict[str, Delivery]) -> None:
        for outgoing in queue:
            delivery = results[outgoing.intent.key] = self._deliver(outgoing, deadline)
            if delivery.state is DeliveryState.PENDING:
                return

    def _deliver(self, outgoing: OutgoingIntent, deadline: float) -> Delivery:
        """Try until the answer is final, the attempts are used up, or the time does not suffice for another."""
        intent = outgoing.intent
        for attempt in range(1, _ATTEMPTS + 1):
            pause = self._pauses.seconds_to_wait(intent.channel_id, self._now())
            if pause and pause > min(_LONGEST_WAIT_SECONDS, deadline - self._now() - _LEAST_SECONDS):
                return _pending(intent.key, f"the chat API asks to wait for {pause:.1f} s", pause)
            self._wait(pause)
            if deadline - self._now() < _LEAST_SECONDS:
                return _pending(intent.key, "no time was left to send it", 0)
            closed_for = self.breaker.seconds_to_wait(self._now())
            if closed_for:
                reason = f"not tried for {closed_for:.1f} s more, since the circuit is open: {self._last_failure}"
                return _pending(intent.key, reason, closed_for)
            answer = self._attempt(outgoing, deadline)
            if answer.state is not DeliveryState.PENDING:
                return Delivery(intent.key, answer.state, answer.detail)
            backoff = jittered(doubled(_FIRST_BACKOFF_SECONDS, attempt - 1, _LONGEST_WAIT_SECONDS))
            if attempt == _ATTEMPTS or backoff > deadline - self._now() - _LEAST_SECONDS:
                break
            self._wait(backoff)
        return _pending(intent.key, answer.detail, self._pauses.seconds_to_wait(intent.channel_id, self._now()))

    def _attempt(self, outgoing: OutgoingIntent, deadline: float) -> SendResult:
        answer = self._chat.send(outgoing, deadline - self._now() - _RETURN_SECONDS)
        if answer.pause:
            self._pauses.add(answer.pause, outgoing.intent.channel_id, self._now())
        if answer.server_failed:
            self._note_failure(outgoing.intent.channel_id, answer.detail)
        else:
            self.breaker.succeeded()
        return answer

    def _note_failure(self, channel_id: str, detail: str) -> None:
        self._last_failure = detail
        self.breaker.failed(channel_id, self._now())

    def _wait(self, seconds: float) -> None:
        if seconds > 0:
            self._sleep(seconds)


def _pending(key: str, reason: str, retry_seconds: float) -> Delivery:
    return Delivery(key, DeliveryState.PENDING, reason, retry_seconds)
