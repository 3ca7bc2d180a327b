import json
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass
from hashlib import sha256
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg import sql
from psycopg.types.json import Jsonb

from artifacts import publish
from guildhook.errors import InfrastructureError, UnknownEventError
from guildhook_local.function import LambdaContext, loaded_function
from guildhook_local.stack import ERASE
from migrations.test_versions import GUILD, fill, read_schema
from project import ROOT
from samples import event, failed_records, sqs_event
from versions import add_version

PING = (ROOT / "plugins" / "ping" / "ping.wasm").read_bytes()
CONTEXT = LambdaContext("any", "request", deadline=time.monotonic() + 3_600)
ADA, BOB = "aaaaaaaa-0000-4000-8000-00000000000a", "bbbbbbbb-0000-4000-8000-00000000000b"
DAY = 24 * 3_600


@pytest.fixture
def database(system):
    with psycopg.connect(system.database_url, autocommit=True) as connection:
        yield connection


@pytest.fixture
def guilds(system, database):
    """Two guilds, each with rows of Ada and of Bob in every table that has rows of persons."""
    publish(system, PING)
    guilds = [system.add_guild(), system.add_guild()]
    for guild in guilds:
        plugin_id = system.install(guild, "ping", PING, {"SEND_MESSAGES"}, {"admins": [ADA]})
        database.execute("INSERT INTO guild_settings (guild_id, keep_content) VALUES (%s, TRUE)", [guild.id])
        for name, person in (("Ada", ADA), ("Bob", BOB)):
            author = {"id": person, "bot": False, "username": name}
            message = event(guild.id, guild.channel_id, author=author)
            assert failed_records(system.handler(sqs_event(message), CONTEXT)) == []
            for action in ("plugin.changed", "plugin.live"):
                database.execute(
                    "INSERT INTO plugin_audit (guild_id, plugin_id, actor_id, actor_name, action, detail) "
                    "VALUES (%s, %s, %s, %s, %s, '{}')",
                    [guild.id, plugin_id, person, name, action],
                )
            database.execute(
                "UPDATE plugin_versions SET created_by = %s WHERE id = %s",
                [person, add_version(database, plugin_id, PING)],
            )
            database.execute(
                "INSERT INTO plugin_settings_versions (plugin_id, number, settings, withheld, bytes, actor_id, "
                "actor_name) SELECT %s, max(number) + 1, '{}', '{}', 0, %s, %s FROM plugin_settings_versions",
                [plugin_id, person, name],
            )
            database.execute(
                "INSERT INTO admin_requests VALUES (%s, now(), 1) ON CONFLICT (actor_id) DO NOTHING", [person]
            )
        database.execute(
            "INSERT INTO plugin_shadow_runs (message_id, plugin_id, guild_id, version_id, outcome, detail, fuel_used, "
            "fuel_limit, duration_us, host_calls, calls, logs, intents, seed, message_time, message, author_id) "
            "SELECT message_id, plugin_id, guild_id, gen_random_uuid(), outcome, detail, fuel_used, fuel_limit, "
            "duration_us, host_calls, calls, logs, '[]', seed, message_time, message, author_id FROM plugin_runs "
            "WHERE guild_id = %s",
            [guild.id],
        )
        entries = {f"points:{ADA}": "7", f"points:{ADA}0": "8", f"points:{BOB}": "9", "best": f"it is {ADA}"}
        database.execute(
            "INSERT INTO plugin_state (plugin_id, version, entries) VALUES (%s, 1, %s)", [plugin_id, Jsonb(entries)]
        )
    return guilds


OF_A_PERSON = {
    "plugin_runs": 2,
    "plugin_runs.message": 2,
    "plugin_intents": 2,
    "plugin_shadow_runs": 2,
    "plugin_shadow_runs.message": 2,
    "plugin_audit": 4,
    "plugin_settings_versions.actor_id": 2,
    "plugin_versions.created_by": 2,
    "admin_requests": 1,
    "plugin_state.entries": 2,
}
"""The rows that the guilds have of each person, by place."""
KEPT_MESSAGES = {"plugin_runs.message", "plugin_shadow_runs.message"}


