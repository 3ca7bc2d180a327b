import json
from dataclasses import replace

import pytest

from builds import rebuild
from guildhook.model import Outcome
from guildhook.sandbox import inspect
from project import ROOT
from samples import CHANNEL, MESSAGE

PLUGIN = ROOT / "plugins" / "split"
SPLIT, FIRST = PLUGIN / "split.wasm", PLUGIN / "first.wasm"


@pytest.mark.parametrize(("wasm", "defines"), [(SPLIT, ""), (FIRST, "-DFIRST_VERSION")])
def test_the_committed_components_equal_the_builds_of_the_source(tmp_path, monkeypatch, wasm, defines):
    monkeypatch.setenv("DEFINES", defines)
    assert rebuild(PLUGIN, tmp_path / "split.wasm") == wasm.read_bytes()


@pytest.mark.parametrize("wasm", [SPLIT, FIRST])
def test_both_versions_are_accepted_and_need_one_permission(wasm):
    inspection = inspect(wasm.read_bytes())
    assert inspection.accepted
    assert inspection.needs == {"SEND_MESSAGES"}


@pytest.fixture
def split(run):
    """Gives a version a message with this content; returns its outcome and its sends."""

    def split(content, wasm=SPLIT):
        payload = json.dumps({"content": content, "channel_id": CHANNEL})
        result = run(wasm.read_bytes(), message=replace(MESSAGE, payload=payload))
        return result.outcome, [intent.content for intent in result.intents]

    return split


@pytest.mark.parametrize(
    ("content", "answers"),
    [
        ("!split 90 4", ["22 each, and 2 left over"]),
        ("!split  999999999   1 ", ["999999999 each"]),
        ("!split 0 3", ["0 each"]),
        ("!split 90 0", ["There is nobody to split it among."]),
        ("!split", ["Say for example !split 90 4"]),
        ("!split ninety 4", ["Say for example !split 90 4"]),
        ("hello", []),
        ("!spli", []),
        ("", []),
    ],
)
def test_the_share_of_each_person_is_answered(split, content, answers):
    assert split(content) == (Outcome.OK, answers)


def test_the_first_version_has_its_mistake(split):
    assert split("!split 90 4", FIRST) == (Outcome.OK, ["22 each, and 2 left over"])
    assert split("!split 90 0", FIRST) == (Outcome.TRAP, [])
