"""The ids of the chat server's users, in the one spelling in which they are stored and searched."""

import re
from typing import Final

from guildhook.uuids import canonical_spelling

MOST_USER_ID_CHARS: Final = 128
"""The characters of a user's id. An index of Postgres takes no long texts."""
_USER_ID: Final = re.compile(rf"[!#-\[\]-~]{{1,{MOST_USER_ID_CHARS}}}")
"""Visible ASCII without the two characters that JSON escapes, so that an id is found in a text of JSON as it is."""


def canonical_user_id(text: str) -> str | None:
    """A UUID in lower case with hyphens, another id as it is, or None if the text cannot be an id."""
    return canonical_spelling(text) or (text if _USER_ID.fullmatch(text) else None)
