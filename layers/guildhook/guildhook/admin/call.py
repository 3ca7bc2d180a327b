"""What a handler of the admin API is given beside its parameters, and what it answers with."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Any, Final
from uuid import UUID

from aws_lambda_powertools.event_handler import Depends, Request, Response
from pydantic import BaseModel

from guildhook.admin.access import ManagedGuild
from guildhook.admin.endpoints import JSON
from guildhook.admin.problems import ProblemError
from guildhook.admin.services import Services
from guildhook.admin.tokens import Actor
from guildhook.store.admin import Change, PluginKey
from guildhook.store.admin_records import StoredPlugin, StoredVersion

_ETAG: Final = re.compile(r'"([0-9]{1,18})"')


@dataclass(slots=True)
class Call:
    """One request. `actor` and `guild` are there where the route's access says so."""

    services: Services
    signed_in: Actor | None = None
    managed: ManagedGuild | None = None

    @property
    def actor(self) -> Actor:
        if self.signed_in is None:
            raise LookupError("nobody is signed in")
        return self.signed_in

    @property
    def guild(self) -> ManagedGuild:
        if self.managed is None:
            raise LookupError("the request is about no guild")
        return self.managed

    def change(self, action: str, **detail: Any) -> Change:
        """For the audit log."""
        return Change(str(self.actor.id), self.actor.name, action, detail)

    def key(self, plugin_id: UUID) -> PluginKey:
        return PluginKey(self.guild.id, plugin_id)

    def plugin(self, plugin_id: UUID, if_match: str | None = None) -> StoredPlugin:
        """As it is, if it is what the one who asks has seen. Raises ProblemError."""
        plugin = self.services.store.plugin(self.key(plugin_id))
        if plugin is None:
            raise no_plugin()
        if if_match is not None and revision_of(if_match) != plugin.revision:
            raise changed_meanwhile()
        return plugin

    def version(self, plugin_id: UUID, number: int) -> StoredVersion:
        """Raises ProblemError."""
        version = self.services.store.version(self.key(plugin_id), number)
        if version is None:
            raise ProblemError("not-found", f"the plugin has no version {number}")
        return version


def _current(request: Request) -> Call:
    call: Call = request.context["call"]
    return call


CurrentCall = Annotated[Call, Depends(_current)]


def answer(body: BaseModel | None, status: HTTPStatus = HTTPStatus.OK, etag: str | None = None) -> Response[Any]:
    headers: Mapping[str, Any] = {"ETag": etag} if etag else {}
    if body is None:
        return Response(status.value, headers=headers)
    return Response(status.value, JSON, body.model_dump_json(by_alias=True), headers)


def etag_of(revision: int) -> str:
    return f'"{revision}"'


def revision_of(etag: str) -> int | None:
    """None for what is no entity tag of ours."""
    found = _ETAG.fullmatch(etag.strip())
    return int(found[1]) if found else None


def no_plugin() -> ProblemError:
    return ProblemError("not-found", "the guild has no such plugin")


def changed_meanwhile() -> ProblemError:
    return ProblemError(
        "changed-meanwhile", "it is not what If-Match names any more; read it again and see what changed"
    )
