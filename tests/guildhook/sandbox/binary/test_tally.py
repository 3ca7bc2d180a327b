import pytest

from guildhook.sandbox.binary.reading import RefusedBinaryError
from guildhook.sandbox.binary.tally import PartKind, Tally


def test_each_thing_is_counted_up_to_its_limit():
    tally = Tally()
    tally.add(PartKind.SECTIONS, 9_999)
    tally.add(PartKind.SECTIONS, 1)
    tally.add(PartKind.FUNCTIONS, 60_000)
    with pytest.raises(RefusedBinaryError, match="it has at least 10007 sections; the limit is 10000"):
        tally.add(PartKind.SECTIONS, 7)
