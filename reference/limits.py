"""The reference of the limits, from the fields and constants that state them."""

from collections.abc import Iterator, Sequence
from dataclasses import fields
from types import ModuleType

from guildhook.admin import guards, rate_limiter
from guildhook.admin.routes import plugins, versions
from guildhook.events import handling, queue_events
from guildhook.events.backoff import Backoff
from guildhook.events.budgets import GuildBudget
from guildhook.events.delivery import sender
from guildhook.model import QuarantineRules
from guildhook.plugin_settings import schema
from guildhook.sandbox import Limits, host_functions
from guildhook.sandbox.binary import component, core_module
from guildhook.sandbox.binary.tally import PartKind
from guildhook.sandbox.compiling import inspection
from guildhook.sandbox.compiling.child_process import CompileLimits
from guildhook.store.admin import stored_settings
from guildhook.store.role import TIME_LIMITS
from reference.attributes import described_attributes
from reference.markdown import amount, code, table, whole_page

Row = tuple[str, str, str]


def page() -> str:
    return whole_page(
        "Limits",
        "Limits that have a variable can be changed: [the configuration](../configuration.md) has their "
        "names. All others are fixed. Names and texts are those of the source.",
        "## A run",
        "Every run of every plugin has these limits; `GUILDHOOK_LIMITS__` and the name in capitals is the variable. "
        "`GUILDHOOK_GUILD_LIMITS` changes them for single guilds.",
        _table(_fields(Limits), _constants(host_functions, ["_FUEL_PER_CALL", "_FUEL_PER_BYTE"])),
        "## A guild",
        "All plugins of a guild share a budget. `GUILDHOOK_` and the name in capitals is the variable.",
        _table(_fields(GuildBudget)),
        "## Quarantine",
        "A plugin that fails more often is paused. Each pause is twice as long as the one before.",
        _table(_fields(QuarantineRules)),
        "## Events and replies",
        "The pauses in seconds of a message that failed, and the limits of an event and of its replies.",
        _table(
            _fields(Backoff),
            _constants(queue_events, ["MAX_HOPS", "_MAX_WRAPPERS"]),
            _constants(sender, ["_ATTEMPTS", "_FIRST_BACKOFF_SECONDS", "_LONGEST_WAIT_SECONDS", "_LEAST_SECONDS"]),
        ),
        "## Time",
        "A statement of a function, and each wait of it for a lock, end after these times in PostgreSQL: they are "
        "settings of [the function's role](../upgrades.md#time-limits-of-the-roles).",
        table(
            ("function", "statement", "lock"),
            [(code(name), f"{limits.statement} s", f"{limits.lock} s") for name, limits in TIME_LIMITS.items()],
        ),
        "A batch of `on_message` has the function's time, of which these parts are kept:",
        _table(
            _constants(
                handling,
                [
                    "_COMPILE_AND_FINISH_SECONDS",
                    "_RECORD_AND_SEND_SECONDS",
                    "_SETTLE_SECONDS",
                    "_TELL_QUEUE_SECONDS",
                    "_ARRIVAL_SECONDS",
                    "_SHADOW_SECONDS",
                ],
            ),
        ),
        "## An upload",
        "An upload that exceeds one of these limits is refused with a reason.",
        _table(
            _constants(inspection, ["MAX_WASM_BYTES", "_MAX_IMPORTS", "_MAX_EXPORTS"]),
            _constants(
                component, ["_MAX_NESTING", "_MAX_INSTANCES", "_MAX_MEMORIES", "_MAX_TABLES", "_MAX_TABLE_ELEMENTS"]
            ),
            _constants(core_module, ["_MAX_LOCALS", "_MAX_FUNCTION_NAME_BYTES"]),
        ),
        "These parts are counted over all components and core modules in the upload:",
        table(("part", "at most"), [(kind.plural, f"{kind.most:,}") for kind in PartKind]),
        "## Compiling",
        "A plugin that needs more is refused.",
        _table(_fields(CompileLimits)),
        "## Settings",
        _table(
            _constants(schema, ["MAX_SETTINGS_BYTES", "MAX_SETTINGS_LEVELS", "_MAX_NAME_CHARS"]),
            _constants(schema, ["MAX_SCHEMA_BYTES", "_MAX_SCHEMA_LEVELS", "_MAX_SCHEMAS", "_MAX_PROPERTIES"]),
            _constants(schema, ["_MAX_JSON_LEVELS"]),
            _constants(plugins, ["_MOST_SECRETS", "_MOST_SECRET_BYTES"]),
            _constants(
                stored_settings,
                ["MOST_READ_BYTES", "MOST_SETTINGS_VERSIONS", "MOST_SETTINGS_VERSION_BYTES", "GUILD_SETTINGS_BYTES"],
            ),
        ),
        "## The admin API",
        _table(
            _constants(guards, ["MAX_BODY_BYTES", "MAX_BODY_LEVELS"]),
            _constants(rate_limiter, ["REQUEST_COST", "TEST_RUN_COST", "UPLOAD_COST"]),
            _constants(versions, ["_MOST_VERSIONS"]),
        ),
    )


def _table(*groups: Iterator[Row]) -> str:
    return table(("limit", "value", "meaning"), [row for group in groups for row in group])


def _fields(owner: type) -> Iterator[Row]:
    described, defaults = described_attributes(owner), owner()
    for field in fields(owner):
        yield code(field.name), amount(field.name, getattr(defaults, field.name)), described[field.name]


def _constants(module: ModuleType, names: Sequence[str]) -> Iterator[Row]:
    described = described_attributes(module)
    for name in names:
        yield code(name.lstrip("_").lower()), amount(name, getattr(module, name)), described[name]
