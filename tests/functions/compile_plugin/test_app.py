import json
import re
import subprocess
import sys
import time
from hashlib import sha256
from uuid import uuid4

import pytest

import samples
import wat
from guildhook.errors import UnknownEventError
from guildhook.model import Refusal, RefusalKind
from guildhook.sandbox import Engine
from guildhook.store.compiling import CompileStore
from guildhook_local.function import LambdaContext, loaded_function
from guildhook_local.stack import COMPILE_PLUGIN, ON_MESSAGE
from http_server import Answer, http_server
from samples import failed_records, resource_request, sqs_event
from versions import announce_wasm, upload

CONTEXT = LambdaContext("compile_plugin", "request", deadline=time.monotonic() + 3_600)


def digest(wasm):
    return sha256(wasm).digest()


def request(wasm):
    return {"wasm_sha256": digest(wasm).hex()}


def install(system, *plugins):
    guild = system.add_guild()
    for wasm in plugins:
        system.install(guild, "plugin", wasm)


def compiled(query):
    return {wasm_sha256 for (wasm_sha256,) in query("SELECT wasm_sha256 FROM plugin_artifacts")}


def drain(system):
    while system.compile_mapping.poll():
        pass


def test_a_requested_plugin_is_compiled(system, query, capsys):
    install(system, wat.SILENT)
    system.compile(wat.SILENT)
    assert compiled(query) == {digest(wat.SILENT)}
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    (line,) = (line for line in lines if line.get("message") == "plugin compiled")
    assert line["wasm_sha256"] == digest(wat.SILENT).hex()
    assert [line["plugins_compiled"] for line in lines if "plugins_compiled" in line] == [[1.0]]


def test_a_refused_plugin_leaves_the_queue(system, query, capsys):
    install(system, b"garbage")
    assert failed_records(system.compile_handler(sqs_event(request(b"garbage")), CONTEXT)) == []
    ((reason,),) = query("SELECT reason FROM plugin_refusals")
    assert "not a WebAssembly component" in reason
    assert "plugin refused" in capsys.readouterr().out


def test_a_request_for_a_deleted_plugin_leaves_the_queue(system, query):
    assert failed_records(system.compile_handler(sqs_event(request(wat.SILENT)), CONTEXT)) == []
    assert compiled(query) == set()


def test_an_upload_is_checked_as_soon_as_it_is_there(system, query, capsys):
    good, bad = announce_wasm(system, wat.SILENT), announce_wasm(system, b"garbage")
    upload(system, good, wat.SILENT)
    upload(system, bad, b"garbage")
    drain(system)
    assert compiled(query) == {digest(wat.SILENT)}
    assert query("SELECT wasm_sha256, state FROM plugin_versions ORDER BY state") == [
        (digest(wat.SILENT), "ready"),
        (digest(b"garbage"), "refused"),
    ]
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    told = {line["upload"]: line["message"] for line in lines if "upload" in line}
    assert told == {f"uploads/{good}": "plugin compiled", f"uploads/{bad}": "plugin refused"}


@pytest.mark.parametrize("key", ["uploads/my plugin ü.wasm", "uploads/6a1d0000-0000-4000-8000-00000000000a"])
def test_an_upload_that_nobody_announced_is_left_alone(system, query, capsys, key):
    system.aws.client("s3").put_object(Bucket=system.bucket, Key=key, Body=wat.SILENT)
    assert system.compile_mapping.poll() == 1
    assert system.compile_mapping.poll() == 0
    assert compiled(query) == set()
    assert "nothing to compile" in capsys.readouterr().out


def test_an_object_outside_the_upload_prefix_is_no_upload(system):
    version_id = announce_wasm(system, wat.SILENT)
    for key in (f"other/{version_id}", str(version_id)):
        system.aws.client("s3").put_object(Bucket=system.bucket, Key=key, Body=wat.SILENT)
    assert system.compile_mapping.poll() == 0


def test_a_version_that_postgres_has_is_asked_for_by_its_id(system, query):
    version_id = announce_wasm(system, wat.SILENT)
    system.compile_queue.ask_versions([version_id, uuid4()])
    drain(system)
    assert query("SELECT state FROM plugin_versions") == [("expected",)]
    upload(system, version_id, wat.SILENT)
    drain(system)
    query("DELETE FROM plugin_artifacts")
    system.compile_queue.ask_versions([version_id])
    drain(system)
    assert compiled(query) == {digest(wat.SILENT)}


