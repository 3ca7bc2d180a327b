"""Loads a Lambda function into this process, in the environment that Lambda would give it."""

import atexit
import importlib.util
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any, TextIO, cast

import snapshot_restore_py

from guildhook_local.poller import Handler


@contextmanager
def loaded_function(app: Path, environment: Mapping[str, str]) -> Iterator[Handler]:
    """Imports `app` (functions/NAME/app.py) anew and yields its handler; calls its `close` afterwards, if it has one.

    The environment is set until the block is left, since AWS clients read theirs when they are first needed.
    So functions that are loaded at the same time share it.
    """
    before = dict(os.environ)
    os.environ.update(environment)
    try:
        with _hooks_of_its_own():
            function = _import(app)
            close = getattr(function, "close", lambda: None)
            try:
                yield function.handler
            finally:
                close()
                atexit.unregister(close)
    finally:
        os.environ.clear()
        os.environ.update(before)


@contextmanager
def _hooks_of_its_own() -> Iterator[None]:
    """What is registered for the end of the process, or for its snapshot, would keep a function that is done with, and
    the thread that advances its engine's epoch.
    """
    registries = (snapshot_restore_py._before_snapshot_registry, snapshot_restore_py._after_restore_registry)  # noqa: SLF001
    lengths = [len(registry) for registry in registries]
    try:
        yield
    finally:
        for registry, length in zip(registries, lengths, strict=True):
            del registry[length:]


def _import(app: Path) -> Any:
    spec = importlib.util.spec_from_file_location(f"guildhook_function_{app.parent.name}", app)
    if spec is None or spec.loader is None:
        raise ImportError(f"{app} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    # A logger keeps the stdout it finds when it is made; later ones must find the stdout of their time.
    with redirect_stdout(cast(TextIO, _CurrentStdout())):
        spec.loader.exec_module(module)
    return module


class _CurrentStdout:
    """Whatever sys.stdout is at the time of writing."""

    def __init__(self) -> None:
        self._while_redirected = sys.stdout

    def __getattr__(self, name: str) -> Any:
        return getattr(self._while_redirected if sys.stdout is self else sys.stdout, name)
