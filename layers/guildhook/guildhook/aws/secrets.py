"""Secrets of AWS Secrets Manager, read while the function runs: one that is rotated needs no deploy."""

import logging
import time
from collections.abc import Callable
from functools import cached_property
from threading import Lock
from typing import TYPE_CHECKING, Any, Final, Generic, Protocol, TypeVar

import msgspec

from guildhook.aws.access import AwsAccess
from guildhook.errors import InfrastructureError

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.parameters import SecretsProvider

_KEEP_SECONDS: Final = 300
_REST_SECONDS: Final = 5
"""The pause after a failed or an early reading: every thread that sends may want the next one."""

_logger = logging.getLogger(__name__)

Value = TypeVar("Value")
Value_co = TypeVar("Value_co", covariant=True)


class Rotating(Protocol[Value_co]):
    """A secret value that is replaced from time to time."""

    def current(self) -> Value_co:
        """Raises InfrastructureError."""

    def instead_of(self, refused: object) -> Value_co | None:
        """The value that replaced a refused one; None if there is no other. Raises InfrastructureError."""


class Secret(Generic[Value]):
    """A secret whose text is JSON of the shape `kind`. Safe for use from several threads.

    Errors name the secret and the variable that configures it, and show nothing of the value.
    """

    def __init__(
        self,
        access: AwsAccess,
        name: str,
        variable: str,
        kind: type[Value],
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """`name` is its name or its ARN."""
        self._access = access
        self._name = name
        self._variable = variable
        self._kind = kind
        self._now = now
        self._lock = Lock()
        self._value: Value | None = None
        self._problem = ""
        self._rests_until = float("-inf")

    def current(self) -> Value:
        """Kept for five minutes, and longer while Secrets Manager cannot be asked. Raises InfrastructureError.

        Callers without a cached value wait for the fetch in progress.
        """
        known = self._value
        if known is None:
            self._lock.acquire()
        elif not self._lock.acquire(blocking=False):
            return known
        try:
            return self._read(anew=False)
        finally:
            self._lock.release()

    def instead_of(self, refused: object) -> Value | None:
        """The value that replaced a refused one. It is read again, unless that was done within five seconds."""
        with self._lock:
            value = self._read(anew=False)
            if value == refused:
                value = self._read(anew=True)
            return None if value == refused else value

    def _read(self, *, anew: bool) -> Value:
        anew = anew or bool(self._problem)
        if not anew or self._now() >= self._rests_until:
            self._ask(anew)
        if self._value is None:
            raise InfrastructureError(f"secret {self._name} ({self._variable}): {self._problem}")
        return self._value

    def _ask(self, anew: bool) -> None:
        """Sets the value or the problem, or both while the last value stays in use."""
        from aws_lambda_powertools.utilities.parameters.exceptions import GetParameterError  # noqa: PLC0415

        try:
            text: Any = self._provider.get(self._name, max_age=_KEEP_SECONDS, force_fetch=anew)
            self._value, self._problem = msgspec.json.decode(text, type=self._kind), ""
        except GetParameterError as error:
            self._problem = str(error)
            if self._value is not None:
                _logger.warning("secret %s is kept as it was (%s): %s", self._name, self._variable, self._problem)
        except ValueError as error:
            self._value, self._problem = None, f"its JSON does not have the expected form: {error}"
        if anew or self._problem:
            self._rests_until = self._now() + _REST_SECONDS

    @cached_property
    def _provider(self) -> "SecretsProvider":
        # Imported here: a batch that sends nothing needs no secret, and the import takes a tenth of a second.
        from aws_lambda_powertools.utilities.parameters import SecretsProvider  # noqa: PLC0415

        from guildhook.aws.secrets_manager import SecretsManager  # noqa: PLC0415

        return SecretsProvider(boto3_client=SecretsManager(self._access))