def without_messages(counts):
    """The counts of rows: a message is a column of a row that is counted already."""
    return {place: number for place, number in counts.items() if place not in KEPT_MESSAGES}


def everything(database):
    """Each row of each table as text, by table."""
    tables = [name for (name,) in database.execute("SELECT relname FROM pg_stat_user_tables").fetchall()]
    return {
        table: [
            row
            for (row,) in database.execute(
                sql.SQL("SELECT each::text FROM {} AS each").format(sql.Identifier(table))
            ).fetchall()
        ]
        for table in tables
    }


def naming(database, text):
    """The number of rows that have this text, by table."""
    counts = {table: sum(text in row for row in rows) for table, rows in everything(database).items()}
    return {table: count for table, count in counts.items() if count}


@dataclass
class Dwindling:
    """Lambda's context of a function that has time for so many more steps."""

    steps: int
    function_name: str = "erase"
    aws_request_id: str = "request"
    memory_limit_in_mb: int = 512
    invoked_function_arn: str = "arn:aws:lambda:eu-central-1:000000000000:function:erase"

    def get_remaining_time_in_millis(self):
        self.steps -= 1
        # The first question is for the deadline of statements.
        return 900_000 if self.steps >= -1 else 60_000


def in_small_steps(system, request):
    """Invoke the function until it is done, each time with time for one statement. Returns the answers."""
    answers = [system.erase_handler(request, Dwindling(1))]
    while not answers[-1]["done"]:
        assert len(answers) < 100
        answers.append(system.erase_handler({**request, "cursor": answers[-1]["cursor"]}, Dwindling(1)))
    return answers


def total(answers, part):
    counts = Counter()
    for answer in answers:
        counts.update(answer[part])
    return dict(counts)


def exported_rows(system, files):
    s3 = system.aws.client("s3")
    lines = [
        line
        for file in files
        for line in s3.get_object(Bucket=system.bucket, Key=file)["Body"].read().decode().splitlines()
    ]
    rows = {}
    for line in map(json.loads, lines):
        rows.setdefault(line["table"], []).append(line["row"])
    return rows


def test_everything_that_a_person_has_left_is_found_and_nothing_changes(system, guilds, database):
    before = everything(database)
    answer = system.erase_handler({"action": "find", "user_id": ADA}, CONTEXT)
    assert (answer["action"], answer["done"], answer["cursor"]) == ("find", True, None)
    assert answer["found"] == OF_A_PERSON
    assert (answer["erased"], answer["exported"], answer["files"]) == ({}, {}, [])
    assert everything(database) == before


def test_texts_with_the_id_are_mentions(system, guilds, database):
    plugins = {
        guild_id: plugin_id for plugin_id, guild_id in database.execute("SELECT id, guild_id FROM plugins").fetchall()
    }
    database.execute("UPDATE plugins SET description = 'by ' || %s WHERE guild_id = %s", [ADA, guilds[0].id])
    answer = system.erase_handler({"action": "find", "user_id": ADA}, CONTEXT)
    found = {(each["guild_id"], each["plugin_id"], each["place"], each.get("key")) for each in answer["mentions"]}
    ours = [(str(guild.id), str(plugins[guild.id])) for guild in guilds]
    assert found == {
        *((*each, "plugin_state.entries", "best") for each in ours),
        *((*each, "plugins.config", None) for each in ours),
        *((*each, "plugin_settings_versions.settings of number 1", None) for each in ours),
        (*ours[0], "plugins.description", None),
    }


