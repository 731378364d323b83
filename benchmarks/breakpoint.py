"""Whether the bracket of `readiness load breakpoint` holds the true capacity of a server; wanted: 5 of 5."""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks._paced import paced

ROOT = Path(__file__).parents[1]
CAPACITIES = (50.0, 70.0, 90.0, 110.0, 130.0)
COMMAND = (sys.executable, "-c", "from readiness.cli import main; main()", "load", "breakpoint")
_BRACKET = re.compile(r"holds ([\d.]+)/s, does not hold ([\d.]+)/s")


def bracket(capacity: float, step: str, folder: Path) -> tuple[float, float, str]:
    """Search once, as a user would; gives the bracket (0, 0 where there is none) and what was printed."""
    with paced(capacity) as url:
        rates = ["--rate-from", "20/s", "--rate-to", "400/s", "--step", step, "--host", url, "--into", str(folder)]
        done = subprocess.run([*COMMAND, *rates], cwd=ROOT, capture_output=True, text=True, check=False)
    found = _BRACKET.search(done.stdout)
    return (float(found[1]), float(found[2]), done.stdout) if found else (0.0, 0.0, done.stdout + done.stderr)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--step", default="5s", help="how long each rate is sent")
    parser.add_argument(
        "--capacity", type=float, nargs="*", default=CAPACITIES, help="requests a second; one search each"
    )
    given = parser.parse_args()
    held = 0
    print("capacity     bracket            width    time")
    for capacity in given.capacity:
        began_s = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            low, high, said = bracket(capacity, given.step, Path(folder) / "search")
        inside = low <= capacity <= high
        held += inside
        width = f"{high / low - 1:6.1%}" if low else "     –"
        word = "holds" if inside else "MISSES"
        took = f"{time.monotonic() - began_s:5.0f} s"
        print(f"{capacity:6.1f}/s  {low:6.1f} to {high:6.1f}/s  {width}  {took}  {word} the truth", flush=True)
        if not inside:
            print(said)
    print(f"the bracket holds the truth {held} of {len(given.capacity)} times")
    return 0 if held == len(given.capacity) else 1
