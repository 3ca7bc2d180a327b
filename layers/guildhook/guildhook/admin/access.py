"""Access to guilds: an actor may manage the guilds in which the chat server says that they may."""

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock
from typing import Final
from uuid import UUID

from guildhook.admin.tokens import Actor
from guildhook.chat import Members, Membership

MANAGE_GUILD: Final = "MANAGE_GUILD"
"""The chat server's permission that access to a guild requires."""

_KEEP_SECONDS: Final = 30
"""Lost permissions keep working this long."""
_MOST_KEPT: Final = 10_000


@dataclass(frozen=True, slots=True)
class ManagedGuild:
    id: UUID
    name: str


class NotManagedError(Exception):
    """The actor may not manage the guild."""

    def __init__(self, *, member: bool) -> None:
        super().__init__("a member without MANAGE_GUILD" if member else "no member of such a guild")
        self.member = member
        """Non-members are not told whether the guild exists."""


class GuildAccess:
    """Memberships by the chat server, cached for half a minute. Safe for use from several threads."""

    def __init__(self, members: Members, now: Callable[[], float] = time.monotonic) -> None:
        self._members = members
        self._now = now
        self._lock = Lock()
        self._kept: OrderedDict[tuple[UUID, UUID], tuple[float, Membership | None]] = OrderedDict()
        """By guild and user, the oldest first: the end of the entry's validity, and the membership."""

    def guilds(self, actor: Actor) -> list[ManagedGuild]:
        """The guilds that the actor manages, ordered by name. Raises InfrastructureError."""
        managed = [_managed(membership) for membership in self._members.guilds_of(actor.id) if _may(membership)]
        return sorted(managed, key=lambda guild: (guild.name.casefold(), guild.id))

    def check(self, actor: Actor, guild_id: UUID) -> ManagedGuild:
        """The guild, if the actor manages it. Raises NotManagedError and InfrastructureError."""
        membership = self._membership(guild_id, actor.id)
        if membership is None or not _may(membership):
            raise NotManagedError(member=membership is not None)
        return _managed(membership)

    def _membership(self, guild_id: UUID, user_id: UUID) -> Membership | None:
        with self._lock:
            until, membership = self._kept.get((guild_id, user_id), (float("-inf"), None))
        if self._now() < until:
            return membership
        asked_at = self._now()
        membership = self._members.member(guild_id, user_id)
        with self._lock:
            self._kept[guild_id, user_id] = (asked_at + _KEEP_SECONDS, membership)
            self._kept.move_to_end((guild_id, user_id))
            if len(self._kept) > _MOST_KEPT:
                self._kept.popitem(last=False)
        return membership


def _may(membership: Membership) -> bool:
    return MANAGE_GUILD in membership.permissions


def _managed(membership: Membership) -> ManagedGuild:
    return ManagedGuild(membership.guild_id, membership.guild_name)
