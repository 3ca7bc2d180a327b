"""Writes files so that each is either the old one or the whole new one, even when the disk is full."""

import os
import secrets
import stat
from contextlib import suppress
from pathlib import Path


def replace_file(path: Path, content: bytes, *, private: bool = False) -> None:
    """Write `content` to a new file in the same folder, and give it the name `path`.

    Mode and owner of a replaced file are kept, and a new file has the usual mode. A `private` file is one that only the
    user can read, even if others could read the old one. A symbolic link stays, and the file that it points to is
    replaced. A device or pipe is written to, since it cannot be replaced. Raises OSError; then the old file is
    unchanged.
    """
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
                # Only root can give a file away; another user's file becomes the writer's, as with any editor.
                with suppress(PermissionError):
                    os.fchown(file, old.st_uid, old.st_gid)
                os.fchmod(file, stat.S_IMODE(old.st_mode))
            stream.write(content)
            stream.flush()
            os.fsync(file)
        unfinished.replace(target)
    finally:
        unfinished.unlink(missing_ok=True)
    _sync_folder(target.parent)


def _sync_folder(folder: Path) -> None:
    """Without this the new name may be lost when the machine loses power; the old file would then still be there."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        # Some file systems cannot do it for folders.
        with suppress(OSError):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
