"""The bill of materials of a release: everything in it that others have written, as CycloneDX."""

import base64
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from email.parser import BytesHeaderParser
from hashlib import sha256
from typing import Any, Final
from urllib.parse import unquote, urlsplit
from uuid import NAMESPACE_URL, uuid5

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import HashAlgorithm, HashType, Property
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.license import License
from cyclonedx.output.json import JsonV1Dot6
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL

from release.archive import File
from release.errors import ReleaseError
from release.version import Version

_PART: Final = "guildhook:part"
"""The property with the function or layer that contains a component."""
_PAGE: Final = "page"
_LICENCE_LINE: Final = re.compile(r"^## (\S+) - (\S+) \((.*)\)$", re.MULTILINE)
_LONGEST_NAME_OF_A_LICENCE: Final = 100
"""Some packages have the whole text of their licence where its name belongs."""
_LIBWASMTIME: Final = "_libwasmtime.so"


@dataclass(frozen=True, slots=True)
class Wheel:
    """A package as pip selects it for one architecture."""

    name: str
    version: str
    file_name: str
    sha256: str

    @property
    def purl(self) -> PackageURL:
        return PackageURL("pypi", name=self.name, version=self.version, qualifiers={"file_name": self.file_name})


def wheels_of(report: Mapping[str, Any]) -> list[Wheel]:
    """The wheels in the report of `pip install --report`."""
    return [
        Wheel(
            name=_normalized(each["metadata"]["name"]),
            version=each["metadata"]["version"],
            file_name=unquote(urlsplit(each["download_info"]["url"]).path).rpartition("/")[2],
            sha256=each["download_info"]["archive_info"]["hashes"]["sha256"],
        )
        for each in report["install"]
    ]


