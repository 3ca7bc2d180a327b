"""Copies that an erasure does not reach, and the days after which they are gone, as docs/privacy.md has them."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from guildhook.configuration import ErasureConfiguration

QUEUE_DAYS: Final = 28
"""A message waits in a queue for 14 days, and in its dead-letter queue for 14 more."""
TRACE_DAYS: Final = 30
"""X-Ray keeps a trace for this time."""
UPLOAD_DAYS: Final = 2
"""The bucket's rule is one day. S3 deletes an object at the midnight after that."""
EXPORT_DAYS: Final = 8
"""The bucket's rule is seven days."""
ARTIFACT_DAYS: Final = 37
"""A compiled plugin is kept for 30 days, and the function that deletes it runs every seven days."""


@dataclass(frozen=True, slots=True)
class Remainder:
    """Copies that stay after an erasure."""

    place: str
    reason: str
    days: int | None
    """They are gone this many days after the erasure. None: they stay until somebody deletes them."""

    def answer(self, now: datetime) -> dict[str, object]:
        gone_by = None if self.days is None else (now + timedelta(days=self.days)).date().isoformat()
        return {"place": self.place, "reason": self.reason, "days": self.days, "gone_by": gone_by}


def remainders_of_person(configuration: ErasureConfiguration) -> Iterator[Remainder]:
    yield Remainder(
        "plugin_runs and plugin_shadow_runs without author_id",
        "they are of a release that did not record authors, or the author's id was none of a user",
        configuration.keep_runs_days,
    )
    yield Remainder(
        "plugin_runs, plugin_shadow_runs and plugin_intents of other authors",
        "logs, messages and replies are free text, and are not searched",
        configuration.keep_runs_days,
    )
    yield Remainder(
        "plugin_state, plugins and plugin_settings_versions",
        "values are free text: the places with the id are mentions. Erase entries of state by their keys, and let an "
        "admin of the guild change the rest",
        None,
    )
    yield Remainder(
        "plugins.disabled_by_operator, plugin_health, guild_pauses, raised_budgets and plugin_audit.detail",
        "reasons and errors are free text: the places with the id are mentions. An operator can give another reason, "
        "or lift the quarantine. Entries of the audit log expire (GUILDHOOK_KEEP_AUDIT_DAYS)",
        None,
    )
    yield Remainder("plugin_secrets", "they are sealed. An admin of the guild can replace or delete them", None)
    yield Remainder(
        "plugin_versions.wasm_blob and plugins.wasm_blob",
        "programs belong to the guild. Its admins can delete them",
        None,
    )
    yield from _outside_of_the_tables(configuration)


def remainders_of_guild(configuration: ErasureConfiguration) -> Iterator[Remainder]:
    yield Remainder("guilds and channels", "their rows are the chat server's, and hold ids for guildhook", None)
    yield Remainder(
        "artifacts/ in the bucket, plugin_artifacts, plugin_refusals and plugin_compile_failures",
        "compiled plugins belong to all guilds with the same program. compile_plugin deletes them when no guild has it",
        ARTIFACT_DAYS,
    )
    yield Remainder("uploads/ in the bucket", "S3 deletes them by a rule of the bucket", UPLOAD_DAYS)
    yield from _outside_of_the_tables(configuration)


def _outside_of_the_tables(configuration: ErasureConfiguration) -> Iterator[Remainder]:
    yield Remainder(
        "queues and dead-letter queues",
        "messages in them cannot be searched. Erase again when they are empty: an event that is handled later is "
        "recorded again",
        QUEUE_DAYS,
    )
    yield Remainder("exports/ in the bucket", "S3 deletes them by a rule of the bucket", EXPORT_DAYS)
    yield Remainder("logs in CloudWatch", "they have ids, and no content", configuration.log_days)
    yield Remainder("traces in X-Ray", "they have ids, and no content", TRACE_DAYS)
    yield Remainder(
        "backups of the database",
        "a backup cannot be changed. After a restore, erase again"
        if configuration.backup_days is not None
        else "the operator decides how long they are kept (GUILDHOOK_BACKUP_DAYS). After a restore, erase again",
        configuration.backup_days,
    )
