"""Memory of the recorder fed ten million samples: flat, and at most 200 MB."""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil

from readiness.load.recorder import Recorder

MOST_MB = 200.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=10_000_000)
    given = parser.parse_args()
    process, part = psutil.Process(), max(1, given.samples // 10)
    latencies_s = np.random.default_rng(1).lognormal(-3, 1, 65536).tolist()
    with tempfile.TemporaryDirectory() as home:
        recorder = Recorder(Path(home), 0)
        readings, began_s, number = [], time.process_time(), 0
        for _ in range(10):
            for _ in range(part):
                at_s = number / 1000
                recorder.add(at_s, at_s, at_s + latencies_s[number & 65535], number >> 20, number & 1, 200, 0)
                number += 1
            recorder.flush()
            readings.append(process.memory_info().rss / 1e6)
        each_ns = (time.process_time() - began_s) / number * 1e9
        recorder.end((0, 1), number, "complete")
        readings.append(process.memory_info().rss / 1e6)
        written_mb = sum(path.stat().st_size for path in Path(home).iterdir()) / 1e6
    growth = max(readings[5:]) - readings[4]
    print(f"RSS after each tenth, and after the end: {' '.join(f'{mb:.0f}' for mb in readings)} MB")
    print(
        f"{number} samples: at most {max(readings):.0f} MB, {growth:+.1f} MB in the second half; "
        f"{written_mb:.0f} MB written"
    )
    print(f"{each_ns:.0f} ns of CPU a sample")
    return 0 if max(readings) <= MOST_MB else 1


if __name__ == "__main__":
    raise SystemExit(main())
