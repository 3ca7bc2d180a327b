"""The documents agree with the code."""

import json
import re
from dataclasses import MISSING, fields

import pytest
from typer.testing import CliRunner

from docs.blocks import DOCUMENTS
from emitted import texts
from guildhook.admin.problems import KINDS
from guildhook.configuration import (
    WANTS,
    AdminConfiguration,
    CompileFunctionConfiguration,
    MigrateConfiguration,
    SweepConfiguration,
    TrialConfiguration,
    WorkerConfiguration,
)
from guildhook.sandbox import Limits
from guildhook_local.cli import app
from project import ROOT

FUNCTIONS = {
    "on_message": WorkerConfiguration,
    "compile_plugin": CompileFunctionConfiguration,
    "sweep": SweepConfiguration,
    "migrate": MigrateConfiguration,
    "admin_api": AdminConfiguration,
    "test_run": TrialConfiguration,
}
DECISIONS = sorted((ROOT / "docs" / "decisions").glob("[0-9]*.md"))


def test_every_variable_is_documented_with_its_default_and_readers():
    text = (ROOT / "docs" / "configuration.md").read_text()
    rows = re.findall(r"^\| `(GUILDHOOK_\w+)` \| (.*) \| ([^|]+) \|$", text, re.MULTILINE)
    documented = {name: default.strip("`").split(" (")[0] for name, _, default in rows}
    meanings = {name: meaning.split(" | ")[1] for name, meaning, _ in rows if "LIMITS__" not in name}
    settings = {setting.name: setting for kind in FUNCTIONS.values() for setting in fields(kind)}
    expected = {f"GUILDHOOK_{name.upper()}": default(setting) for name, setting in settings.items() if name != "limits"}
    expected |= {f"GUILDHOOK_LIMITS__{limit.name.upper()}": str(limit.default) for limit in fields(Limits)}
    assert documented == expected
    assert [name for name, meaning in meanings.items() if not meaning.startswith(WANTS[setting_of(name)])] == []
    readers = {name: reader.split(" |")[0] for name, reader, _ in rows if "LIMITS__" not in name}
    assert readers == {f"GUILDHOOK_{name.upper()}": readers_of(name) for name in settings if name != "limits"}


def setting_of(variable):
    return variable.removeprefix("GUILDHOOK_").lower()


def readers_of(name):
    readers = [f"`{function}`" for function, kind in FUNCTIONS.items() if name in {s.name for s in fields(kind)}]
    return "all" if len(readers) == len(FUNCTIONS) else ", ".join(readers)


def default(setting):
    if setting.default_factory is not MISSING:
        return str(setting.default_factory())
    if setting.default is None or isinstance(setting.default, bool):
        return str(setting.default).lower()
    return "needed" if setting.default is MISSING else str(setting.default)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_leads_to_a_file_and_a_heading(document):
    """The strict build of the site (`make docs`) finds the same, and more; this needs no Sphinx."""
    dead = []
    for link in re.findall(r"\]\((?!https?:)([^)]+)\)", document.read_text()):
        path, _, anchor = link.partition("#")
        target = document.parent / path if path else document
        if not target.exists() or (anchor and anchor not in anchors(target)):
            dead.append(link)
    assert dead == []


def anchors(document):
    """The anchors that a forge gives to the headings of a document."""
    headings = re.findall(r"^#+ (.+)$", document.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}


def test_every_decision_has_its_four_parts_and_a_row_in_the_index():
    """Numbers run from 1 without a gap. The index has the title and the sentence of each record."""
    assert [path.name[:4] for path in DECISIONS] == [f"{number:04}" for number in range(1, len(DECISIONS) + 1)]
    index = (ROOT / "docs" / "decisions" / "README.md").read_text()
    rows = re.findall(r"^\| \[(\d{4})\]\((\S+)\) \| (.*) \| (.*) \|$", index, re.MULTILINE)
    assert rows == [(path.name[:4], path.name, *heading_of(path)) for path in DECISIONS]
    parts = ["Context", "Decision", "Consequences", "Reasons to change it"]
    assert [path.name for path in DECISIONS if re.findall(r"^## (.*)$", path.read_text(), re.MULTILINE) != parts] == []


def heading_of(path):
    """The title of a record, without its number, and the sentence below it."""
    title, sentence = path.read_text().split("\n\n")[:2]
    return title.removeprefix(f"# {path.name[:4]}. "), sentence.replace("\n", " ")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_command_in_the_documents_exists(document):
    text = document.read_text()
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"(?:^|`)make ([a-z-]+)", text, re.MULTILINE)) <= targets
    commands = {command.name or command.callback.__name__ for command in app.registered_commands}
    assert set(re.findall(r"guildhook (?=[a-z]+ (?:--|[\w/]+\.wasm))([a-z]+)", text)) <= commands


def test_the_admin_api_is_documented_with_its_problems_and_paths():
    text = (ROOT / "docs" / "api.md").read_text()
    documented = {
        (kind, int(status))
        for kinds, status in re.findall(r"^\| (`[^|]+`) \| (\d{3}) \|", text, re.MULTILINE)
        for kind in re.findall(r"`([a-z-]+)`", kinds)
    }
    assert documented == {(kind, status) for kind, (status, _) in KINDS.items()}
    declared = {
        (method.upper(), path.removeprefix("/api/guilds/{guild_id}"))
        for path, methods in json.loads((ROOT / "web" / "openapi.json").read_text())["paths"].items()
        for method in methods
    }
    named = set(re.findall(r"`(GET|POST|PUT|PATCH|DELETE) (/[^`]+)`", text))
    assert len(named) > 8
    assert named <= declared


def test_log_lines_and_stages_in_the_documents_are_those_of_the_source():
    text = (ROOT / "docs" / "observability.md").read_text()
    lines = re.findall(r"^\| (?:ERROR|WARNING|INFO|DEBUG) \| `([^`]+)`", text, re.MULTILINE)
    assert len(lines) > 10
    assert [line for line in lines if not any(each.startswith(line) for each in texts())] == []
    table = text[text.index("| function | stages |") :].partition("\n\n")[0]
    rows = re.findall(r"^\| `\w+` \| (.*) \|$", table, re.MULTILINE)
    source = [path.read_text() for folder in ("layers", "functions") for path in (ROOT / folder).rglob("*.py")]
    stages = {name for code in source for name in re.findall(r'stage\("(\w+)"', code)}
    assert {name for row in rows for name in re.findall(r"`(\w+)`", row)} == stages - {"handler"}


def test_help_lists_every_command():
    out = CliRunner().invoke(app, ["--help"]).stdout
    assert all(command in out for command in ("run", "check", "demo", "migrate"))
