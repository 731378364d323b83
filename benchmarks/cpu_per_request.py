"""CPU a request, corrected and recorded, as a ratio to stock FastHttpUser at an equal achieved rate; paired runs."""

from __future__ import annotations

import argparse
import statistics
import tempfile
from pathlib import Path

from benchmarks._stock import PACED, per_request, stock, until
from readiness.load.profiles import plan_for
from readiness.load.runner import running
from tests.load.system import TinySystem, tiny_system

LOADTEST = Path(__file__).parents[1] / "loadtests" / "volume.py"


def ours(system: TinySystem, folder: Path, rate: float, seconds: float) -> tuple[float, float]:
    plan = plan_for("volume", rate, seconds + 30, "ask", drain_s=1.0)
    with running(plan, locustfile=LOADTEST, folder=folder, descriptor=system.descriptor(folder.parent)) as child:
        began = requests(system)
        until(lambda: requests(system) - began > rate)
        return per_request(child.pid, lambda: requests(system), seconds)


def theirs(system: TinySystem, folder: Path, rate: float, seconds: float, users: int) -> tuple[float, float]:
    with stock(PACED.format(each=rate / users), folder, system.url, users) as process:
        began = requests(system)
        until(lambda: requests(system) - began > rate)
        return per_request(process.pid, lambda: requests(system), seconds)


def requests(system: TinySystem) -> int:
    return int(system.log()["requests"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--rate", type=float, default=400.0)
    parser.add_argument("--seconds", type=float, default=6.0)
    parser.add_argument("--users", type=int, default=20, help="of the stock run")
    given = parser.parse_args()
    ratios = []
    with tiny_system() as system, tempfile.TemporaryDirectory() as home:
        for number in range(given.pairs):
            folder = Path(home) / f"pair-{number}"
            folder.mkdir()
            stock_s, stock_rate = theirs(system, folder / "stock", given.rate, given.seconds, given.users)
            ours_s, our_rate = ours(system, folder / "ours", given.rate, given.seconds)
            ratios.append(ours_s / stock_s)
            print(
                f"pair {number + 1}: stock {stock_s * 1e6:.0f} µs at {stock_rate:.0f}/s, "
                f"ours {ours_s * 1e6:.0f} µs at {our_rate:.0f}/s, ratio {ratios[-1]:.2f}",
                flush=True,
            )
    print(f"CPU a request, ours to stock FastHttpUser: {statistics.median(ratios):.2f} (median of {len(ratios)} pairs)")


if __name__ == "__main__":
    main()
