"""What this machine has, by the name that the mark `needs` uses; a reason is said at the end of the test run."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path


def _program(name: str, where: str) -> str:
    return "" if shutil.which(name) else f"{name} is not on PATH ({where})"


@cache
def postgresql() -> str:
    """Why PostgreSQL's server programs cannot be used here, or an empty text."""
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not debian and not shutil.which("initdb"):
        return "PostgreSQL's initdb is not installed (Debian: postgresql-15)"
    if os.geteuid() == 0 and not shutil.which("setpriv"):
        return "PostgreSQL refuses root, and setpriv is not installed (Debian: util-linux)"
    return ""


@cache
def chromium() -> str:
    """Why no page can be looked at in a browser here, or an empty text."""
    return _program("chromium", "Debian: chromium")


@cache
def playwright() -> str:
    """Why no browser can be driven here, or an empty text."""
    return "" if importlib.util.find_spec("playwright") else "the Python package playwright is not installed"


@cache
def linux() -> str:
    """Whether this is Linux, where processes can be read in full."""
    return "" if sys.platform == "linux" else "needs Linux"


@cache
def bash() -> str:
    """Why no shell procedure can be run here, or an empty text."""
    return _program("bash", "any distribution")


@cache
def openssl() -> str:
    """Why no certificates can be made here, or an empty text."""
    return _program("openssl", "Debian: openssl")


@cache
def unprivileged() -> str:
    """Whether this user can be refused a file; root reads every one."""
    return "root reads every file: run the tests as another user for this one" if os.geteuid() == 0 else ""


@cache
def cgroups() -> str:
    """Why no process can be limited by a control group here, or an empty text."""
    from readiness.drivers.process.groups import cannot

    return cannot("cpu") or cannot("memory")


@cache
def toxiproxy() -> str:
    """Why no real Toxiproxy can be used here, or an empty text."""
    if os.environ.get("TOXIPROXY_URL") or shutil.which("toxiproxy-server"):
        return ""
    return (
        "no real Toxiproxy: TOXIPROXY_URL is not set and toxiproxy-server is not on PATH (Go: toxiproxy/v2/cmd/server)"
    )


MISSING: dict[str, Callable[[], str]] = {
    "postgresql": postgresql,
    "chromium": chromium,
    "playwright": playwright,
    "linux": linux,
    "bash": bash,
    "openssl": openssl,
    "unprivileged": unprivileged,
    "toxiproxy": toxiproxy,
    "cgroups": cgroups,
}
