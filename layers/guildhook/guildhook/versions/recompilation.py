"""Compiles all needed plugins for a new engine, before the new version of guildhook takes messages."""

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
    """Plugins that were neither compiled nor refused when the time was over."""


def recompile(
    compiler: Compiler, queue: CompileQueue, in_time: Callable[[], bool], sleep: Callable[[float], None] = time.sleep
) -> Recompilation:
    """Request all compiles, failed ones first, and wait for them while `in_time` returns True. Plugins that were not
    asked for by then are compiled when a message needs them.

    Raises InfrastructureError.
    """
    compiler.try_again(refused_for_cpu=False)
    uncompiled = compiler.uncompiled()
    asked, left = queue.ask(uncompiled, in_time), len(uncompiled)
    while left and in_time():
        sleep(_POLL_SECONDS)
        left = len(compiler.uncompiled())
    return Recompilation(asked, left)
