"""Pauses that the chat server asks for."""

from typing import Final

from guildhook.chat import Pause

_MOST_CHANNELS: Final = 10_000
"""With more channels than these, pauses that have ended are dropped."""


class Pauses:
    """The pauses of one server, shared by all threads of a process. Times are seconds of one clock."""

    def __init__(self) -> None:
        self._everywhere: float = 0
        self._channels: dict[str, float] = {}

    def add(self, pause: Pause, channel_id: str, now: float) -> None:
        end = now + pause.seconds
        if pause.everywhere:
            self._everywhere = max(self._everywhere, end)
            return
        if len(self._channels) >= _MOST_CHANNELS:
            self._channels = {channel: end for channel, end in self._channels.copy().items() if end > now}
        self._channels[channel_id] = max(self._channels.get(channel_id, 0), end)

    def seconds_to_wait(self, channel_id: str, now: float) -> float:
        return max(self._everywhere - now, self._channels.get(channel_id, 0) - now, 0)