def _normalized(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _licence_of(metadata: bytes) -> str | None:
    """An SPDX expression, or the name that a package gives its licence. pip reports the first since its version 25."""
    fields = BytesHeaderParser().parsebytes(metadata)
    classifiers = [each for each in fields.get_all("Classifier", []) if each.startswith("License ::")]
    named = [each.rpartition(" :: ")[2] for each in classifiers]
    for name in (fields["License-Expression"], fields["License"], *named):
        if name and len(name) <= _LONGEST_NAME_OF_A_LICENCE:
            return str(name)
    return None


def layer_components(layer: str, files: Iterable[File], wheels: Iterable[Wheel]) -> Iterator[Component]:
    """A component for each wheel in a layer of packages.

    It contains the native libraries of the wheel, and the libraries that the wheel's own bills of materials list.
    Raises ReleaseError if the layer has other packages than the wheels.
    """
    contents = {file.name: file.content for file in files}
    by_folder = {f"{wheel.file_name.split('-')[0]}-{wheel.version}.dist-info".lower(): wheel for wheel in wheels}
    folders = {
        name.split("/")[1].lower(): name.split("/")[1] for name in contents if name.endswith(".dist-info/RECORD")
    }
    if folders.keys() != by_folder.keys():
        raise ReleaseError(
            f"{layer} does not have the packages of its lock: {', '.join(sorted(folders.keys() ^ by_folder.keys()))}."
            " Delete .aws-sam and build it anew"
        )
    for key, wheel in sorted(by_folder.items()):
        folder = f"python/{folders[key]}"
        licences = _licences(_licence_of(contents[f"{folder}/METADATA"]))
        record = contents[f"{folder}/RECORD"].decode().splitlines()
        installed = [f"python/{line.rpartition(',')[0].rpartition(',')[0]}" for line in record]
        yield Component(
            name=wheel.name,
            version=wheel.version,
            type=ComponentType.LIBRARY,
            bom_ref=f"{layer}/{wheel.purl}",
            purl=wheel.purl,
            hashes=[HashType(alg=HashAlgorithm.SHA_256, content=wheel.sha256)],
            licenses=licences,
            properties=[Property(name=_PART, value=layer)],
            components=[
                *(_native(layer, name, contents[name], wheel, licences) for name in installed if _is_native(name)),
                *(
                    component
                    for name in installed
                    if name.startswith(f"{folder}/sboms/")
                    for component in _within(layer, wheel, name, json.loads(contents[name]))
                ),
            ],
        )


def _is_native(name: str) -> bool:
    file = name.rpartition("/")[2]
    return file.endswith(".so") or ".so." in file


def _native(layer: str, name: str, content: bytes, wheel: Wheel, licences: list[License]) -> Component:
    hashes = [HashType(alg=HashAlgorithm.SHA_256, content=sha256(content).hexdigest())]
    if name.endswith(_LIBWASMTIME):
        # The wheel has the version of the library in it, whose advisories are published for the crate.
        purl = PackageURL("cargo", name="wasmtime", version=wheel.version)
        return Component(
            name="wasmtime",
            version=wheel.version,
            type=ComponentType.LIBRARY,
            bom_ref=f"{layer}/{name}",
            purl=purl,
            hashes=hashes,
            licenses=licences,
        )
    return Component(name=name, type=ComponentType.FILE, bom_ref=f"{layer}/{name}", hashes=hashes)


def _within(layer: str, wheel: Wheel, name: str, bill: Mapping[str, Any]) -> Iterator[Component]:
    """The components of a bill of materials inside of a wheel, except the wheel itself."""
    for number, each in enumerate(bill.get("components", [])):
        if _normalized(each["name"]) != wheel.name:
            purl = each.get("purl")
            licences = [entry.get("expression") or entry["license"].get("id") for entry in each.get("licenses", [])]
            yield Component(
                name=each["name"],
                version=each.get("version"),
                type=ComponentType(each["type"]),
                bom_ref=f"{layer}/{name}#{number}",
                purl=PackageURL.from_string(purl) if purl else None,
                hashes=[HashType(alg=HashAlgorithm(it["alg"]), content=it["content"]) for it in each.get("hashes", [])],
                licenses=_licences(licences[0] if licences else None),
            )


def page_components(licences: str, lock: Mapping[str, Any]) -> Iterator[Component]:
    """A component for each package of which the page contains code: those that the bundler lists with their licences.

    Their digests are those of the lock file. Raises ReleaseError if a package is not in the lock.
    """
    locked = {
        (path.rpartition("node_modules/")[2], package["version"]): package
        for path, package in lock["packages"].items()
        if path
    }
    for name, version, licence in sorted(_LICENCE_LINE.findall(licences)):
        package = locked.get((name, version))
        if package is None:
            raise ReleaseError(
                f"the page contains {name} {version}, which web/package-lock.json lacks: run `make page`"
            )
        algorithm, _, digest = package["integrity"].partition("-")
        scope, _, short = name.rpartition("/")
        purl = PackageURL("npm", namespace=scope or None, name=short, version=version)
        yield Component(
            name=short,
            group=scope or None,
            version=version,
            type=ComponentType.LIBRARY,
            bom_ref=f"{_PAGE}/{purl}",
            purl=purl,
            hashes=[HashType(alg=HashAlgorithm(algorithm.upper().replace("SHA", "SHA-")), content=_hex(digest))],
            licenses=_licences(licence),
            properties=[Property(name=_PART, value=_PAGE)],
        )


def _hex(digest: str) -> str:
    return base64.b64decode(digest).hex()


def _licences(name: str | None) -> list[License]:
    return [LicenseFactory().make_from_string(name)] if name else []


def bill(version: Version, archive: bytes, components: Iterable[Component]) -> str:
    """The JSON document, which is the same for the same release. Raises ReleaseError if it breaks the schema."""
    digest = sha256(archive).hexdigest()
    root = Component(
        name="guildhook",
        version=str(version),
        type=ComponentType.APPLICATION,
        bom_ref="guildhook",
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=digest)],
        licenses=_licences("Apache-2.0"),
        properties=[Property(name="guildhook:commit", value=version.commit)],
    )
    document = Bom(
        components=components,
        serial_number=uuid5(NAMESPACE_URL, f"guildhook:{digest}"),
        metadata=BomMetaData(component=root, timestamp=version.committed_at),
    )
    document.register_dependency(root, document.components)
    text = JsonV1Dot6(document).output_as_string(indent=2) + "\n"
    if error := JsonStrictValidator(SchemaVersion.V1_6).validate_str(text):
        raise ReleaseError(f"the bill of materials breaks the schema of CycloneDX 1.6: {error}")
    return text
