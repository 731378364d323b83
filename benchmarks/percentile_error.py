"""Error of percentiles from buckets on the same samples, over several distributions; Locust's own beside it."""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from readiness.load.buckets import ERROR, Histogram

QUANTILES = (0.5, 0.9, 0.95, 0.99, 0.999)
MOST = 0.008
_LOCUST = """
import json, sys
import numpy as np
from locust.stats import RequestStats
entry = RequestStats().total
for value in np.load(sys.argv[1]): entry.log(float(value) * 1000, 0)
print(json.dumps([entry.get_response_time_percentile(float(q)) / 1000 for q in sys.argv[2:]]))
"""


def distributions(n: int, seed: int) -> dict[str, NDArray[np.float64]]:
    """Latencies in seconds."""
    chance = np.random.default_rng(seed)
    return {
        "fast service (0.8 ms)": chance.gamma(8, 0.0001, n),
        "log-normal": chance.lognormal(-3, 1, n),
        "exponential": chance.exponential(0.05, n),
        "bimodal (freezes)": np.where(chance.random(n) < 0.1, chance.uniform(0, 1, n), chance.gamma(4, 0.0005, n)),
        "around 1250 ms": chance.normal(1.25, 0.02, n),
        "Pareto": 0.002 * (1 + chance.pareto(1.5, n)),
    }


def locusts(samples: NDArray[np.float64]) -> list[float]:
    """Percentiles as Locust itself tells them, in a process of its own."""
    with tempfile.TemporaryDirectory() as home:
        path = Path(home) / "samples.npy"
        np.save(path, samples)
        argv = [sys.executable, "-c", _LOCUST, str(path), *map(str, QUANTILES)]
        done = subprocess.run(argv, capture_output=True, text=True, check=True)
    found: list[float] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    worst = 0.0
    for name, samples in distributions(given.samples, given.seed).items():
        ordered = np.sort(samples)
        exact = [float(ordered[math.ceil(q * ordered.size - 1e-9) - 1]) for q in QUANTILES]
        histogram = Histogram.of(samples)
        mine = [(histogram.quantile(q) or 0.0) / true - 1 for q, true in zip(QUANTILES, exact, strict=True)]
        theirs = [value / true - 1 for value, true in zip(locusts(samples), exact, strict=True)]
        worst = max(worst, *map(abs, mine))
        print(
            f"{name:22} ours {' '.join(f'{e:+7.2%}' for e in mine)}   Locust {' '.join(f'{e:+7.1%}' for e in theirs)}"
        )
    print(f"worst error {worst:.2%} (bound by construction {ERROR:.2%}); to reach {MOST:.1%}")
    return 0 if worst <= MOST else 1


if __name__ == "__main__":
    raise SystemExit(main())
