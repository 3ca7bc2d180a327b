import pytest

from guildhook.events.event_times import is_rfc_3339, read_time

NOON = "2026-01-25T12:00:00+00:00"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # RFC 3339
        ("2026-01-25T12:00:00Z", NOON),
        ("2026-01-25t12:00:00z", NOON),
        ("2026-01-25T12:00:00-00:00", NOON),
        ("2026-01-25T17:30:00+05:30", "2026-01-25T17:30:00+05:30"),
        ("2016-12-31T23:59:60Z", "2016-12-31T23:59:59.999999+00:00"),
        ("2016-12-31T23:59:60.75Z", "2016-12-31T23:59:59.999999+00:00"),
        ("2017-01-01T05:29:60+05:30", "2017-01-01T05:29:59.999999+05:30"),
        # PostgreSQL
        ("2026-01-25 12:00:00+00", NOON),
        ("2026-01-25 17:30:00.5+0530", "2026-01-25T17:30:00.500000+05:30"),
        ("2026-01-25 02:30:00-09:30", "2026-01-25T02:30:00-09:30"),
        ("1880-01-25 12:53:28+00:53:28", "1880-01-25T12:53:28+00:53:28"),
        # An offset that is missing is that of UTC.
        ("2026-01-25T12:00:00", NOON),
        ("2026-01-25 12:00:00.000001", "2026-01-25T12:00:00.000001+00:00"),
        # Fractions are rounded to microseconds.
        ("2026-01-25T12:00:00.1Z", "2026-01-25T12:00:00.100000+00:00"),
        ("2026-01-25T12:00:00.123456789Z", "2026-01-25T12:00:00.123457+00:00"),
        ("2026-01-25 11:59:59.9999999+00", NOON),
    ],
)
def test_a_time_is_read_as_rfc_3339_and_as_postgres_writes_it(text, expected):
    assert read_time(text).isoformat() == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "noon",
        "infinity",
        "-infinity",
        "0044-03-15 12:00:00+00 BC",
        "12026-01-25 12:00:00+00",
        "0000-01-25T12:00:00Z",
        "9999-12-31T23:59:59.9999999Z",
        "2026-01-25",
        "2026-01-25T12:00Z",
        "2026-02-30T12:00:00Z",
        "2026-01-25T24:00:00Z",
        "2026-01-25T12:00:61Z",
        "2026-01-25T12:00:00,5Z",
        "2026-01-25T12:00:00.Z",
        "2026-01-25T12:00:00+24",
        "2026-01-25T12:00:00 UTC",
        "25.01.2026 12:00:00 CET",
        " 2026-01-25T12:00:00Z",
        "2026-01-25T12:00:00Z\n",
    ],
)
def test_other_texts_are_no_times(text):
    with pytest.raises(ValueError, match=r"\w"):
        read_time(text)


@pytest.mark.parametrize("text", ["2026-01-25T12:00:00Z", "2026-01-25T12:00:00.123456789+05:30"])
def test_a_time_of_rfc_3339_needs_no_other_spelling(text):
    assert is_rfc_3339(text)


@pytest.mark.parametrize(
    "text", ["2026-01-25 12:00:00Z", "2026-01-25T12:00:00", "2026-01-25T12:00:00+0530", "2016-12-31T23:59:60Z"]
)
def test_a_time_that_some_parsers_refuse_needs_another_spelling(text):
    assert not is_rfc_3339(text)
