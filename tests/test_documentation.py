"""The documents agree with the code."""

import fnmatch
import json
import os
import re
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from chaos.faults import KINDS as FAULTS
from docs.blocks import DOCUMENTS
from emitted import texts
from guildhook.admin.guards import MAX_BODY_BYTES
from guildhook.admin.problems import KINDS
from guildhook.configuration import CONFIGURATIONS, AdminConfiguration, variables
from guildhook.model import Outcome, Permission, QuarantineRules
from guildhook.plugin_settings.schema import MAX_SETTINGS_BYTES, MAX_SETTINGS_LEVELS
from guildhook.sandbox import Limits
from guildhook.sandbox.compiling import wrapper
from guildhook.sandbox.compiling.child_process import CompileLimits
from guildhook.sandbox.compiling.inspection import MAX_WASM_BYTES
from guildhook.sandbox.engine import TICK_SECONDS
from guildhook_local.cli import app
from hostile.pack import Case
from infra.templates import read_template
from project import ROOT

DECISIONS = sorted((ROOT / "docs" / "decisions").glob("[0-9]*.md"))


def test_every_variable_is_documented_with_its_default_and_readers():
    text = (ROOT / "docs" / "reference" / "configuration.md").read_text()
    rows = re.findall(r"^\| `(GUILDHOOK_\w+)` \| (.*) \| ([^|]+) \|$", text, re.MULTILINE)
    documented = {name: default.strip("`").split(" (")[0] for name, _, default in rows}
    meanings = {name: meaning.split(" | ")[1].lower() for name, meaning, _ in rows if "LIMITS__" not in name}
    described = {each.name: each for kind in CONFIGURATIONS.values() for each in variables(kind)}
    limits = described.pop("GUILDHOOK_LIMITS")
    assert documented == {
        **{name: default(each) for name, each in described.items()},
        **{f"{limits.name}__{limit.name.upper()}": str(limit.default) for limit in fields(Limits)},
    }
    assert [n for n, meaning in meanings.items() if not meaning.startswith(described[n].variable.value.lower())] == []
    readers = {name: reader.split(" |")[0] for name, reader, _ in rows if "LIMITS__" not in name}
    assert readers == {name: readers_of(name) for name in described}


def readers_of(name):
    readers = [function for function, kind in CONFIGURATIONS.items() if name in {each.name for each in variables(kind)}]
    return ", ".join(f"`{function}`" for function in readers)


def default(described):
    value = described.default
    if value is MISSING:
        return "needed"
    return str(value).lower() if value is None or isinstance(value, bool) else str(value)


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
    """The numbers run from 1 without a gap. The index has the title and the sentence of each record."""
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
    commands |= {group.name for group in app.registered_groups}
    assert set(re.findall(r"guildhook (?=[a-z]+ (?:--|[\w/]+\.wasm))([a-z]+)", text)) <= commands


def test_figures_in_the_readme_are_those_of_the_latest_run():
    readme = (ROOT / "README.md").read_text()
    table = readme[readme.index("| figure | measured |") :].partition("\n\n")[0]
    figures = re.findall(r"[\d,.]*\d (?:µs|ms|MiB|messages a second)", table)
    text = (ROOT / "docs" / "performance.md").read_text()
    latest = text[text.index("| figure | measured | against |") :].partition("\n\n")[0]
    assert len(figures) == 7
    assert [figure for figure in figures if f"| {figure.replace('messages a second', 'msg/s')} |" not in latest] == []


def test_every_command_of_the_makefile_is_in_the_table_for_contributors():
    explained = re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE)
    table = re.findall(r"^\| (`make .*?) \|", (ROOT / "CONTRIBUTING.md").read_text(), re.MULTILINE)
    assert {name for cell in table for name in re.findall(r"`make ([a-z-]+)`", cell)} == set(explained)


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
    emitted = texts()
    assert [line for line in lines if not any(each.startswith(line) for each in emitted)] == []
    table = text[text.index("| function | stages |") :].partition("\n\n")[0]
    rows = re.findall(r"^\| `\w+` \| (.*) \|$", table, re.MULTILINE)
    source = [path.read_text() for folder in ("layers", "functions") for path in (ROOT / folder).rglob("*.py")]
    stages = {name for code in source for name in re.findall(r'stage\("(\w+)"', code)}
    assert {name for row in rows for name in re.findall(r"`(\w+)`", row)} == stages - {"handler"}


