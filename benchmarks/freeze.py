"""A server that stands still for 1 s in 10: p99 and p99.9 against the truth of its own log; stock Locust beside it."""

from __future__ import annotations

import argparse
import csv
import math
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks._freezing import Freezing, freezing
from benchmarks._stock import PACED, stock
from readiness.load.profiles import plan_for
from readiness.load.results import LoadResult, read
from readiness.load.runner import run

LOADTEST = Path(__file__).parents[1] / "loadtests" / "volume.py"
QUANTILES = (0.95, 0.99, 0.999)
TOLERANCE = 0.01
_FREEZE_S, _EVERY_S = 1.0, 10.0


def truth(result: LoadResult, freezes: list[tuple[float, float]]) -> NDArray[np.float64]:
    """How long each planned arrival had to wait at least: from its instant to the end of the freeze that it met."""
    assert result.began_at is not None
    arrivals = result.began_at.timestamp() + result.plan.starts()
    waits = np.zeros(arrivals.size)
    for began, ended in freezes:
        inside = (arrivals >= began) & (arrivals < ended)
        waits[inside] = ended - arrivals[inside]
    return np.sort(waits)


def nearest_rank(ordered: NDArray[np.float64], q: float) -> float:
    return float(ordered[max(0, math.ceil(q * ordered.size - 1e-9) - 1)])


def ours(system: Freezing, folder: Path, rate: float, seconds: float, processes: int) -> bool:
    folder.mkdir()
    plan = plan_for("volume", rate, seconds, workers=processes)
    run(
        plan,
        folder=folder / "run",
        locustfile=LOADTEST,
        descriptor=None,
        host=system.url,
        processes=processes,
    )
    result = read(folder / "run")
    true = truth(result, system.freezes())
    print(f"{processes} process(es): {result.total.started} of {result.total.planned} sent, {result.total.ok} served")
    good = True
    for q in QUANTILES:
        measured, wanted = result.quantile_s(q) or 0.0, nearest_rank(true, q)
        off = measured / wanted - 1 if wanted else math.inf
        judged = q >= 0.99
        good &= not judged or abs(off) <= TOLERANCE
        print(
            f"  p{q * 100:g}: true {wanted * 1000:7.1f} ms, measured {measured * 1000:7.1f} ms, off {off:+.2%}",
            flush=True,
        )
    return good


def theirs(system: Freezing, folder: Path, rate: float, seconds: float, users: int) -> None:
    prefix = folder / "stats"
    with stock(
        PACED.format(each=rate / users), folder, system.url, users, "-t", f"{seconds:.0f}s", "--csv", str(prefix)
    ) as process:
        process.wait(seconds + 60)
    with prefix.with_name("stats_stats.csv").open(encoding="utf-8") as rows:
        row = next(each for each in csv.DictReader(rows) if each["Name"] == "Aggregated")
    told = ", ".join(f"p{name.rstrip('%')} {row[name]} ms" for name in ("95%", "99%", "99.9%"))
    print(f"stock Locust, {users} users paced to {rate:.0f}/s: {told}", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=120.0, help="whole periods of 10 s")
    parser.add_argument("--rate", type=float, default=200.0)
    parser.add_argument("--stock-seconds", type=float, default=60.0)
    given = parser.parse_args()
    good = True
    with tempfile.TemporaryDirectory() as home:
        for processes in (1, 2):
            with freezing(Path(home) / f"server-{processes}", _FREEZE_S, _EVERY_S) as system:
                good &= ours(system, Path(home) / f"ours-{processes}", given.rate, given.seconds, processes)
        with freezing(Path(home) / "server-stock", _FREEZE_S, _EVERY_S) as system:
            theirs(system, Path(home) / "stock", given.rate, given.stock_seconds, 4)
    print(f"p99 and p99.9 within {TOLERANCE:.0%} of the truth: {'yes' if good else 'NO'}")
    return 0 if good else 1


if __name__ == "__main__":
    raise SystemExit(main())
