"""The time limits that the server keeps for a function's statements, beside the deadline that the function keeps."""

from collections.abc import Iterable, Mapping
from dataclasses import astuple, dataclass
from typing import Final

_CLIENT_CHECK: Final = "1s"
"""How often the server looks if the client of a running statement is gone: a function that gave up, or was killed."""


@dataclass(frozen=True, slots=True)
class TimeLimits:
    """In seconds. They end a statement that nobody waits for any more, and are fixed settings of the function's role:
    a SET in a session would pin its connection of RDS Proxy, which takes no settings with a connection either.
    """

    statement: int
    lock: int
    """The time for each lock that a statement waits for."""
    idle_in_transaction: int = 10
    """A function has no transaction of several statements. This ends one that a broken connection leaves open."""

    def settings(self) -> Mapping[str, str]:
        """The settings of PostgreSQL by name."""
        return {
            "statement_timeout": f"{self.statement}s",
            "lock_timeout": f"{self.lock}s",
            "idle_in_transaction_session_timeout": f"{self.idle_in_transaction}s",
            "client_connection_check_interval": _CLIENT_CHECK,
        }


def widest(limits: Iterable[TimeLimits]) -> TimeLimits:
    """The limits for a role that several functions share."""
    return TimeLimits(*map(max, zip(*map(astuple, limits), strict=True)))
