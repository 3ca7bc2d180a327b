"""The bodies of requests and answers of the admin API. Units are part of the names; times are in UTC."""

import re
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, RootModel, Strict, StringConstraints

from guildhook.model import DeliveryState, Outcome, Permission, TokenAlgorithm
from guildhook.sandbox import MAX_WASM_BYTES
from guildhook.whole_numbers import with_whole_numbers

# Names are shown in lists, logs and terminals. They are one line without invisible and control characters. The two
# joiners U+200C and U+200D are allowed, because words and emoji contain them.
UNPRINTABLE: Final = (
    r"\u0000-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\uffff"
)


def printable(name: str) -> str:
    found = re.search(f"[{UNPRINTABLE}]", name)
    if found:
        raise ValueError(f"has U+{ord(found[0]):04X}, which is not printable; use letters, digits, signs and spaces")
    return name


PluginName = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=64),
    AfterValidator(printable),
    Field(json_schema_extra={"pattern": rf"^[^{UNPRINTABLE}]*[^{UNPRINTABLE}\s][^{UNPRINTABLE}]*$"}),
]
_UNPRINTABLE_IN_TEXT: Final = r"\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069"


def _printable_text(text: str) -> str:
    found = re.search(f"[{_UNPRINTABLE_IN_TEXT}]", text)
    if found:
        raise ValueError(f"has U+{ord(found[0]):04X}, which is not printable; leave it out")
    return text


PluginDescription = Annotated[
    str,
    StringConstraints(max_length=2_000),
    AfterValidator(_printable_text),
    Field(json_schema_extra={"pattern": f"^[^{_UNPRINTABLE_IN_TEXT}]*$"}),
]
UtcTime = Annotated[datetime, AfterValidator(lambda time: time.astimezone(UTC))]
SecretName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_.-]{0,63}$")]
SecretValue = Annotated[str, StringConstraints(min_length=1, max_length=4_096)]


def _sha256(digest: str) -> str:
    if not re.fullmatch(r"[0-9A-Fa-f]{64}", digest):
        raise ValueError("is not a SHA-256, which has 64 characters of 0-9 and a-f")
    return digest.lower()


Sha256 = Annotated[str, AfterValidator(_sha256), Field(json_schema_extra={"pattern": "^[0-9A-Fa-f]{64}$"})]
Settings = Annotated[dict[str, Any], AfterValidator(with_whole_numbers)]
VersionNumber = Annotated[int, Field(ge=1, le=2**31 - 1)]
"""The number of a version."""


def _if_null(default: object, kind: Any) -> BeforeValidator:
    """The default of a field for null, which is the same as a missing field. `kind` is the type of the field."""
    return BeforeValidator(lambda value: default if value is None else value, json_schema_input_type=kind | None)


# Strict fields take neither text for a number nor 1 for true.
Strictly = Strict()


class RequestBody(BaseModel):
    """The body of a request. Unknown fields are refused, so that nobody believes that they had an effect."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class ResponseBody(BaseModel):
    """The body of an answer. `model_validate` takes a stored record as well, by its attributes."""

    model_config = ConfigDict(frozen=True, from_attributes=True, use_attribute_docstrings=True)


class Health(ResponseBody):
    model_config = ConfigDict(populate_by_name=True)

    status: Literal["ok"]
    version: str
    migration: Annotated[str, Field(alias="schema")]
    """The newest migration of the database."""


class Problem(ResponseBody):
    """Problem details (RFC 9457)."""

    type: str
    """A URN that names the kind of problem, such as urn:guildhook:problem:consent-required."""
    title: str
    status: int
    detail: str
    """The error in this request, and the way out."""
    errors: list["FieldError"]
    """The errors by their place. Empty if the problem is not about a part of the request."""
    consent: list[Permission]
    """The permissions that going live newly grants, for consent-required. Empty for other problems."""


class FieldError(ResponseBody):
    pointer: str
    """A JSON pointer into the body, or the name of a parameter."""
    message: str


class Document(RootModel[dict[str, Any]]):
    """An OpenAPI document."""


class SignIn(ResponseBody):
    """The public configuration with which the page signs people in."""

    issuer: str
    client_id: str
    scope: str
    algorithms: list[TokenAlgorithm]
    """The algorithms that access tokens may be signed with."""
    max_wasm_bytes: int
    """The most bytes of an upload."""
    subscribers_max_age_seconds: int
    """The age that the chat server's list of subscribers can have: the first plugin of a guild may get its first
    message that much later. 0 if the chat server sends the messages of every guild."""


class SubscriberList(ResponseBody):
    """The guilds whose messages guildhook needs."""

    guilds: list[str] | None
    """The first 16 hexadecimal digits of HMAC-SHA256 of each guild's id, a UUID in lower case with hyphens, under the
    service token; in ascending order. null if there are too many to list: send the messages of every guild."""


class GuildSummary(ResponseBody):
    id: UUID
    name: str


class GuildList(ResponseBody):
    items: list[GuildSummary]


class Budget(ResponseBody):
    """The budget of a guild for a minute, and the part of this minute's that is spent."""

    fuel: int
    """A run is charged its fuel or its CPU time, whichever is larger."""
    fuel_limit: int
    fuel_per_cpu_ms: int
    """The fuel that a millisecond of CPU time is charged as."""
    sends: int
    sends_limit: int
    log_bytes: int
    log_bytes_limit: int
    delayed: int
    """The number of messages that had to wait."""
    over_at: UtcTime | None
    over_reason: str | None


