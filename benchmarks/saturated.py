"""100 stock HttpUsers on a fast server: the generator is the limit, and each run must be INVALID."""

from __future__ import annotations

import argparse
import tempfile
from collections import Counter
from pathlib import Path

from benchmarks._stock import FULL_SPEED
from readiness.load.profiles import plan_for
from readiness.load.results import read
from readiness.load.runner import run
from readiness.load.verdict import judge
from tests.load.system import tiny_system


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--users", type=int, default=100)
    given = parser.parse_args()
    outcomes: Counter[str] = Counter()
    with tiny_system() as system, tempfile.TemporaryDirectory() as home:
        file = Path(home) / "full_speed.py"
        file.write_text(FULL_SPEED, encoding="utf-8")
        for number in range(given.runs):
            plan = plan_for("volume", 1.0, given.seconds, users=given.users, thresholds={"errors": "<= 1%"})
            folder = Path(home) / f"run-{number}"
            run(plan, folder=folder, locustfile=file, descriptor=None, host=system.url)
            verdict = judge(read(folder))
            outcomes[verdict.outcome] += 1
            print(f"run {number + 1}: {verdict.outcome}: {'; '.join(verdict.reasons)}", flush=True)
    print(f"{outcomes['INVALID']} of {given.runs} INVALID")
    return 0 if outcomes["INVALID"] == given.runs else 1


if __name__ == "__main__":
    raise SystemExit(main())
