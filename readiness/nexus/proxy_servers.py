"""The two servers of proxies as programs of the supervisor. Neither is imported: both are commands."""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
from pathlib import Path
from urllib.parse import urlsplit

from readiness.nexus.settings import LOOPBACK, Proxied, free_port
from readiness.nexus.supervision import Program

TOXIPROXY, HTTP_FAULTS = "toxiproxy", "httpfaults"
"""Names of the programs."""
PROGRAMS = frozenset({TOXIPROXY, HTTP_FAULTS})
ELSEWHERE = "READINESS_TOXIPROXY_URL"
"""Names a Toxiproxy that somebody else runs; then none is started."""


def planned(home: Path) -> Proxied:
    """Decide where the two servers of a new home listen; one that runs already is shared, under names of our own."""
    shared = os.environ.get(ELSEWHERE, "").rstrip("/")
    return Proxied(
        toxiproxy=shared or f"http://{LOOPBACK}:{free_port()}",
        http=f"http://{LOOPBACK}:{free_port()}",
        prefix=f"{hashlib.sha256(str(home).encode()).hexdigest()[:6]}-" if shared else "",
    )


def programs(proxied: Proxied) -> list[Program]:
    """Describe how the servers are started that this home has of its own."""
    wanted = [_program(HTTP_FAULTS, (sys.executable, "-m", "readiness.httpfaults", *_at(proxied.http, "--")))]
    if not proxied.shared:
        wanted.append(_program(TOXIPROXY, _toxiproxy(proxied.toxiproxy)))
    return wanted


def _toxiproxy(url: str) -> tuple[str, ...]:
    installed = shutil.which("toxiproxy-server")
    if installed:
        return (installed, *_at(url, "-"))
    return (sys.executable, "-m", "readiness.toxiproxy.server", *_at(url, "--"))


def _at(url: str, dash: str) -> tuple[str, ...]:
    return (f"{dash}host", LOOPBACK, f"{dash}port", str(urlsplit(url).port))


def _program(name: str, command: tuple[str, ...]) -> Program:
    # Their records are not this deployment's: they lie apart from its log, and only what is wrong is written.
    tethered = (sys.executable, "-m", "readiness.nexus.tethered", *command)
    return Program(name, tethered, log="run", environment={"LOG_LEVEL": "error"})
