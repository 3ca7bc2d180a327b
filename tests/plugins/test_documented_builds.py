"""The properties that docs/plugins.md promises of plugins in JavaScript, in plugins that its commands have built.

Those of plugins in Python are in tests/guildhook/sandbox/test_wasi.py.
"""

import json
import re
from collections.abc import Callable
from dataclasses import replace

import pytest

from documented_builds import JAVASCRIPT, BuildFailedError, ToolchainMissingError, build
from guildhook.model import Outcome, RunResult
from guildhook.sandbox import Engine, LoadedModule, inspect
from guildhook.sandbox.compiling.child_process import CompileLimits
from project import ROOT
from requirement import skipped_without
from samples import CHANNEL, MESSAGE, TIME

QUICKJS, SPIDERMONKEY = "JavaScript or TypeScript in QuickJS", "JavaScript in SpiderMonkey"

# The content of a message names its handler.
SCRIPT = """
import { log } from "guildhook:plugin/host-api@1.2.0";

const loaded = performance.now();
const dice = () => log(`${Math.random()} ${Math.random()}`);
const later = async () => { await null; log("done"); };
const handlers = {
  dice,
  many: () => { for (let i = 0; i < 1000; i++) if (!(Math.random() >= 0 && Math.random() < 1)) throw new Error(); },
  clock: () => log(`${performance.now()} ${performance.now() - loaded} ${Date.now()}`),
  later,
  forgotten: () => { later(); },
  then: () => { Promise.resolve().then(() => log("done")); },
  microtask: () => queueMicrotask(() => log("done")),
  rejected: async () => { throw new Error("my own fault"); },
  generator: function* () { log("done"); },
  asyncGenerator: async function* () { log("done"); },
  thrown: () => { throw new Error("my own fault"); },
};

export function onMessage(json) { return handlers[JSON.parse(json).content](); }
"""


def built(toolchain: str, script: str, engine: Engine, folder) -> LoadedModule:
    with skipped_without(ToolchainMissingError, "GUILDHOOK_TOOLCHAINS"):
        wasm = build(toolchain, {JAVASCRIPT: script}, folder)
    inspection = inspect(wasm)
    assert (inspection.reasons, inspection.warnings) == ((), ())
    # Compiling takes longer on a busy machine than production allows.
    artifact = folder / "plugin.cwasm"
    artifact.write_bytes(Engine(CompileLimits(timeout_seconds=300)).compile(wasm).artifact)
    return engine.load(artifact, inspection.memories)


@pytest.fixture(scope="module")
def quickjs(engine, tmp_path_factory) -> LoadedModule:
    return built(QUICKJS, SCRIPT, engine, tmp_path_factory.mktemp("quickjs"))


@pytest.fixture(scope="module")
def spidermonkey(engine, tmp_path_factory) -> LoadedModule:
    # SpiderMonkey has no clock while the build loads the plugin: reading it fails the build.
    script = SCRIPT.replace("loaded = performance.now()", "loaded = 0")
    return built(SPIDERMONKEY, script, engine, tmp_path_factory.mktemp("spidermonkey"))


@pytest.fixture
def send(run) -> Callable[..., RunResult]:
    """Gives a plugin a message with this content."""

    def send(plugin: LoadedModule, content: str, **options: object) -> RunResult:
        message = replace(MESSAGE, payload=json.dumps({"content": content, "channel_id": CHANNEL}))
        return run(plugin, message=message, **options)

    return send


def logged(result: RunResult) -> str:
    assert (result.outcome, result.detail, len(result.logs)) == (Outcome.OK, "", 1)
    return result.logs[0]


@pytest.fixture(params=["quickjs", "spidermonkey"])
def plugin(request) -> LoadedModule:
    return request.getfixturevalue(request.param)


def test_random_numbers_come_from_the_seed(send, plugin):
    first, again, *others = (logged(send(plugin, "dice", seed=seed)) for seed in (1, 1, 2, 3, 2**62, 2**63 - 1))
    assert first == again
    numbers = [number for line in (first, *others) for number in line.split()]
    assert len(numbers) == len(set(numbers)) == 10


