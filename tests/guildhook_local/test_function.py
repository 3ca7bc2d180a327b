import gc

from guildhook.sandbox import Engine
from guildhook_local.stack import stack


def engines() -> int:
    gc.collect()
    return sum(isinstance(each, Engine) for each in gc.get_objects())


def test_nothing_of_a_function_stays_when_it_is_done_with(running):
    before = engines()
    with stack(running) as system:
        assert engines() > before
        del system
    assert engines() == before
