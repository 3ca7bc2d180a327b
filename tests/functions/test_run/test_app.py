import json
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256
from uuid import UUID

import msgspec
import psycopg
import pytest
from psycopg.rows import dict_row

import wat
from artifacts import signed_off
from guildhook.aws.access import AwsAccess
from guildhook.errors import InfrastructureError
from guildhook.events.queue_events import Event, parse_event
from guildhook.model import MemoryType, Outcome
from guildhook.modules import ArtifactSigner, ArtifactSigningKeys, artifact_key, compress
from guildhook.sandbox import Engine
from guildhook.store.compiling import CompileStore
from guildhook.trials import TrialFailure, TrialRequest, TrialResult, Trials
from guildhook_local.function import LambdaContext, loaded_function
from guildhook_local.stack import TEST_RUN
from project import ROOT
from resource_limits import little_memory
from samples import CHANNEL, MESSAGE, TIME, FixedKeys, event, limits

CONTEXT = LambdaContext("test_run", "request", deadline=time.monotonic() + 3_600)
PLUGIN_ID = UUID("6a1d0000-0000-4000-8000-000000000009")
PING = (ROOT / "plugins" / "ping" / "ping.wasm").read_bytes()

RANDOM = wat.plugin(
    wat.on_message(
        # Eight characters come from a random number, and eight from the time.
        """(i64.store (i32.const 16) (i64.or (i64.and (call $random) (i64.const 0x0f0f0f0f0f0f0f0f))
                                              (i64.const 0x4040404040404040)))
           (call $now (i32.const 64))
           (i64.store (i32.const 24) (i64.or (i64.and (i64.load (i32.const 64)) (i64.const 0x0f0f0f0f0f0f0f0f))
                                              (i64.const 0x4040404040404040)))
           (call $log (i32.const 16) (i32.const 16))
           (call $log (local.get $message) (local.get $length))""",
        """(import "host" "random" (func $random (result i64))) (import "host" "now" (func $now (param i32)))""",
    ),
    imports="""(import "wasi:random/random@0.2.3" (instance $random (export "get-random-u64" (func (result u64)))))
        (import "wasi:clocks/wall-clock@0.2.3" (instance $clock
            (type $datetime (record (field "seconds" u64) (field "nanoseconds" u32)))
            (export "datetime" (type $exported (eq $datetime)))
            (export "now" (func (result $exported)))))""",
    lowered="""(core func $random_ (canon lower (func $random "get-random-u64")))
        (core func $now_ (canon lower (func $clock "now") (memory (core memory $libc "memory"))))""",
    exported='(export "random" (func $random_)) (export "now" (func $now_))',
)
COUNTS = wat.remembers(("get", "count"), ("set", "count", "2"))


def compiled(system, wasm):
    """Have a plugin compiled, and return its artifact."""
    system.install(system.add_guild(), "plugin", wasm)
    system.compile(wasm)
    with closing(CompileStore(system.database)) as store:
        return store.artifact(sha256(wasm).digest(), Engine().fingerprint)


@pytest.fixture
def compile_(shared_system):
    """Compiles a plugin, and returns its artifact."""
    return lambda wasm: compiled(shared_system, wasm)


def request(*artifacts, **fields):
    return TrialRequest(
        **{
            "artifacts": artifacts,
            "plugin_id": PLUGIN_ID,
            "guild_id": MESSAGE.guild_id,
            "settings": {},
            "permissions": frozenset({"SEND_MESSAGES"}),
            "state": {},
            "message_id": MESSAGE.id,
            "channel_id": MESSAGE.channel_id,
            "message": MESSAGE.payload,
            "now": TIME,
            "seed": 1,
            "limits": limits(),
            **fields,
        }
    )


def trials_of(system):
    """Trials over HTTP, as the admin API asks for them."""
    return Trials(AwsAccess(system.environment), system.environment["GUILDHOOK_TEST_RUN_FUNCTION"])


@pytest.fixture
def trials(shared_system):
    return trials_of(shared_system)


