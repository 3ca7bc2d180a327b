"""Shows on a terminal that a command is at work."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from guildhook_local.cli.streams import is_terminal
from guildhook_local.cli.visible_text import visible

if TYPE_CHECKING:
    from rich.status import Status


@contextmanager
def working(text: str) -> Iterator["Status | None"]:
    """Show the text and a moving sign on standard error while the block runs; None if that is no terminal."""
    if not is_terminal(sys.stderr):
        yield None
        return
    # Only here: importing rich takes a quarter of the time of a run.
    from rich.console import Console  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    with Console(stderr=True).status(Text(visible(text))) as status:
        yield status
