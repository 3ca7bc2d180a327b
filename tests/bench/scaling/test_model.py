import numpy as np
import pytest

from bench.scaling.model import Lru, Population, Scenario, che, simulate, uniform, zipf
from bench.scaling.parameters import MIB, Deployment, Workload

FEW = 6_000


def test_an_lru_cache_evicts_the_least_recently_used_entry():
    cache = Lru(20)
    assert [cache.look_up(key, 10) for key in (1, 2, 1, 3, 1, 2)] == [False, False, True, False, True, False]


def test_the_cache_has_the_hit_rate_that_che_predicts():
    random = np.random.default_rng(7)
    cumulative = zipf(2_000, 1.0)
    probabilities = np.diff(cumulative, prepend=0)
    sizes = random.choice([1.0, 10.0, 50.0], 2_000)
    cache = Lru(5_000)
    keys = np.searchsorted(cumulative, random.random(60_000)).tolist()
    hits = [cache.look_up(key, sizes[key]) for key in keys][20_000:]
    assert np.mean(hits) == pytest.approx(che(probabilities, sizes, 5_000), abs=0.01)


def test_a_guild_has_the_same_plugins_each_time():
    scenario = Scenario(1_000)
    one, other = Population(scenario), Population(scenario)
    assert [one.plugins(guild) for guild in range(50)] == [other.plugins(guild) for guild in range(50)]
    plugins = [plugin for guild in range(1_000) for plugin in one.plugins(guild)]
    own = [plugin for plugin in plugins if plugin < 0]
    assert len(set(own)) == len(own)
    assert len(own) / len(plugins) == pytest.approx(0.2, abs=0.03)


def test_uniform_draws_are_uniform():
    drawn = [uniform(key, salt) for key in range(-500, 500) for salt in (1, 2)]
    assert 0 <= min(drawn) < max(drawn) < 1
    assert np.mean(drawn) == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize("guilds", [100, 10_000, 1_000_000])
def test_a_simulation_is_the_same_for_a_seed_and_its_rates_are_rates(guilds):
    outcome = simulate(Scenario(guilds), FEW)
    assert outcome == simulate(Scenario(guilds), FEW)
    assert outcome.memory_hits + outcome.disk_hits + outcome.s3_hits == pytest.approx(1)
    assert 1 <= outcome.batch <= 10
    assert outcome.usd_per_million > 0


def test_larger_caches_hit_more_often():
    hits = [
        simulate(Scenario(1_000, deployment=Deployment(memory_cache_bytes=size * MIB)), FEW).memory_hits
        for size in (8, 64, 512)
    ]
    assert hits == sorted(hits)
    assert hits[0] < hits[-1]


def test_a_window_fills_batches():
    without, with_one = (
        simulate(Scenario(10_000, deployment=Deployment(window_seconds=window)), FEW).batch for window in (0, 1)
    )
    assert without < with_one


def test_the_only_plugin_of_a_single_guild_is_always_in_memory():
    # The messages are so frequent that Lambda ends no idle sandbox.
    alone = Workload(plugins_per_guild=1, shared=0, messages_per_guild_day=1_000_000)
    assert simulate(Scenario(1, workload=alone), FEW).memory_hits == pytest.approx(1, abs=0.01)
