"""Creates Lambda functions in this process, each with its own environment; the process's is not changed."""

import importlib.util
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from guildhook.startup import Function
from guildhook_local.poller import Handler


@contextmanager
def created_function(folder: Path, environment: Mapping[str, str]) -> Iterator[Handler]:
    """Creates the function of a folder of functions/, yields its handler, and closes it afterwards."""
    function = create(folder, environment)
    try:
        yield function.handler
    finally:
        function.close()


@contextmanager
def invoked_function(folder: Path, environment: Mapping[str, str]) -> Iterator[Handler]:
    """Yields a handler whose function is created at its first invocation, as Lambda does it, and closed afterwards."""
    created: list[Function] = []
    turn = threading.Lock()

    def handler(event: Any, context: Any) -> Any:
        with turn:
            if not created:
                created.append(create(folder, environment))
        return created[0].handler(event, context)

    try:
        yield handler
    finally:
        for function in created:
            function.close()


def create(folder: Path, environment: Mapping[str, str]) -> Function:
    """Raises ConfigurationError."""
    path = folder / "function.py"
    # The modules of all functions have the same name, so that none of them goes into sys.modules.
    spec = importlib.util.spec_from_file_location(f"guildhook_function_{folder.name}", path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return cast(Callable[[Mapping[str, str]], Function], module.create)(environment)
