"""One spelling of whole numbers in settings: JSON's 3.0 and 1e2 are the integers 3 and 100, as JSON Schema counts them.

Languages with typed integers read 3, but not 3.0.
"""

from typing import Any


def with_whole_numbers(value: Any) -> Any:
    """A copy of a JSON value in which every number without a fraction is an int."""
    if isinstance(value, dict):
        return {name: with_whole_numbers(each) for name, each in value.items()}
    if isinstance(value, list):
        return [with_whole_numbers(each) for each in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