def write_reasons(database, guild_id, plugin_id, text):
    """Write a text wherever operators and failures leave one. Returns the ids of the entries in the audit log."""
    database.execute("UPDATE plugins SET disabled_by_operator = %s WHERE id = %s", [text, plugin_id])
    database.execute("DELETE FROM plugin_health")
    database.execute(
        "INSERT INTO plugin_health (plugin_id, wasm_sha256, failures_in_a_row, hour, failures_in_hour, last_error, "
        "quarantined_at, reason, retry_at) SELECT id, wasm_sha256, 1, now(), 1, %s, now(), %s, now() FROM plugins "
        "WHERE id = %s",
        [text, text, plugin_id],
    )
    database.execute("DELETE FROM guild_pauses")
    database.execute("INSERT INTO guild_pauses (guild_id, reason) VALUES (%s, %s)", [guild_id, text])
    database.execute("DELETE FROM raised_budgets")
    database.execute("INSERT INTO raised_budgets (guild_id, reason, until) VALUES (%s, %s, now())", [guild_id, text])
    return [
        database.execute(
            "INSERT INTO plugin_audit (guild_id, plugin_id, actor_id, actor_name, actor_kind, action, detail) "
            "VALUES (%s, %s, 'olga', 'Olga', 'operator', 'guild.paused', %s) RETURNING id",
            [*about, Jsonb({"reason": text})],
        ).fetchone()[0]
        for about in ((guild_id, plugin_id), (guild_id, None), (None, None))
    ]


def test_reasons_and_errors_with_the_id_are_mentions(system, guilds, database):
    guild_id = guilds[0].id
    ((plugin_id,),) = database.execute("SELECT id FROM plugins WHERE guild_id = %s", [guild_id]).fetchall()

    def find():
        answers = in_small_steps(system, {"action": "find", "user_id": ADA})
        return [mention for answer in answers for mention in answer["mentions"]]

    before = find()
    write_reasons(database, guild_id, plugin_id, f"because of {ADA}0")
    assert find() == before
    first, second, third = write_reasons(database, guild_id, plugin_id, f"because of {ADA}.")
    found = [tuple(mention.values()) for mention in find() if mention not in before]
    guild, plugin = str(guild_id), str(plugin_id)
    assert sorted(found, key=str) == sorted(
        [
            (guild, plugin, "plugins.disabled_by_operator"),
            (guild, plugin, "plugin_health.reason"),
            (guild, plugin, "plugin_health.last_error"),
            (guild, None, "guild_pauses.reason"),
            (guild, None, "raised_budgets.reason"),
            (guild, plugin, f"plugin_audit.detail of entry {first}"),
            (guild, None, f"plugin_audit.detail of entry {second}"),
            (None, None, f"plugin_audit.detail of entry {third}"),
        ],
        key=str,
    )


def test_an_author_whose_id_no_column_can_hold_stops_no_message(system, database):
    publish(system, PING)
    guild = system.add_guild()
    system.install(guild, "ping", PING, {"SEND_MESSAGES"})
    database.execute("INSERT INTO guild_settings (guild_id, keep_content) VALUES (%s, TRUE)", [guild.id])
    ids = ("a\0b", "\ud800", "ä", "x" * 100_000, "", "known")
    messages = [event(guild.id, guild.channel_id, author={"id": each, "bot": False}) for each in ids]
    assert failed_records(system.handler(sqs_event(*messages), CONTEXT)) == []
    authors = database.execute("SELECT author_id FROM plugin_runs ORDER BY author_id").fetchall()
    assert authors == [("known",)] + [(None,)] * 5


def test_an_id_is_found_in_each_of_its_spellings(system, guilds):
    for spelling in (ADA.upper(), ADA.replace("-", ""), f"urn:uuid:{ADA}"):
        answer = system.erase_handler({"action": "find", "user_id": spelling}, CONTEXT)
        assert answer["found"] == OF_A_PERSON


