"""Runs the `on_message` of a plugin in Python. The build puts this module around the author's module `app`.

componentize-py calls `on_message` and ignores its result. The work of an `async def` would be lost without an error.
The build loads the plugin and saves the memory of Python. componentize-py seeds the functions of `random` anew in each
run, but not the plugin's own `random.Random()`, which would draw the same numbers in every run.
"""

import random
from collections.abc import AsyncGenerator, Awaitable, Generator
from typing import Any
from weakref import WeakSet

_unseeded: "WeakSet[random.Random]" = WeakSet()
"""The generators of numbers that the plugin has made without a seed while it was loaded."""
_seed = random.Random.seed


def _seed_while_loading(self: random.Random, a: Any = None, version: int = 2) -> None:
    (_unseeded.add if a is None else _unseeded.discard)(self)
    _seed(self, a, version)


random.Random.seed = _seed_while_loading  # type: ignore[method-assign]
import app  # noqa: E402

random.Random.seed = _seed  # type: ignore[method-assign]


class WitWorld(app.WitWorld):
    def on_message(self, msg_json: str) -> None:
        for numbers in _unseeded:
            numbers.seed()
        returned = super().on_message(msg_json)
        if isinstance(returned, Generator | AsyncGenerator):
            raise TypeError(
                "on_message has a yield: it returned before any of its work was done. Write it without yield"
            )
        if isinstance(returned, Awaitable):
            _finish(returned)


def _finish(work: Awaitable[None]) -> None:
    """Run a coroutine to its end. Raises RuntimeError if it waits for something, which nothing in a run would bring."""
    try:
        steps = work.__await__()
        while next(steps) is None:
            pass
    except StopIteration:
        return
    raise RuntimeError("on_message awaits something outside of the plugin, and nothing else happens during a run")
