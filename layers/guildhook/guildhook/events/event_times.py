"""Times in events: as RFC 3339 writes them, and as PostgreSQL prints them."""

import re
from datetime import UTC, datetime, timedelta, timezone
from typing import Final

_TIME: Final = re.compile(
    r"(?P<date>\d{4}-\d\d-\d\d)[Tt ](?P<minute>\d\d:\d\d):(?P<second>\d\d)(?P<fraction>\.\d+)?"
    r"(?:[Zz]|(?P<sign>[+-])(?P<hours>\d\d)(?::?(?P<minutes>\d\d)(?::?(?P<seconds>\d\d))?)?)?",
    re.ASCII,
)
_RFC_3339: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:[0-5]\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)", re.ASCII)
_LEAP_SECOND: Final = 60


def read_time(text: str) -> datetime:
    """Read a time. Without an offset it is one in UTC. Raises ValueError.

    A leap second is the last microsecond of its minute, because a datetime has no second 60. A fraction is rounded to
    microseconds.
    """
    found = _TIME.fullmatch(text)
    if not found:
        raise ValueError("not a time of RFC 3339 or PostgreSQL")
    second, microseconds = int(found["second"]), round(float(found["fraction"] or 0) * 1_000_000)
    if second == _LEAP_SECOND:
        second, microseconds = 59, 999_999
    time = datetime.fromisoformat(f"{found['date']}T{found['minute']}:{second:02}")
    try:
        return (time + timedelta(microseconds=microseconds)).replace(tzinfo=_zone(found))
    except OverflowError:
        raise ValueError("after the year 9999") from None


def is_rfc_3339(text: str) -> bool:
    """True for a time that parsers of RFC 3339 and of JavaScript read: with `T`, with an offset, no leap second."""
    return _RFC_3339.fullmatch(text) is not None


def _zone(time: re.Match[str]) -> timezone:
    """Raises ValueError for an offset of a day or more."""
    if time["sign"] is None:
        return UTC
    hours, minutes, seconds = (int(time[part] or 0) for part in ("hours", "minutes", "seconds"))
    offset = timedelta(hours=hours, minutes=minutes, seconds=seconds)
    return timezone(-offset if time["sign"] == "-" else offset)
