import pytest

from guildhook.sandbox import Limits


def test_the_defaults_are_those_of_the_documentation():
    limits = Limits()
    assert (limits.fuel, limits.memory_bytes, limits.deadline_ms) == (100_000_000, 16 * 1024 * 1024, 250)
    assert (limits.host_calls, limits.sends, limits.content_chars) == (64, 5, 4_000)
    assert (limits.log_line_bytes, limits.log_lines, limits.log_bytes) == (4096, 100, 65536)


@pytest.mark.parametrize("value", [-1, 2**63])
def test_a_limit_out_of_range_is_refused_by_name(value):
    with pytest.raises(ValueError, match=f"limit fuel is {value}"):
        Limits(fuel=value)