def test_an_unreadable_request_ends_as_a_dead_letter(system, capsys):
    queue_url = system.environment["GUILDHOOK_COMPILE_QUEUE_URL"]
    sqs = system.aws.client("sqs")
    sqs.send_message(QueueUrl=queue_url, MessageBody='{"s3cret": "words"}')
    drain(system)
    out = capsys.readouterr().out
    assert "neither a request to compile nor a notice of an upload" in out
    assert "s3cret" not in out
    url = sqs.get_queue_url(QueueName=f"{queue_url.rsplit('/', 1)[1]}-dead-letters")["QueueUrl"]
    assert len(sqs.receive_message(QueueUrl=url)["Messages"]) == 1


def test_after_an_update_everything_is_asked_for_until_nothing_is_left(system, query):
    plugins = [wat.logs(f"number {number}") for number in range(12)]
    install(system, *plugins, b"garbage")
    assert system.compile_handler({"action": "recompile"}, CONTEXT) == {"asked": 13}
    drain(system)
    assert compiled(query) == {digest(wasm) for wasm in plugins}
    assert system.compile_handler({"action": "recompile"}, CONTEXT) == {"asked": 0}


def provide(handler, request_type="Update", seconds=3_600, resource_type="Custom::Recompilation"):
    """The answer to CloudFormation."""
    context = LambdaContext("compile_plugin", "request", deadline=time.monotonic() + seconds)
    with http_server(Answer()) as server:
        handler(resource_request(server.url, resource_type, request_type), context)
    (upload,) = server.uploads
    return json.loads(upload.body)


def test_a_deploy_is_told_that_everything_is_compiled(system):
    install(system, wat.SILENT)
    system.compile(wat.SILENT)
    answer = provide(system.compile_handler)
    assert (answer["Status"], answer["Data"]) == ("SUCCESS", {"Asked": 0, "Left": 0})


def test_a_deploy_does_not_wait_past_the_functions_time(system, query):
    install(system, wat.SILENT, wat.logs("one"), b"garbage")
    answer = provide(system.compile_handler, seconds=50)
    assert (answer["Status"], answer["Data"]) == ("SUCCESS", {"Asked": 3, "Left": 3})
    # The plugin is compiled nevertheless.
    drain(system)
    assert compiled(query) == {digest(wat.SILENT), digest(wat.logs("one"))}


def test_a_stack_that_goes_asks_for_nothing(system):
    install(system, wat.SILENT)
    assert provide(system.compile_handler, "Delete")["Status"] == "SUCCESS"
    assert system.compile_mapping.poll() == 0


def test_a_deploy_fails_where_nothing_can_be_asked_for(system):
    environment = {**system.environment, "GUILDHOOK_DATABASE_URL": "postgresql://someone:s3cret@127.0.0.1:1/chat"}
    with loaded_function(COMPILE_PLUGIN, environment) as handler:
        answer = provide(handler)
    assert answer["Status"] == "FAILED"
    assert answer["Reason"].startswith("database at 127.0.0.1:1/chat (GUILDHOOK_DATABASE_URL)")
    assert "s3cret" not in json.dumps(answer)


def test_a_deploy_is_told_the_public_keys_of_the_functions_that_load(system):
    answer = provide(system.compile_handler, "Create", resource_type="Custom::SigningPublicKeys")
    assert answer["Status"] == "SUCCESS"
    assert answer["Data"] == {"PublicKeys": system.environment["GUILDHOOK_ARTIFACT_PUBLIC_KEYS"]}
    assert json.loads(secret(system))["signing_key"] not in json.dumps(answer)


def secret(system):
    name = system.environment["GUILDHOOK_SIGNING_SECRET"]
    return system.aws.client("secretsmanager").get_secret_value(SecretId=name)["SecretString"]


def test_a_deploy_after_a_change_of_the_secret_is_told_the_new_keys(system):
    before = provide(system.compile_handler, resource_type="Custom::SigningPublicKeys")["Data"]["PublicKeys"]
    keys = {**json.loads(secret(system)), "other_signing_keys": ["the next key of a rotation of keys"]}
    name = system.environment["GUILDHOOK_SIGNING_SECRET"]
    system.aws.client("secretsmanager").put_secret_value(SecretId=name, SecretString=json.dumps(keys))
    with loaded_function(COMPILE_PLUGIN, system.environment) as handler:
        after = provide(handler, resource_type="Custom::SigningPublicKeys")["Data"]["PublicKeys"]
    assert after.split(",")[0] == before
    assert len(after.split(",")) == 2


