import json
import os
import pty
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import psycopg
import pytest
from typer.testing import CliRunner

import wat
from guildhook.sandbox import with_settings_schema
from guildhook_local.cli import app, main
from project import ROOT
from samples import DEADLINE_MS

PLUGINS = ROOT / "plugins"
PING, COUNTER = PLUGINS / "ping" / "ping.wasm", PLUGINS / "counter" / "counter.wasm"
WELCOME = PLUGINS / "welcome" / "welcome.wasm"
CHANNEL = "6a1d0000-0000-4000-8000-000000000003"


@pytest.fixture
def environment():
    """The variables that configure the command."""
    return {}


@pytest.fixture
def guildhook(environment):
    """Runs the command; returns exit status, stdout and stderr. A run has more time than usual: machines are busy."""

    def guildhook(*arguments, stdin=None):
        if arguments[:1] == ("run",) and "--deadline-ms" not in arguments:
            arguments = (*arguments, "--deadline-ms", DEADLINE_MS)
        result = CliRunner().invoke(app, [str(argument) for argument in arguments], input=stdin, obj=environment)
        return result.exit_code, result.stdout, result.stderr

    return guildhook


@pytest.fixture
def last_words(environment, capsys):
    """Runs a command that fails because of its environment; returns its error message."""

    def last_words(*arguments):
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in arguments], environment)
        # Python prints the text on stderr and exits with 1.
        assert isinstance(ended.value.code, str)
        assert "\n" not in ended.value.code
        assert capsys.readouterr() == ("", "")
        return ended.value.code

    return last_words


@pytest.fixture
def as_json(guildhook):
    def as_json(*arguments, **options):
        status, out, _ = guildhook(*arguments, "--json", **options)
        assert out.count("\n") == 1
        return status, json.loads(out)

    return as_json


def test_run_shows_the_sends_of_the_plugin(as_json):
    status, result = as_json("run", PING, "--message", "!ping", "--allow", "SEND_MESSAGES")
    assert status == 0
    assert list(result) == [
        "outcome",
        "detail",
        "fuel_used",
        "duration_us",
        "host_calls",
        "host_call_bytes",
        "state",
        "logs",
        "intents",
        "calls",
    ]
    assert (result["outcome"], result["state"], result["logs"]) == ("ok", None, ["answered a ping"])
    (intent,) = result["intents"]
    assert list(intent) == ["kind", "channel_id", "content", "key"]
    assert (intent["kind"], intent["channel_id"], intent["content"]) == ("send_message", CHANNEL, "pong")
    assert result["calls"] == [{"function": function, "denied": None} for function in ("send-message", "log")]


def test_run_shows_the_new_state(as_json):
    command = ("run", COUNTER, "--message", "!count", "--allow", "SEND_MESSAGES")
    assert as_json(*command)[1]["state"] == {"count": "1"}
    _, result = as_json(*command, "--state", '{"other": "grüß", "count": "1"}')
    assert (result["state"], result["intents"][0]["content"]) == ({"other": "grüß", "count": "2"}, "2")


def test_run_for_people_shows_a_state_that_is_new(guildhook, tmp_path):
    state = ("--state", json.dumps({"a": "1", "b": "\x1b[2J"}))
    lines = {}
    for name, key in (("changes", "a"), ("changes-nothing", "c")):
        (tmp_path / f"{name}.wasm").write_bytes(wat.remembers(("delete", key)))
        lines[name] = guildhook("run", tmp_path / f"{name}.wasm", *state)[1].splitlines()
    assert lines["changes"][2:] == ["state b: \ufffd[2J"]
    assert lines["changes-nothing"][2:] == []
    _, out, _ = guildhook("run", tmp_path / "changes.wasm", "--state", '{"a": "1"}')
    assert out.splitlines()[2:] == ["state is empty now"]


def test_run_gives_the_same_key_each_time(as_json):
    command = ("run", PING, "--message", "!ping", "--allow", "SEND_MESSAGES")
    assert as_json(*command)[1]["intents"] == as_json(*command)[1]["intents"]


