from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from hashlib import sha256
from uuid import uuid4

import psycopg
import pytest

import wat
from guildhook.errors import InfrastructureError
from guildhook.model import Permission
from guildhook.store import Database, Findings, VersionStore
from versions import add_plugin, announce, announce_wasm

FINDINGS = Findings(["guildhook:plugin/host-api@1.2.0"], [], frozenset({Permission.SEND_MESSAGES}), {"type": "object"})
STATES = ["expected", "uploaded", "checking", "compiling", "ready", "refused"]


@pytest.fixture
def versions(system):
    with closing(VersionStore(system.database)) as versions:
        yield versions


@pytest.fixture
def state(system):
    def state(version_id):
        with psycopg.connect(system.database_url) as connection:
            ((state,),) = connection.execute("SELECT state FROM plugin_versions WHERE id = %s", [version_id]).fetchall()
        return state

    return state


def test_a_version_goes_its_way(system, versions, state, query):
    version_id = announce_wasm(system, wat.SILENT)
    begun = versions.begin(version_id, stored=False)
    assert (begun.accepted, begun.wasm) == (False, None)
    assert (begun.wasm_sha256, begun.wasm_bytes) == (sha256(wat.SILENT).digest(), len(wat.SILENT))
    assert state(version_id) == "checking"
    assert versions.accept(version_id, wat.SILENT, FINDINGS)
    assert state(version_id) == "compiling"
    again = versions.begin(version_id, stored=False)
    assert (again.accepted, again.wasm) == (True, wat.SILENT)
    assert (versions.ready_sha256(version_id), versions.ready_wasm(version_id)) == (None, None)
    assert versions.ready(version_id)
    assert versions.ready_sha256(version_id) == sha256(wat.SILENT).digest()
    assert versions.ready_wasm(version_id) == wat.SILENT
    assert query("SELECT imports, unavailable, needs, settings_schema, reasons FROM plugin_versions") == [
        (["guildhook:plugin/host-api@1.2.0"], [], ["SEND_MESSAGES"], {"type": "object"}, [])
    ]


@pytest.mark.parametrize("before", STATES)
def test_a_state_only_moves_forward(system, versions, state, query, before):
    version_id = announce(system, add_plugin(system), sha256(wat.SILENT).digest(), len(wat.SILENT), before)
    # Without wasm nothing is ready.
    assert not versions.ready(version_id)
    if before in ("ready", "refused"):
        assert versions.begin(version_id, stored=False) is None
        assert not versions.refuse(version_id, ["late"])
    if before in ("compiling", "ready", "refused"):
        assert not versions.accept(version_id, wat.SILENT, FINDINGS)
    assert state(version_id) == before
    if before not in ("ready", "refused"):
        assert versions.refuse(version_id, ["a\0b", "c"])
        assert not versions.ready(version_id)
        assert query("SELECT state, reasons, wasm_blob FROM plugin_versions") == [("refused", ["ab", "c"], None)]


def test_nothing_is_done_with_what_is_not_there(versions):
    nobody = uuid4()
    assert versions.begin(nobody, stored=False) is None
    assert not versions.accept(nobody, wat.SILENT, FINDINGS)
    assert not versions.ready(nobody)
    assert not versions.refuse(nobody, ["why"])
    assert versions.ready_sha256(nobody) is None
    assert versions.ready_wasm(nobody) is None


def test_sweeps_at_the_same_time_adopt_each_plugin_once(system, query):
    guild = system.add_guild()
    for number in range(30):
        system.install(guild, f"plugin {number}", wat.logs(f"number {number}"))

    def adopt_all(_):
        with closing(VersionStore(system.database)) as versions:
            adopted = []
            while some := versions.adopt(limit=4):
                adopted += some
            return adopted

    with ThreadPoolExecutor(3) as pool:
        adopted = [version_id for some in pool.map(adopt_all, range(3)) for version_id in some]
    # What another one had locked is left to it.
    assert len(set(adopted)) == len(adopted) == 30
    assert query("SELECT count(*), max(number) FROM plugin_versions") == [(30, 1)]
    assert query("SELECT count(DISTINCT live_version_id) FROM plugins") == [(30,)]


def test_a_plugin_of_the_api_is_nothing_to_adopt(system, versions, query):
    plugin_id = add_plugin(system)
    version_id = announce_wasm(system, wat.SILENT, plugin_id)
    with psycopg.connect(system.database_url, autocommit=True) as connection:
        connection.execute("UPDATE plugins SET wasm_blob = %s, live_version_id = %s", [wat.SILENT, version_id])
    assert versions.adopt(limit=10) == []


def test_a_server_that_does_not_answer_is_an_infrastructure_error():
    with closing(VersionStore(Database("postgresql://nobody@127.0.0.1:1/chat"))) as versions:
        for work in (
            lambda: versions.begin(uuid4(), stored=False),
            lambda: versions.adopt(1),
            lambda: versions.forget_audit(1, 1),
        ):
            with pytest.raises(InfrastructureError, match=r"127\.0\.0\.1:1"):
                work()
