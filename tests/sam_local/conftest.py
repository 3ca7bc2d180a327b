import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from fasteners import InterProcessReaderWriterLock

import samples
from guildhook_local.sample import CHANNEL_ID, GUILD_ID
from guildhook_local.serve import write_environment
from guildhook_local.stack import LocalGuild, Servers, Stack, servers, stack
from requirement import skipped_without
from sam_local.sam import DockerMissingError, Sam, host_address


@pytest.fixture(scope="session")
def address() -> str:
    """The address of this machine that containers reach."""
    with skipped_without(DockerMissingError, "GUILDHOOK_DOCKER"):
        return host_address()


@pytest.fixture
def one_at_a_time(network: InterProcessReaderWriterLock) -> Iterator[None]:
    """The SAM CLI gives the same image the same name in every checkout, and looks for free ports from 5000 on. Each
    container adds a network interface, so no browser may have a page open.
    """
    with network.write_lock():
        yield


@pytest.fixture(scope="session")
def reachable(address: str) -> Iterator[Servers]:
    with servers(address) as running:
        yield running


@pytest.fixture
def system(reachable: Servers) -> Iterator[Stack]:
    """A stack that containers reach. Failed records come back at once. The template has no variable for the limits of
    all guilds, so those of the sample's guild are raised.
    """
    limits = {"deadline_ms": samples.DEADLINE_MS, "memory_bytes": 2**30, "fuel": 10**10}
    environment = {"GUILDHOOK_GUILD_LIMITS": json.dumps({str(GUILD_ID): limits})}
    with stack(reachable, visibility_timeout_seconds=0, max_receive_count=3, environment=environment) as system:
        yield system


@pytest.fixture
def guild(system: Stack) -> LocalGuild:
    return system.add_guild(LocalGuild(GUILD_ID, CHANNEL_ID))


@pytest.fixture
def sam(one_at_a_time: None, system: Stack, tmp_path: Path) -> Sam:
    """The SAM CLI; functions in its containers use the system."""
    write_environment(tmp_path / "env.json", system)
    return Sam(tmp_path / "env.json", tmp_path, system.aws.endpoint)