def test_a_trial_reports_the_effects_of_the_plugin_and_has_none(system, query, capsys):
    artifact = compiled(system, wat.sends((CHANNEL, "s3cret words")))
    trial = trials_of(system).run(request(artifact, settings={"key": "s3cret key"}))
    assert (trial.failure, trial.result.outcome) == (None, Outcome.OK)
    (intent,) = trial.result.intents
    assert (intent.channel_id, intent.content) == (CHANNEL, "s3cret words")
    assert system.chat.replies() == []
    assert query("SELECT count(*) FROM plugin_runs") == [(0,)]
    out = capsys.readouterr().out
    (line,) = (line for line in map(json.loads, out.splitlines()) if line.get("message") == "trial")
    assert (line["plugin_id"], line["outcome"]) == (str(PLUGIN_ID), "ok")
    assert '"trials":[1.0]' in out.replace(" ", "")
    assert "s3cret" not in out


def test_a_failure_and_a_denied_call_are_results_as_well(compile_, trials):
    assert trials.run(request(compile_(wat.TRAPS))).result.outcome is Outcome.TRAP
    denied = trials.run(request(compile_(wat.sends((CHANNEL, "hello"))), permissions=frozenset())).result
    assert (denied.outcome, denied.intents) == (Outcome.OK, ())
    assert "lacks the permission SEND_MESSAGES" in denied.logs[0]
    looped = trials.run(request(compile_(wat.LOOPS), limits=limits(fuel=1_000))).result
    assert (looped.outcome, looped.fuel_used) == (Outcome.OUT_OF_FUEL, 1_000)


@pytest.mark.parametrize("wasm", [RANDOM, COUNTS, PING], ids=["random", "counts", "ping"])
def test_a_recorded_run_that_is_given_again_does_exactly_the_same(system, wasm):
    trials = trials_of(system)
    guild = system.add_guild()
    plugin_id = system.install(guild, "plugin", wasm, {"SEND_MESSAGES"}, {"setting": "on"})
    system.compile(wasm)
    # An earlier run wrote its state.
    with psycopg.connect(system.database_url, autocommit=True) as connection:
        connection.execute("INSERT INTO plugin_state VALUES (%s, 1, %s)", [plugin_id, '{"count": "1"}'])
    body = json.dumps(event(guild.id, guild.channel_id))
    system.send_event(body, guild.id)
    assert system.mapping.poll() == 1
    with psycopg.connect(system.database_url, row_factory=dict_row) as connection:
        run = connection.execute("SELECT * FROM plugin_runs").fetchone()
        sent = connection.execute(
            "SELECT key::text, position, channel_id::text, content FROM plugin_intents"
        ).fetchall()
        state = connection.execute("SELECT entries FROM plugin_state").fetchone()["entries"]
    with closing(CompileStore(system.database)) as store:
        artifact = store.artifact(sha256(wasm).digest(), Engine().fingerprint)
    read = parse_event(body, datetime.now(UTC))
    assert isinstance(read, Event)
    again = request(
        artifact,
        plugin_id=plugin_id,
        guild_id=guild.id,
        settings={"setting": "on"},
        state={"count": "1"},
        message_id=run["message_id"],
        channel_id=guild.channel_id,
        message=read.message.payload,
        now=run["message_time"],
        seed=run["seed"],
    )
    first, second = trials.run(again).result, trials.run(again).result
    timeless = [msgspec.structs.replace(result, duration_us=0, cpu_us=0) for result in (first, second)]
    assert timeless[0] == timeless[1]
    assert (first.outcome, first.detail) == (run["outcome"], run["detail"])
    assert (first.fuel_used, first.host_calls) == (run["fuel_used"], run["host_calls"])
    assert list(first.logs) == run["logs"]
    assert [{**msgspec.to_builtins(intent)} for intent in first.intents] == [
        {**each, "kind": "send_message"} for each in sent
    ]
    assert (first.state or {"count": "1"}) == state
    # Another seed or another time would change the run.
    if wasm is RANDOM:
        assert trials.run(msgspec.structs.replace(again, seed=run["seed"] ^ 255)).result.logs[0] != first.logs[0]


