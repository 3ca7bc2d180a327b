from contextlib import closing
from hashlib import sha256
from uuid import uuid4

import psycopg
import pytest

import wat
from guildhook.errors import InfrastructureError
from guildhook.model import Permission
from guildhook.store import Database
from guildhook.store.compiling import CompileStore, VersionFindings
from versions import add_plugin, announce, announce_wasm

FINDINGS = VersionFindings(
    ["frozen"], ["guildhook:plugin/host-api@1.2.0"], [], frozenset({Permission.SEND_MESSAGES}), {"type": "object"}
)
STATES = ["expected", "uploaded", "checking", "compiling", "ready", "refused"]


@pytest.fixture
def versions(system):
    with closing(CompileStore(system.database)) as versions:
        yield versions


@pytest.fixture
def state(system):
    def state(version_id):
        with psycopg.connect(system.database_url) as connection:
            ((state,),) = connection.execute("SELECT state FROM plugin_versions WHERE id = %s", [version_id]).fetchall()
        return state

    return state


def test_a_version_passes_through_its_states(system, versions, state, query):
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
    assert query("SELECT warnings, imports, unavailable, needs, settings_schema, reasons FROM plugin_versions") == [
        (["frozen"], ["guildhook:plugin/host-api@1.2.0"], [], ["SEND_MESSAGES"], {"type": "object"}, [])
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


def test_an_unknown_version_is_left_alone(versions):
    nobody = uuid4()
    assert versions.begin(nobody, stored=False) is None
    assert not versions.accept(nobody, wat.SILENT, FINDINGS)
    assert not versions.ready(nobody)
    assert not versions.refuse(nobody, ["why"])
    assert versions.ready_sha256(nobody) is None
    assert versions.ready_wasm(nobody) is None


def test_a_server_that_does_not_answer_is_an_infrastructure_error():
    with closing(CompileStore(Database("postgresql://nobody@127.0.0.1:1/chat"))) as versions:
        for work in (
            lambda: versions.begin(uuid4(), stored=False),
            lambda: versions.ready(uuid4()),
        ):
            with pytest.raises(InfrastructureError, match=r"127\.0\.0\.1:1"):
                work()