PATH = re.compile(r"`([\w.*-]+(?:/[\w.*-]+)*(?:/|\.(?:py|md|toml|yaml|wat|c|h|wasm|wit|sql|json|txt|in|tsx?|mk)))`")
NOT_IN_THE_PROJECT = {
    ".aws-sam/",
    ".aws-sam/env.json",
    "Database/template.yaml",
    "Network/template.yaml",
    "answer.json",
    "artifacts/",
    "exports/",
    "uploads/",
    "ApiUrl/",
    "cases/NAME.wat",
    "command-line/",
    "dist/",
    "docs/decisions.md",
    "secret.json",
    "site/",
}
"""Names in the documents of files that commands make, that a reader makes, or that were there before."""


@pytest.fixture(scope="module")
def project_paths():
    """Every file and folder of the project, as paths from its root and without their first folders."""
    made = {".git", ".venv", ".venv-sam", ".venv-policy", ".venv-lock", ".aws-sam", "node_modules", "site"}
    found = set()
    for folder, folders, files in os.walk(ROOT):
        folders[:] = [name for name in folders if name not in made]
        for name in (*folders, *files):
            parts = Path(folder, name).relative_to(ROOT).parts
            found |= {"/".join(parts[begin:]) for begin in range(len(parts))}
    return found


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_path_in_a_document_exists(document, project_paths):
    """A document may leave out the first folders of a path."""
    named = {name.rstrip("/") for name in PATH.findall(document.read_text()) if name not in NOT_IN_THE_PROJECT}
    assert {name for name in named - project_paths if not fnmatch.filter(project_paths, name)} == set()


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_prose_is_wrapped_at_120_characters(document):
    """Tables, code and pictures are not wrapped."""
    prose = re.sub(r"^( *)```.*?^ *```$", "", document.read_text(), flags=re.MULTILINE | re.DOTALL)
    lines = [line for line in prose.splitlines() if not line.lstrip().startswith(("|", "!["))]
    assert [line for line in lines if len(line) > 120] == []


def test_limits_in_the_guide_for_authors_are_the_defaults():
    text = (ROOT / "docs" / "plugins.md").read_text()
    table = text[text.index("| limit | default |") :].partition("\n\n")[0]
    documented = [amount(cell) for cell in re.findall(r"\| ([^|]+) \|$", table, re.MULTILINE)[2:]]
    limits = Limits()
    assert documented == [
        limits.fuel,
        limits.memory_bytes,
        limits.deadline_ms,
        limits.host_calls,
        limits.host_call_bytes,
        limits.sends,
        limits.content_chars,
        limits.state_keys,
        limits.state_key_bytes,
        limits.state_bytes,
        limits.log_lines,
        limits.log_line_bytes,
        limits.log_bytes,
    ]


def amount(cell):
    """The number in a cell such as "16 MiB" or "4,000"."""
    number, unit = re.fullmatch(r"([\d,]+)(?: (KiB|MiB|ms))?", cell).groups()
    return int(number.replace(",", "")) * {"KiB": 1024, "MiB": 1024**2}.get(unit, 1)


def test_outcomes_in_the_documents_are_those_of_a_run():
    text = (ROOT / "docs" / "configuration.md").read_text()
    (sentence,) = re.findall(r"The outcome of a run is (.*?)\. Only", text, re.DOTALL)
    assert set(re.findall(r"`(\w+)`", sentence)) == set(Outcome)


def test_permissions_in_the_documents_are_those_of_plugins():
    text = "".join((ROOT / "docs" / name).read_text() for name in ("plugins.md", "api.md"))
    for place in (r"permission `(\w+)`", r"--allow (\w+)", r'"consent": \["(\w+)"\]'):
        assert set(re.findall(place, text)) == set(Permission), place


