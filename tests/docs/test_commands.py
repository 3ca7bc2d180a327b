"""Every command line of the documents is run here, or has a marker with the reason why it is not.

A block of commands is opened by ```sh, and a session with its output by ```console. Blocks without a marker are run in
a folder that has copies of the files in them. The markers:

- `serve`: the commands talk to the system that `guildhook serve` runs, and are run against it.
- `aws`: they need an AWS account, or the stack that is deployed there.
- `kept`, besides `aws`: tests/infra/test_taking_up.py runs them against moto.
- `restored`, besides `aws`: tests/infra/test_restoring.py runs them against moto.
- `docker`: they need Docker Engine; tests/sam_local tests the same functions.
- `toolchain`: they need the toolchain of another language. tests/plugins and test_wasi.py run those of JavaScript and
  Python.
- `long`: they take minutes or run until they are interrupted, and are targets of the Makefile.
"""

import io
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import redirect_stdout
from functools import reduce
from pathlib import Path

import pytest
import typer.main

from docs.blocks import DOCUMENTS, Block, all_blocks
from guildhook_local.cli import app
from guildhook_local.serve import Served, serving
from infra.templates import read_template
from project import ROOT

BLOCKS = all_blocks()
SHELL = [block for block in BLOCKS if block.language in {"sh", "console"}]
MARKERS = {"serve", "operator", "aws", "docker", "toolchain", "long"}
TESTED_ELSEWHERE = {("aws", "kept"), ("aws", "restored")}
TOKEN = "TOKEN=$(curl"
"""The block with this gets an access token."""

Run = Callable[[str, Mapping[str, str]], str]


def marked(marker: str) -> list[Block]:
    return [block for block in SHELL if marker in block.markers]


def script(block: Block) -> str:
    """The commands of a block, without a session's output."""
    if block.language == "console":
        return "".join(f"{command}\n" for command in re.findall(r"^\$ (.+)$", block.text, re.MULTILINE))
    return block.text


def by_id(block: Block) -> str:
    return str(block)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Runs a script in a folder that has the files which the documents name; returns its output."""
    for name in ("plugins", "wit", "events"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("node_modules"))
    (tmp_path / ".venv").symlink_to(sys.prefix)
    shutil.copy(ROOT / "plugins" / "welcome" / "welcome.wasm", tmp_path / "plugin.wasm")
    (schema,) = [block.text for block in BLOCKS if block.language == "json" and "additionalProperties" in block.text]
    (tmp_path / "schema.json").write_text(schema)

    def run(commands: str, environment: Mapping[str, str]) -> str:
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        ended = subprocess.run(
            ["bash", "-euo", "pipefail"],
            input=commands,
            capture_output=True,
            text=True,
            check=False,
            cwd=tmp_path,
            env={**os.environ, "PATH": path, **environment},
            timeout=120,
        )
        assert ended.returncode == 0, ended.stderr
        return ended.stdout

    return run


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    missing = [tool for tool in ("curl", "jq", "openssl") if not shutil.which(tool)]
    if missing:
        pytest.skip(f"the documented commands need {' and '.join(missing)}")
    # Functions print their log.
    with redirect_stdout(io.StringIO()), serving("127.0.0.1", history=False) as served:
        yield served


def test_every_block_has_a_language_and_known_markers():
    assert [str(block) for block in BLOCKS if block.language not in {"sh", "console", "text", "json", "sql"}] == []
    assert [str(block) for block in BLOCKS if block not in SHELL and block.markers] == []
    unknown = [block for block in SHELL if len(block.markers) > 1 or not set(block.markers) <= MARKERS]
    assert [str(block) for block in unknown if block.markers not in TESTED_ELSEWHERE] == []


def test_only_blocks_of_commands_have_commands():
    commands = re.compile(r"^(\$ |make |sam |aws |curl |guildhook |\.venv)", re.MULTILINE)
    assert [str(block) for block in BLOCKS if block not in SHELL and commands.search(block.text)] == []


@pytest.mark.parametrize("block", SHELL, ids=by_id)
def test_the_shell_understands_every_block(block):
    subprocess.run(["bash", "-n"], input=script(block), text=True, check=True)


@pytest.mark.parametrize("block", [block for block in SHELL if not block.markers], ids=by_id)
def test_commands_that_need_nothing_run(run, block):
    run(script(block), {})


@pytest.mark.parametrize("block", marked("serve"), ids=by_id)
def test_commands_for_the_served_system_run(run, served, block):
    (token,) = [script(each) for each in marked("serve") if TOKEN in each.text]
    printed = {
        "http://127.0.0.1:8470": served.admin_url,
        "http://127.0.0.1:8471": served.chat_url,
        "the-key-of-the-link": served.admin_link.partition("=")[2],
        "the-token-of-the-operator": served.operator_token,
    }

    def as_printed(commands: str) -> str:
        return reduce(lambda text, name: text.replace(name, printed[name]), printed, commands)

    begin = as_printed(token)
    commands = "" if TOKEN in block.text else as_printed(script(block))
    asked = 'echo; curl --silent --fail "$API/plugins" --header "Authorization: Bearer $TOKEN"'
    output = run(f"{begin}{commands}{asked}\n", served.system.environment)
    plugins = {plugin["name"]: plugin for plugin in json.loads(output.splitlines()[-1])["items"]}
    assert "welcome" in plugins
    if "Ping" in commands:
        assert plugins["Ping"]["live"]["number"] == 1


def test_targets_of_make_exist():
    targets = set(re.findall(r"^make ([a-z-]+)", "\n".join(map(script, SHELL)), re.MULTILINE))
    assert targets
    subprocess.run(["make", "--dry-run", *sorted(targets)], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)


def test_commands_that_take_long_are_targets_of_make():
    lines = [line for block in marked("long") for line in script(block).splitlines()]
    assert [line for line in lines if not re.fullmatch(r"make [a-z-]+( *#.*)?", line)] == []


def test_functions_and_files_of_commands_in_containers_exist():
    text = "".join(map(script, marked("docker")))
    assert set(re.findall(r"local invoke (\w+)", text)) <= set(read_template()["Resources"])
    assert [file for file in re.findall(r"\b(?:events|infra)/[\w./-]+", text) if not (ROOT / file).is_file()] == []


def test_commands_within_sentences_exist_with_their_options():
    commands = typer.main.get_group(app).commands
    texts = "".join(document.read_text() for document in DOCUMENTS)
    lines = re.findall(r"`guildhook ([a-z]+)((?: [^`]*)?)`", texts)
    assert lines
    for name, arguments in lines:
        found = [commands[name]]
        if (of_group := re.match(r" ([a-z-]+)", arguments)) and hasattr(found[0], "commands"):
            found.append(found[0].commands[of_group[1]])
        options = {option for command in found for parameter in command.params for option in parameter.opts}
        assert set(re.findall(r"(?<= )--?[a-z][a-z-]*", arguments)) <= options, f"guildhook {name}{arguments}"
