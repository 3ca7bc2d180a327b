"""The environment of the processes of the embedded stack, built from nothing but the variables that they need.

libpq, botocore, PostgreSQL's programs, Chromium and Python itself read the environment of their process: a server, a
proxy, a profile or a password in the user's shell would be taken for the stack's own.
"""

import os
import sys
from collections.abc import Collection, Mapping
from pathlib import Path

_NEEDED = frozenset(
    {
        "HOME",
        "LD_LIBRARY_PATH",  # Python itself may need it to start
        "LOGNAME",
        "PATH",
        "PYTHONDONTWRITEBYTECODE",
        "PYTHONUNBUFFERED",
        "USER",
        # The terminal of the output.
        "COLORTERM",
        "COLUMNS",
        "FORCE_COLOR",
        "LINES",
        "NO_COLOR",
        "TERM",
    }
)
_TEMPORARY = "TMPDIR"
_OTHERS = 0o077
_LOCALE = {"LC_ALL": "C.UTF-8"}
"""initdb refuses a locale that the machine does not have."""
_OF_PYTHON = frozenset({"LC_CTYPE", "__CF_USER_TEXT_ENCODING"})
"""Python and macOS set these in each new process."""


def built_environment(
    shell: Mapping[str, str], needed: Collection[str] = (), prefixes: tuple[str, ...] = ()
) -> dict[str, str]:
    """The environment for a process that a shell starts. `needed` and `prefixes` name more variables that it keeps."""
    kept = {
        name: value for name, value in shell.items() if name in _NEEDED or name in needed or name.startswith(prefixes)
    }
    folder = shell.get(_TEMPORARY)
    temporary = {_TEMPORARY: folder} if folder and is_usable(folder) else {}
    return {"PATH": os.defpath, **kept, **temporary, **_LOCALE}


def is_usable(folder: str) -> bool:
    """Tell whether a folder for temporary files can be used. Python chooses one by itself without it."""
    try:
        folder.encode()  # the functions' variables are texts
    except UnicodeEncodeError:
        return False
    path = Path(folder)
    return path.is_absolute() and path.is_dir() and os.access(path, os.W_OK | os.X_OK)


def continue_in_built_environment(needed: Collection[str] = (), prefixes: tuple[str, ...] = ()) -> None:
    """Start the program of this process anew in the environment that is built, unless it is in that one already.

    The user can use the files that it creates: a umask takes nothing from them.
    """
    os.umask(os.umask(0) & _OTHERS)
    built = built_environment(os.environ, needed, prefixes)
    if {name: value for name, value in os.environ.items() if name not in _OF_PYTHON} != built:
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:  # as it is if the shell has closed it
                stream.flush()
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], built)  # noqa: S606 - the same command