@pytest.mark.parametrize("text", [None, '{"signing_key": "s3cret"}', "s3cret"])
def test_a_signing_key_that_cannot_be_read_fails_the_deploy_and_returns_the_record(system, capsys, text):
    install(system, wat.SILENT)
    name = f"signing-{uuid4().hex}"
    if text:
        system.aws.client("secretsmanager").create_secret(Name=name, SecretString=text)
    with loaded_function(COMPILE_PLUGIN, {**system.environment, "GUILDHOOK_SIGNING_SECRET": name}) as handler:
        answer = provide(handler, resource_type="Custom::SigningPublicKeys")
        assert failed_records(handler(sqs_event(request(wat.SILENT)), CONTEXT)) == ["record-0"]
    assert answer["Status"] == "FAILED"
    assert answer["Reason"].startswith(f"secret {name} (GUILDHOOK_SIGNING_SECRET): ")
    assert "s3cret" not in json.dumps(answer) + capsys.readouterr().out


def test_pruning_says_how_many_it_deleted(system, query):
    install(system, wat.SILENT)
    system.compile(wat.SILENT)
    query("UPDATE plugin_artifacts SET created_at = now() - interval '31 days'")
    assert system.compile_handler({"action": "prune"}, CONTEXT) == {"pruned": 0}
    query("DELETE FROM plugins")
    assert system.compile_handler({"action": "prune"}, CONTEXT) == {"pruned": 1}


@pytest.mark.parametrize("event", [{}, [], None, {"action": "dance"}])
def test_any_other_event_is_refused_with_the_events_that_are_taken(system, event):
    with pytest.raises(UnknownEventError, match=re.escape('takes records of SQS, {"action": "recompile"}')):
        system.compile_handler(event, CONTEXT)


@pytest.mark.parametrize(
    ("variable", "value", "reason"),
    [
        ("GUILDHOOK_DATABASE_URL", "postgresql://someone:s3cret@127.0.0.1:1/chat", "127.0.0.1:1/chat"),
        ("GUILDHOOK_ARTIFACT_BUCKET", "no-such-bucket", "no-such-bucket"),
    ],
)
def test_a_temporary_failure_returns_the_record_to_the_queue(system, capsys, variable, value, reason):
    install(system, wat.SILENT)
    with loaded_function(COMPILE_PLUGIN, {**system.environment, variable: value}) as handler:
        assert failed_records(handler(sqs_event(request(wat.SILENT)), CONTEXT)) == ["record-0"]
    out = capsys.readouterr().out
    assert reason in out
    assert "s3cret" not in out


def test_an_unexpected_failure_returns_the_record_and_is_logged(system, query, capsys):
    install(system, wat.SILENT)
    system.compile(wat.SILENT)
    query("UPDATE plugin_artifacts SET memories = '7'")
    assert failed_records(system.compile_handler(sqs_event(request(wat.SILENT)), CONTEXT)) == ["record-0"]
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    (line,) = (line for line in lines if line.get("message") == "record failed")
    assert (line["event_id"], line["exception_name"]) == ("record-0", "TypeError")


def test_a_missing_variable_ends_the_invocation_with_one_line(system):
    environment = {name: value for name, value in system.environment.items() if name != "GUILDHOOK_COMPILE_QUEUE_URL"}
    environment["PYTHONPATH"] = str(COMPILE_PLUGIN)
    command = [sys.executable, "-c", "import app; app.handler({'Records': []}, None)"]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert ended.stderr == (
        "guildhook: wrong environment: GUILDHOOK_COMPILE_QUEUE_URL: missing; "
        "wants: queue on which the compile function is asked\n"
    )


def test_the_same_request_twice_compiles_once(system, query):
    install(system, wat.SILENT)
    system.compile(wat.SILENT)
    before = query("SELECT created_at FROM plugin_artifacts")
    system.compile(wat.SILENT)
    assert query("SELECT created_at FROM plugin_artifacts") == before


@pytest.fixture
def broken_child(tmp_path, monkeypatch):
    """Let the kernel end every child that compiles, as it does when the machine's memory is full."""
    child = tmp_path / "python"
    child.write_text("#!/bin/sh\nprintf compiling; kill -KILL $$\n")
    child.chmod(0o755)
    monkeypatch.setattr("sys.executable", str(child))


@pytest.fixture
def patient(system):
    """The function with pauses of no length."""
    environment = {**system.environment, "GUILDHOOK_RETRY_SECONDS": "0"}
    with loaded_function(COMPILE_PLUGIN, environment) as compile_plugin:
        yield compile_plugin


def failures(query):
    return query("SELECT tries, reason, next_try_at IS NULL FROM plugin_compile_failures")