def test_an_erasure_leaves_nothing_but_mentions_and_touches_nobody_else(system, guilds, database):
    others = naming(database, BOB)
    answer = system.erase_handler({"action": "erase", "user_id": ADA, "confirm": ADA}, CONTEXT)
    assert answer["done"]
    assert answer["erased"] == without_messages(OF_A_PERSON)
    # The entry of another id remains, and texts that somebody must look at: settings, and a value of the state.
    assert naming(database, ADA) == {"plugins": 2, "plugin_settings_versions": 2, "plugin_state": 2}
    assert database.execute("SELECT entries FROM plugin_state").fetchall() == [
        ({f"points:{ADA}0": "8", f"points:{BOB}": "9", "best": f"it is {ADA}"},)
    ] * len(guilds)
    assert "Ada" not in str(database.execute("SELECT actor_name FROM plugin_audit").fetchall())
    assert naming(database, BOB) == others
    after = everything(database)
    again = system.erase_handler({"action": "erase", "user_id": ADA, "confirm": ADA}, CONTEXT)
    assert (again["done"], again["erased"]) == (True, {})
    assert everything(database) == after
    assert system.erase_handler({"action": "find", "user_id": ADA}, CONTEXT)["found"] == {}


def test_a_plugin_that_has_read_the_state_before_an_erasure_cannot_write_it_back(system, guilds, database):
    system.erase_handler({"action": "erase", "user_id": ADA, "confirm": ADA}, CONTEXT)
    assert database.execute("SELECT version FROM plugin_state").fetchall() == [(2,), (2,)]


def test_an_entry_whose_value_has_the_id_is_erased_by_its_key(system, guilds, database):
    (mention, other) = (
        each
        for each in system.erase_handler({"action": "find", "user_id": ADA}, CONTEXT)["mentions"]
        if each["place"] == "plugin_state.entries"
    )
    entries = [{"plugin_id": mention["plugin_id"], "key": mention["key"]}, {"plugin_id": str(uuid4()), "key": "best"}]
    answer = system.erase_handler({"action": "erase", "user_id": ADA, "confirm": ADA, "state": entries}, CONTEXT)
    assert answer["erased"]["plugin_state.entries"] == 3
    having = "SELECT plugin_id FROM plugin_state WHERE entries ? 'best'"
    assert database.execute(having).fetchall() == [(UUID(other["plugin_id"]),)]


def test_an_actor_becomes_one_pseudonym_in_each_guild(system, guilds, database):
    for person in (ADA, BOB):
        system.erase_handler({"action": "erase", "user_id": person, "confirm": person}, CONTEXT)
    actors = "SELECT guild_id, actor_id, actor_name, count(*) FROM plugin_audit GROUP BY 1, 2, 3"
    rows = database.execute(actors).fetchall()
    # Two persons in two guilds are four pseudonyms, each with the entries of its person.
    assert [number for *_, number in rows] == [2, 2, 2, 2]
    ids = {actor_id: (guild_id, name) for guild_id, actor_id, name, _ in rows}
    assert len(ids) == 4
    for actor_id, (_, name) in ids.items():
        kind, _, digits = actor_id.partition(":")
        assert (kind, len(digits), name) == ("erased", 16, f"erased user {digits[:6]}")
    # Saved settings and versions name the same pseudonyms as the log of their guild.
    for named in (
        """SELECT guild_id, actor_id FROM plugin_settings_versions JOIN plugins ON id = plugin_id
           WHERE actor_id IS NOT NULL""",
        "SELECT guild_id, created_by FROM plugin_versions JOIN plugins ON plugins.id = plugin_id",
    ):
        found = database.execute(named).fetchall()
        assert len(found) == 4
        assert all(ids[actor_id][0] == guild_id for guild_id, actor_id in found)


def test_an_entry_of_no_guild_is_renamed_as_well(system, database):
    database.execute(
        "INSERT INTO plugin_audit (actor_id, actor_name, actor_kind, action, detail) "
        "VALUES (%s, 'Ada', 'operator', 'everything.paused', '{}')",
        [ADA],
    )
    answer = system.erase_handler({"action": "erase", "user_id": ADA, "confirm": ADA}, CONTEXT)
    assert answer["erased"] == {"plugin_audit": 1}
    ((actor_id, name),) = database.execute("SELECT actor_id, actor_name FROM plugin_audit").fetchall()
    assert (actor_id[:7], name[:12]) == ("erased:", "erased user ")


