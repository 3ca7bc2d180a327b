"""The times in the report of an erasure and in docs/privacy.md are those of the code and the template."""

import re

import psycopg
import pytest

from guildhook import sweeper
from guildhook.configuration import ErasureConfiguration, SweepConfiguration, variables
from guildhook.erasure import retention
from guildhook.store.admin import GUILD_SETTINGS_BYTES, MOST_SETTINGS_VERSIONS
from guildhook.user_ids import MOST_USER_ID_CHARS
from infra.templates import read_template
from project import ROOT

PRIVACY = (ROOT / "docs" / "privacy.md").read_text()
SECONDS_OF_A_DAY = 24 * 3_600


def defaults(kind):
    return {each.field.name: each.default for each in variables(kind)}


def properties(resource, template="template.yaml"):
    return read_template(template)["Resources"][resource]["Properties"]


def bucket_days(prefix):
    rules = properties("Artifacts")["LifecycleConfiguration"]["Rules"]
    (days,) = (rule["ExpirationInDays"] for rule in rules if rule.get("Prefix") == prefix)
    return days


def test_the_report_has_the_times_of_the_template():
    # A message may wait in a queue for its whole time, and then in the dead-letter queue for that one's.
    for queue, dead_letters in (("Events", "DeadLetters"), ("Compiles", "DeadCompiles")):
        seconds = sum(properties(each)["MessageRetentionPeriod"] for each in (queue, dead_letters))
        assert seconds <= retention.QUEUE_DAYS * SECONDS_OF_A_DAY
    # S3 deletes an object at the midnight after its time.
    assert bucket_days("uploads/") + 1 == retention.UPLOAD_DAYS
    assert bucket_days("exports/") + 1 == retention.EXPORT_DAYS
    schedule = properties("CompilePlugin")["Events"]["Prune"]["Properties"]["Schedule"]
    (every,) = re.findall(r"^rate\((\d+) days\)$", schedule)
    (kept,) = re.findall(r"_KEEP_DAYS = (\d+)", (ROOT / "functions" / "compile_plugin" / "function.py").read_text())
    assert int(kept) + int(every) == retention.ARTIFACT_DAYS
    erase, template = defaults(ErasureConfiguration), read_template()
    assert erase["log_days"] == template["Parameters"]["LogRetentionDays"]["Default"]
    assert erase["keep_runs_days"] == defaults(SweepConfiguration)["keep_runs_days"]


def row(place):
    """The cell "kept for" of the first row whose cell "place" begins so."""
    rows = re.findall(r"^\| [^|]+ \| ([^|]+) \| [^|]+ \| ([^|]+) \|", PRIVACY, re.MULTILINE)
    return next(kept for where, kept in rows if where.startswith(place))


@pytest.mark.parametrize(
    ("place", "days"),
    [
        ("`plugin_runs.author_id`", defaults(SweepConfiguration)["keep_runs_days"]),
        ("`plugin_runs.message`", defaults(SweepConfiguration)["keep_runs_days"]),
        ("`plugin_runs`", defaults(SweepConfiguration)["keep_runs_days"]),
        ("`plugin_intents`", defaults(SweepConfiguration)["keep_runs_days"]),
        ("`plugin_audit`", defaults(SweepConfiguration)["keep_audit_days"]),
        ("`plugin_usage`", defaults(SweepConfiguration)["keep_usage_days"]),
        ("`guild_budgets`", defaults(SweepConfiguration)["keep_usage_days"]),
        ("`admin_requests`", sweeper._REQUESTS_HOURS // 24),
        ("`artifacts/`", retention.ARTIFACT_DAYS),
        ("`uploads/`", retention.UPLOAD_DAYS),
        ("`exports/`", retention.EXPORT_DAYS),
        ("the queues", retention.QUEUE_DAYS),
        ("CloudWatch", defaults(ErasureConfiguration)["log_days"]),
        ("X-Ray", retention.TRACE_DAYS),
        ("the stack's own database", properties("Cluster", "infra/database.yaml")["BackupRetentionPeriod"]),
    ],
)
def test_the_documented_times_are_those_of_the_code(place, days):
    assert row(place).startswith((f"{days} day", f"{days} days"))


def test_the_documented_bounds_are_those_of_the_code():
    saved = row("`plugin_settings_versions`")
    assert (
        saved == f"the last {MOST_SETTINGS_VERSIONS} of a plugin, and {GUILD_SETTINGS_BYTES // 1024**2} MiB of a guild"
    )
    assert f"at most {MOST_USER_ID_CHARS} characters" in (ROOT / "docs" / "decisions" / "0097-erasure.md").read_text()


def test_every_table_is_documented(migrated_database):

    with psycopg.connect(migrated_database) as connection:
        tables = connection.execute("SELECT relname FROM pg_stat_user_tables WHERE relname !~ '^_?yoyo'").fetchall()
    documented = set(re.findall(r"`(\w+)(?:\.\w+)?`", PRIVACY))
    assert {name for (name,) in tables} - documented == {"channels"}
