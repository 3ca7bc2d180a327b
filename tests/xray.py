"""A socket that stands for X-Ray's daemon."""

import json
import shutil
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TRACE_ID, PARENT_ID = "1-5759e988-bd862e3fe1be46a994272793", "53995c3f42cd8ad8"
# The SDK creates this file to tell Lambda that it is loaded.
_TOUCHED = Path("/tmp/.aws-xray")


@dataclass(frozen=True, slots=True)
class Daemon:
    listening: socket.socket

    def environment(self, *, sampled: bool = True) -> Mapping[str, str]:
        """Return the variables that Lambda sets for an invocation, with this daemon's address."""
        host, port = self.listening.getsockname()
        return {
            "LAMBDA_TASK_ROOT": "/var/task",
            "AWS_XRAY_DAEMON_ADDRESS": f"{host}:{port}",
            "_X_AMZN_TRACE_ID": f"Root={TRACE_ID};Parent={PARENT_ID};Sampled={int(sampled)}",
        }

    def take(self) -> list[dict[str, Any]]:
        """The documents sent since the last call, in the order of their beginning."""
        documents = []
        while True:
            try:
                header, document = self.listening.recv(65_536).decode().split("\n", 1)
            except BlockingIOError:
                return sorted(documents, key=lambda document: document["start_time"])
            assert json.loads(header) == {"format": "json", "version": 1}
            documents.append(json.loads(document))


@contextmanager
def xray_daemon() -> Iterator[Daemon]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listening:
        listening.bind(("127.0.0.1", 0))
        listening.setblocking(False)
        yield Daemon(listening)
    shutil.rmtree(_TOUCHED, ignore_errors=True)