def test_an_export_has_all_rows_of_a_person(system, guilds, database):
    before = everything(database)
    answer = system.erase_handler({"action": "export", "user_id": ADA}, CONTEXT)
    assert answer["done"]
    rows = exported_rows(system, answer["files"])
    assert {table: len(found) for table, found in rows.items()} == answer["exported"]
    assert answer["exported"] == {
        "plugin_runs": 2,
        "plugin_shadow_runs": 2,
        "plugin_audit": 4,
        "plugin_settings_versions": 2,
        "plugin_versions": 2,
        "admin_requests": 1,
        "plugin_state": 2,
    }
    assert {run["author_id"] for run in rows["plugin_runs"]} == {ADA}
    assert {intent["content"] for run in rows["plugin_runs"] for intent in run["intents"]} == {"pong"}
    assert all(json.loads(run["message"])["author"]["id"] == ADA for run in rows["plugin_runs"])
    assert [state["entries"] for state in rows["plugin_state"]] == [{f"points:{ADA}": "7"}] * 2
    assert BOB not in json.dumps(rows)
    (folder,) = {file.rpartition("/")[0] for file in answer["files"]}
    assert folder.startswith("exports/")
    assert everything(database) == before


@pytest.mark.parametrize(
    ("request_", "part"),
    [
        ({"action": "find", "user_id": ADA}, "found"),
        ({"action": "export", "user_id": ADA}, "exported"),
        ({"action": "erase", "user_id": ADA, "confirm": ADA}, "erased"),
    ],
    ids=["find", "export", "erase"],
)
def test_an_invocation_that_has_no_time_left_is_continued_by_the_next(system, guilds, request_, part):
    answers = in_small_steps(system, request_)
    assert len(answers) > 1
    expected = OF_A_PERSON if part == "found" else without_messages(OF_A_PERSON)
    if part == "exported":
        expected = {"plugin_runs": 2, "plugin_shadow_runs": 2, "plugin_audit": 4, "plugin_settings_versions": 2} | {
            "plugin_versions": 2,
            "admin_requests": 1,
            "plugin_state": 2,
        }
        files = [file for answer in answers for file in answer["files"]]
        assert len(set(files)) == len(files) > 1
        assert len({file.rpartition("/")[0] for file in files}) == 1
        assert {table: len(found) for table, found in exported_rows(system, files).items()} == expected
    assert total(answers, part) == expected


def test_an_export_of_a_guild_goes_on_within_the_runs_of_its_plugins(system, guilds, database):
    guild = guilds[0]
    others = [system.install(guild, f"ping {number}", PING) for number in range(2)]
    for plugin_id in others:
        database.execute(
            "INSERT INTO plugin_runs (message_id, plugin_id, guild_id, outcome, detail, fuel_used, duration_us, "
            "host_calls, logs, seed, message_time, created_at) SELECT gen_random_uuid(), %s, %s, 'ok', '', 1, 1, 0, "
            "'[]', 1, now(), now() - make_interval(secs => number / 3) FROM generate_series(1, 120) AS number",
            [plugin_id, guild.id],
        )
    answers = in_small_steps(system, {"action": "export", "guild_id": str(guild.id)})
    rows = exported_rows(system, [file for answer in answers for file in answer["files"]])
    ids = [run["id"] for run in rows["plugin_runs"]]
    assert len(ids) == len(set(ids)) == 242
    assert len(answers) > 4
    assert {run["guild_id"] for run in rows["plugin_runs"]} == {str(guild.id)}
    assert [len(rows[table]) for table in ("plugins", "plugin_shadow_runs", "guild_settings", "plugin_audit")] == [
        *(3, 2, 1, 4)
    ]
    (plugin,) = (plugin for plugin in rows["plugins"] if plugin["name"] == "ping")
    assert plugin["config"] == {"admins": [ADA]}
    assert len(plugin["versions"]) == 2
    assert len(plugin["settings_versions"]) == 3
    assert plugin["state"]["entries"]["best"] == f"it is {ADA}"
    assert str(guilds[1].id) not in json.dumps(rows)


