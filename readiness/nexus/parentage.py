"""Makes a supervised process end with its supervisor, so that no orphan is left to compete with its successor."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import time

SUPERVISED = "NEXUS_SUPERVISED"
"""Set to 1 in the environment of whatever the supervisor starts."""
PR_SET_PDEATHSIG = 1  # linux/prctl.h
WATCH_EVERY_S = 0.5


def end_with_parent() -> None:
    """Asks the kernel for the parent's death, where there is such a service, else looks for it."""
    if os.environ.get(SUPERVISED) != "1":
        return
    parent = os.getppid()
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent or parent == 1:
            # It died before the kernel knew that we care.
            os._exit(1)
        return
    threading.Thread(target=_watch, args=(parent,), name="parent", daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(WATCH_EVERY_S)
    os._exit(1)