class Guild(ResponseBody):
    id: UUID
    name: str
    keep_content: bool
    """True if runs are recorded together with their messages."""
    plugins: int
    plugins_limit: int
    grantable: list[Permission]
    paused: str | None
    """The operator's reason why the guild's messages wait. Null if they do not."""
    budget: Budget
    etag: str


class GuildChange(RequestBody):
    keep_content: Annotated[bool, Strictly]


class VersionState(StrEnum):
    EXPECTED = "expected"
    """The file is not uploaded yet."""
    UPLOADED = "uploaded"
    CHECKING = "checking"
    COMPILING = "compiling"
    READY = "ready"
    REFUSED = "refused"


class CompileFailure(ResponseBody):
    """The compiles of a version that failed through no fault of the plugin, for example since the machine was busy."""

    reason: str
    tries: int
    tried_at: UtcTime
    next_try_at: UtcTime | None
    """Null after the last try: the version could not be compiled yet, and a request lets it be tried again."""


class Version(ResponseBody):
    """An upload. It never changes once it is ready."""

    id: UUID
    number: int
    state: VersionState
    reasons: list[str]
    """The reasons for a refusal."""
    warnings: list[str]
    """Faults of the build that are no reason for a refusal, such as random numbers that are the same in every run."""
    wasm_sha256: str
    wasm_bytes: int
    imports: list[str]
    unavailable: list[str]
    """Imports that are linked and do nothing."""
    needs: list[Permission]
    newly_needed: list[Permission]
    """The needed permissions that the plugin is not granted. Going live asks for consent to them."""
    settings_schema: dict[str, Any] | None
    live: bool
    shadow: bool
    created_by: str
    created_at: UtcTime
    updated_at: UtcTime
    failure: CompileFailure | None
    """Null if the version is compiled or refused, or if no compile of it has failed."""


class VersionPage(ResponseBody):
    items: list[Version]
    next_cursor: str | None


class VersionCreate(RequestBody):
    """The file that is about to be uploaded. No other file is accepted."""

    wasm_sha256: Sha256
    wasm_bytes: Annotated[int, Strictly, Field(ge=1, le=MAX_WASM_BYTES)]


class Upload(ResponseBody):
    """The form that uploads the file: POST `fields`, followed by `file`, to `url` before `expires_at`."""

    url: str
    fields: dict[str, str]
    expires_at: UtcTime


class VersionCreated(ResponseBody):
    version: Version
    upload: Upload | None
    """Null if the file is uploaded already."""


class Quarantine(ResponseBody):
    since: UtcTime
    reason: str
    last_error: str
    retry_at: UtcTime
    pauses: int


class SecretInfo(ResponseBody):
    """The name of a secret. Its value cannot be read."""

    name: str
    updated_at: UtcTime


