import codecs
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guildhook_local.cli.json_text import UnreadableTextError, decode, parse_json

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(VALUES, st.sampled_from([None, 1]))
def test_json_is_read(value, indent):
    assert parse_json(json.dumps(value, indent=indent)) == value


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "Expecting value, line 1, column 1"),
        ('{"a": 1} // a comment', "Extra data, line 1, column 10"),
        ("// a comment\n{}", "Expecting value, line 1, column 1"),
        ("{'a': 1}", "line 1, column 2"),
        ('{"a": 1}\n{"a": 2}', "Extra data, line 2, column 1"),
        ('{"a": 1,\n "b": {"c": 1, "c": 2}}', 'the name "c" is there twice, line 2, column 16'),
        ('{"a": 1, "\\u0061": 2}', 'the name "a" is there twice, line 1, column 10'),
        ('{"a":\nNaN}', "NaN is not a finite number, line 2, column 1"),
        ("[-Infinity]", "-Infinity is not a finite number, line 1, column 2"),
        ("[0, 1e999]", "1e999 is not a finite number, line 1, column 5"),
        ("[" + "9" * 5_000 + "]", "is not a finite number, line 1, column 2"),
        ('"a\nb"', "Invalid control character at, line 1, column 3"),
        ("[" * 100_000, "it has too many levels"),
    ],
)
def test_a_text_that_is_not_json_is_refused_with_its_place(text, reason):
    with pytest.raises(UnreadableTextError) as refused:
        parse_json(text)
    assert str(refused.value).endswith(reason)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ('{"a": 1,}', "line 1, column [89]"),
        ('{\n  "a": 1,\n  "b": 2,\n}', "line 3, column 9|line 4, column 1"),
        ("[1,]", "line 1, column [34]"),
    ],
)
def test_a_stray_comma_is_refused_with_its_place(text, place):
    # The place is that of the comma since Python 3.13, and that of the bracket before.
    with pytest.raises(UnreadableTextError, match=f"^is not JSON: .+, ({place})$"):
        parse_json(text)


def test_names_repeat_only_within_an_object():
    text = '{"a": [{"a": "a"}, {"a": ":"}], "b": {"a": "NaN {"}}'
    assert parse_json(text) == {"a": [{"a": "a"}, {"a": ":"}], "b": {"a": "NaN {"}}


@pytest.mark.parametrize(
    "data",
    [
        "grüß".encode(),
        "grüß".encode("utf-8-sig"),
        "grüß".encode("utf-16"),
        codecs.BOM_UTF16_BE + "grüß".encode("utf-16-be"),
    ],
)
def test_unicode_is_decoded_with_or_without_its_mark(data):
    assert decode(data) == "grüß"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"caf\xe9", "is not UTF-8: byte 0xE9 at line 1, column 4"),
        (b"one\ntwo\nthr\xff\xffe", "is not UTF-8: byte 0xFF at line 3, column 4"),
        (codecs.BOM_UTF16_LE + b"a\0b", "is not UTF-16: byte 0x62 at line 1, column 2"),
        (
            "!ping".encode("utf-16-le"),
            "is not UTF-8: the character NUL at line 1, column 2; save the text as UTF-8",
        ),
        (
            "!ping".encode("utf-32"),
            "is not UTF-16: the character NUL at line 1, column 1; save the text as UTF-8",
        ),
    ],
)
def test_other_bytes_are_refused_with_their_place(data, reason):
    with pytest.raises(UnreadableTextError) as refused:
        decode(data)
    assert str(refused.value) == reason
