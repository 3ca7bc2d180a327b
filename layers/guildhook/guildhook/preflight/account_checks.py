"""The account: its concurrency, and the zones of the network that the stack creates."""

from collections.abc import Mapping, Sequence
from typing import Final

from guildhook.aws.account import Account, Zone
from guildhook.errors import InfrastructureError
from guildhook.preflight.findings import Finding, Verdict

_ALWAYS_UNRESERVED: Final = 100
"""Lambda reserves no concurrency that leaves less than this."""
_WITHOUT_LAMBDA: Final = frozenset({"use1-az3"})
"""Ids of zones that have neither Lambda's networks nor RDS Proxy. The same name is another zone in each account."""
_ZONES: Final = 2


def check_concurrency(wanted: int, unreserved: int, own: int) -> Finding:
    """`wanted` is what the functions of the stack reserve, `unreserved` what the account has left, and `own` what the
    stack has reserved already.
    """
    left = unreserved + own - wanted
    if left >= _ALWAYS_UNRESERVED:
        return Finding(
            "concurrency", Verdict.PASSED, f"{wanted} of concurrency can be reserved; {left} stay unreserved"
        )
    return Finding(
        "concurrency",
        Verdict.FAILED,
        f"Concurrency of the account: {unreserved + own} are unreserved, the stack reserves {wanted}, and Lambda keeps "
        f"{_ALWAYS_UNRESERVED} unreserved; set ReserveConcurrency=false, or request a quota that is higher by "
        f"{_ALWAYS_UNRESERVED - left}",
    )


def check_zones(names: Sequence[str], zones: Sequence[Zone]) -> Finding:
    """`names` are those of the subnets' zones; `zones` are all that the account has in the region."""
    subject = f"AvailabilityZones {','.join(names)}"
    if len(names) != _ZONES or len(set(names)) != _ZONES:
        return Finding("zones", Verdict.FAILED, f"{subject}: give the names of two different zones")
    by_name: Mapping[str, Zone] = {zone.name: zone for zone in zones}
    usable = [zone.name for zone in zones if _is_usable(zone)]
    wrong = [name for name in names if name not in usable]
    if not wrong:
        return Finding("zones", Verdict.PASSED, f"{subject}: both exist, with Lambda and RDS Proxy")
    reasons = [f"{name} {_fault(by_name.get(name))}" for name in wrong]
    way = f"set AvailabilityZones to two of {', '.join(usable)}" if len(usable) >= _ZONES else "use another region"
    return Finding("zones", Verdict.FAILED, f"{subject}: {' and '.join(reasons)}; {way}")


def _is_usable(zone: Zone) -> bool:
    return zone.is_ordinary and zone.is_available and zone.id not in _WITHOUT_LAMBDA


def _fault(zone: Zone | None) -> str:
    if zone is None:
        return "is no zone of this region and account"
    if zone.id in _WITHOUT_LAMBDA:
        return f"is {zone.id}, which has neither Lambda's networks nor RDS Proxy"
    return "is not available" if zone.is_ordinary else "is a local zone, and not an availability zone"


def ask_concurrency(account: Account, wanted: int, stack: str | None) -> Finding:
    """Check the concurrency of the account. `stack` is the id or the name of the stack, if it may exist already."""
    try:
        unreserved = account.unreserved_concurrency()
        is_short = unreserved - wanted < _ALWAYS_UNRESERVED
        own = account.reserved_concurrency(stack) if stack and is_short else 0
    except InfrastructureError as error:
        return Finding("concurrency", Verdict.UNAVAILABLE, f"Concurrency of the account: {error}")
    return check_concurrency(wanted, unreserved, own)


def ask_zones(account: Account, names: Sequence[str]) -> Finding:
    try:
        zones = account.zones()
    except InfrastructureError as error:
        return Finding("zones", Verdict.UNAVAILABLE, f"AvailabilityZones {','.join(names)}: {error}")
    return check_zones(names, zones)
