"""Creates Lambda functions in this process, each with its own environment; the process's is not changed."""

import importlib.util
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from guildhook.startup import Function

Handler = Callable[[dict[str, Any], Any], Any]


@dataclass(frozen=True, slots=True)
class LambdaContext:
    """The context of an invocation, as Lambda gives it to a function."""

    function_name: str
    aws_request_id: str
    deadline: float
    """By time.monotonic()."""
    memory_limit_in_mb: int = 1769
    function_version: str = "$LATEST"

    @property
    def invoked_function_arn(self) -> str:
        return f"arn:aws:lambda:eu-central-1:000000000000:function:{self.function_name}"

    def get_remaining_time_in_millis(self) -> int:
        return max(round((self.deadline - time.monotonic()) * 1000), 0)


@contextmanager
def loaded_function(folder: Path, environment: Mapping[str, str]) -> Iterator[Handler]:
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
