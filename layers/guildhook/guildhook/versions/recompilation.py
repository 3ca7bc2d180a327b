"""Before a new version takes messages: what its engine has not compiled is compiled by the compile function."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from guildhook.versions.compile_queue import CompileQueue
from guildhook.versions.compiler import Compiler

_POLL_SECONDS: Final = 3


@dataclass(frozen=True, slots=True)
class Recompilation:
    asked: int
    left: int
    """Neither compiled nor refused when the time was over."""


def recompile(
    compiler: Compiler, queue: CompileQueue, in_time: Callable[[], bool], sleep: Callable[[float], None] = time.sleep
) -> Recompilation:
    """Ask for everything, and wait for it while `in_time`. Raises InfrastructureError."""
    uncompiled = compiler.uncompiled()
    queue.ask(uncompiled)
    asked = left = len(uncompiled)
    while left and in_time():
        sleep(_POLL_SECONDS)
        left = len(compiler.uncompiled())
    return Recompilation(asked, left)