def test_run_without_the_permission_names_it(as_json):
    status, result = as_json("run", PING, "--message", "!ping")
    assert (status, result["outcome"], result["intents"]) == (0, "ok", [])
    assert "SEND_MESSAGES" in result["logs"][0]


def test_a_run_that_takes_longer_than_its_deadline_fails(as_json, tmp_path):
    (tmp_path / "loops.wasm").write_bytes(wat.LOOPS)
    loops = ("run", tmp_path / "loops.wasm", "--fuel", 2**63 - 1, "--deadline-ms", 50)
    status, result = as_json(*loops)
    assert (status, result["outcome"]) == (1, "deadline")
    assert "the limit is 50 ms" in result["detail"]


def test_run_with_little_fuel_fails(as_json):
    status, result = as_json("run", PING, "--message", "!ping", "--fuel", "100")
    assert (status, result["outcome"], result["fuel_used"]) == (1, "out_of_fuel", 100)


def test_run_of_a_file_that_is_no_plugin_is_invalid(as_json, tmp_path):
    (tmp_path / "plugin.wasm").write_bytes(b"\x89PNG")
    status, result = as_json("run", tmp_path / "plugin.wasm")
    assert (status, result["outcome"]) == (1, "invalid")
    assert "not a WebAssembly component" in result["detail"]


def test_run_takes_the_message_from_a_file_or_stdin(as_json, tmp_path):
    (tmp_path / "echo.wasm").write_bytes(wat.ECHOES_TO_LOG)
    (tmp_path / "text").write_text("two\nlines\n")
    (tmp_path / "json").write_text(json.dumps({"content": "hello", "reply_to": "x"}))

    def message(argument, **options):
        return json.loads(as_json("run", tmp_path / "echo.wasm", "--message", argument, **options)[1]["logs"][0])

    assert message('{"content": "stays text"}')["content"] == '{"content": "stays text"}'
    assert message(f"@{tmp_path / 'text'}")["content"] == "two\nlines"
    assert message("-", stdin="typed\n")["content"] == "typed"
    whole = message(f"@{tmp_path / 'json'}")
    assert (whole["content"], whole["reply_to"], whole["channel_id"]) == ("hello", "x", CHANNEL)


def test_run_for_people_shows_outcome_fuel_log_and_sends(guildhook):
    status, out, _ = guildhook("run", PING, "--message", "!ping", "--allow", "SEND_MESSAGES")
    assert status == 0
    assert out.splitlines()[0].strip() == "ok"
    assert "of 100,000,000 fuel" in out
    assert "answered a ping" in out
    assert f"pong to channel {CHANNEL}" in out


def test_a_plugins_text_cannot_steer_the_terminal(guildhook, tmp_path):
    steering = "\x1b[2J\x9b31m\rdone [bold]"
    (tmp_path / "logs.wasm").write_bytes(wat.logs(steering))
    (tmp_path / "sends.wasm").write_bytes(wat.sends((CHANNEL, steering)))
    for name in ("logs", "sends"):
        _, out, _ = guildhook("run", tmp_path / f"{name}.wasm", "--allow", "SEND_MESSAGES")
        assert "\ufffd[2J\ufffd31m\ufffddone [bold]" in out
        assert not {"\x1b", "\x9b", "\r"} & set(out)