class Plugin(ResponseBody):
    id: UUID
    guild_id: UUID
    name: str
    description: str
    enabled: bool
    disabled_by_operator: str | None
    """The operator's reason why it does not run, whatever `enabled` says. Null if it may run."""
    settings: Settings
    secrets: list[SecretInfo]
    permissions: list[Permission]
    bot_messages: bool
    """True if the plugin receives messages of bots as well."""
    live: Version | None
    previous: int | None
    """The number of the version to roll back to."""
    shadow: int | None
    """The number of the version that runs on the same messages and sends nothing."""
    latest: Version | None
    """The newest upload."""
    quarantine: Quarantine | None
    last_failed_at: UtcTime | None
    last_error: str | None
    created_at: UtcTime
    updated_at: UtcTime
    etag: str
    """The entity tag for If-Match, which the header ETag has as well."""


class PluginPage(ResponseBody):
    items: list[Plugin]
    next_cursor: str | None


class PluginCreate(RequestBody):
    name: PluginName
    description: Annotated[PluginDescription, _if_null("", PluginDescription)] = ""


class PluginChange(RequestBody):
    """The fields to change. A field that is missing or null stays as it is."""

    name: PluginName | None = None
    description: PluginDescription | None = None
    enabled: Annotated[bool, Strictly] | None = None
    settings: Settings | None = None
    permissions: list[Permission] | None = None
    bot_messages: Annotated[bool, Strictly] | None = None


_Consent = Annotated[list[Permission], _if_null([], list[Permission])]


class GoLive(RequestBody):
    version: Annotated[VersionNumber, Strictly]
    consent: _Consent = []
    """Exactly the permissions that the version newly needs."""
    settings: Settings | None = None
    """New settings, which change together with the version: its schema may differ."""


class RollBack(RequestBody):
    consent: _Consent = []
    """Exactly the permissions that the version newly needs."""
    settings: Settings | None = None
    """Settings to use instead of those that the version was live with. They are needed if those are not known."""


class SettingsVersionSummary(ResponseBody):
    """Settings as they were saved once, without their values."""

    number: int
    """It counts the saves of the plugin. Old ones are deleted, and their numbers are not used again."""
    saved_at: UtcTime
    actor_id: str | None
    """The admin who saved them. Null if they were written into the database directly, or before saves were kept."""
    actor_name: str | None
    database_role: str | None
    """The database role that wrote them directly. Null for an admin, and if it is not known."""
    version: int | None
    """The number of the version that was live when they were saved."""
    current: bool
    for_roll_back: bool
    """True if the previous version was live with them."""
    kept: bool
    """False if they were too large. Only the fact that they were saved is known then."""
    withheld: list[str]
    """The names of settings that are secrets. Their values are not kept."""
    differs: list[str]
    """The names of the settings that differ from the current ones."""


class SettingsVersionPage(ResponseBody):
    items: list[SettingsVersionSummary]
    next_cursor: str | None


class SettingDifference(ResponseBody):
    """A setting that two versions of the settings have differently. Settings are compared by their values in JSON."""

    name: str
    change: Literal["added", "removed", "changed"]
    """`added` if it is missing in the version that is compared with, `removed` if it is missing in this one."""
    before: Any
    """The value in the version that is compared with. Null if it is missing there."""
    after: Any
    """The value in this version. Null if it is missing here."""


class SettingsVersion(SettingsVersionSummary):
    settings: Settings | None
    """Null if they are not kept."""
    differences: list[SettingDifference]
    """The differences from the current settings, or from those of `base`. A secret is never one of them."""


class RollBackPreview(ResponseBody):
    """The changes that rolling back makes."""

    version: Version
    """The version that goes live."""
    settings: SettingsVersion | None
    """The settings that it was live with, which come back with it. Null if they are not known: send others then."""
    errors: list[FieldError]
    """Errors of these settings by the version's schema. They come back nevertheless, since it was live with them."""
    etag: str
    """The entity tag of the plugin."""


class ShadowChange(RequestBody):
    version: Annotated[VersionNumber, Strictly] | None


class SecretChange(RequestBody):
    value: SecretValue


class HostCall(ResponseBody):
    function: str
    denied: str | None
    """The reason for which the call was denied. Null if it was not."""


