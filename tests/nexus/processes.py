"""The services of a home as plain processes, without a supervisor: what dies stays dead until it is started again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from readiness.nexus import first_state, registry
from readiness.nexus.settings import Settings

WITHIN_S = 60.0


def until(condition: Callable[[], bool], what: str) -> None:
    """Polls until a condition holds."""
    deadline = time.monotonic() + WITHIN_S
    while not condition():
        assert time.monotonic() < deadline, f"not within {WITHIN_S:.0f} s: {what}"
        time.sleep(0.05)


class Nexus:
    """Running instances by name, and a caller of their public interface."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self._placed: dict[str, tuple[str, int, str]] = {}

    def start(self, service: str, number: int = 1, release: str = "2.3.0") -> str:
        """Starts an instance; returns its name."""
        name = registry.instance_name(self.settings, service, number, release)
        command = [sys.executable, "-m", "readiness.nexus.service", "--home", str(self.settings.home)]
        command += ["--service", service, "--instance", name]
        command += [] if service == "provider" else ["--release", release]
        with (self.settings.home / "log" / f"{name}.log").open("ab") as log:
            environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
            environment["PYTHONPATH"] = str(Path(__file__).parents[2])
            self.processes[name] = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment
            )
        self._placed[name] = (service, number, release)
        return name

    def kill(self, name: str) -> None:
        """Kills an instance as `kill -9` does."""
        self.processes[name].kill()
        self.processes[name].wait()

    def start_again(self, name: str) -> None:
        """Starts an instance that was killed or stopped."""
        self.start(*self._placed[name])

    def stop(self, *names: str) -> list[int]:
        """Stops instances in the orderly way; returns their exit codes."""
        for name in names:
            self.processes[name].terminate()
        return [self.processes[name].wait(WITHIN_S) for name in names]

    def ready(self) -> bool:
        """Tells whether every started instance says that it is ready."""
        return all(self._says_ready(*self._placed[name][:1], name) for name in self.processes)

    def _says_ready(self, service: str, name: str) -> bool:
        known = [entry for entry in registry.lookup(self.settings, service) if entry.name == name]
        return bool(known) and self.get(f"{known[0].url}{self.settings.names.paths.ready}") == 200

    @staticmethod
    def get(url: str) -> int:
        """Returns the status of an address, or 0 when nobody listens."""
        try:
            return httpx.get(url, timeout=10, trust_env=False).status_code
        except httpx.TransportError:
            return 0

    def call(self, method: str, path: str, holder: str = "caller", **more: Any) -> httpx.Response:
        """Calls the public interface with somebody's token, on a connection of its own."""
        headers = {"Authorization": f"Bearer {self.settings.secret(f'{holder}.token')}"} | more.pop("headers", {})
        with httpx.Client(base_url=self.settings.public_url, trust_env=False, timeout=30) as client:
            return client.request(method, path, headers=headers, **more)

    def submit(self, text: str, model: str = "standin", **headers: str) -> str:
        """Submits a workflow; returns its id."""
        order = {"plan": "answer", "input": text, "model": model}
        answer = self.call("POST", "/v1/workflows", json=order, headers=headers)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    def ended(self, identity: str) -> dict[str, Any]:
        """Waits until a workflow has ended; returns its state."""
        state: dict[str, Any] = {}

        def has_ended() -> bool:
            state.update(self.call("GET", f"/v1/workflows/{identity}").json())
            return state.get("status") in ("done", "failed")

        until(has_ended, f"workflow {identity} ends, it is {state}")
        return state

    def log_lines(self) -> Iterator[str]:
        """Yields every line that any instance wrote."""
        for path in sorted((self.settings.home / "log").glob("*.log")):
            yield from path.read_text().splitlines()

    def records(self) -> list[dict[str, Any]]:
        """Returns every line of every log, which must be JSON."""
        return [json.loads(line) for line in self.log_lines()]

    def series(self, service: str, name: str) -> float:
        """Sums the samples of a series, given with its labels, over the instances of a service."""
        total = 0.0
        for entry in registry.lookup(self.settings, service):
            text = httpx.get(f"{entry.url}{self.settings.names.paths.metrics}", trust_env=False).text
            total += sum(float(line.rpartition(" ")[2]) for line in text.splitlines() if line.startswith(name))
        return total


@contextmanager
def running(settings: Settings, replicas: dict[str, int], release: str = "2.3.0") -> Iterator[Nexus]:
    """Plants a fresh state, starts the services and ends whatever is left of them."""
    first_state.plant(settings)
    nexus = Nexus(settings)
    try:
        for service, number in replicas.items():
            for replica in range(1, number + 1):
                nexus.start(service, replica, release)
        until(nexus.ready, "all instances are ready")
        yield nexus
    finally:
        for process in nexus.processes.values():
            process.kill()
            process.wait()
