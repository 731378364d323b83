"""Healthy runs in a row: every one must say READY; a single blocking alarm is a false alarm."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=20)
    runs = parser.parse_args().runs
    decisions: Counter[str] = Counter()
    alarms: Counter[str] = Counter()
    seconds = []
    for number in range(1, runs + 1):
        with tempfile.TemporaryDirectory() as reports:
            started = time.monotonic()
            argv = [sys.executable, "-m", "pytest", "--readiness", "-q", "--readiness-reports", reports]
            done = subprocess.run(argv, check=False, stdin=subprocess.DEVNULL, capture_output=True, text=True)
            seconds.append(time.monotonic() - started)
            card = json.loads((Path(reports) / "latest" / "readiness.json").read_text(encoding="utf-8"))
        decisions[card["decision"]] += 1
        alarmed = {gate["id"]: gate.get("reason", "") for gate in card["gates"] if gate["state"] != "PASS"}
        alarms.update(alarmed.keys())
        print(
            f"run {number}: {card['decision']}, exit {done.returncode}, {seconds[-1]:.0f} s, not passed: {alarmed}",
            flush=True,
        )
    seconds.sort()
    print(f"decisions: {dict(decisions)}; not passed, by gate: {dict(alarms)}")
    print(f"seconds a run: {seconds[0]:.0f} / {seconds[len(seconds) // 2]:.0f} / {seconds[-1]:.0f} (min/median/max)")
    return 0 if set(decisions) == {"READY"} else 1


if __name__ == "__main__":
    sys.exit(main())
