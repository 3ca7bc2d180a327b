"""Reads JSON strictly, with errors that give line and column."""

import codecs
import json
import math
import re
from typing import Any, Final

# The tokens of a text that is JSON which matter here. A text is a name if a colon follows.
_TOKEN: Final = re.compile(r'(?P<text>"[^"\\]*(?:\\.[^"\\]*)*")(?P<colon>\s*:)?|[{}]|-?(?:NaN|Infinity|\d[-+.eE\d]*)')
_MOST_DIGITS: Final = 400
"""Longer integers are beyond every number that a plugin can be given; Python would refuse to read some of them."""
_SHOWN_CHARS: Final = 100
_UTF_8: Final = (b"", "utf-8", "UTF-8")
_NUL: Final = "\0"
_MARKED: Final = (
    (codecs.BOM_UTF8, "utf-8", "UTF-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le", "UTF-16"),
    (codecs.BOM_UTF16_BE, "utf-16-be", "UTF-16"),
)
"""Byte order marks, with the codec of the text that follows and its name for people."""


class UnreadableTextError(Exception):
    """The bytes are not a text, or the text is not JSON. The text is a predicate with line and column."""


def decode(data: bytes) -> str:
    """The text of UTF-8 bytes, or of UTF-16 with a byte order mark, which PowerShell writes.

    A NUL is refused: bytes of UTF-16 without its mark, and of UTF-32, look like UTF-8 or UTF-16 with many of them.
    Raises UnreadableTextError.
    """
    mark, codec, name = next((each for each in _MARKED if data.startswith(each[0])), _UTF_8)
    text = data.removeprefix(mark)
    try:
        decoded = text.decode(codec)
    except UnicodeDecodeError as error:
        before = text[: error.start].decode(codec, errors="replace")
        wrong = text[error.start : error.start + 1].hex().upper()
        raise UnreadableTextError(f"is not {name}: byte 0x{wrong} at {_place(before, len(before))}") from None
    if _NUL in decoded:
        place = _place(decoded, decoded.index(_NUL))
        raise UnreadableTextError(f"is not {name}: the character NUL at {place}; save the text as UTF-8")
    return decoded


def parse_json(text: str) -> Any:
    """The value of a JSON text. Names that repeat and numbers such as NaN are refused. Raises UnreadableTextError."""
    try:
        value = json.loads(text, parse_int=_whole_number)
    except json.JSONDecodeError as error:
        raise UnreadableTextError(f"is not JSON: {error.msg}, {_place(text, error.pos)}") from None
    except RecursionError:
        raise UnreadableTextError("is not JSON that can be read: it has too many levels") from None
    _check_tokens(text)
    return value


def _check_tokens(text: str) -> None:
    """Look for the parts that Python takes for JSON although they are not, in a text that it has read."""
    objects: list[set[str]] = []
    for token in _TOKEN.finditer(text):
        if token[0] == "{":
            objects.append(set())
        elif token[0] == "}":
            objects.pop()
        elif token["colon"]:
            name = json.loads(token["text"])
            if name in objects[-1]:
                shown = json.dumps(name[:_SHOWN_CHARS], ensure_ascii=False)
                raise UnreadableTextError(
                    f"is not JSON with one meaning: the name {shown} is there twice, {_place(text, token.start())}"
                )
            objects[-1].add(name)
        elif not token["text"] and not math.isfinite(float(token[0])):
            shown = token[0][:_SHOWN_CHARS]
            raise UnreadableTextError(f"is not JSON: {shown} is not a finite number, {_place(text, token.start())}")


def _whole_number(digits: str) -> float:
    return int(digits) if len(digits) < _MOST_DIGITS else float(digits)


def _place(text: str, position: int) -> str:
    """The line and the column of a position, both from 1."""
    line = text.count("\n", 0, position) + 1
    column = position - text.rfind("\n", 0, position)
    return f"line {line}, column {column}"
