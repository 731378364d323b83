"""The stock web page of `locust -f loadtests/…`, by its HTTP: profiles as a drop-down, runs that are recorded."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from readiness.load.results import read
from readiness.waiting import eventually
from tests.load.system import tiny_system

ROOT = Path(__file__).parents[2]
PATIENCE_S = 120.0


@contextmanager
def page(*argv: str) -> Iterator[str]:
    """The stock command with its web page; yields the page's address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    dropped = ("READINESS_DEPLOYMENT", "READINESS_LOAD_PLAN", "READINESS_LOAD_RESULTS")
    kept = {name: value for name, value in os.environ.items() if name not in dropped}
    command = [sys.executable, "-m", "locust", "--web-host", "127.0.0.1", "--web-port", str(port), *argv]
    with subprocess.Popen(
        command, cwd=ROOT, env=kept, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            url = f"http://127.0.0.1:{port}"
            eventually(lambda: get(url), within=PATIENCE_S)
            yield url
        finally:
            process.kill()


def get(url: str) -> str:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return str(answer.read().decode())
    except urllib.error.URLError:
        return ""


def post(url: str, **form: str) -> str:
    data = urllib.parse.urlencode(form).encode()
    with urllib.request.urlopen(url, data, timeout=60) as answer:
        return str(answer.read().decode())


def state(url: str) -> str:
    return str(json.loads(get(f"{url}/stats/requests"))["state"])


def test_profiles_are_offered_and_what_is_started_there_is_recorded(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with tiny_system() as system:
        argv = ["-f", "loadtests/spike.py", "--host", system.url, "--load-results", str(folder)]
        with page(*argv) as url:
            offered = get(url)
            assert all(f'"{name}"' in offered for name in ("steady", "stress", "spike", "endurance", "volume"))
            post(f"{url}/swarm", load_profile="volume", load_rate="20", load_duration="2s", host=system.url)
            eventually((folder / "worker-0.end.json").exists, within=PATIENCE_S)
            eventually(lambda: state(url) == "stopped", within=PATIENCE_S)
            first = read(folder)
            assert (first.plan.profile, first.total.ok, first.stopped) == ("volume", 40, False)

            post(f"{url}/swarm", load_profile="steady", load_rate="20", load_duration="300s", host=system.url)
            second = folder.with_name("run-2")
            eventually((second / "worker-0.samples").exists, within=PATIENCE_S)
            eventually(lambda: (second / "worker-0.samples").stat().st_size > 0, within=PATIENCE_S)
            post(f"{url}/stop")
            eventually((second / "worker-0.end.json").exists, within=PATIENCE_S)
            assert read(second).stopped

            post(f"{url}/swarm", load_profile="steady", load_rate="none", load_duration="2s", host=system.url)
            eventually(lambda: state(url) == "stopped", within=PATIENCE_S)
            assert not folder.with_name("run-3").exists()
