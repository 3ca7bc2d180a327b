"""Runs the `on_message` of a plugin in Python. The build puts this module around the author's module `app`.

componentize-py calls `on_message` and ignores its result. The work of an `async def` would be lost without an error.
"""

from collections.abc import Coroutine

import app


class WitWorld(app.WitWorld):
    def on_message(self, msg_json: str) -> None:
        returned = super().on_message(msg_json)
        if isinstance(returned, Coroutine):
            _finish(returned)


def _finish(coroutine: Coroutine[None, None, None]) -> None:
    """Run a coroutine to its end. Raises RuntimeError if it waits for something, which nothing in a run would bring."""
    try:
        while coroutine.send(None) is None:
            pass
    except StopIteration:
        return
    raise RuntimeError("on_message awaits something outside of the plugin, and nothing else happens during a run")
