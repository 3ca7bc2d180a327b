import json
from hashlib import sha256

import pytest

import wat

REASON = ("--reason", "a test")


@pytest.fixture
def plugin_id(admin):
    """A plugin with a live version."""
    client = admin.client()
    plugin = client.post("/plugins", {"name": "Greeter"}).ok(201)
    number = admin.add_version(plugin["id"], wat.SILENT)
    client.put(f"/plugins/{plugin['id']}/live", {"version": number}, plugin["etag"]).ok()
    return plugin["id"]


def add_run(admin, plugin_id, log="hello \x1b[2J"):
    ((run_id,),) = admin.execute(
        """INSERT INTO plugin_runs (message_id, plugin_id, guild_id, outcome, detail, fuel_used, duration_us,
                                    host_calls, logs, seed, message_time, message, created_at)
           VALUES (gen_random_uuid(), %s, %s, 'trap', E'it \\x1b[31m trapped', 1, 1, 0, jsonb_build_array(%s::text), 1,
                   now(), '{"content": "secret words"}', now() - interval '10 seconds') RETURNING id::text""",
        plugin_id,
        admin.guild.id,
        log,
    )
    return run_id


def last_entry(admin):
    entry = admin.client().get("/audit").ok()["items"][0]
    return entry["action"], entry["actor_kind"], entry["detail"].get("reason")


@pytest.fixture
def operate(guildhook, as_json):
    """Runs a command as text and as JSON; returns its text and its object."""

    def operate(*arguments):
        status, out, err = guildhook("admin", *arguments)
        assert (status, err) == (0, "")
        assert not any(ord(character) < 32 for character in out.replace("\n", ""))
        return out, as_json("admin", *arguments)[1]

    return operate


def test_guilds_and_plugins_are_shown(admin, operate, plugin_id):
    text, found = operate("guilds", "--limit", "10000")
    assert str(admin.guild.id) in text
    assert str(admin.guild.id) in [guild["id"] for guild in found["items"]]
    assert operate("guild", admin.guild.id)[1]["plugins"] == 1
    text, found = operate("plugins", "--guild", admin.guild.id)
    assert ([plugin["id"] for plugin in found["items"]], found["more"]) == ([plugin_id], False)
    assert plugin_id in text
    assert operate("plugin", plugin_id)[1]["name"] == "Greeter"


def test_lists_are_read_page_by_page_and_say_if_there_is_more(admin, guildhook, as_json):
    for number in range(3):
        admin.client().post("/plugins", {"name": f"Plugin {number}"}).ok(201)
    status, found = as_json("admin", "plugins", "--guild", admin.guild.id, "--limit", 2)
    assert (status, len(found["items"]), found["more"]) == (0, 2, True)
    assert "There are more than 2" in guildhook("admin", "plugins", "--guild", admin.guild.id, "--limit", 2)[2]
    admin.execute(
        """INSERT INTO plugins (guild_id, name, wasm_blob)
           SELECT %s, 'Plugin ' || number, '' FROM generate_series(1, 150) AS number""",
        admin.guild.id,
    )
    found = as_json("admin", "plugins", "--guild", admin.guild.id, "--limit", 1000)[1]
    assert (len({plugin["id"] for plugin in found["items"]}), found["more"]) == (153, False)


def test_a_plugin_is_disabled_enabled_quarantined_and_lifted(admin, operate, plugin_id):
    assert operate("disable", plugin_id, *REASON)[1]["disabled_by_operator"] == "a test"
    assert last_entry(admin) == ("plugin.disabled", "operator", "a test")
    assert operate("enable", plugin_id, *REASON)[1]["disabled_by_operator"] is None
    text, found = operate("quarantine", plugin_id, *REASON, "--minutes", 60)
    assert found["quarantine"]["reason"] == "by the operator: a test"
    assert "by the operator: a test" in text
    assert operate("lift", plugin_id, *REASON)[1]["quarantine"] is None
    assert last_entry(admin) == ("quarantine.ended", "operator", "a test")


def test_quarantines_of_one_cause_are_counted_and_lifted(admin, operate, as_json, plugin_id):
    operate("quarantine", plugin_id, *REASON)
    admin.execute("UPDATE plugin_health SET last_error = 'deadline: 251 ms', last_failed_at = now()")
    assert [cause["outcome"] for cause in operate("causes")[1]["items"]] == ["deadline"]
    assert plugin_id in [plugin["id"] for plugin in operate("failures", "--quarantined")[1]["items"]]
    assert plugin_id in [each["id"] for each in as_json("admin", "lift", "--hours", 2, *REASON)[1]["items"]]
    assert operate("lift", "--hours", 2, *REASON) == ("nothing\n", {"items": [], "more": False})


