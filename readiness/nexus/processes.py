"""Processes of this machine: whose they are, when they end, and how they are ended."""

from __future__ import annotations

import os
import select
import sysconfig
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path

import psutil


def clean_environment() -> dict[str, str]:
    """Give children what they need to run, and nothing that the caller's environment may hold beside."""
    kept = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "VIRTUAL_ENV", "SSL_CERT_FILE")
    environment = {name: os.environ[name] for name in kept if name in os.environ}
    root = Path(__file__).resolve().parents[2]
    if str(root) not in (sysconfig.get_path("purelib"), sysconfig.get_path("platlib")):
        environment["PYTHONPATH"] = str(root)
    return environment


def ended(pid: int, within_s: float) -> bool:
    """Wait for the end of a process that is not our child, without waking up in between.

    A pidfd also tells of a dead process that its parent has not collected yet.
    """
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        poll = select.poll()  # `select` knows no descriptor beyond 1023
        poll.register(descriptor, select.POLLIN)
        return bool(poll.poll(within_s * 1000))
    finally:
        os.close(descriptor)


def processes_of(home: Path) -> list[psutil.Process]:
    """Find every living process of this home by its command line: `--home` and this folder, or our configuration."""
    ours = {("--home", str(home)), ("-c", str(home / "run" / "supervisord.conf"))}
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        arguments = process.info["cmdline"] or []
        if ours & set(pairwise(arguments)) and process.info["status"] != psutil.STATUS_ZOMBIE:
            found.append(process)
    return [process for process in found if process.pid != os.getpid()]


def kill_all(processes: Iterable[psutil.Process], within_s: float = 5.0) -> None:
    """Kill processes for good; psutil compares creation times, so a reused pid is never hit."""
    doomed = list(processes)
    for process in doomed:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(doomed, timeout=within_s)
