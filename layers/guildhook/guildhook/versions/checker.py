"""Checks an uploaded version: it must be the announced file, pass the inspection, and compile.

The content of S3's notice is not trusted. The check compares the file with the row that an admin's request has made.
"""

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from hashlib import sha256
from uuid import UUID

from guildhook.errors import InvalidSchemaError
from guildhook.model import Artifact, Refusal
from guildhook.plugin_settings.schema import check_schema
from guildhook.sandbox import MAX_WASM_BYTES, inspect
from guildhook.stage import Stage
from guildhook.store.compiling import CompileStore, UncheckedVersion, VersionFindings
from guildhook.versions.compiler import Compiler
from guildhook.versions.uploads import upload_key, uploaded_version


@dataclass(frozen=True, slots=True)
class Checker:
    compiler: Compiler
    store: CompileStore
    stage: Stage = nullcontext

    def check_upload(self, key: str) -> Artifact | Refusal | None:
        """Check the version whose upload has this key in the bucket. Returns None if no such version is unfinished.

        Raises InfrastructureError.
        """
        version_id = uploaded_version(key)
        version = version_id and self.store.begin(version_id, stored=False)
        return self._check_begun(version) if version else None

    def check_stored(self, version_id: UUID) -> Artifact | Refusal | None:
        """Check a version whose wasm is in Postgres, or was once found in the bucket. A version that is ready is only
        compiled for this engine.

        Returns None if there is nothing to do. Raises InfrastructureError.
        """
        version = self.store.begin(version_id, stored=True)
        if version:
            return self._check_begun(version)
        digest = self.store.ready_sha256(version_id)
        if digest is None:
            return None
        with self.compiler.recorded_failures(digest):
            artifact = self.compiler.published(digest)
        if artifact:
            return artifact
        with self.stage("fetch"):
            wasm = self.store.ready_wasm(version_id)
        return None if wasm is None else self.compiler.compile(wasm)

    def _check_begun(self, version: UncheckedVersion) -> Artifact | Refusal | None:
        """Raises InfrastructureError."""
        with self.compiler.recorded_failures(version.wasm_sha256):
            wasm = version.wasm
            if wasm is None:
                with self.stage("fetch"):
                    # One byte more than announced reveals a longer file without reading all of it.
                    most = min(version.wasm_bytes, MAX_WASM_BYTES) + 1
                    wasm = self.compiler.bucket.get_upload(upload_key(version.id), most)
            if wasm is None:
                return self._refuse(version.id, ["the file is gone; upload it again"])
            return self._check(version, wasm)

    def _check(self, version: UncheckedVersion, wasm: bytes) -> Artifact | Refusal | None:
        if not version.accepted:
            with self.stage("inspect"):
                findings = _not_as_announced(version, wasm) or self._inspected(wasm)
            if not isinstance(findings, VersionFindings):
                return self._refuse(version.id, findings)
            if not self.store.accept(version.id, wasm, findings):
                return None
        compiled = self.compiler.published(version.wasm_sha256) or self.compiler.compile(wasm)
        if isinstance(compiled, Refusal):
            return self._refuse(version.id, [compiled.reason])
        return compiled if self.store.ready(version.id) else None

    def _inspected(self, wasm: bytes) -> VersionFindings | Sequence[str]:
        """Return the findings, or the reasons for a refusal."""
        inspection = inspect(wasm, self.compiler.limits.memory_bytes)
        if not inspection.accepted:
            return inspection.reasons
        try:
            schema = None if inspection.settings_schema is None else check_schema(inspection.settings_schema)
        except InvalidSchemaError as error:
            return [f"its settings schema is refused: {error}"]
        return VersionFindings(
            inspection.warnings, inspection.imports, inspection.unavailable, inspection.needs, schema
        )

    def _refuse(self, version_id: UUID, reasons: Sequence[str]) -> Refusal | None:
        return Refusal("; ".join(reasons)) if self.store.refuse(version_id, reasons) else None


def _not_as_announced(version: UncheckedVersion, wasm: bytes) -> Sequence[str]:
    if version.wasm_bytes > MAX_WASM_BYTES:
        return [f"the file was announced with {version.wasm_bytes} bytes; the limit is {MAX_WASM_BYTES}"]
    if len(wasm) > version.wasm_bytes:
        return [f"the file has more than the {version.wasm_bytes} bytes that were announced"]
    if len(wasm) < version.wasm_bytes:
        return [f"the file has {len(wasm)} bytes; {version.wasm_bytes} were announced"]
    digest = sha256(wasm).digest()
    if digest != version.wasm_sha256:
        return [f"the file's SHA-256 is {digest.hex()}; announced was {version.wasm_sha256.hex()}"]
    return []
