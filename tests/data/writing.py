"""A process that opens and closes undos without end, saying after each what must now be on the disk.

`python -m tests.data.writing STATE`
"""

from __future__ import annotations

import itertools
import sys
from datetime import UTC, datetime
from pathlib import Path

from readiness.state import OpenUndo, State


def main(folder: str) -> None:
    """Keep one undo open at any time, but for the moment before the first."""
    state = State(Path(folder))
    for n in itertools.count():
        undo = OpenUndo(f"u{n}", "run", "A", "x" * 5000, ({"by": "procedure", "name": "start"},), {}, datetime.now(UTC))
        state.open(undo)
        print(f"open {n}", flush=True)
        if n:
            state.close(f"u{n - 1}")
            print(f"closed {n - 1}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
