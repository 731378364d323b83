"""What recording adds to the CPU of a request: the same load with and without a folder for results; paired runs."""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks._stock import per_request, until
from tests.load.system import TinySystem, tiny_system

ROOT = Path(__file__).parents[1]


def cost_s(system: TinySystem, rate: float, seconds: float, results: Path | None) -> float:
    argv = [sys.executable, "-m", "locust", "-f", "loadtests/volume.py", "--headless", "--only-summary"]
    argv += ["--host", system.url, "--load-rate", f"{rate}/s", "--load-duration", f"{seconds + 60}s"]
    argv += ["--load-results", str(results)] if results else []
    environment = {name: value for name, value in os.environ.items() if not name.startswith("READINESS_")}

    def requests() -> int:
        return int(system.log()["requests"])

    with subprocess.Popen(
        argv,
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as process:
        try:
            began = requests()
            until(lambda: requests() - began > rate)
            return per_request(process.pid, requests, seconds)[0]
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--rate", type=float, default=400.0)
    parser.add_argument("--seconds", type=float, default=6.0)
    given = parser.parse_args()
    ratios = []
    with tiny_system() as system, tempfile.TemporaryDirectory() as home:
        for number in range(given.pairs):
            results = Path(home) / f"run-{number}"
            order = (None, results) if number % 2 else (results, None)
            costs = {where: cost_s(system, given.rate, given.seconds, where) for where in order}
            ratios.append(costs[results] / costs[None])
            print(
                f"pair {number + 1}: {costs[None] * 1e6:.0f} µs without, {costs[results] * 1e6:.0f} µs with", flush=True
            )
    print(f"recording adds {statistics.median(ratios) - 1:+.1%} CPU a request (median of {len(ratios)} pairs)")


if __name__ == "__main__":
    main()