def test_random_numbers_are_below_one(send, plugin):
    assert send(plugin, "many").outcome is Outcome.OK


def test_the_clocks_of_a_run_are_not_behind_those_of_the_build(send, plugin):
    since_start, since_load, now = map(float, logged(send(plugin, "clock")).split())
    assert since_start >= 0
    assert since_load >= 0
    assert now == pytest.approx(TIME.timestamp() * 1000, abs=1)


def test_the_clock_of_a_run_in_quickjs_begins_at_zero(send, quickjs):
    assert float(logged(send(quickjs, "clock")).split()[0]) == pytest.approx(0, abs=1)


@pytest.mark.parametrize("handler", ["later", "forgotten", "then", "microtask", "rejected"])
def test_work_that_quickjs_would_not_do_fails_the_run_and_says_so(send, quickjs, handler):
    result = send(quickjs, handler)
    assert result.outcome is Outcome.TRAP
    assert "done" not in result.logs
    assert re.search("onMessage used a promise.* without async, await and then", "\n".join(result.logs))


@pytest.mark.parametrize("handler", ["generator", "asyncGenerator"])
def test_a_generator_in_quickjs_fails_the_run_and_says_so(send, quickjs, handler):
    result = send(quickjs, handler)
    assert result.outcome is Outcome.TRAP
    assert "onMessage is a generator function" in "\n".join(result.logs)


@pytest.mark.parametrize("handler", ["later", "forgotten", "then", "microtask"])
def test_spidermonkey_does_work_that_waits_for_a_promise(send, spidermonkey, handler):
    assert logged(send(spidermonkey, handler)) == "done"


def test_an_error_is_in_the_log(send, plugin):
    result = send(plugin, "thrown")
    assert result.outcome is Outcome.TRAP
    assert "my own fault" in "\n".join(result.logs)


def test_an_error_of_an_async_function_in_spidermonkey_is_in_the_log(send, spidermonkey):
    result = send(spidermonkey, "rejected")
    assert result.outcome is Outcome.TRAP
    assert "my own fault" in "\n".join(result.logs)


def test_the_example_of_the_document_rolls_a_die(send, engine, tmp_path):
    script = (ROOT / "plugins" / "dice" / "dice.js").read_text()
    assert script.partition("\n\n")[2] in (ROOT / "docs" / "plugins.md").read_text()
    plugin = built(QUICKJS, script, engine, tmp_path)
    rolls = [send(plugin, "!dice", seed=seed).intents for seed in range(12)]
    contents = [content for (intent,) in rolls for content in [intent.content]]
    assert all(re.fullmatch(r"You rolled a [1-6]\.", content) for content in contents)
    assert len(set(contents)) > 1
    assert send(plugin, "!other").intents == ()


def test_a_random_number_that_the_build_would_freeze_fails_the_build(engine, tmp_path):
    script = "const number = Math.random(); export function onMessage() { console.log(number); }"
    with pytest.raises(BuildFailedError, match=r"Math\.random\(\) was called while the build loaded the plugin"):
        built(QUICKJS, script, engine, tmp_path)


def test_a_plugin_without_on_message_fails_the_build(engine, tmp_path):
    with pytest.raises(BuildFailedError, match=r'"onMessage" is not exported by "plugin\.js"'):
        built(QUICKJS, "export function onMesage() {}", engine, tmp_path)


def test_modules_and_typescript_are_bundled(send, engine, tmp_path):
    (tmp_path / "answer.ts").write_text("export const answer: number = 42;")
    script = 'import { log } from "guildhook:plugin/host-api@1.2.0"; import { answer } from "./answer.ts";'
    plugin = built(QUICKJS, f"{script} export function onMessage() {{ log(`${{answer}}`); }}", engine, tmp_path)
    assert logged(send(plugin, "")) == "42"