@pytest.mark.parametrize("command", ["run", "check"])
def test_a_machine_that_cannot_compile_says_so_in_one_line(last_words, monkeypatch, command):
    with monkeypatch.context() as broken:
        broken.setattr("guildhook.sandbox.compiling.child_process.sys.executable", "/no/such/python")
        line = last_words(command, PING)
    assert line == "guildhook: cannot start the compile process: No such file or directory"


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["no-such-file.wasm"], "does not exist"),
        ([PING, "--settings", "{"], "not a JSON object"),
        ([PING, "--settings", "[]"], "not a JSON object"),
        ([PING, "--state", "{"], "not a JSON object of texts"),
        ([PING, "--state", "[]"], "not a JSON object of texts"),
        ([PING, "--state", '{"count": 1}'], "not a JSON object of texts"),
        ([PING, "--allow", "EVERYTHING"], "EVERYTHING"),
        ([PING, "--fuel", "-1"], "--fuel"),
        ([PING, "--deadline-ms", "0"], "--deadline-ms"),
        ([PING, "--deadline-ms", "60001"], "--deadline-ms"),
        ([PING, "--message", "@no-such-file"], "no-such-file"),
        ([], "PLUGIN.wasm"),
    ],
)
def test_wrong_usage_is_status_2_with_a_reason(guildhook, arguments, reason):
    status, out, err = guildhook("run", *arguments)
    assert (status, out) == (2, "")
    assert reason in err


def test_a_malformed_message_is_wrong_usage(guildhook):
    status, _, err = guildhook("run", PING, "--message", "-", stdin='{"channel_id": "general"}')
    assert status == 2
    assert "channel_id" in err


def test_check_lists_the_needs_of_a_plugin(as_json):
    status, result = as_json("check", PING)
    assert status == 0
    assert result == {
        "accepted": True,
        "reasons": [],
        "imports": ["guildhook:plugin/host-api@1.2.0"],
        "unavailable": [],
        "exports": ["on-message"],
        "needs": ["SEND_MESSAGES"],
        "memories": [{"minimum": 1, "maximum": None}],
        "settings_schema": None,
        "wasm_bytes": PING.stat().st_size,
    }


def test_check_lists_imports_that_are_not_available(guildhook, as_json, tmp_path):
    imports = '(import "wasi:filesystem/preopens@0.2.3" (instance)) (import "wasi:cli/exit@0.2.3" (instance))'
    (tmp_path / "plugin.wasm").write_bytes(wat.plugin(wat.on_message(""), imports=imports))
    assert as_json("check", tmp_path / "plugin.wasm")[1]["unavailable"] == ["wasi:filesystem/preopens@0.2.3"]
    status, out, _ = guildhook("check", tmp_path / "plugin.wasm")
    assert status == 0
    assert "wasi:filesystem/preopens@0.2.3 (imported, not available)" in out
    assert "wasi:cli/exit@0.2.3\n" in out


def test_check_refuses_with_reasons(as_json, guildhook, tmp_path):
    (tmp_path / "module.wasm").write_bytes(b"\0asm\x01\0\0\0")
    status, result = as_json("check", tmp_path / "module.wasm")
    assert (status, result["accepted"]) == (1, False)
    assert "core module" in result["reasons"][0]
    status, out, _ = guildhook("check", tmp_path / "module.wasm")
    assert status == 1
    assert "refused" in out


def test_check_compiles_a_plugin_that_passes_inspection(as_json, tmp_path):
    wasm = wat.plugin(wat.on_message("(drop (i32.const 77))"))
    (tmp_path / "broken.wasm").write_bytes(wasm.replace(b"\x41\xcd\x00", b"\x01\x01\x01"))
    status, result = as_json("check", tmp_path / "broken.wasm")
    assert (status, result["accepted"]) == (1, False)
    assert "does not compile" in result["reasons"][0]


SCHEMA = {"type": "object", "properties": {"\x1b[31mred": {"type": "string", "writeOnly": True}, "b": {}}}


def test_a_schema_is_added_and_shown(guildhook, as_json, tmp_path):
    out, said = tmp_path / "out.wasm", tmp_path / "schema.json"
    said.write_text(json.dumps(SCHEMA))
    assert guildhook("schema", PING, said, "-o", out) == (0, "", "")
    status, result = as_json("check", out)
    assert (status, result["settings_schema"]) == (0, SCHEMA)
    status, text, _ = guildhook("check", out)
    assert status == 0
    assert "schema   of 2 settings\n" in text
    assert "\x1b" not in text
    assert "[31mred (secret)\n" in text
    assert "setting  b\n" in text


