"""Every process killed at random moments under traffic: each accepted workflow ends once, or is reported failed."""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx
from ruamel.yaml import YAML


class Caller(threading.Thread):
    """Submits workflows until it is told to stop; a request that got no answer was not accepted."""

    def __init__(self, address: str, token: str, rate_per_s: float) -> None:
        super().__init__(daemon=True)
        self._address, self._rate_per_s = address, rate_per_s
        self._headers = {"Authorization": f"Bearer {token}"}
        self._stop_asked = threading.Event()
        self.accepted: list[str] = []
        self.unanswered = 0

    def run(self) -> None:
        while not self._stop_asked.wait(1 / self._rate_per_s):
            body = {"plan": "answer", "input": f"kill test {len(self.accepted)}", "model": "standin"}
            try:
                answer = httpx.post(f"{self._address}/v1/workflows", json=body, headers=self._headers, timeout=20)
                if answer.status_code == 202:
                    self.accepted.append(answer.json()["id"])
            except httpx.HTTPError:
                self.unanswered += 1

    def end(self) -> None:
        self._stop_asked.set()
        self.join()

    def outcomes(self, within_s: float = 120) -> Counter[str]:
        """How every accepted workflow ended: `done once` is right, `failed` is reported, all else is a broken word."""
        end, seen = time.monotonic() + within_s, Counter[str]()
        for workflow in self.accepted:
            state: dict[str, Any] = {}
            while time.monotonic() < end:
                try:
                    url = f"{self._address}/v1/workflows/{workflow}"
                    state = httpx.get(url, headers=self._headers, timeout=10).json()
                except (httpx.HTTPError, ValueError):
                    state = {}
                if state.get("status") in ("done", "failed"):
                    break
                time.sleep(0.2)
            status = state.get("status", "lost")
            seen[f"done, {state['effects']} effects" if status == "done" else status] += 1
        return seen


def _until_all(names: Sequence[str], killed: Mapping[str, int], moments: int) -> Iterator[str]:
    """Give the names, and then again those that were found dead too often; a bounded number of times."""
    yield from names
    for _ in range(5):
        yield from [name for name in set(names) for _ in range(moments - killed[name])]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--moments", type=int, default=20, help="kills of each process")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    chance = random.Random(given.seed)
    with tempfile.TemporaryDirectory(prefix="rb-") as home:
        nexus = [sys.executable, "-m", "readiness.nexus"]
        said = subprocess.run([*nexus, "up", "--dir", home], check=True, capture_output=True, text=True).stdout
        descriptor = YAML(typ="safe").load(Path(said.splitlines()[-1]).read_text(encoding="utf-8"))
        token = (Path(home) / "secrets" / "caller.token").read_text(encoding="ascii").strip()
        caller = Caller(descriptor["services"]["gateway"]["address"], token, 4.0)
        try:
            caller.start()
            names = [p.name for p in sorted((Path(home) / "run").glob("*.pid"))] * given.moments
            chance.shuffle(names)
            killed: Counter[str] = Counter()
            for name in _until_all(names, killed, given.moments):
                time.sleep(chance.uniform(0.2, 3.0))
                try:
                    os.kill(int((Path(home) / "run" / name).read_text(encoding="utf-8")), signal.SIGKILL)
                    killed[name] += 1
                except (OSError, ValueError):
                    continue  # dead already, from the kill before: its next life is killed at another moment
            time.sleep(5)
            caller.end()
            outcomes = caller.outcomes()
        finally:
            subprocess.run([*nexus, "down", "--dir", home], check=True, stdout=subprocess.DEVNULL)
    print(f"{killed.total()} kills, at least {min(killed.values())} of each of {len(killed)} processes")
    print(f"{len(caller.accepted)} accepted, {caller.unanswered} unanswered: {dict(outcomes)}")
    return 0 if set(outcomes) <= {"done, 1 effects", "failed"} else 1


if __name__ == "__main__":
    sys.exit(main())
