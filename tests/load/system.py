"""The tiny system of `server.py` as a process of its own, and a descriptor of it."""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DESCRIPTOR = """readiness: 1
name: tiny
environment: staging
services:
  gate: {{address: "http://127.0.0.1:{port}"}}
auth:
  gate: {{bearer: {{file: token}}}}
workload:
  correlation: {{request_header: X-Correlation-Id}}
  ok:
    submit: {{method: POST, url: "{{gate}}/jobs", json: {{input: "{{marker}}"}}}}
    result: {{url: "{{gate}}/jobs/{{id}}", until: {{status: [done, failed]}}, success: {{status: done}}}}
    expect: {{output: "{{marker}}"}}
    once: {{effects: 1}}
    within: 10s
  slow:
    submit: {{method: POST, url: "{{gate}}/jobs", json: {{input: "{{marker}}"}}}}
    result: {{url: "{{gate}}/jobs/{{id}}", until: {{status: [done]}}, success: {{status: done}}}}
    within: 1s
  invalid:
    submit: {{method: POST, url: "{{gate}}/jobs", json: {{input: "{{marker}}"}}}}
    outcome: refused
  ask:
    submit: {{url: "{{gate}}/"}}
"""
TOKEN = "tiny-secret-token-0123456789"


@dataclass(frozen=True, slots=True)
class TinySystem:
    """A running server."""

    port: int
    pid: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def control(self, **does: Any) -> None:
        """Change what it does; see `server.py`."""
        self._ask("POST", "/control", does)

    def log(self) -> dict[str, Any]:
        """What it saw."""
        found = self._ask("GET", "/log")
        assert isinstance(found, dict)
        return found

    def descriptor(self, folder: Path) -> Path:
        """Write a descriptor of it, and the credential that it names."""
        (folder / "token").write_text(TOKEN, encoding="ascii")
        path = folder / "tiny.yaml"
        path.write_text(DESCRIPTOR.format(port=self.port), encoding="utf-8")
        return path

    def _ask(self, method: str, path: str, body: Any = None) -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, None if body is None else json.dumps(body))
            return json.loads(connection.getresponse().read())
        finally:
            connection.close()


@contextmanager
def tiny_system(certificates: Path | None = None, **does: Any) -> Iterator[TinySystem]:
    """Run the server for the length of a `with` block; it ends with whoever started it, too.

    With a folder of certificates it speaks TLS and wants one of its caller; it cannot be controlled then.
    """
    root = Path(__file__).parents[2]
    argv = [sys.executable, "-m", "tests.load.server", *([str(certificates)] if certificates else [])]
    with subprocess.Popen(argv, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdin is not None
        try:
            system = TinySystem(int(process.stdout.readline()), process.pid)
            if does:
                system.control(**does)
            yield system
        finally:
            process.kill()
            process.stdin.close()
