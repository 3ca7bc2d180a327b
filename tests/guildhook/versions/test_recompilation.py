from contextlib import closing

import pytest

import wat
from guildhook.modules import ArtifactBucket
from guildhook.store import Database
from guildhook.store.compiling import CompileStore
from guildhook.versions.compiler import Compiler
from guildhook.versions.recompilation import Recompilation, recompile
from samples import limits


@pytest.fixture
def compiler(system, engine):
    with closing(CompileStore(Database(system.database_url))) as store:
        yield Compiler(engine, limits(), ArtifactBucket(system.aws.access, system.bucket), store, system.signer)


@pytest.fixture
def queue(system):
    return system.compile_queue


def install(system, *plugins):
    guild = system.add_guild()
    for wasm in plugins:
        system.install(guild, "plugin", wasm)


def never():
    raise AssertionError("the time is not asked for")


def test_recompilation_does_not_wait_if_everything_is_compiled(system, compiler, queue):
    assert recompile(compiler, queue, in_time=never) == Recompilation(asked=0, left=0)


def test_everything_is_asked_for_and_waited_for_until_it_is_compiled_or_refused(system, compiler, queue):
    install(system, wat.SILENT, wat.logs("one"), b"garbage")
    pauses = []

    def sleep(seconds):
        pauses.append(seconds)
        system.compile_mapping.poll()  # one request: a batch has one record

    assert recompile(compiler, queue, in_time=lambda: True, sleep=sleep) == Recompilation(asked=3, left=0)
    assert pauses == [3, 3, 3]


def test_plugins_that_are_not_compiled_in_time_are_counted(system, compiler, queue):
    install(system, wat.SILENT, wat.logs("one"))
    time_left = [True, True, False]
    recompilation = recompile(compiler, queue, lambda: time_left.pop(0), sleep=lambda _: system.compile_mapping.poll())
    assert recompilation == Recompilation(asked=2, left=0)
    install(system, wat.logs("two"))
    assert recompile(compiler, queue, lambda: False) == Recompilation(asked=1, left=1)
    # The plugin is requested nevertheless.
    assert system.compile_mapping.poll() == 1


def test_a_recompilation_asks_for_no_more_when_its_time_is_over(system, compiler, queue):
    install(system, *[wat.logs(str(number)) for number in range(11)])
    assert recompile(compiler, queue, lambda: False) == Recompilation(asked=10, left=11)
