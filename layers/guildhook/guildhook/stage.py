"""The seam through which somebody sees how long each part of the work takes, without the work knowing who."""

from collections.abc import Callable
from contextlib import AbstractContextManager

Stage = Callable[[str], AbstractContextManager[object]]
"""Surrounds a part of the work, given its name. `nullcontext` is one that nobody looks at."""
