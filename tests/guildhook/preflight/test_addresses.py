import pytest

from guildhook.preflight.addresses import Reach, is_allowed

PUBLIC = ["93.184.216.34", "2606:2800:220:1::1", "64:ff9b::5db8:d822", "2002:5db8:d822::1"]
PRIVATE = ["10.0.0.7", "172.16.3.4", "192.168.1.1", "100.64.0.1", "fd12:3456::1", "::ffff:10.0.0.7", "64:ff9b::a00:7"]
OF_THIS_MACHINE = ["127.0.0.1", "127.8.9.10", "::1", "::ffff:127.0.0.1"]
NEVER = [
    "169.254.169.254",
    "169.254.170.2",
    "fe80::1",
    "fe80::1%eth0",
    "fd00:ec2::254",
    "::ffff:169.254.169.254",
    "64:ff9b::a9fe:a9fe",
    "2002:a9fe:a9fe::1",
    "0.0.0.0",
    "::",
    "224.0.0.1",
    "ff02::1",
    "240.0.0.1",
    "255.255.255.255",
]


@pytest.mark.parametrize("reach", Reach)
def test_an_address_is_allowed_by_its_network(reach):
    def allowed(addresses):
        return [address for address in addresses if is_allowed(address, reach)]

    assert allowed(PUBLIC) == PUBLIC
    assert allowed(PRIVATE) == ([] if reach is Reach.INTERNET else PRIVATE)
    assert allowed(OF_THIS_MACHINE) == (OF_THIS_MACHINE if reach is Reach.MACHINE else [])
    assert allowed(NEVER) == []