OF_NO_GUILD = {
    "guilds",
    "channels",
    "plugin_artifacts",
    "plugin_refusals",
    "plugin_compile_failures",
    "plugin_compile_reservations",
    "admin_requests",
}
"""Tables with rows of the chat server, of programs and of persons."""


def test_an_erasure_of_a_guild_leaves_no_row_in_any_table(system, guilds, database):
    schema = read_schema(database)
    fill(database, schema)
    others = {table: rows for table, rows in everything(database).items() if table in OF_NO_GUILD}
    found = system.erase_handler({"action": "find", "guild_id": str(GUILD)}, CONTEXT)["found"]
    # Each table that is no exception has a row of the guild: a new table needs its place in the erasure.
    assert set(found) == schema.columns.keys() - OF_NO_GUILD
    answer = system.erase_handler({"action": "erase", "guild_id": str(GUILD), "confirm": str(GUILD)}, CONTEXT)
    assert answer["done"]
    assert {place: n for place, n in answer["erased"].items() if place != "plugins.enabled"} == found
    assert set(naming(database, str(GUILD))) <= {"guilds", "channels"}
    assert {table: rows for table, rows in everything(database).items() if table in OF_NO_GUILD} == others
    assert database.execute("SELECT count(*) FROM plugins").fetchall() == [(len(guilds),)]
    assert system.erase_handler({"action": "find", "guild_id": str(GUILD)}, CONTEXT)["found"] == {}
    for guild in guilds:
        assert system.erase_handler({"action": "find", "guild_id": str(guild.id)}, CONTEXT)["found"]["plugin_runs"] == 2


def test_the_erasure_of_a_guild_is_continued_and_its_plugins_stop_first(system, guilds, database):
    guild = guilds[0]
    request = {"action": "erase", "guild_id": str(guild.id), "confirm": str(guild.id)}
    first = system.erase_handler(request, Dwindling(1))
    assert (first["done"], first["erased"]) == (False, {"plugins.enabled": 1})
    replies = len(system.chat.replies())
    assert failed_records(system.handler(sqs_event(event(guild.id, guild.channel_id)), CONTEXT)) == []
    assert len(system.chat.replies()) == replies
    rest = in_small_steps(system, {**request, "cursor": first["cursor"]})
    assert len(rest) > 5
    assert set(naming(database, str(guild.id))) <= {"guilds", "channels"}


