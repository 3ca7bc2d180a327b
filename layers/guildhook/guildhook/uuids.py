"""The spellings of a UUID. guildhook accepts four of them and uses one: lower case with hyphens."""

import re
from typing import Final
from uuid import UUID

_CANONICAL: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_HYPHENATED: Final = r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
_ACCEPTED: Final = re.compile(rf"{_HYPHENATED}|[0-9a-fA-F]{{32}}|\{{{_HYPHENATED}\}}|(?i:urn:uuid:){_HYPHENATED}")
"""These are the spellings of RFC 9562, of Microsoft's GUIDs and of 32 digits, as Rust's uuid and pydantic accept them.
Python's UUID also takes hyphens and braces at any place, and no URN in capitals (RFC 8141, 3.1).
"""


def read_uuid(text: str) -> UUID:
    """Raises ValueError."""
    if not _ACCEPTED.fullmatch(text):
        raise ValueError("not a UUID")
    return _uuid(text)


def canonical_spelling(text: str) -> str | None:
    """The UUID in lower case with hyphens, or None if the text is no UUID."""
    if _CANONICAL.fullmatch(text):
        return text
    return str(_uuid(text)) if _ACCEPTED.fullmatch(text) else None


def _uuid(accepted: str) -> UUID:
    return UUID(accepted.lower())
