import pytest

from guildhook.user_ids import MOST_USER_ID_CHARS, canonical_user_id

ID = "6a1d0000-0000-4000-8000-00000000000a"


@pytest.mark.parametrize("spelling", [ID, ID.upper(), ID.replace("-", ""), f"{{{ID}}}", f"urn:uuid:{ID}"])
def test_a_uuid_has_one_spelling(spelling):
    assert canonical_user_id(spelling) == ID


@pytest.mark.parametrize("text", ["7", "80351110224678912", "auth0|Ab.c-d_e@f", "~!#[]", "x" * MOST_USER_ID_CHARS])
def test_another_id_stays_as_it_is(text):
    assert canonical_user_id(text) == text


@pytest.mark.parametrize("text", ["", " ", "a b", 'a"b', "a\\b", "a\0b", "ä", "\ud800", "7\n", "x" * 129])
def test_a_text_that_no_column_or_search_can_hold_is_no_id(text):
    assert canonical_user_id(text) is None
