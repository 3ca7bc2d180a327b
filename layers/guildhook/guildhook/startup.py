"""The start of a Lambda function: the one place that reads the environment of its process and adds hooks to it."""

import atexit
import os
import random
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from snapshot_restore_py import register_after_restore, register_before_snapshot

from guildhook.errors import ConfigurationError

Handler = Callable[[Any, Any], Any]
"""Takes an event and Lambda's context, and returns the answer."""


def _nothing() -> None:
    pass


@dataclass(frozen=True, slots=True)
class Function:
    """A Lambda function that was created from an environment. Any number of them can be in one process."""

    handler: Handler
    close: Callable[[], None] = _nothing
    """Closes the connections. The next invocation opens new ones."""
    renew: Callable[[], None] = _nothing
    """Replaces the connections that a process must not share with the snapshot from which it starts."""


def start(create: Callable[[Mapping[str, str]], Function]) -> Handler:
    """The handler of the function that `create` makes from the environment of this process.

    Ends the process with one line on stderr where `create` raises ConfigurationError.
    """
    try:
        function = create(os.environ)
    except ConfigurationError as error:
        sys.exit(f"guildhook: {error}")
    # The other side frees the place of a connection at once only if the connection is closed properly.
    atexit.register(function.close)
    register_before_snapshot(function.close)
    # Without this, all processes that start from one snapshot would spread their retries alike.
    register_after_restore(random.seed)
    register_after_restore(function.renew)
    return function.handler
