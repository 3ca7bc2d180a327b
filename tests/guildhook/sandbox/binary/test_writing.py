import pytest

from guildhook.sandbox.binary.reading import Reader
from guildhook.sandbox.binary.writing import encoded_name, encoded_number, encoded_section


@pytest.mark.parametrize("value", [0, 1, 127, 128, 624_485, 2**32 - 1])
def test_a_number_is_read_as_it_was_written(value):
    encoded = encoded_number(value)
    reader = Reader(encoded, 0, len(encoded))
    assert (reader.number(), reader.exhausted) == (value, True)


def test_a_number_takes_no_more_bytes_than_it_needs():
    assert [len(encoded_number(value)) for value in (0, 127, 128, 16_383, 16_384)] == [1, 1, 2, 2, 3]


def test_a_section_is_read_as_it_was_written():
    encoded = encoded_section(b"\0", encoded_name("grüß") + b"rest")
    kind, body = Reader(encoded, 0, len(encoded)).section()
    assert (kind, body.name(), body.take(body.remaining)) == (0, "grüß", b"rest")
