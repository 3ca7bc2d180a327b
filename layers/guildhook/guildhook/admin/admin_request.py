"""The current request to the admin API, which each route gets as its first parameter."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, TypeVar
from uuid import UUID

from aws_lambda_powertools.event_handler import Depends, Request

from guildhook.admin.access import ManagedGuild
from guildhook.admin.etags import check_condition
from guildhook.admin.problems import ProblemError
from guildhook.admin.services import AdminServices
from guildhook.admin.tokens import Actor
from guildhook.store.admin import AuditedChange, PluginKey, StoredFullRun, StoredPlugin, StoredVersion

PluginRecords = TypeVar("PluginRecords", bound=Sequence[Any])


@dataclass(slots=True)
class AdminRequest:
    """A request with the services that answer it. The guards set the other fields, as the route asks for them."""

    services: AdminServices
    signed_in: Actor | None = None
    managed: ManagedGuild | None = None
    service_token: str | None = field(default=None, repr=False)

    @property
    def actor(self) -> Actor:
        if self.signed_in is None:
            raise LookupError("the route has no actor: it does not ask for a token")
        return self.signed_in

    @property
    def chat_server_token(self) -> str:
        if self.service_token is None:
            raise LookupError("the route has no service token: it is not for the chat server")
        return self.service_token

    @property
    def guild(self) -> ManagedGuild:
        if self.managed is None:
            raise LookupError("the route has no guild: its path does not name one")
        return self.managed

    def change(self, action: str, **detail: Any) -> AuditedChange:
        """An entry for the audit log, by the actor."""
        return AuditedChange(str(self.actor.id), self.actor.name, action, detail)

    def key(self, plugin_id: UUID) -> PluginKey:
        return PluginKey(self.guild.id, plugin_id)

    def plugin(self, plugin_id: UUID, if_match: str | None = None) -> StoredPlugin:
        """The stored plugin. Raises ProblemError if there is none, or if `if_match` does not have its revision."""
        plugin = self.services.store.plugin(self.key(plugin_id))
        if plugin is None:
            raise no_plugin()
        if if_match is not None:
            check_condition(if_match, plugin.revision)
        return plugin

    def version(self, plugin_id: UUID, number: int) -> StoredVersion:
        """The stored version. Raises ProblemError if there is none."""
        version = self.services.store.version(self.key(plugin_id), number)
        if version is None:
            raise ProblemError("not-found", f"the plugin has no version {number}")
        return version

    def run(self, plugin_id: UUID, run_id: UUID) -> StoredFullRun:
        """The recorded run. Raises ProblemError if there is none."""
        run = self.services.store.run(self.key(plugin_id), run_id)
        if run is None:
            raise ProblemError("not-found", "the plugin has no such run; runs are deleted after some time")
        return run

    def of_plugin(self, plugin_id: UUID, records: PluginRecords) -> PluginRecords:
        """The records as they are. Raises ProblemError if there are none because the plugin does not exist."""
        if not records and not self.services.store.has_plugin(self.key(plugin_id)):
            raise no_plugin()
        return records


def _current(request: Request) -> AdminRequest:
    current: AdminRequest = request.context["request"]
    return current


CurrentRequest = Annotated[AdminRequest, Depends(_current)]


def no_plugin() -> ProblemError:
    return ProblemError("not-found", "the guild has no such plugin")
