import subprocess
import sys
from hashlib import sha256

import psycopg
import pytest

import wat


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
    assert guildhook("recompile")[:2] == (0, "0 compiled, 0 refused, 0 could not be compiled yet\n")


def test_recompile_for_people_names_refused_plugins(configured, guildhook):
    status, out, _ = guildhook("recompile")
    assert status == 0
    assert out.splitlines()[0] == "1 compiled, 1 refused, 0 could not be compiled yet"
    assert out.splitlines()[1].startswith(f"{sha256(b'garbage').hexdigest()}: this is not a WebAssembly component")


def test_a_plugin_that_cannot_be_compiled_yet_is_compiled_by_the_next_call(configured, as_json, guildhook, monkeypatch):
    with monkeypatch.context() as broken:
        broken.setattr("sys.executable", "/no/such/python")
        status, result = as_json("recompile")
        assert (status, result["compiled"]) == (3, 0)
        (failed,) = result["failed"]
        assert failed["reason"] == "cannot run the compile process: No such file or directory"
        status, out, _ = guildhook("recompile")
        assert (status, out.splitlines()[0]) == (3, "0 compiled, 0 refused, 1 could not be compiled yet")
    assert as_json("recompile") == (0, {"compiled": 1, "refused": [], "failed": []})


def test_public_keys_are_printed_as_the_functions_read_them(configured, as_json, guildhook):
    keys = configured.environment["GUILDHOOK_ARTIFACT_PUBLIC_KEYS"]
    assert guildhook("public-keys")[:2] == (0, f"{keys}\n")
    assert as_json("public-keys") == (0, {"public_keys": keys})


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


@pytest.mark.parametrize("command", ["recompile", "prune", "public-keys"])
def test_commands_that_compile_name_their_missing_variables(failure, command):
    status, line = failure(command)
    assert status == 2
    assert line == (
        "wrong environment: GUILDHOOK_DATABASE_URL: missing; wants: PostgreSQL 16 or newer, "
        "`postgresql://user@host:5432/database` | GUILDHOOK_ARTIFACT_BUCKET: missing; wants: S3 bucket of compiled "
        "plugins | GUILDHOOK_SIGNING_SECRET: missing; wants: name or ARN of a secret in Secrets Manager, JSON with "
        "`signing_key`, which signs compiled plugins"
    )
