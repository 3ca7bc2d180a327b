import pytest

from guildhook.sandbox.binary.reading import RefusedError
from guildhook.sandbox.binary.tally import Counted, Tally


def test_each_thing_is_counted_up_to_its_limit():
    tally = Tally()
    tally.add(Counted.SECTIONS, 9_999)
    tally.add(Counted.SECTIONS, 1)
    tally.add(Counted.FUNCTIONS, 60_000)
    with pytest.raises(RefusedError, match="it has at least 10007 sections; the limit is 10000"):
        tally.add(Counted.SECTIONS, 7)
