"""Texts of other people as one line of a terminal: to the letter, with control characters made visible."""

import unicodedata
from typing import Final

_JOINERS: Final = "\u200c\u200d"
"""Emoji and words of some languages contain them; they move nothing."""
_HIDDEN: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""The categories of Unicode whose characters break lines, reverse the order of others, or are not seen."""
_FILLERS: Final = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0")
"""Letters and marks that are not seen either, from Default_Ignorable_Code_Point in Unicode's DerivedCoreProperties.txt.
Variation selectors stay: emoji and Han characters contain them.
"""
_CONTROL_PICTURES: Final = 0x2400
_DELETE: Final = 0x7F


def visible(text: str) -> str:
    """The text on one line.

    ASCII's control characters are shown as their pictures, such as ␛ and ␊. Other characters that are not seen are
    shown by their number, such as <U+202E>, and bytes that are not UTF-8 as <0xE9>.
    """
    return "".join(map(_visible_character, text))


def _visible_character(character: str) -> str:
    number = ord(character)
    is_hidden = unicodedata.category(character) in _HIDDEN or character in _FILLERS
    if not is_hidden or character in _JOINERS:
        return character
    if number < 0x20:
        return chr(_CONTROL_PICTURES + number)
    if number == _DELETE:
        return "\N{SYMBOL FOR DELETE}"
    # Python reads a byte that is not UTF-8, in an argument or the name of a file, as one of these.
    if 0xDC80 <= number <= 0xDCFF:
        return f"<0x{number - 0xDC00:02X}>"
    return f"<U+{number:04X}>"