def test_each_copy_that_is_not_reached_has_its_end(system, guilds):
    environment = {
        **system.environment,
        "GUILDHOOK_KEEP_RUNS_DAYS": "40",
        "GUILDHOOK_LOG_DAYS": "7",
        "GUILDHOOK_BACKUP_DAYS": "14",
    }
    with loaded_function(ERASE, environment) as handler:
        person = handler({"action": "find", "user_id": ADA}, CONTEXT)["not_reached"]
        guild = handler({"action": "find", "guild_id": str(guilds[0].id)}, CONTEXT)["not_reached"]
    days = {copy["place"]: copy["days"] for copy in person}
    assert days["plugin_runs and plugin_shadow_runs without author_id"] == 40
    assert days["logs in CloudWatch"] == 7
    assert days["backups of the database"] == 14
    assert days["plugin_secrets"] is None
    assert {copy["place"] for copy in guild} >= {"guilds and channels", "uploads/ in the bucket"}
    for copy in (*person, *guild):
        left = time.mktime(time.strptime(copy["gone_by"], "%Y-%m-%d")) - time.time() if copy["gone_by"] else None
        assert left is None or abs(left - copy["days"] * DAY) <= 2 * DAY
        assert (copy["gone_by"] is None) == (copy["days"] is None)
    without = system.erase_handler({"action": "find", "user_id": ADA}, CONTEXT)["not_reached"]
    assert {copy["place"]: copy["days"] for copy in without}["backups of the database"] is None


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        ({"action": "erase", "user_id": ADA}, '"confirm" is not the id'),
        ({"action": "erase", "user_id": ADA, "confirm": BOB}, '"confirm" is not the id'),
        ({"action": "erase", "guild_id": str(GUILD), "confirm": "yes"}, '"confirm" is not the id'),
        ({"action": "find"}, 'either "user_id" or "guild_id" is needed'),
        ({"action": "find", "user_id": ADA, "guild_id": str(GUILD)}, 'either "user_id" or "guild_id" is needed'),
        ({"action": "find", "user_id": ""}, '"user_id" is not 1 to 128 visible ASCII characters'),
        ({"action": "find", "user_id": 'a"b'}, '"user_id" is not 1 to 128 visible ASCII characters'),
        ({"action": "find", "guild_id": "home"}, '"guild_id" is not a UUID'),
        ({"action": "find", "user_id": ADA, "state": [{"plugin_id": str(GUILD), "key": "a"}]}, '"state" is for'),
        ({"action": "forget", "user_id": ADA}, "Invalid enum value"),
        ({"action": "find", "user_id": ADA, "force": True}, "unknown field `force`"),
        ({"action": "find", "user_id": ADA, "cursor": {"step": "dance"}}, "there is no step like that in find"),
        ({"action": "find", "user_id": ADA, "cursor": "dance"}, "Expected `object"),
    ],
)
def test_a_request_that_is_not_clear_fails_and_erases_nothing(system, guilds, database, request_, reason):
    before = everything(database)
    with pytest.raises(UnknownEventError, match=f"this function takes .*{reason}"):
        system.erase_handler(request_, CONTEXT)
    assert everything(database) == before


def test_neither_ids_nor_content_are_logged(system, guilds, capsys):
    for request in (
        {"action": "find", "user_id": ADA},
        {"action": "export", "user_id": ADA},
        {"action": "erase", "user_id": ADA, "confirm": ADA},
    ):
        capsys.readouterr()
        system.erase_handler(request, CONTEXT)
        lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        (line,) = [line for line in lines if line.get("message") == "erasure"]
        assert (line["action"], line["subject"], line["done"], line["rows"] > 10) == (
            *(request["action"], "user", True, True),
        )
        assert ADA not in json.dumps(lines)
        assert "pong" not in json.dumps(lines)


def test_an_export_fails_where_the_bucket_is_out_of_reach(system, guilds):
    with (
        loaded_function(ERASE, {**system.environment, "GUILDHOOK_ARTIFACT_BUCKET": "nowhere"}) as handler,
        pytest.raises(InfrastructureError, match=r"S3 object exports/.* there is no such bucket"),
    ):
        handler({"action": "export", "user_id": ADA}, CONTEXT)


def test_wasm_is_not_erased_with_its_author(system, guilds, database):
    system.erase_handler({"action": "erase", "user_id": ADA, "confirm": ADA}, CONTEXT)
    digests = database.execute("SELECT DISTINCT sha256(wasm_blob) FROM plugin_versions").fetchall()
    assert digests == [(sha256(PING).digest(),)]


def test_a_missing_variable_ends_the_start_with_one_line(system):
    environment = {name: value for name, value in system.environment.items() if name != "GUILDHOOK_ARTIFACT_BUCKET"}
    command = [sys.executable, str(ERASE / "app.py")]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert ended.stderr == (
        "guildhook: wrong environment: GUILDHOOK_ARTIFACT_BUCKET: missing; wants: S3 bucket of compiled plugins\n"
    )
