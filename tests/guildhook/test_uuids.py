from uuid import UUID

import pytest

from guildhook.uuids import canonical_spelling, read_uuid

CANONICAL = "6a1d0000-0000-4000-8000-00000000000a"
SPELLINGS = [
    CANONICAL,
    CANONICAL.upper(),
    CANONICAL.replace("-", ""),
    f"{{{CANONICAL.upper()}}}",
    f"urn:uuid:{CANONICAL.upper()}",
    f"URN:UUID:{CANONICAL.upper()}",
]
OTHERS = [
    "",
    "7",
    CANONICAL[:-1],
    CANONICAL + "0",
    CANONICAL + "\n",
    " " + CANONICAL,
    CANONICAL.replace("-", "", 1),
    f"{{{CANONICAL}",
    f"{{{CANONICAL.replace('-', '')}}}",
    f"uuid:{CANONICAL}",
    "g" + CANONICAL[1:],
    "\N{ARABIC-INDIC DIGIT SIX}" + CANONICAL[1:],
]


@pytest.mark.parametrize("text", SPELLINGS)
def test_a_uuid_is_read_in_four_spellings_and_has_one(text):
    assert read_uuid(text) == UUID(CANONICAL)
    assert canonical_spelling(text) == CANONICAL


@pytest.mark.parametrize("text", OTHERS)
def test_any_other_text_is_no_uuid(text):
    assert canonical_spelling(text) is None
    with pytest.raises(ValueError, match="not a UUID"):
        read_uuid(text)