def test_an_artifact_of_another_engine_is_not_run(compile_, trials):
    artifact = compile_(wat.SILENT)
    other = replace(artifact, engine="another")
    assert trials.run(request(other)).failure is TrialFailure.NOT_COMPILED
    assert trials.run(request()).failure is TrialFailure.NOT_COMPILED
    assert trials.run(request(other, artifact)).result.outcome is Outcome.OK


SPIES = wat.logs("native code of an attacker")


@pytest.mark.parametrize(
    "forge",
    [
        lambda planted, genuine: planted,
        lambda planted, genuine: replace(planted, signature=genuine.signature),
        lambda planted, genuine: ArtifactSigner(FixedKeys(ArtifactSigningKeys("the attacker's own signing key"))).sign(
            planted
        ),
        lambda planted, genuine: replace(genuine, object_sha256=planted.object_sha256, object_size=planted.object_size),
        lambda planted, genuine: replace(genuine, sha256=planted.sha256, size=planted.size),
    ],
    ids=["unsigned", "the signature of another", "by the attacker's key", "another object", "other native code"],
)
def test_an_attacker_who_invokes_it_and_writes_the_bucket_cannot_have_native_code_loaded(system, capsys, forge):
    genuine, trials = compiled(system, wat.SILENT), trials_of(system)
    native = Engine().compile_here(SPIES)
    planted, data = signed_off(wat.SILENT, genuine.engine, native, compress(native), genuine.memories)
    planted = replace(planted, signature=b"")
    key = artifact_key(genuine.wasm_sha256, genuine.engine)
    system.aws.client("s3").put_object(Bucket=system.bucket, Key=key, Body=data)
    trial = trials.run(request(forge(planted, genuine)))
    assert (trial.failure, trial.result) == (TrialFailure.NOT_COMPILED, None)
    out = capsys.readouterr().out
    assert "no key of GUILDHOOK_ARTIFACT_PUBLIC_KEYS has signed it" in out
    assert '"modules_discarded":[1.0]' in out.replace(" ", "")


@pytest.mark.parametrize("memories", [(), (MemoryType(0, 1),), (MemoryType(1, 1), MemoryType(1, 1))])
def test_a_lie_about_the_memories_is_noticed(system, memories):
    artifact, trials = compiled(system, wat.SILENT), trials_of(system)
    assert artifact.memories != memories
    assert trials.run(request(replace(artifact, memories=memories))).failure is TrialFailure.NOT_COMPILED
    assert trials.run(request(artifact)).result.outcome is Outcome.OK


def test_a_request_of_the_release_before_has_no_signature_and_is_answered_as_not_compiled(handler, compile_):
    event = msgspec.to_builtins(request(compile_(wat.logs("release"))))
    for artifact in event["artifacts"]:
        del artifact["signature"]
    assert handler(event, CONTEXT)["failure"] == "not_compiled"


def test_bytes_that_postgres_does_not_vouch_for_are_not_run(system):
    artifact, trials = compiled(system, wat.SILENT), trials_of(system)
    s3 = system.aws.client("s3")
    (item,) = s3.list_objects_v2(Bucket=system.bucket, Prefix="artifacts/")["Contents"]
    s3.put_object(Bucket=system.bucket, Key=item["Key"], Body=b"something else")
    assert trials.run(request(artifact)).failure is TrialFailure.NOT_COMPILED
    s3.delete_object(Bucket=system.bucket, Key=item["Key"])
    assert trials.run(request(artifact)).failure is TrialFailure.NOT_COMPILED


def test_a_machine_without_memory_for_the_run_is_no_failure_of_the_plugin(shared_system, compile_):
    artifact = compile_(wat.SILENT)
    with loaded_function(TEST_RUN, shared_system.environment) as handler:
        assert msgspec.convert(handler(msgspec.to_builtins(request(artifact)), CONTEXT), TrialResult).result
        with little_memory(200):
            answer = handler(msgspec.to_builtins(request(artifact)), CONTEXT)
    trial = msgspec.convert(answer, TrialResult)
    assert trial.failure is TrialFailure.UNAVAILABLE
    assert "Cannot allocate memory" in trial.detail


