"""The pause that a response asks for, in any of the spellings that servers and proxies use.

A pause is at least as long as the response asks: it is rounded up, the longest of several counts, and a text that
cannot be understood stands for a long pause.
"""

import math
import re
from collections.abc import Iterator, Mapping
from email.utils import mktime_tz, parsedate_tz
from typing import Any, Final

from guildhook.chat.protocol import Pause

LONGEST_PAUSE_SECONDS: Final = 3_600
"""Longer pauses that a server asks for are cut to this."""
_UNNAMED_PAUSE_SECONDS: Final = 1
"""The pause after a 429 that does not say how long."""
_NUMBER: Final = re.compile(r"(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
_DATE_OR_NUMBER: Final = re.compile(r"((?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*,)?[^,]*)(?:,|$)")
"""An element of a list. A date can have a comma after its weekday."""
_TIME_TO_RESET: Final = re.compile(r"(?:^|[;,\s])(?:t|reset)=([^;,\s]*)")
"""A parameter of the field RateLimit, in its later and in its earlier drafts (draft-ietf-httpapi-ratelimit-headers)."""
_LEAST_EPOCH: Final = 1e9
"""A smaller `X-RateLimit-Reset` is a number of seconds from now, and a larger one a time since 1970."""
_LEAST_EPOCH_IN_MS: Final = 1e11


def asked_pause(
    headers: Mapping[str, str], answer: Mapping[str, Any], now: float, unclear_seconds: float, *, limited: bool
) -> Pause | None:
    """Return the pause, of at most an hour, or None if the response asks for none.

    `answer` is the body, `now` is in seconds since 1970, and `unclear_seconds` are the pause if the response asks for
    one and its length cannot be understood. A response with status 429 (`limited`) always asks for a pause, and its
    fields about the quota count as well.
    """
    by_server = _time(headers.get("Date", ""))
    now = now if by_server is None else by_server
    request = list(_of_retry_after(headers, answer, now))
    quota = list(_of_quota(headers, now)) if limited else []
    if not request and not limited:
        return None
    seconds = [each for each in (*request, *quota) if each is not None]
    # A quota does not explain a request that cannot be understood.
    if (asked := request or quota) and all(each is None for each in asked):
        seconds.append(unclear_seconds)
    longest = max(seconds, default=_UNNAMED_PAUSE_SECONDS)
    return Pause(math.ceil(min(longest, LONGEST_PAUSE_SECONDS)), _is_global(headers, answer))


def _is_global(headers: Mapping[str, str], answer: Mapping[str, Any]) -> bool:
    """True if the response says that its limit is for all channels together."""
    return (
        "global" in _words(headers.get("X-RateLimit-Scope", ""))
        or "true" in _words(headers.get("X-RateLimit-Global", ""))
        or answer.get("global") is True
    )


def _words(field: str) -> list[str]:
    """The elements of a header field, which may be repeated and have spaces around them."""
    return [each.strip().lower() for each in field.split(",")]


def _of_retry_after(headers: Mapping[str, str], answer: Mapping[str, Any], now: float) -> Iterator[float | None]:
    """Yield the seconds of each explicit request for a pause; None for one that cannot be understood."""
    field = headers.get("Retry-After")
    if field is not None:
        # A repeated field and one with a list are the same (RFC 9110, 5.3).
        elements = [each.strip() for each in _DATE_OR_NUMBER.findall(field) if each.strip()]
        yield from (_seconds_until(each, now) for each in elements or [field])
    seconds = answer.get("retry_after")
    if seconds is not None:
        # A number of milliseconds cannot be told from one of seconds, and seconds are the longer pause.
        yield None if isinstance(seconds, bool) else _number(str(seconds))


def _of_quota(headers: Mapping[str, str], now: float) -> Iterator[float | None]:
    """Yield the seconds until the quota is renewed; None where they cannot be understood."""
    for name in ("X-RateLimit-Reset-After", "RateLimit-Reset"):
        if name in headers:
            yield from map(_number, headers[name].split(","))
    if "X-RateLimit-Reset" in headers:
        reset = _number(headers["X-RateLimit-Reset"])
        if reset is not None and reset > _LEAST_EPOCH_IN_MS:
            reset /= 1000
        yield max(reset - now, 0) if reset is not None and reset > _LEAST_EPOCH else reset
    yield from map(_number, _TIME_TO_RESET.findall(headers.get("RateLimit", "")))


def _seconds_until(text: str, now: float) -> float | None:
    seconds = _number(text)
    if seconds is not None:
        return seconds
    time = _time(text)
    return None if time is None else max(time - now, 0)


def _number(text: str) -> float | None:
    """A number from 0 on; a huge one is infinite."""
    text = text.strip()
    return float(text) if _NUMBER.fullmatch(text) or text in ("inf", "Infinity") else None


def _time(text: str) -> float | None:
    """A date in one of the three forms of HTTP (RFC 9110, 5.6.7), in seconds since 1970."""
    try:
        parsed = parsedate_tz(text)
        return mktime_tz(parsed) if parsed else None
    except (ValueError, OverflowError):
        return None
