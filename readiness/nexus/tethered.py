"""Becomes another command that ends with its parent: `python -m readiness.nexus.tethered COMMAND…`."""

from __future__ import annotations

import os
import sys

from readiness.nexus import parentage

if __name__ == "__main__":
    # What the kernel does at the parent's death outlives the exec.
    parentage.end_with_parent()
    os.execv(sys.argv[1], sys.argv[1:])