def test_a_bucket_that_does_not_answer_is_said(shared_system, compile_):
    artifact = compile_(wat.logs("of this test alone, so that no cache has it"))
    environment = {**shared_system.environment, "GUILDHOOK_ARTIFACT_BUCKET": "no-such-bucket"}
    with loaded_function(TEST_RUN, environment) as handler:
        answer = handler(msgspec.to_builtins(request(artifact)), CONTEXT)
    trial = msgspec.convert(answer, TrialResult)
    assert trial.failure is TrialFailure.UNAVAILABLE
    assert "NoSuchBucket" in trial.detail


@pytest.fixture
def handler(shared_system):
    with loaded_function(TEST_RUN, shared_system.environment) as handler:
        yield handler


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"seed": -1}, "seed"),
        ({"seed": "s3cret"}, "seed"),
        ({"now": "2026-01-25T12:00:00"}, "now"),
        ({"limits": {"fuel": -1}}, "limits"),
        ({"artifacts": [{}]}, "artifacts"),
        ({"state": {"key": 1}}, "state"),
    ],
)
def test_a_malformed_request_is_answered_with_the_reason(handler, capsys, change, reason):
    answer = handler({**msgspec.to_builtins(request()), **change}, CONTEXT)
    assert answer["failure"] == "invalid"
    assert reason in answer["detail"]
    assert "s3cret" not in answer["detail"] + capsys.readouterr().out


def test_a_limit_that_is_null_has_its_default(handler, compile_):
    asked = msgspec.to_builtins(request(compile_(wat.SILENT)))
    answers = [handler({**asked, "limits": given}, CONTEXT) for given in ({}, {"fuel": None, "sends": None})]
    assert [answer["result"]["outcome"] for answer in answers] == ["ok", "ok"]


def test_a_request_or_result_that_is_too_large_is_not_sent(compile_, trials):
    too_much = trials.run(request(message="x" * 6_000_000))
    assert (too_much.failure, too_much.result) == (TrialFailure.INVALID, None)
    assert "the limit is 5242880" in too_much.detail
    generous = limits(log_bytes=2**24, log_line_bytes=2**23, host_call_bytes=2**24, memory_bytes=2**25)
    wasm = wat.plugin(wat.on_message("(call $log (i32.const 0) (i32.const 6000000))"), memory="100")
    talkative = trials.run(request(compile_(wasm), limits=generous))
    assert talkative.failure is TrialFailure.INVALID
    assert "a trial can show 5242880" in talkative.detail


def test_the_function_needs_neither_a_database_nor_a_secret(shared_system):
    names = ("AWS_", "GUILDHOOK_ARTIFACT_", "GUILDHOOK_CACHE_DIR")
    environment = {name: value for name, value in shared_system.environment.items() if name.startswith(names)}
    command = [sys.executable, str(TEST_RUN / "app.py")]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_a_missing_variable_ends_the_start_with_one_line(shared_system):
    environment = {
        name: value for name, value in shared_system.environment.items() if name != "GUILDHOOK_ARTIFACT_BUCKET"
    }
    command = [sys.executable, str(TEST_RUN / "app.py")]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert ended.stderr == (
        "guildhook: wrong environment: GUILDHOOK_ARTIFACT_BUCKET: missing; wants: S3 bucket of compiled plugins\n"
    )


def test_a_function_that_does_not_answer_is_an_infrastructure_error(shared_system):
    access = AwsAccess({**shared_system.environment, "AWS_ENDPOINT_URL_LAMBDA": "http://127.0.0.1:1"})
    trials = Trials(access, shared_system.environment["GUILDHOOK_TEST_RUN_FUNCTION"])
    with pytest.raises(InfrastructureError, match=r"function test_run \(GUILDHOOK_TEST_RUN_FUNCTION\)"):
        trials.run(request())
