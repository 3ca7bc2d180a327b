"""The SAM CLI, and the containers in which it runs the output of `sam build`."""

import json
import os
import re
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from guildhook_local.serve import CONTAINERS_NAME_OF_THE_HOST
from project import ROOT

_BUILD = ROOT / ".aws-sam" / "build"
IMAGE = "public.ecr.aws/lambda/python:3.13-x86_64"
_LONGEST_SECONDS = 300
_CONTAINER = re.compile(r"SAM_CONTAINER_ID: (\w+)")


class DockerMissingError(Exception):
    """A requirement of the tests is missing; the text names it."""


def host_address() -> str:
    """Return the address of this machine that containers reach. Raises DockerMissingError."""
    docker("version")
    if not (_BUILD / "template.yaml").exists():
        raise DockerMissingError("nothing is built; `make sam-local` does it")
    host = f"{CONTAINERS_NAME_OF_THE_HOST}:host-gateway"
    hosts = docker("run", "--rm", "--add-host", host, "--entrypoint", "cat", IMAGE, "/etc/hosts")
    (address,) = [line.split()[0] for line in hosts.splitlines() if CONTAINERS_NAME_OF_THE_HOST in line]
    try:
        socket.create_server((address, 0)).close()
    except OSError:
        # Docker Desktop runs containers in a virtual machine, from which servers on 127.0.0.1 are reachable.
        return "127.0.0.1"
    return address


def containers(log: str) -> list[str]:
    """Return the ids of the containers that the SAM CLI has created."""
    return _CONTAINER.findall(log)


def processes(container: str) -> str:
    """The commands that run in a container."""
    return docker("top", container)


@dataclass(frozen=True, slots=True)
class Invocation:
    answer: str
    """The return value of the function; empty if it failed."""
    log: str
    """The output of the function, the emulator and the SAM CLI."""

    @property
    def metrics(self) -> dict[str, Any]:
        """The metrics of the function."""
        lines = [json.loads(line) for line in self.log.splitlines() if line.startswith('{"_aws"')]
        return {name: value for line in lines for name, value in line.items()}

    @property
    def container(self) -> str:
        (container,) = containers(self.log)
        return container


@dataclass(frozen=True, slots=True)
class Sam:
    environment: Path
    """The file for --env-vars."""
    folder: Path
    """For files of its own."""
    aws: str
    """The endpoint of moto. The SAM CLI asks STS for its account, and waits for that for 10 s without a network."""
    template: Path = _BUILD / "template.yaml"

    def invoke(self, function: str, event: object) -> Invocation:
        """Invoke a function in a container of its own. A Path is a file with the event."""
        file = event if isinstance(event, Path) else self.folder / "event.json"
        if file is not event:
            file.write_text(json.dumps(event))
        with self._started("invoke", function, "--event", file) as (process, log):
            answer, _ = process.communicate(timeout=_LONGEST_SECONDS)
        return Invocation(answer.decode(), log.read_text())

    @contextmanager
    def api(self) -> Iterator[tuple[str, Path]]:
        """Start the HTTP API; yields its address and its log. Containers stay until the block is left."""
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
        with self._started("start-api", "--port", str(port), "--warm-containers", "LAZY") as (_, log):
            yield f"http://127.0.0.1:{port}", log

    def with_memory(self, mebibytes: int) -> "Sam":
        """Return a SAM CLI whose functions have this much memory."""
        folder = self.folder / f"with-{mebibytes}-mib"
        folder.mkdir()
        for built in self.template.parent.iterdir():
            (folder / built.name).symlink_to(built)
        template = yaml.safe_load(self.template.read_text())
        for resource in template["Resources"].values():
            if resource["Type"] == "AWS::Serverless::Function":
                resource["Properties"]["MemorySize"] = mebibytes
        (folder / "template.yaml").unlink()
        (folder / "template.yaml").write_text(yaml.safe_dump(template))
        return replace(self, template=folder / "template.yaml")

    @contextmanager
    def _started(self, command: str, *arguments: str | Path) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
        log = self.folder / "log"
        with (
            log.open("wb") as stderr,
            subprocess.Popen(
                [
                    *(ROOT / ".venv-sam" / "bin" / "sam", "local", command, *arguments),
                    *("--config-file", ROOT / "infra" / "local" / "samconfig.toml"),
                    *("--template", self.template, "--env-vars", self.environment),
                ],
                env={
                    **os.environ,
                    "SAM_CLI_TELEMETRY": "0",
                    "AWS_SHARED_CREDENTIALS_FILE": str(self.environment.with_name("credentials")),
                    "AWS_ENDPOINT_URL_STS": self.aws,
                },
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=stderr,
            ) as process,
        ):
            try:
                yield process, log
            finally:
                process.terminate()
                process.wait()
                # The SAM CLI removes its containers itself, unless it is killed.
                for container in containers(log.read_text()):
                    subprocess.run(["docker", "rm", "--force", container], check=False, capture_output=True)


def docker(*arguments: str) -> str:
    try:
        command = ["docker", *arguments]
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=_LONGEST_SECONDS)
    except OSError as error:
        # PATH can contain unreadable folders of other users, which does not mean that the command is missing.
        raise DockerMissingError(f"no Docker Engine to use: docker: {error.strerror}") from None
    if done.returncode:
        raise DockerMissingError(f"no Docker Engine to use: docker {arguments[0]}: {' '.join(done.stderr.split())}")
    return done.stdout
