"""What the inert plugin adds to plain `pytest`: paired runs, so that a noisy machine hits both alike."""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def run_s(folder: str, *more: str) -> float:
    """Wall seconds of one pytest run of one trivial test; only this plugin is loaded, or none."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    environment["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    started = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *more],
        cwd=folder,
        env=environment,
        check=True,
        stdout=subprocess.DEVNULL,
    )
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=21)
    pairs = parser.parse_args().pairs
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "test_one.py").write_text("def test_one():\n    assert True\n", encoding="utf-8")
        for more in ((), ("-p", "readiness.plugin")):
            run_s(folder, *more)
        measured = [(run_s(folder), run_s(folder, "-p", "readiness.plugin")) for _ in range(pairs)]
    added = sorted((with_it - without) * 1000 for without, with_it in measured)
    ratio = statistics.median(with_it / without for without, with_it in measured)
    print(f"{pairs} pairs: the plugin adds {statistics.median(added):.1f} ms (median), ratio {ratio:.3f}")
    print(f"spread of the differences: {added[0]:.1f} to {added[-1]:.1f} ms")


if __name__ == "__main__":
    main()
