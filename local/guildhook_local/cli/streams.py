"""The standard streams, which may be closed, full, gone, or of another encoding than UTF-8."""

import io
import json
import os
import sys
from typing import TextIO

import msgspec
import typer

from guildhook_local.cli.ending import CommandError, ExitStatus

_DESCRIPTORS = (0, 1, 2)


def prepare() -> None:
    """Make the streams safe to write to; call it once, at the start of the process.

    A closed one is opened on /dev/null, since the next file or socket would otherwise get its descriptor and the
    output of libraries with it. Python's own stream is still None. Characters that an encoding lacks become "?".
    """
    for descriptor in _DESCRIPTORS:
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest free number
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def put(text: str, stream: TextIO | None = None) -> None:
    """Print a line on `stream`, or else on standard output. Raises CommandError."""
    stream = stream or sys.stdout
    if stream is None:
        raise CommandError(ExitStatus.UNAVAILABLE, "cannot write to standard output: it is closed")
    try:
        typer.echo(text, file=stream)
    except OSError as error:
        raise CommandError(
            ExitStatus.UNAVAILABLE, f"cannot write to standard output: {error.strerror or error}"
        ) from None


def put_json(value: object) -> None:
    """Print a value of JSON types, structs and dataclasses as one line of ASCII, which every encoding has.

    Raises CommandError.
    """
    put(json.dumps(msgspec.to_builtins(value)))


def note(text: str) -> None:
    """Print a line on standard error, if that is possible: there is no other place to report a failure."""
    try:
        typer.echo(text, file=sys.stderr, err=True)
    except OSError:
        abandon(sys.stderr)


def flush() -> None:
    """Raises CommandError if the output does not get to its reader."""
    if sys.stdout is not None:
        try:
            sys.stdout.flush()
        except OSError as error:
            raise CommandError(
                ExitStatus.UNAVAILABLE, f"cannot write to standard output: {error.strerror or error}"
            ) from None


def abandon(stream: TextIO | None) -> None:
    """Drop the text that could not be written, which Python would otherwise try to write again when it ends."""
    if isinstance(stream, io.TextIOWrapper):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def is_terminal(stream: TextIO | None) -> bool:
    return stream is not None and stream.isatty()