def test_a_schema_replaces_the_one_that_is_there(guildhook, as_json, tmp_path):
    wasm, said = tmp_path / "plugin.wasm", tmp_path / "schema.json"
    wasm.write_bytes(WELCOME.read_bytes())
    said.write_text('{"type": "object"}')
    assert guildhook("schema", wasm, said, "--output", wasm)[0] == 0
    assert as_json("check", wasm)[1]["settings_schema"] == {"type": "object"}
    assert guildhook("schema", wasm, WELCOME.with_name("schema.json"), "-o", wasm)[0] == 0
    assert wasm.read_bytes() == WELCOME.read_bytes()


@pytest.mark.parametrize(
    ("wasm", "said", "words"),
    [
        (b"\0asm\x01\0\0\0", b'{"type":"object"}', "plugin.wasm is refused: this is a core module, not a component"),
        (b"\0asm\x0d\0\x01\0\1", b'{"type":"object"}', "plugin.wasm is refused: the file is cut off"),
        (PING.read_bytes(), b"{", "schema.json is refused: it is not JSON"),
        (PING.read_bytes(), b'{"type":"object","$ref":"#"}', "schema.json is refused: it has the keyword '$ref'"),
    ],
)
def test_a_schema_that_is_refused_is_not_written(guildhook, tmp_path, wasm, said, words):
    (tmp_path / "plugin.wasm").write_bytes(wasm)
    (tmp_path / "schema.json").write_bytes(said)
    out = tmp_path / "out.wasm"
    status, printed, errors = guildhook("schema", tmp_path / "plugin.wasm", tmp_path / "schema.json", "-o", out)
    assert (status, printed) == (1, "")
    assert errors.startswith(words)
    assert not out.exists()


def test_an_output_path_that_cannot_be_written_is_wrong_usage(guildhook, tmp_path):
    status, _, errors = guildhook(
        "schema", PING, WELCOME.with_name("schema.json"), "-o", tmp_path / "missing" / "out.wasm"
    )
    assert status == 2
    assert "cannot write" in errors


def test_check_refuses_a_bad_schema(guildhook, as_json, tmp_path):
    (tmp_path / "plugin.wasm").write_bytes(with_settings_schema(PING.read_bytes(), b"[]"))
    status, result = as_json("check", tmp_path / "plugin.wasm")
    assert (status, result["accepted"], result["settings_schema"]) == (1, False, None)
    assert result["reasons"][0].startswith("its settings schema is refused: it is not a schema")
    status, out, _ = guildhook("check", tmp_path / "plugin.wasm")
    assert status == 1
    assert "refused" in out


def test_migrate_brings_a_database_up_to_date(as_json, guildhook, empty_database, environment):
    environment["GUILDHOOK_DATABASE_URL"] = empty_database
    status, result = as_json("migrate")
    assert status == 0
    assert "20260125000001_add_plugins" in result["applied"]
    assert guildhook("migrate")[:2] == (0, "The database is up to date.\n")


def test_migrate_of_a_database_that_is_down_says_so_in_one_line(last_words, environment):
    environment["GUILDHOOK_DATABASE_URL"] = "postgresql://someone:s3cret@127.0.0.1:1/chat"
    line = last_words("migrate")
    assert line.startswith("guildhook: database at 127.0.0.1:1/chat (GUILDHOOK_DATABASE_URL)")
    assert "s3cret" not in line


def test_migrate_does_not_show_a_malformed_url(last_words, environment):
    environment["GUILDHOOK_DATABASE_URL"] = "s3cret"
    line = last_words("migrate")
    assert line.startswith("guildhook: wrong environment: GUILDHOOK_DATABASE_URL: not a PostgreSQL URL")
    assert "s3cret" not in line


@pytest.fixture
def configured(system, environment):
    """A system that the command is configured for, with a plugin that compiles and one that does not."""
    environment.update(system.environment)
    guild = system.add_guild()
    system.install(guild, "silent", wat.SILENT)
    system.install(guild, "bad", b"garbage")
    return system


