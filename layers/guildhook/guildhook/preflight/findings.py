"""The result of one check, and the error that a deploy gets for several."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from guildhook.errors import PreflightError


class Verdict(StrEnum):
    PASSED = "passed"
    FAILED = "failed"
    """The operator must change something first."""
    UNAVAILABLE = "unavailable"
    """A server did not answer. The same check may pass later."""
    UNCHECKED = "unchecked"
    """This cannot be checked beforehand."""


@dataclass(frozen=True, slots=True)
class Finding:
    check: str
    """The name of the check: one or two words."""
    verdict: Verdict
    sentence: str
    """One line for the operator: the thing, what is wrong with it, and the way out."""

    @property
    def is_good(self) -> bool:
        return self.verdict in (Verdict.PASSED, Verdict.UNCHECKED)


def raise_for(findings: Sequence[Finding]) -> None:
    """Raises PreflightError with the sentences of the checks that did not pass."""
    sentences = [finding.sentence for finding in findings if not finding.is_good]
    if sentences:
        raise PreflightError(" | ".join(sentences))
