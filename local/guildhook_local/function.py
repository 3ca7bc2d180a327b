"""Loads a Lambda function into this process, in the environment that Lambda would give it."""

import importlib.util
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any, TextIO, cast

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
        function = _import(app)
        try:
            yield function.handler
        finally:
            getattr(function, "close", lambda: None)()
    finally:
        os.environ.clear()
        os.environ.update(before)


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