def test_recompile_compiles_the_plugins_that_this_version_has_not_compiled(configured, as_json, guildhook):
    status, result = as_json("recompile")
    assert status == 0
    assert result["compiled"] == 1
    (refused,) = result["refused"]
    assert refused["wasm_sha256"] == sha256(b"garbage").hexdigest()
    assert "not a WebAssembly component" in refused["reason"]
    assert guildhook("recompile")[:2] == (0, "0 compiled, 0 refused\n")


def test_recompile_for_people_names_refused_plugins(configured, guildhook):
    status, out, _ = guildhook("recompile")
    assert status == 0
    assert out.splitlines()[0] == "1 compiled, 1 refused"
    assert out.splitlines()[1].startswith(f"{sha256(b'garbage').hexdigest()}: this is not a WebAssembly component")


def test_prune_deletes_modules_that_no_plugin_needs(configured, as_json, guildhook):
    as_json("recompile")
    with psycopg.connect(configured.database_url) as connection:
        connection.execute("DELETE FROM plugins")
    assert as_json("prune") == (0, {"pruned": 0})
    assert guildhook("prune", "--older-than-days", 0)[:2] == (0, "compiled modules deleted: 1\n")


def test_prune_takes_credentials_from_the_operators_profile(configured, as_json, tmp_path):
    as_json("recompile")
    with psycopg.connect(configured.database_url) as connection:
        connection.execute("DELETE FROM plugins")
    profiles = tmp_path / "credentials"
    keys = configured.aws.keys
    profiles.write_text(
        f"[default]\naws_access_key_id = {keys.access_key_id}\naws_secret_access_key = {keys.secret_access_key}\n"
    )
    names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
    environment = {name: value for name, value in configured.environment.items() if name not in names}
    environment |= {"AWS_SHARED_CREDENTIALS_FILE": str(profiles), "AWS_EC2_METADATA_DISABLED": "true"}
    command = [sys.executable, "-c", "from guildhook_local.cli import main; main()", "prune", "--older-than-days", "0"]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (ended.stdout, ended.stderr) == ("compiled modules deleted: 1\n", "")


@pytest.mark.parametrize("command", ["recompile", "prune"])
def test_commands_that_compile_name_their_missing_variables(last_words, command):
    assert last_words(command) == (
        "guildhook: wrong environment: GUILDHOOK_DATABASE_URL: missing; wants: PostgreSQL 16 or newer, "
        "`postgresql://user@host:5432/database` | GUILDHOOK_ARTIFACT_BUCKET: missing; wants: S3 bucket of compiled "
        "plugins"
    )


def test_demo_sends_one_message_the_whole_way(as_json):
    status, result = as_json("demo")
    assert status == 0
    assert list(result)[-2:] == ["outcome", "replies"]
    assert result["outcome"] == "ok"
    assert [reply["content"] for reply in result["replies"]] == ["pong"]
    assert [step["name"] for step in result["timeline"]] == [
        "message typed",
        "event queued",
        "plugin run",
        "reply received",
    ]


def test_demo_on_a_terminal_shows_progress_and_keeps_the_functions_log_to_itself():
    ours, terminal = pty.openpty()
    with subprocess.Popen(
        [Path(sys.executable).parent / "guildhook", "demo"], stdout=terminal, stderr=terminal
    ) as process:
        os.close(terminal)
        shown = b"".join(iter(lambda: _read(ours), b"")).decode()
    os.close(ours)
    assert process.returncode == 0
    assert "A member types !ping" in shown
    assert "Guildhook: pong" in shown
    assert "_aws" not in shown


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # how Linux says that the other side is closed
        return b""


def test_demo_for_people_is_a_timeline(guildhook):
    status, out, _ = guildhook("demo")
    assert status == 0
    assert "Guildhook: pong" in out
    assert out.splitlines()[-1] == "The message went the whole way."
