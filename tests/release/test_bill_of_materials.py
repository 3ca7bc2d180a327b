import json
from datetime import UTC, datetime
from hashlib import sha256

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from project import ROOT
from release.archive import File
from release.bill_of_materials import bill, layer_components, page_components, wheels_of
from release.errors import ReleaseError
from release.version import Version

VERSION = Version("1.2.0", "0123456789abcdef", datetime(2026, 11, 25, tzinfo=UTC), tagged=True)
LOCK = json.loads((ROOT / "web" / "package-lock.json").read_text())
REPORT = {
    "install": [
        {
            "metadata": {"name": "wasmtime", "version": "50.0.1"},
            "download_info": {
                "url": "https://files.example.org/wasmtime-50.0.1-py3-none-manylinux1_x86_64.whl",
                "archive_info": {"hashes": {"sha256": "ab" * 32}},
            },
        },
        {
            "metadata": {"name": "Psycopg_Binary", "version": "3.3.9"},
            "download_info": {
                "url": "https://files.example.org/psycopg_binary-3.3.9%2B1-cp313-manylinux2014_x86_64.whl",
                "archive_info": {"hashes": {"sha256": "cd" * 32}},
            },
        },
    ]
}
WITHIN = {
    "components": [
        {"type": "library", "name": "psycopg_binary", "version": "3.3.9"},
        {
            "type": "library",
            "name": "openssl",
            "version": "4.0.3",
            "purl": "pkg:generic/openssl@4.0.3",
            "hashes": [{"alg": "SHA-256", "content": "ef" * 32}],
            "licenses": [{"expression": "Apache-2.0"}],
        },
    ]
}
LIBRARY = b"\x7fELF"


def layer_of(contents):
    return [File(f"python/{name}", content) for name, content in contents.items()]


CONTENTS = {
    "wasmtime/linux-x86_64/_libwasmtime.so": LIBRARY,
    "wasmtime-50.0.1.dist-info/METADATA": b"License-Expression: Apache-2.0 WITH LLVM-exception\n\n",
    "wasmtime-50.0.1.dist-info/RECORD": b"wasmtime/linux-x86_64/_libwasmtime.so,sha256=x,4\n",
    "psycopg_binary.libs/libpq.so.5.18": LIBRARY,
    "psycopg_binary-3.3.9.dist-info/sboms/auditwheel.cdx.json": json.dumps(WITHIN).encode(),
    "psycopg_binary-3.3.9.dist-info/METADATA": b"Classifier: License :: OSI Approved :: LGPL-3.0-only\n\n",
    "psycopg_binary-3.3.9.dist-info/RECORD": (
        b"psycopg_binary.libs/libpq.so.5.18,sha256=x,4\n"
        b"psycopg_binary-3.3.9.dist-info/sboms/auditwheel.cdx.json,sha256=x,4\n"
    ),
}


def written(components):
    return json.loads(bill(VERSION, b"archive", components))


def layer(contents):
    document = written(layer_components("DependenciesLayer", layer_of(contents), wheels_of(REPORT)))
    return {component["name"]: component for component in document["components"]}


def test_a_wheel_has_its_file_its_digest_and_its_licence():
    component = layer(CONTENTS)["wasmtime"]
    file = "wasmtime-50.0.1-py3-none-manylinux1_x86_64.whl"
    assert component["purl"] == f"pkg:pypi/wasmtime@50.0.1?file_name={file}"
    assert component["hashes"] == [{"alg": "SHA-256", "content": "ab" * 32}]
    assert component["licenses"] == [{"expression": "Apache-2.0 WITH LLVM-exception"}]
    assert component["properties"] == [{"name": "guildhook:part", "value": "DependenciesLayer"}]
    assert "files.example.org" not in json.dumps(component)


def test_the_native_wasmtime_is_a_component_whose_advisories_can_be_found():
    (library,) = layer(CONTENTS)["wasmtime"]["components"]
    assert library["purl"] == "pkg:cargo/wasmtime@50.0.1"
    assert library["hashes"] == [{"alg": "SHA-256", "content": sha256(LIBRARY).hexdigest()}]


def test_native_libraries_of_a_wheel_and_its_own_list_are_in_it():
    component = layer(CONTENTS)["psycopg-binary"]
    assert component["licenses"] == [{"license": {"id": "LGPL-3.0-only"}}]
    within = {each["name"]: each for each in component["components"]}
    assert within.keys() == {"python/psycopg_binary.libs/libpq.so.5.18", "openssl"}
    assert within["openssl"]["purl"] == "pkg:generic/openssl@4.0.3"
    assert within["openssl"]["licenses"] == [{"license": {"id": "Apache-2.0"}}]


@pytest.mark.parametrize("name", ["other-1.0.dist-info", "psycopg_binary-3.3.9.dist-info"])
def test_a_layer_with_other_packages_than_its_lock_is_refused(name):
    contents = {**CONTENTS, "other-1.0.dist-info/RECORD": b""} if name.startswith("other") else dict(CONTENTS)
    if not name.startswith("other"):
        del contents[f"{name}/RECORD"]
    with pytest.raises(ReleaseError, match=f"does not have the packages of its lock: {name}"):
        layer(contents)


def test_a_package_of_the_page_has_the_digest_of_the_lock():
    (component,) = written(page_components("## @rjsf/core - 6.11.1 (Apache-2.0)\n\ntext\n", LOCK))["components"]
    assert component["purl"] == "pkg:npm/%40rjsf/core@6.11.1"
    assert component["licenses"] == [{"license": {"id": "Apache-2.0"}}]
    (digest,) = component["hashes"]
    assert digest["alg"] == "SHA-512"
    assert len(digest["content"]) == 128


def test_a_package_of_the_page_that_is_not_locked_is_refused():
    with pytest.raises(ReleaseError, match=r"the page contains react 1\.0\.0, which web/package-lock\.json lacks"):
        list(page_components("## react - 1.0.0 (MIT)\n", LOCK))


def test_the_document_follows_the_schema_and_names_the_archive():
    components = layer_components("DependenciesLayer", layer_of(CONTENTS), wheels_of(REPORT))
    text = bill(VERSION, b"archive", components)
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    root = json.loads(text)["metadata"]["component"]
    assert root["version"] == "1.2.0"
    assert root["hashes"] == [{"alg": "SHA-256", "content": sha256(b"archive").hexdigest()}]


def test_the_same_release_has_the_same_document():
    one, other = (
        bill(VERSION, b"archive", layer_components("DependenciesLayer", layer_of(contents), wheels_of(REPORT)))
        for contents in (CONTENTS, dict(reversed(CONTENTS.items())))
    )
    assert one == other
