import pytest

from guildhook.sandbox.binary.reading import Reader, RefusedBinaryError


def reader(data: bytes) -> Reader:
    return Reader(data, 0, len(data))


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b"\x00", 0),
        (b"\x7f", 127),
        (b"\x80\x01", 128),
        (b"\xe5\x8e\x26", 624_485),
        (b"\x81\x80\x80\x80\x00", 1),
        (b"\xff\xff\xff\xff\x0f", 2**32 - 1),
    ],
)
def test_numbers_are_decoded(data, value):
    numbers = reader(data + b"\x05")
    assert numbers.number() == value
    assert numbers.number() == 5
    assert numbers.exhausted


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "cut off at byte 0"),
        (b"\x80\x80", "cut off at byte 2"),
        (b"\xff\xff\xff\xff\x10", "does not fit into 32 bits"),
        (b"\x80\x80\x80\x80\x80\x00", "does not fit into 32 bits"),
        (b"\xff" * 1_000, "does not fit into 32 bits"),
    ],
)
def test_a_malformed_number_is_refused(data, reason):
    with pytest.raises(RefusedBinaryError, match=reason):
        reader(data).number()


def test_a_part_ends_where_it_says_though_more_bytes_follow():
    whole = reader(b"\x80\x01\x02")
    part = whole.part(1)
    assert part.remaining == 1
    with pytest.raises(RefusedBinaryError, match="cut off at byte 1"):
        part.number()
    assert whole.take(2) == b"\x01\x02"


def test_a_section_is_its_id_and_its_contents():
    sections = reader(b"\x0b\x02ab\x00\x00")
    section, body = sections.section()
    assert (section, body.take(2), body.exhausted) == (11, b"ab", True)
    assert sections.section()[0] == 0
    assert sections.exhausted


@pytest.mark.parametrize("read", [Reader.byte, lambda r: r.take(1), lambda r: r.skip(1), lambda r: r.part(1)])
def test_nothing_reads_past_the_end(read):
    with pytest.raises(RefusedBinaryError, match="the file is cut off at byte 3: 1 bytes should follow, and 0 do"):
        read(Reader(b"abcd", 3, 3))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\x05four", "cut off"),
        (b"\x02\xc3\x28", "not UTF-8"),
        (b"\xe9\x07" + b"n" * 1_001, "it has a name of 1001 bytes; the limit is 1000"),
        (b"\xff\xff\xff\xff\x0f", "it has a name of 4294967295 bytes"),
    ],
)
def test_a_malformed_name_is_refused(data, reason):
    assert reader(b"\x04n\xc3\xa4m").name() == "näm"
    with pytest.raises(RefusedBinaryError, match=reason):
        reader(data).name()


def test_another_header_is_refused():
    reader(b"ab").expect(b"ab", "another version")
    with pytest.raises(RefusedBinaryError, match="another version"):
        reader(b"ac").expect(b"ab", "another version")
