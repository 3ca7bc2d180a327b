"""How a command ends: its exit status, and the one line or JSON object that says why."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from typer.exceptions import TyperException

from guildhook.errors import ConfigurationError, InfrastructureError, MigrationError


class ExitStatus(IntEnum):
    DONE = 0
    """The command has done its work."""
    REFUSED = 1
    """The plugin failed, the plugin, its settings or its schema is refused, or a check of `preflight` failed."""
    USAGE = 2
    """The usage is wrong: an argument, a file that does not exist or is not JSON, or a variable that configures it."""
    UNAVAILABLE = 3
    """The machine or a service is at fault, such as a full disk, a missing permission to write, too little memory or a
    database that does not answer. The same command may succeed later.
    """
    INTERRUPTED = 130
    """The command was interrupted with Ctrl-C."""


class CommandError(Exception):
    """Ends the command with `status`. The text is one line, which may quote texts of others."""

    def __init__(self, status: ExitStatus, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class Ending:
    status: ExitStatus
    message: str


_NO_THREAD: Final = "can't start new thread"
"""CPython's text for a thread that the system refuses; it has no type of its own."""


def ending_of(error: Exception) -> Ending | None:
    """The ending that an error brings about; None if the error is a fault of this program."""
    match error:
        case CommandError():
            return Ending(error.status, str(error))
        case TyperException():
            return Ending(ExitStatus.USAGE, _usage_message(error))
        case ConfigurationError():
            return Ending(ExitStatus.USAGE, str(error))
        case OSError(filename=name) if name is not None:
            return Ending(ExitStatus.UNAVAILABLE, f"{_text(name)}: {error.strerror}")
        case OSError():
            return Ending(ExitStatus.UNAVAILABLE, error.strerror or str(error))
        case MemoryError():
            return Ending(ExitStatus.UNAVAILABLE, "the machine has too little free memory for this")
        case RuntimeError(args=(text,)) if text == _NO_THREAD:
            reason = "the system starts no more threads: look at the limit of processes, `ulimit -u`"
            return Ending(ExitStatus.UNAVAILABLE, reason)
        case InfrastructureError() | MigrationError():
            return Ending(ExitStatus.UNAVAILABLE, str(error))
        case _:
            return None


def as_json(ending: Ending) -> str:
    return json.dumps({"error": {"exit_status": ending.status, "message": ending.message}})


def wants_json(arguments: Sequence[str]) -> bool:
    """The arguments ask for JSON; they may be wrong in any other way."""
    options = arguments[: arguments.index("--")] if "--" in arguments else arguments
    return "--json" in options


def _usage_message(error: TyperException) -> str:
    command = getattr(getattr(error, "ctx", None), "command_path", "guildhook")
    # Typer writes some lists of choices on several lines.
    message = re.sub(r"\s*\n\s*", " ", error.format_message()).removesuffix(".")
    return f"{message}; `{command} --help` shows the usage"


def _text(name: object) -> str:
    return name.decode(errors="surrogateescape") if isinstance(name, bytes) else str(name)