class Intent(ResponseBody):
    kind: Literal["send_message"]
    channel_id: UUID
    content: str
    state: DeliveryState | None
    """Null for a test run, a replay or a shadow's run, which send nothing."""
    message_id: str | None
    """The id of the sent message."""
    detail: str | None
    """The reason for which the message was refused, or is still waiting."""


class RunSummary(ResponseBody):
    id: UUID
    message_id: UUID
    version: int | None
    """The number of the version. Null if the version was deleted, or was not recorded when the run was."""
    shadow: bool
    outcome: Outcome
    detail: str
    fuel_used: int
    fuel_limit: int | None
    duration_us: int
    cpu_us: int | None
    """The CPU time of the run. Null for a run before the release that measures it."""
    host_calls: int
    denied_calls: int
    intents: int
    log_lines: int
    created_at: UtcTime


class RunPage(ResponseBody):
    items: list[RunSummary]
    next_cursor: str | None


class Run(RunSummary):
    calls: list[HostCall]
    logs: list[str]
    sends: list[Intent]
    message: dict[str, Any] | None
    """The message that the plugin received. Null if the guild does not keep messages."""
    seed: str
    """A whole number as text, since a JavaScript number cannot hold all of its digits."""
    message_time: UtcTime


class UsageHour(ResponseBody):
    hour: UtcTime
    outcome: str
    """An Outcome, or `quarantined` for messages that a quarantined plugin did not receive."""
    runs: int
    fuel_used: int
    duration_us: int
    cpu_us: int


class Usage(ResponseBody):
    items: list[UsageHour]
    """The hours that have runs."""


_AuthorName = Annotated[str, StringConstraints(min_length=1, max_length=64)]


class TestMessage(RequestBody):
    content: Annotated[str, StringConstraints(max_length=4_000)]
    author_name: Annotated[_AuthorName, _if_null("you", _AuthorName)] = "you"
    channel_id: UUID | None = None


class TestRunRequest(RequestBody):
    version: Annotated[VersionNumber, Strictly]
    message: TestMessage
    settings: Settings | None = None
    """Settings that replace those of the plugin. Its secrets stay."""
    permissions: list[Permission] | None = None
    """Permissions that replace those of the plugin."""
    keep_state: Annotated[bool, Strictly, _if_null(True, Annotated[bool, Strictly])] = True
    """True if the run begins with the plugin's current state. The state that it writes is shown and not kept."""


class ReplayRequest(RequestBody):
    version: Annotated[VersionNumber, Strictly]
    settings: Settings | None = None
    message: TestMessage | None = None
    """A message that replaces the recorded one. It is needed if the guild does not keep messages."""


class TestRun(ResponseBody):
    """A run in the real sandbox that sends nothing and is not recorded."""

    version: int
    outcome: Outcome
    detail: str
    fuel_used: int
    fuel_limit: int
    duration_us: int
    cpu_us: int
    host_calls: int
    calls: list[HostCall]
    logs: list[str]
    sends: list[Intent]
    state: dict[str, str] | None
    """The new state, if the run changed it."""


class Cause(StrEnum):
    RAN = "ran"
    DELETED = "deleted"
    """The message was deleted in the chat."""
    DISABLED = "disabled"
    NOT_LIVE = "not_live"
    REFUSED = "refused"
    QUARANTINED = "quarantined"
    OVER_BUDGET = "over_budget"
    BOT_MESSAGE = "bot_message"
    NOTHING_TO_SAY = "nothing_to_say"
    NOT_DELIVERED = "not_delivered"
    NOT_SEEN = "not_seen"


class Reason(ResponseBody):
    cause: Cause
    certain: bool
    """False if other reasons are possible as well."""
    text: str


class Explanation(ResponseBody):
    """The reasons for which a plugin answered a message or did not."""

    message_id: UUID
    run: Run | None
    reasons: list[Reason]
    """At least one reason, the likeliest first."""


class AuditEntry(ResponseBody):
    id: int
    at: UtcTime
    plugin_id: UUID | None
    actor_id: str
    actor_name: str
    actor_kind: Literal["admin", "operator"]
    """The operator is the one of the whole installation, and no member of the guild."""
    action: str
    detail: dict[str, Any]


class AuditPage(ResponseBody):
    items: list[AuditEntry]
    next_cursor: str | None
