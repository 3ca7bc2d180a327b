import json

import pytest

from guildhook.surrogates import replace_half_surrogates


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a\ud800b", "a\ufffdb"),
        ("\udfff", "\ufffd"),
        ("\ud83d\ude00", "\U0001f600"),
        ("\ud83d\ud83d\ude00", "\ufffd\U0001f600"),
        ("\ude00\ud83d", "\ufffd\ufffd"),
        ("\U0001f600 and \\ud800", "\U0001f600 and \\ud800"),
        ("\\\ud800", "\\\ufffd"),
        ("\ud800" * 1_000, "\ufffd" * 1_000),
    ],
    ids=range(8),
)
@pytest.mark.parametrize("escaped", [True, False])
def test_each_half_of_a_pair_becomes_one_replacement_character_and_a_pair_stays(text, expected, escaped):
    assert json.loads(replace_half_surrogates(json.dumps(text, ensure_ascii=escaped))) == expected


@pytest.mark.parametrize("text", ["", "{", '"\\', '"\\u', '"\\ud8', '"\\u00e9\\n\\\\ud800"', "\U0001f600"])
def test_any_other_text_stays_as_it_is(text):
    assert replace_half_surrogates(text) == text


def test_upper_case_escapes_are_halves_as_well():
    assert replace_half_surrogates(r'"\uD800\uDBFFx\uD83D\uDE00"') == r'"\ufffd\ufffdx\uD83D\uDE00"'