def test_architectures_in_the_documents_are_those_of_the_template():
    offered = read_template()["Parameters"]["Architecture"]
    deployment = (ROOT / "docs" / "deployment.md").read_text()
    (cell,) = re.findall(r"^\| `Architecture` \| (.*) \| \w+ \|$", deployment, re.MULTILINE)
    assert re.findall(r"`(\w+)`", cell) == offered["AllowedValues"]
    security = (ROOT / "docs" / "security.md").read_text()
    (sentence,) = re.findall(r"The template offers ([^.(]+)", " ".join(security.split()))
    assert re.findall(r"`(\w+)`", sentence) == offered["AllowedValues"]
    assert f"`{offered['Default']}`, which is the default" in sentence


def test_the_sandbox_is_documented_as_it_is():
    text = (ROOT / "docs" / "security.md").read_text()
    (pinned,) = re.findall(r"^wasmtime==(\S+)", (ROOT / "requirements" / "runtime.txt").read_text(), re.MULTILINE)
    assert f"The version is {pinned}, pinned exactly" in text
    assert f"ticks every {TICK_SECONDS * 1000:.0f} ms" in " ".join(text.split())
    compiling = CompileLimits()
    bounds = f"{compiling.cpu_seconds} s of CPU time, {compiling.memory_bytes // 1024**3} GiB of address space"
    assert f"{bounds}, {compiling.artifact_bytes // 1024**2} MiB of native code" in " ".join(text.split())
    assert f"at most {MAX_WASM_BYTES // 1024**2} MiB" in " ".join(text.split())


def test_the_host_functions_are_counted():
    """The wrapper declares them, and the documents say how many there are."""
    declared, _, _ = wrapper._BASE.partition("(instance $host-api")
    assert len(re.findall(r'\(export "[\w-]+" \(func\b', declared)) == 12
    for name in ("architecture.md", "security.md", "decisions/0012-wrapper-component.md"):
        assert "twelve functions" in " ".join((ROOT / "docs" / name).read_text().split()), name


def test_quarantine_in_the_guide_for_authors_follows_the_default_rules():
    rules = QuarantineRules()
    assert (rules.most_in_a_row, rules.most_in_an_hour) == (10, 100)
    assert (rules.pause_seconds, rules.longest_pause_seconds) == (5 * 60, 24 * 60 * 60)
    text = " ".join((ROOT / "docs" / "plugins.md").read_text().split())
    assert "fails ten times in a row, or a hundred times within an hour" in text
    assert "no messages for five minutes" in text
    assert "Otherwise the pause doubles, up to a day" in text


def test_faults_in_the_document_are_those_of_the_chaos_test():
    text = (ROOT / "docs" / "reliability.md").read_text()
    documented = re.findall(r"^\| ([a-z0-9-]+) \| ([^|]+) \| \d+ \| [\d.]+ s \|", text, re.MULTILINE)
    assert documented == [(name, kind.effect) for name, kind in FAULTS.items()]
    assert f"each of {len(FAULTS)} kinds" in " ".join(text.split())


def test_fields_of_a_hostile_case_are_documented():
    text = (ROOT / "tests" / "hostile" / "README.md").read_text()
    table = text[text.index("| field | meaning | default |") :].partition("\n\n")[0]
    documented = re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)
    assert set(documented) == {field.name for field in fields(Case)} - {"name"}


def test_bounds_of_the_admin_api_are_documented():
    text = (ROOT / "docs" / "api.md").read_text()
    table = text[text.index("| bound | value |") :].partition("\n\n")[0]
    bounds = dict(re.findall(r"^\| ([^|]+) \| ([^|(]+?)(?: \(`\w+`\))? \|$", table, re.MULTILINE))
    configuration: dict[str, Any] = {field.name: field.default for field in fields(AdminConfiguration)}
    assert bounds["plugins of a guild"] == str(configuration["guild_plugins"])
    assert bounds["all versions of a guild"] == f"{configuration['guild_wasm_bytes'] // 1024**3} GiB"
    assert bounds["a file"] == f"{MAX_WASM_BYTES // 1024**2} MiB"
    assert bounds["settings"] == f"{MAX_SETTINGS_BYTES // 1024} KiB and {MAX_SETTINGS_LEVELS} levels"
    assert bounds["a body"] == f"{MAX_BODY_BYTES // 1024} KiB"


def test_help_lists_every_command():
    out = CliRunner().invoke(app, ["--help"]).stdout
    assert all(command.callback.__name__.replace("_", "-") in out for command in app.registered_commands)
