"""Halves of surrogate pairs in JSON. They are no characters, and neither UTF-8 nor PostgreSQL can hold them."""

import re
from typing import Final

_REPLACEMENT: Final = r"\ufffd"
_ESCAPE: Final = re.compile(
    r"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(?P<half>u[dD][89a-fA-F][0-9a-fA-F]{2})|.)",
    re.DOTALL,
)
"""Every escape of a text, since a backslash that is escaped itself begins none. A pair is one escape."""


def replace_half_surrogates(json_text: str) -> str:
    """Return the text with U+FFFD for each half of a surrogate pair, whether it is escaped or not."""
    whole = json_text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return _ESCAPE.sub(lambda escape: _REPLACEMENT if escape["half"] else escape[0], whole)
