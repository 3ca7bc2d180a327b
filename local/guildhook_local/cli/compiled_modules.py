"""`guildhook recompile`, `prune` and `public-keys`: the compiled modules in the bucket of an installation."""

import sys
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from guildhook.errors import FailedCompileError
from guildhook.model import Artifact, Refusal
from guildhook.sandbox import Engine
from guildhook_local.cli.ending import ExitStatus
from guildhook_local.cli.parameters import AsJson
from guildhook_local.cli.streams import is_terminal, put, put_json
from guildhook_local.cli.visible_text import visible

if TYPE_CHECKING:
    from guildhook.versions.compiler import Compiler


def recompile(
    context: typer.Context,
    refused_for_cpu: Annotated[
        bool, typer.Option(help="Compile plugins too that were refused for their CPU time.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Compile every enabled plugin that this version has no compiled module of.

    It reads the variables of the compile function. After an update of wasmtime it compiles all plugins: run it before
    the new version receives messages. Plugins whose compile failed before come first. The exit status is 3 if a plugin
    could not be compiled yet.
    """
    from rich.console import Console  # noqa: PLC0415 - as in progress.py
    from rich.progress import Progress  # noqa: PLC0415

    console, is_hidden = Console(stderr=True), not is_terminal(sys.stderr)
    with (
        _compiler(context.obj) as compiler,
        Progress(console=console, transient=True, disable=is_hidden) as progress,
    ):
        compiled, refused, failed = 0, [], []
        compiler.try_again(refused_for_cpu=refused_for_cpu)
        for digest in progress.track(compiler.uncompiled(), description="Compiling"):
            try:
                match compiler.compile_stored(digest):
                    case Refusal(reason):
                        refused.append({"wasm_sha256": digest.hex(), "reason": reason})
                    case Artifact():
                        compiled += 1
            except FailedCompileError as error:
                failed.append({"wasm_sha256": digest.hex(), "reason": str(error)})
    if as_json:
        put_json({"compiled": compiled, "refused": refused, "failed": failed})
    else:
        put(f"{compiled} compiled, {len(refused)} refused, {len(failed)} could not be compiled yet")
        for plugin in (*refused, *failed):
            put(f"{plugin['wasm_sha256']}: {visible(plugin['reason'])}")
    raise typer.Exit(ExitStatus.UNAVAILABLE if failed else ExitStatus.DONE)


def prune(
    context: typer.Context,
    older_than_days: Annotated[int, typer.Option(min=0, metavar="DAYS", help="Keep younger modules.")] = 30,
    as_json: AsJson = False,
) -> None:
    """Delete compiled modules of other versions of guildhook, and of plugins that are gone."""
    with _compiler(context.obj) as compiler:
        pruned = compiler.prune(older_than_days)
    if as_json:
        put_json({"pruned": pruned})
    else:
        put(f"compiled modules deleted: {pruned}")


def public_keys(context: typer.Context, as_json: AsJson = False) -> None:
    """Print the public keys of GUILDHOOK_SIGNING_SECRET, as GUILDHOOK_ARTIFACT_PUBLIC_KEYS takes them.

    It reads the variables of the compile function.
    """
    # Only here: `run` and `check` load no artifact.
    from guildhook.modules import write_public_keys  # noqa: PLC0415

    with _compiler(context.obj) as compiler:
        keys = write_public_keys(compiler.signer.public_keys())
    if as_json:
        put_json({"public_keys": keys})
    else:
        put(keys)


@contextmanager
def _compiler(environment: Mapping[str, str]) -> Iterator["Compiler"]:
    # Only here: `run` and `check` need neither database nor bucket.
    from guildhook.aws.secrets import Secret  # noqa: PLC0415
    from guildhook.configuration import CompilerConfiguration, load_configuration  # noqa: PLC0415
    from guildhook.modules import ArtifactBucket, ArtifactSigner, ArtifactSigningKeys  # noqa: PLC0415
    from guildhook.store.compiling import CompileStore  # noqa: PLC0415
    from guildhook.versions.compiler import Compiler  # noqa: PLC0415

    configuration = load_configuration(CompilerConfiguration, environment)
    with closing(CompileStore(configuration.database)) as store:
        bucket = ArtifactBucket(configuration.aws, configuration.artifact_bucket)
        keys = Secret(configuration.aws, configuration.signing_secret, "GUILDHOOK_SIGNING_SECRET", ArtifactSigningKeys)
        engine, pauses = Engine(configuration.compile_limits), configuration.compile_pauses
        limits = configuration.largest_limits()
        yield Compiler(engine, limits, bucket, store, ArtifactSigner(keys), pauses=pauses)
