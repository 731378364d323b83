"""Starts one instance of one service: `python -m readiness.nexus.service --home DIR --service S --instance I`."""

from __future__ import annotations

import argparse
import gc
import sys
from pathlib import Path

from readiness.nexus import parentage
from readiness.nexus.errors import NexusError
from readiness.nexus.names import COMPONENTS
from readiness.nexus.settings import Settings


def main() -> int:
    """Runs the instance until it is told to stop."""
    parser = argparse.ArgumentParser(prog="python -m readiness.nexus.service")
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--service", choices=COMPONENTS, required=True)
    parser.add_argument("--instance", required=True)
    parser.add_argument("--release", default="")
    given = parser.parse_args()
    parentage.end_with_parent()
    # What is imported stays: collecting it costs a sixth of the start. `serving` turns the collector on again.
    gc.disable()
    # httpx and structlog load rich for terminals when it is there: a quarter of the start, for nothing.
    sys.modules["rich"] = None  # type: ignore[assignment]
    from readiness.nexus import serving

    try:
        settings = Settings.load(given.home)
    except NexusError as error:
        print(error, file=sys.stderr)
        return 1
    return serving.run(settings, given.service, given.instance, given.release)


if __name__ == "__main__":
    sys.exit(main())
