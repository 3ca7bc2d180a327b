"""The addresses that a preflight may connect to."""

from enum import Enum
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Final

_NAT64: Final = IPv6Network("64:ff9b::/96")
_METADATA: Final = IPv6Network("fd00:ec2::/32")
"""The services of AWS for its own machines, such as instance metadata."""


class Reach(Enum):
    """The networks whose addresses are allowed. Link-local addresses, such as those of metadata services, never are."""

    INTERNET = "internet"
    """Public addresses alone."""
    NETWORK = "network"
    """Those of private networks too, which a peering leads to."""
    MACHINE = "machine"
    """Those of this machine too."""


def is_allowed(address: str, reach: Reach) -> bool:
    """`address` is a numeric one of IPv4 or IPv6. Raises ValueError otherwise."""
    found = _embedded(ip_address(address.partition("%")[0]))
    if found.is_loopback:
        return reach is Reach.MACHINE
    if found.is_link_local or found.is_multicast or found.is_unspecified or found.is_reserved:
        return False
    if isinstance(found, IPv6Address) and found in _METADATA:
        return False
    return found.is_global or reach is not Reach.INTERNET


def _embedded(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """The address of IPv4 that one of IPv6 leads to, if it leads to one."""
    if isinstance(address, IPv6Address):
        if address in _NAT64:
            return IPv4Address(int(address) & 0xFFFF_FFFF)
        return address.ipv4_mapped or address.sixtofour or address
    return address
