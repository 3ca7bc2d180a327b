from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from uuid import UUID

import pytest

import wat
from guildhook.aws.access import AwsAccess
from guildhook.events.batch import read_batch
from guildhook.events.budgets import Budgets, GuildBudget
from guildhook.events.checks import DueRun, FoundModule
from guildhook.events.handling import Handling, UnrecordedRuns
from guildhook.events.runner import Runner
from guildhook.events.shadows import Shadows
from guildhook.model import InstalledPlugin, Message, QuarantineRules, Refusal, SpentBudget
from guildhook.modules import ArtifactBucket, ModuleCache, UnavailableModule
from guildhook.plugin_settings.sealing import Sealer
from guildhook.sandbox import Engine, LoadedModule, Sandbox
from guildhook.store import Database
from guildhook.store.events import EventStore
from samples import CHANNEL, limits

IN_TIME = float("inf")
SECONDS_LEFT_OF_MINUTE = 17


class BatchRunner:
    """Runs plugins as one batch does, with `handling` as the batch."""

    def __init__(self, handling: Handling, runner: Runner, shadows: Shadows) -> None:
        self.handling = handling
        self._runner = runner
        self._shadows = shadows

    def run(
        self,
        due: Iterable[tuple[Message, InstalledPlugin]],
        modules: Mapping[bytes, FoundModule],
        shadows: Iterable[tuple[Message, InstalledPlugin]] = (),
    ) -> UnrecordedRuns:
        self.handling.modules = dict(modules)
        self.handling.shadows = [DueRun(*each) for each in shadows]
        runs = self._runner.run(self.handling, [DueRun(*each) for each in due])
        self._shadows.run_beside(self.handling, runs)
        return runs


@pytest.fixture
def create_runner(engine: Engine, tmp_path: Path) -> Callable[..., BatchRunner]:
    def create_runner(
        *plugins: InstalledPlugin,
        spent: Mapping[UUID, SpentBudget] | None = None,
        latest_start: float = IN_TIME,
        budget: GuildBudget = GuildBudget(),  # noqa: B008 - it is frozen
        sealer: Sealer | None = None,
    ) -> BatchRunner:
        handling = Handling(read_batch([]), IN_TIME)
        handling.latest_start = latest_start
        handling.budgets = Budgets(lambda _guild: budget, spent or {}, plugins, SECONDS_LEFT_OF_MINUTE)
        runner = Runner(Sandbox(engine), lambda _guild: limits(), sealer)
        # Nothing is fetched or recorded here, so neither bucket nor database is asked.
        cache = ModuleCache(
            engine, ArtifactBucket(AwsAccess({}), "no-bucket"), _ask_nobody, tmp_path / "cache", 2**30, 2**30, ()
        )
        store = EventStore(Database("postgresql://nobody@127.0.0.1:1/nothing"))
        return BatchRunner(handling, runner, Shadows(runner, cache, store, QuarantineRules(), nullcontext))

    return create_runner


def _ask_nobody(_digests: Sequence[bytes]) -> None:
    """Stand in for the queue of the compile function."""


@pytest.fixture
def modules(load: Callable[[bytes], LoadedModule]) -> Mapping[bytes, FoundModule]:
    """Modules by the digest of their wasm. Words stand in for the digests."""
    return {
        b"sends": load(wat.sends((CHANNEL, "hello"))),
        b"traps": load(wat.TRAPS),
        b"counts": load(wat.remembers(("set", "n", "x" * 10))),
        b"gone": UnavailableModule("it is not compiled"),
        b"refused": Refusal("no component"),
    }
