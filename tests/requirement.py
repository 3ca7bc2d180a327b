"""Parts that a machine may lack, such as a browser: tests without them are skipped, unless they are required."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest


@contextmanager
def skipped_without(missing: type[Exception], variable: str) -> Iterator[None]:
    """Skip the test if the block raises `missing`. CI sets the variable to `required`, and then it fails."""
    try:
        yield
    except missing as error:
        if os.environ.get(variable) == "required":
            raise
        pytest.skip(str(error))
