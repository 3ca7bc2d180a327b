"""The embedded stack in shells that have settings of their own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from guildhook_local.built_environment import built_environment, is_usable
from project import ROOT

GUILDHOOK = Path(sys.executable).parent / "guildhook"
PING = ROOT / "plugins" / "ping" / "ping.wasm"
NOWHERE = "http://127.0.0.1:9"
ODD = {
    # Each would end the demo, or change its result, if a client or a server took it over.
    "ALL_PROXY": NOWHERE,
    "AWS_ACCESS_KEY_ID": "of the user",
    "AWS_CA_BUNDLE": "/nowhere",
    "AWS_CONFIG_FILE": "/nowhere",
    "AWS_ENDPOINT_URL": NOWHERE,
    "AWS_ENDPOINT_URL_LAMBDA": NOWHERE,
    "AWS_ENDPOINT_URL_S3": NOWHERE,
    "AWS_ENDPOINT_URL_SECRETS_MANAGER": NOWHERE,
    "AWS_ENDPOINT_URL_SQS": NOWHERE,
    "AWS_PROFILE": "nowhere",
    "AWS_REGION": "us-gov-west-1",
    "AWS_SESSION_TOKEN": "of the user",
    "AWS_USE_DUALSTACK_ENDPOINT": "true",
    "AWS_USE_FIPS_ENDPOINT": "true",
    "GUILDHOOK_DATABASE_URL": "postgresql://nowhere",
    "GUILDHOOK_LIMITS__FUEL": "none",
    "HTTPS_PROXY": NOWHERE,
    "HTTP_PROXY": NOWHERE,
    "LC_ALL": "xx_YY",
    "LANGUAGE": "xx",
    "NO_PROXY": "",
    "PGDATABASE": "nowhere",
    "PGDATESTYLE": "German",
    "PGHOST": "nowhere.invalid",
    "PGHOSTADDR": "192.0.2.1",
    "PGOPTIONS": "-c nothing=there",
    "PGPASSFILE": "/nowhere",
    "PGPASSWORD": "of the user",
    "PGPORT": "9",
    "PGSERVER_POSTGRES_VERSION": "99",
    "PGSERVICE": "nowhere",
    "PGSSLMODE": "verify-full",
    "PGSSLROOTCERT": "/nowhere",
    "PGTZ": "Nowhere/Nowhere",
    "PGUSER": "nobody",
    "PYTHONSTARTUP": "/nowhere",
    "PYTHONWARNINGS": "error",
    "REQUESTS_CA_BUNDLE": "/nowhere",
    "TZ": "Nowhere/Nowhere",
    "all_proxy": NOWHERE,
    "http_proxy": NOWHERE,
    "https_proxy": NOWHERE,
    "no_proxy": "",
}


@pytest.fixture
def odd_folder(tmp_path):
    folder = tmp_path / ("a" * 90) / "a 'b' \"c\" $(touch d)"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def shell(odd_folder, tmp_path):
    """The environment of a shell with all of them. One module of its PYTHONPATH hides another one's."""
    (tmp_path / "shadow").mkdir()
    (tmp_path / "shadow" / "psycopg.py").write_text("raise ImportError('shadowed')")
    kept = {name: os.environ[name] for name in ("HOME", "PATH")}
    return {**kept, **ODD, "PYTHONPATH": str(tmp_path / "shadow"), "TMPDIR": str(odd_folder)}


def guildhook(environment, *arguments, umask=-1):
    ended = subprocess.run(
        [GUILDHOOK, *map(str, arguments)], env=environment, capture_output=True, text=True, check=False, umask=umask
    )
    return ended.returncode, ended.stdout, ended.stderr


def test_the_demo_takes_nothing_over_from_a_shell_and_leaves_nothing_behind(shell, odd_folder):
    status, out, err = guildhook(shell, "demo", "--json", umask=0o777)
    assert status == 0, err
    result = json.loads(out)
    assert (result["outcome"], [reply["content"] for reply in result["replies"]]) == ("ok", ["pong"])
    assert list(odd_folder.iterdir()) == []


@pytest.mark.parametrize("closed", ["<&-", ">&-", "<&- >&-"])
@pytest.mark.parametrize("command", ["demo", "serve"])
def test_a_closed_stream_is_no_fault_of_the_environment(shell, command, closed):
    ended = subprocess.run(
        ["bash", "-c", f'"$0" {command} --nonsense {closed}', GUILDHOOK],
        env={**shell, "LC_ALL": "C"},  # bash warns of an unknown one
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stderr.count("\n")) == (2, 1)
    assert ended.stderr.startswith("guildhook: No such option: --nonsense")


@pytest.mark.parametrize("command", [("run", PING, "--message", "!ping", "--allow", "SEND_MESSAGES"), ("check", PING)])
def test_a_plugin_runs_in_a_shell_with_settings_of_its_own(shell, command):
    status, out, err = guildhook(shell, *command, "--json")
    assert (status, err) == (0, "")
    assert json.loads(out)


def test_a_folder_that_cannot_work_is_named_in_one_line(tmp_path):
    odd = tmp_path / "\udcff"
    odd.mkdir()
    status, out, err = guildhook({**os.environ, "TMPDIR": str(odd)}, "run", PING)
    assert (status, out) == (2, "")
    assert err == "guildhook: TMPDIR is not UTF-8, which wasmtime needs; set TMPDIR to another folder\n"


def test_tests_run_in_a_built_environment(shell, tmp_path):
    (tmp_path / "test_it.py").write_text(
        "import json, os, pathlib\ndef test(): pathlib.Path('seen').write_text(json.dumps(dict(os.environ)))"
    )
    plugins = ("-p", "guildhook_local.pytest_environment", "-p", "no:cacheprovider")
    command = [sys.executable, "-m", "pytest", *plugins]
    own = {"DOCKER_HOST": "unix:///nowhere", "GUILDHOOK_DOCKER": "optional", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    subprocess.run([*command, "test_it.py"], env=shell | own, cwd=tmp_path, check=True, stdout=subprocess.DEVNULL)
    seen = json.loads((tmp_path / "seen").read_text())
    assert own.items() <= seen.items()
    assert [name for name in ODD if seen.get(name) == ODD[name]] == []


def test_an_environment_is_built_of_a_few_variables_and_once():
    terminal = {"TERM": "xterm", "COLUMNS": "80"}
    shell = {"HOME": "/home/ada", "PATH": "/bin", "SECRET": "s", "PGHOST": "x", "A_B": "1", "B": "2", **terminal}
    built = built_environment(shell, {"B"}, ("A_",))
    kept = {"HOME": "/home/ada", "PATH": "/bin", "A_B": "1", "B": "2"}
    assert built == {**kept, **terminal, "LC_ALL": "C.UTF-8"}
    assert built_environment(built, {"B"}, ("A_",)) == built
    assert built_environment({}) == {"PATH": os.defpath, "LC_ALL": "C.UTF-8"}


def test_a_folder_for_temporary_files_is_kept_if_it_can_be_used(tmp_path, odd_folder):
    assert built_environment({"TMPDIR": str(odd_folder)})["TMPDIR"] == str(odd_folder)
    (tmp_path / "file").touch()
    for folder in ("", "relative", str(tmp_path / "missing"), str(tmp_path / "file"), f"{tmp_path}/\udcff"):
        assert not is_usable(folder)
        assert "TMPDIR" not in built_environment({"TMPDIR": folder})