def test_a_budget_is_shown_raised_and_reset(admin, operate):
    guild = admin.guild.id
    assert operate("budget", guild)[1]["sends_limit"] == 300
    raised = operate("raise-budget", guild, "--sends", 1000, "--hours", 2, *REASON)[1]
    assert (raised["budget"]["sends_limit"], raised["raised"]["reason"]) == (1000, "a test")
    assert last_entry(admin) == ("budget.raised", "operator", "a test")
    assert operate("reset-budget", guild, *REASON)[1]["budget"]["sends_limit"] == 300


def test_a_guild_is_paused_and_resumed(admin, operate, plugin_id):
    guild = admin.guild.id
    assert operate("pause", guild, *REASON)[1]["paused"]["reason"] == "a test"
    assert str(guild) in [each["id"] for each in operate("guilds", "--paused")[1]["items"]]
    assert operate("resume", guild, *REASON)[1]["paused"] is None
    assert last_entry(admin) == ("guild.resumed", "operator", "a test")


def test_runs_are_listed_without_content_and_one_is_shown_for_a_reason(admin, operate, plugin_id):
    run_id = add_run(admin, plugin_id)
    for scope in (("--guild", admin.guild.id), ("--plugin", plugin_id)):
        text, found = operate("runs", *scope)
        assert [run["id"] for run in found["items"]] == [run_id]
        assert "secret words" not in text + json.dumps(found)
        assert "it ␛[31m trapped" in text
    text, found = operate("run", plugin_id, run_id, *REASON)
    assert found["run"]["message"] == {"content": "secret words"}
    assert "hello ␛[2J" in text
    assert last_entry(admin) == ("content.opened", "operator", "a test")


def test_a_tail_shows_runs_and_logs_for_a_reason(admin, guildhook, plugin_id):
    add_run(admin, plugin_id)
    begin = ("admin", "tail", "--guild", admin.guild.id, "--minutes", 1, "--for-seconds", 0)
    status, out, err = guildhook(*begin)
    assert (status, out.count("\n"), err) == (0, 1, "")
    assert "it ␛[31m trapped" in out
    entries = len(admin.client().get("/audit").ok()["items"])
    assert "    hello ␛[2J\n" in guildhook(*begin, *REASON)[1]
    (run,) = map(json.loads, guildhook(*begin, "--json")[1].splitlines())
    assert run["logs"] is None
    assert last_entry(admin) == ("content.opened", "operator", "a test")
    assert len(admin.client().get("/audit").ok()["items"]) == entries + 1
    assert guildhook("admin", "tail", "--for-seconds", 0) == (0, "", "")


def test_failed_compiles_are_requested_again(admin, as_json, operate):
    digest = sha256(b"not compiled").digest()
    admin.execute(
        """INSERT INTO plugin_compile_failures (wasm_sha256, engine, tries, reason)
           VALUES (%s, 'engine', 8, 'no space')""",
        digest,
    )
    assert digest.hex() in [each["wasm_sha256"] for each in operate("compiles")[1]["items"]]
    assert as_json("admin", "retry-compiles", "--wasm", digest.hex(), *REASON)[1]["items"] == [
        {"wasm_sha256": digest.hex()}
    ]
    assert {"wasm_sha256": digest.hex()} in as_json("admin", "retry-compiles", *REASON)[1]["items"]
    assert operate("audit")[1]["items"][0]["action"] == "compiles.retried"
    assert operate("given-up")[1]["items"] == []


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (("lift", *REASON), 2, "give either a plugin or --hours"),
        (("tail", *REASON), 2, "logs are shown of one guild"),
        (("raise-budget", "6a1d0000-0000-4000-8000-000000000001", *REASON), 2, "give either --hours or --until"),
        (("guild", "x"), 2, "Invalid value for 'GUILD'"),
        (("disable", "6a1d0000-0000-4000-8000-000000000001"), 2, "Missing option '--reason'"),
        (("plugin", "6a1d0000-0000-4000-8000-000000000001"), 1, "HTTP 404: there is no such plugin"),
        (("runs",), 2, "HTTP 422: plugin_id is missing, and so is guild_id"),
        (("disable", "6a1d0000-0000-4000-8000-000000000001", "--reason", " "), 2, "HTTP 422: /reason "),
    ],
)
def test_an_error_says_what_is_wrong_in_one_line(failure, as_json, arguments, status, said):
    ended, line = failure("admin", *arguments)
    assert (ended, said in line) == (status, True), line
    assert as_json("admin", *arguments)[1]["error"]["exit_status"] == status


def test_without_a_command_there_is_help(guildhook):
    status, out, err = guildhook("admin")
    assert (status, out) == (2, "")
    assert "Usage: guildhook admin [OPTIONS] COMMAND" in err
