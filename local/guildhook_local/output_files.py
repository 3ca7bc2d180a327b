"""Writes files so that each is either the old one or the whole new one, even when the disk is full."""

import os
import re
import secrets
import stat
import sys
from contextlib import suppress
from errno import EBADF
from pathlib import Path
from typing import Final

_STREAMS: Final = re.compile(r"/(?:dev|proc/self)/fd/([0-9]+)")
_STDOUT: Final = 1
_STREAMS_BY_NAME: Final = {"/dev/stdout": _STDOUT, "/dev/stderr": 2}
_PERMISSIONS: Final = 0o777
"""Not set-user-ID: the bits would be another user's if the file changes hands."""


def replace_file(path: Path, content: bytes, *, private: bool = False) -> None:
    """Write `content` to a new file in the same folder, and give it the name `path`.

    Permissions and owner of a replaced file are kept, and a new file has the usual mode. A `private` file is one that
    only the user can read, even if others could read the old one. A symbolic link stays, and the file that it points to
    is replaced. A device or pipe is written to, since it cannot be replaced, and so is a stream of this process, such
    as /dev/stdout: a shell has opened its file, and others may write to it as well. Raises OSError; then the old file
    is unchanged.
    """
    if (descriptor := _descriptor(path)) is not None:
        # Another file may have its number by now.
        if descriptor == _STDOUT and sys.__stdout__ is None:
            raise OSError(EBADF, os.strerror(EBADF), str(path))
        with open(descriptor, "wb", closefd=False) as stream:
            stream.write(content)
        return
    try:
        old = path.stat()
    except FileNotFoundError:
        old = None
    if old is not None and stat.S_ISDIR(old.st_mode):
        raise IsADirectoryError(21, os.strerror(21), str(path))
    if old is not None and not stat.S_ISREG(old.st_mode):
        path.write_bytes(content)
        return
    target = Path(os.path.realpath(path))
    unfinished = target.with_name(f".guildhook-{secrets.token_hex(8)}")
    mode = 0o666 if old is None and not private else 0o600
    file = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        with open(file, "wb") as stream:  # noqa: PTH123 - Path.open takes no descriptor
            if old is not None and not private:
                # Only root can give a file away; another user's file becomes the writer's, as with any editor. Its
                # group stays if the writer is in it.
                for owner, group in ((-1, old.st_gid), (old.st_uid, -1)):
                    with suppress(PermissionError):
                        os.fchown(file, owner, group)
                os.fchmod(file, stat.S_IMODE(old.st_mode) & _PERMISSIONS)
            stream.write(content)
            stream.flush()
            os.fsync(file)
        unfinished.replace(target)
    finally:
        unfinished.unlink(missing_ok=True)
    _sync_folder(target.parent)


def _descriptor(path: Path) -> int | None:
    """The number of an open stream of this process, if the path is the name of one."""
    found = _STREAMS.fullmatch(str(path))
    return int(found[1]) if found else _STREAMS_BY_NAME.get(str(path))


def _sync_folder(folder: Path) -> None:
    """Without this the new name may be lost when the machine loses power; the old file would then still be there."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        # Some file systems cannot do it for folders.
        with suppress(OSError):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
