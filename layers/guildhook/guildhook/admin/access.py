"""Who may: those who manage the guild on the chat server, and nobody else."""

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
"""The permission that the chat server must say an actor has in a guild."""

_KEEP_SECONDS: Final = 30
"""For so long somebody who may not any more still may."""
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
        """Who is none is not told whether there is such a guild."""


class GuildAccess:
    """What the chat server says, kept for a moment. Safe for use from several threads."""

    def __init__(self, members: Members, now: Callable[[], float] = time.monotonic) -> None:
        self._members = members
        self._now = now
        self._lock = Lock()
        self._kept: OrderedDict[tuple[UUID, UUID], tuple[float, Membership | None]] = OrderedDict()
        """By guild and user, the oldest first: until when, and what the chat server said."""

    def guilds(self, actor: Actor) -> list[ManagedGuild]:
        """That the actor manages, by name. Raises InfrastructureError."""
        managed = [_managed(membership) for membership in self._members.guilds_of(actor.id) if _may(membership)]
        return sorted(managed, key=lambda guild: (guild.name.casefold(), guild.id))

    def check(self, actor: Actor, guild_id: UUID) -> ManagedGuild:
        """Raises NotManagedError, and InfrastructureError if the chat server cannot be asked."""
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
