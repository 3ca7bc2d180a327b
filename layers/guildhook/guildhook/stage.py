"""The type that lets a caller time the stages of the work, without a dependency on a tracer."""

from collections.abc import Callable
from contextlib import AbstractContextManager

Stage = Callable[[str], AbstractContextManager[object]]
"""Returns a context manager around the stage of this name. Use `nullcontext` to disable timing."""
