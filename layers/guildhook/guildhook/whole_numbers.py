"""One spelling of whole numbers in settings: JSON's 3.0 and 1e2 are the integers 3 and 100, as JSON Schema counts them.

Languages with typed integers read 3, but not 3.0.
"""

from typing import Any, Final

_BEYOND_INTEGERS: Final = 2.0**63
"""Larger numbers fit into no integer of 64 bits, and would have up to 309 digits."""


def with_whole_numbers(value: Any) -> Any:
    """A copy of a JSON value in which every number of at most 64 bits without a fraction is an int."""
    if isinstance(value, dict):
        return {name: with_whole_numbers(each) for name, each in value.items()}
    if isinstance(value, list):
        return [with_whole_numbers(each) for each in value]
    is_whole = isinstance(value, float) and value.is_integer() and -_BEYOND_INTEGERS <= value < _BEYOND_INTEGERS
    return int(value) if is_whole else value