def test_a_compile_that_the_kernel_ends_is_tried_again_and_nothing_is_refused(
    system, query, patient, broken_child, monkeypatch
):
    install(system, wat.SILENT)
    event = sqs_event(request(wat.SILENT))
    reason = "the compile process ended with signal 9 (Killed)"
    for tries in range(1, 9):
        assert len(failed_records(patient(event, CONTEXT))) == 1
        assert failures(query) == [(tries, reason, tries == 8)]
    assert query("SELECT * FROM plugin_refusals") == []
    monkeypatch.undo()
    assert failed_records(patient(event, CONTEXT)) == []
    assert compiled(query) == {digest(wat.SILENT)}
    assert failures(query) == []


def test_a_request_that_is_not_due_leaves_the_queue_to_the_one_that_waits(system, query, broken_child, monkeypatch):
    install(system, wat.SILENT)
    event = sqs_event(request(wat.SILENT))
    with loaded_function(COMPILE_PLUGIN, {**system.environment, "GUILDHOOK_RETRY_SECONDS": "900"}) as compile_plugin:
        assert len(failed_records(compile_plugin(event, CONTEXT))) == 1
    monkeypatch.undo()
    assert failed_records(system.compile_handler(event, CONTEXT)) == []
    assert compiled(query) == set()
    assert system.compile_handler({"action": "recompile"}, CONTEXT) == {"asked": 1}
    drain(system)
    assert compiled(query) == {digest(wat.SILENT)}


def test_a_version_whose_compile_failed_stays_and_becomes_ready(system, query, patient, broken_child, monkeypatch):
    version = announce_wasm(system, wat.SILENT)
    upload(system, version, wat.SILENT)
    for _ in range(8):
        assert len(failed_records(patient(sqs_event({"version_id": str(version)}), CONTEXT))) <= 1
    assert query("SELECT state FROM plugin_versions") != [("refused",)]
    monkeypatch.undo()
    drain(system)
    assert query("SELECT state FROM plugin_versions") == [("ready",)]
    assert failures(query) == []


def test_recompiling_includes_what_an_old_version_refused_and_on_request_what_was_refused_for_its_cpu_time(
    system, query
):
    install(system, wat.SILENT, wat.TRAPS, wat.LOOPS)
    store = CompileStore(system.database)
    for wasm, kind in ((wat.SILENT, "plugin"), (wat.TRAPS, "cpu_seconds"), (wat.LOOPS, "plugin")):
        store.add_refusal(digest(wasm), Engine().fingerprint, Refusal("too slow", RefusalKind(kind)))
    store.close()
    query(f"UPDATE plugin_refusals SET kind = NULL WHERE wasm_sha256 = '\\x{digest(wat.SILENT).hex()}'")
    assert system.compile_handler({"action": "recompile"}, CONTEXT) == {"asked": 1}
    drain(system)
    assert compiled(query) == {digest(wat.SILENT)}
    assert system.compile_handler({"action": "recompile", "refused_for_cpu": True}, CONTEXT) == {"asked": 1}
    drain(system)
    assert compiled(query) == {digest(wat.SILENT), digest(wat.TRAPS)}


def outcomes(query):
    return query("SELECT outcome, detail FROM plugin_runs"), query("SELECT * FROM plugin_health")


def test_messages_wait_for_a_plugin_that_cannot_be_compiled_and_nothing_is_counted_against_it(
    system, query, broken_child, monkeypatch
):
    guild = system.add_guild()
    system.install(guild, "plugin", wat.ECHOES_TO_LOG)
    messages = sqs_event(*[samples.event(guild.id, guild.channel_id) for _ in range(4)])
    assert len(failed_records(system.handler(messages, CONTEXT))) == 4
    assert outcomes(query) == ([], [])
    # After the last try a message does not wait any more.
    store = CompileStore(system.database)
    store.add_failure(digest(wat.ECHOES_TO_LOG), Engine().fingerprint, "the machine was busy", [])
    store.close()
    assert failed_records(system.handler(messages, CONTEXT)) == []
    runs, health = outcomes(query)
    detail = "it could not be compiled yet: the compile process ended with signal 9 (Killed)"
    assert (runs, health) == ([("internal", detail)] * 4, [])
    monkeypatch.undo()
    later = sqs_event(samples.event(guild.id, guild.channel_id))
    with loaded_function(ON_MESSAGE, system.environment) as on_message:
        assert failed_records(on_message(later, CONTEXT)) == []
    assert ("ok", "") in outcomes(query)[0]
