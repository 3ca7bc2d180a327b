import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import wat
from guildhook.sandbox import with_settings_schema
from project import ROOT
from samples import DEADLINE_MS

PLUGINS = ROOT / "plugins"
PING, COUNTER = PLUGINS / "ping" / "ping.wasm", PLUGINS / "counter" / "counter.wasm"
WELCOME = PLUGINS / "welcome" / "welcome.wasm"
CHANNEL = "6a1d0000-0000-4000-8000-000000000003"


def test_run_shows_the_sends_of_the_plugin(as_json):
    status, result = as_json("run", PING, "--message", "!ping", "--allow", "SEND_MESSAGES")
    assert status == 0
    assert list(result) == [
        "outcome",
        "detail",
        "fuel_used",
        "duration_us",
        "cpu_us",
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
    assert lines["changes"][2:] == ["state b: ␛[2J"]
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


def test_a_plugins_text_is_shown_to_the_letter_and_cannot_steer_the_terminal(guildhook, tmp_path):
    text = "\x1b[2J\x9b31m\rdone [bold] :tada: arn:aws:x:secret:y \N{RIGHT-TO-LEFT OVERRIDE} bye\\"
    shown = "␛[2J<U+009B>31m␍done [bold] :tada: arn:aws:x:secret:y <U+202E> bye\\"
    (tmp_path / "logs.wasm").write_bytes(wat.logs(text))
    (tmp_path / "sends.wasm").write_bytes(wat.sends((CHANNEL, text)))
    logged = guildhook("run", tmp_path / "logs.wasm")[1].splitlines()
    sent = guildhook("run", tmp_path / "sends.wasm", "--allow", "SEND_MESSAGES")[1].splitlines()
    assert logged[2:] == [f"log   {shown}"]
    assert sent[2:] == [f"send  {shown} to channel {CHANNEL}"]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["no-such-file.wasm"], "does not exist"),
        ([PING, "--settings", "{"], "--settings is not JSON: Expecting property name"),
        ([PING, "--settings", "[]"], "not a JSON object"),
        ([PING, "--state", "{"], "--state is not JSON: Expecting property name"),
        ([PING, "--state", "[]"], "--state is not a JSON object"),
        ([PING, "--state", '{"count": 1}'], "not a JSON object of texts"),
        ([PING, "--allow", "EVERYTHING"], "EVERYTHING"),
        ([PING, "--fuel", "-1"], "--fuel"),
        ([PING, "--deadline-ms", "0"], "--deadline-ms"),
        ([PING, "--deadline-ms", "60001"], "--deadline-ms"),
        ([PING, "--message", "@no-such-file"], "no-such-file"),
        ([], "PLUGIN.wasm"),
    ],
)
def test_wrong_usage_is_status_2_with_a_reason(failure, arguments, reason):
    status, line = failure("run", *arguments)
    assert status == 2
    assert reason in line


def test_a_malformed_message_is_wrong_usage(failure):
    status, line = failure("run", PING, "--message", "-", stdin='{"channel_id": "general"}')
    assert status == 2
    assert "channel_id" in line


def test_settings_are_held_against_the_schema_as_saving_does(guildhook, failure, as_json, tmp_path):
    schema = {**json.loads(WELCOME.with_name("schema.json").read_text()), "required": ["greeting"]}
    plugin = tmp_path / "plugin.wasm"
    plugin.write_bytes(with_settings_schema(WELCOME.read_bytes(), json.dumps(schema).encode()))
    welcome = ("run", plugin, "--message", "!welcome", "--allow", "SEND_MESSAGES")
    for settings, reason in (
        ('{"greeting": 1}', "/greeting must be a text"),
        ("{}", "/greeting is required"),
        ('{"greeting": "hi", "shout": true}', "/shout is not a setting of this version"),
        ('{"greeting": "hi", "api_key": "s3cret"}', "/api_key is a secret; set it with the secrets"),
        ('{"greeting": "\\u0000"}', "/greeting has a NUL character"),
    ):
        status, line = failure(*welcome, "--settings", settings)
        assert (status, line.startswith("--settings are refused: "), reason in line) == (1, True, True)
        assert "s3cret" not in line
    status, refused = as_json(*welcome, "--settings", "{}")
    assert (status, refused["error"]["exit_status"]) == (1, 1)
    assert as_json(*welcome, "--settings", '{"greeting": "hi"}')[1]["intents"][0]["content"] == "hi"
    # A quick try needs no settings.
    assert guildhook(*welcome)[0] == 0


def test_secrets_join_the_settings(as_json, failure):
    welcome = ("run", WELCOME, "--message", "!welcome")
    logs = {
        secrets: as_json(*welcome, "--secrets", secrets)[1]["logs"][0] for secrets in ('{"api_key": "s3cret"}', "{}")
    }
    assert logs['{"api_key": "s3cret"}'] != logs["{}"]
    assert "s3cret" not in "".join(logs.values())
    for secrets in ('{"api_key": ""}', '{"api_key": 1}', '{"a b": "s3cret"}'):
        status, line = failure(*welcome, "--secrets", secrets)
        assert (status, line.startswith("--secrets: "), "s3cret" in line) == (2, True, False)


def test_whole_numbers_reach_the_plugin_as_integers(as_json, tmp_path):
    (tmp_path / "environment.wasm").write_bytes(wat.ENVIRONMENT)
    settings = '{"three": 3.0, "hundred": 1e2, "half": 0.5}'
    _, result = as_json("run", tmp_path / "environment.wasm", "--settings", settings)
    assert result["logs"] == ["three", "3", "hundred", "100", "half", "0.5"]


def test_a_plugin_with_a_refused_schema_is_invalid(as_json, tmp_path):
    (tmp_path / "plugin.wasm").write_bytes(with_settings_schema(PING.read_bytes(), b"[]"))
    status, result = as_json("run", tmp_path / "plugin.wasm")
    assert (status, result["outcome"]) == (1, "invalid")
    assert result["detail"].startswith("its settings schema is refused: ")


def test_a_message_in_json_as_text_is_noted(guildhook):
    status, out, err = guildhook("run", PING, "--message", '{"content": "!ping"}')
    assert (status, "send" in out) == (0, False)
    assert err == "guildhook: --message is taken as text; @FILE and - take a message in JSON\n"


@pytest.mark.parametrize(
    ("limit", "status", "said"),
    [("-S -s 400", 0, ""), ("-s 400", 3, "the stack of this process is limited to 409600 bytes; plugins need 2097152")],
)
def test_a_plugin_that_recurses_does_not_end_a_process_with_a_small_stack(tmp_path, limit, status, said):
    # It uses less than the 512 KiB of stack that a plugin may have.
    recursion = "(if (local.get 0) (then (call $f (i32.sub (local.get 0) (i32.const 1)))))"
    wasm = wat.plugin(wat.on_message("(call $f (i32.const 10_000))", f"(func $f (param i32) {recursion})"))
    (tmp_path / "plugin.wasm").write_bytes(wasm)
    program = Path(sys.executable).parent / "guildhook"
    run = [program, "run", tmp_path / "plugin.wasm", "--message", "hi", "--deadline-ms", str(DEADLINE_MS)]
    ended = subprocess.run(
        ["sh", "-c", f'ulimit {limit}; exec "$@"', "sh", *run],
        env={**os.environ, "XDG_CACHE_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == status
    assert said in ended.stderr
