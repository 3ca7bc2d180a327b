import json
from dataclasses import dataclass
from uuid import UUID, uuid4

import pytest

from guildhook.admin.access import GuildAccess, ManagedGuild, NotManagedError
from guildhook.admin.tokens import Actor
from guildhook.chat import RestChatApi
from guildhook.errors import InfrastructureError
from http_server import Answer, http_server
from samples import FixedToken

GUILD = UUID("6a1d0000-0000-4000-8000-000000000001")
ADA = Actor(UUID("6a1d0000-0000-4000-8000-00000000ada0"), "Ada")
MANAGES = frozenset({"MANAGE_GUILD", "SEND_MESSAGES"})


@dataclass
class Clock:
    seconds: float = 0

    def __call__(self):
        return self.seconds


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def access(chat_server, clock):
    with chat_server.running() as url:
        yield GuildAccess(RestChatApi(url, FixedToken()), clock)


def refused(access, guild_id=GUILD, actor=ADA):
    """True if the actor is a member of the guild."""
    with pytest.raises(NotManagedError) as raised:
        access.check(actor, guild_id)
    return raised.value.member


def test_a_manager_of_a_guild_is_granted_access(chat_server, access):
    chat_server.add_guild(GUILD, "Bear watchers")
    chat_server.add_member(GUILD, ADA.id, MANAGES)
    assert access.check(ADA, GUILD) == ManagedGuild(GUILD, "Bear watchers")


def test_others_are_refused_and_non_members_are_not_told_whether_the_guild_exists(chat_server, access):
    chat_server.add_guild(GUILD, "Bear watchers")
    chat_server.add_member(GUILD, ADA.id, ["SEND_MESSAGES", "MANAGE_GUILDS", "manage_guild"])
    assert refused(access) is True
    assert refused(access, actor=Actor(uuid4(), "Eve")) is False
    assert refused(access, guild_id=uuid4()) is False


def test_permissions_in_one_guild_do_not_count_in_another(chat_server, access):
    chat_server.add_member(GUILD, ADA.id, MANAGES)
    another = uuid4()
    chat_server.add_member(another, ADA.id, [])
    assert access.check(ADA, GUILD).id == GUILD
    assert refused(access, another) is True


def test_guilds_are_those_that_somebody_manages_by_name(chat_server, access):
    guilds = {name: uuid4() for name in ("b", "A", "c", "d")}
    for name, guild in guilds.items():
        chat_server.add_guild(guild, name)
        chat_server.add_member(guild, ADA.id, [] if name == "c" else MANAGES)
    chat_server.add_member(guilds["d"], uuid4(), MANAGES)
    assert access.guilds(ADA) == [ManagedGuild(guilds[name], name) for name in ("A", "b", "d")]
    assert access.guilds(Actor(uuid4(), "Eve")) == []


def test_permissions_and_refusals_are_cached_for_half_a_minute(chat_server, access, clock):
    chat_server.add_member(GUILD, ADA.id, MANAGES)
    eve = Actor(uuid4(), "Eve")
    assert access.check(ADA, GUILD).id == GUILD
    assert refused(access, actor=eve) is False
    chat_server.add_member(GUILD, ADA.id, [])
    chat_server.add_member(GUILD, eve.id, MANAGES)
    clock.seconds = 29.9
    assert access.check(ADA, GUILD).id == GUILD
    assert refused(access, actor=eve) is False
    clock.seconds = 30
    assert refused(access) is True
    assert access.check(eve, GUILD).id == GUILD


def test_the_cache_of_memberships_is_bounded_and_evicts_the_oldest_first(clock, monkeypatch):
    monkeypatch.setattr("guildhook.admin.access._MOST_KEPT", 2)
    with http_server(Answer(b'{"error": "VALIDATION_ERROR"}', 404)) as server:
        access = GuildAccess(RestChatApi(server.url, FixedToken()), clock)
        first, second, third = (Actor(uuid4(), "Eve") for _ in range(3))
        for actor in (first, second, third, second, third):
            assert refused(access, actor=actor) is False
        assert len(server.requests) == 3
        refused(access, actor=first)
        assert len(server.requests) == 4


def test_access_fails_while_the_chat_server_is_out_of_reach_and_the_failure_is_not_cached(clock):
    yes = json.dumps({"guild": {"id": str(GUILD), "name": "Bears"}, "permissions": ["MANAGE_GUILD"]}).encode()
    with http_server(Answer(yes), Answer(yes), Answer(status=500), Answer(yes)) as server:
        access = GuildAccess(RestChatApi(server.url, FixedToken()), clock)
        for clock.seconds in (0, 30):
            access.check(ADA, GUILD)
        clock.seconds = 60
        with pytest.raises(InfrastructureError, match="HTTP 500"):
            access.check(ADA, GUILD)
        assert access.check(ADA, GUILD).id == GUILD
    with pytest.raises(InfrastructureError, match="GUILDHOOK_CHAT_API_URL"):
        GuildAccess(RestChatApi(server.url, FixedToken())).guilds(ADA)
