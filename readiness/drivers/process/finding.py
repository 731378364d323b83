"""Which processes are a service's: by pid files, by the port they listen on, or by a supervisor's list."""

from __future__ import annotations

import fnmatch
import glob
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from readiness.descriptor import ProcessAt
from readiness.drivers.process.supervisor import listed
from readiness.errors import TargetError
from readiness.loading import DescriptorFile

_WRITTEN_S = 2.0
"""A pid file is written by its process, so one that is older than the process by more than this is stale."""
_PID = re.compile(rb"\s*(\d{1,10})\s*(?:\n|$)")


@dataclass(frozen=True, slots=True)
class Found:
    """One running process of a service."""

    name: str
    pid: int
    started: float
    """Seconds since the epoch."""


def find(file: DescriptorFile, service: str, place: ProcessAt) -> list[Found]:
    """Give the running processes of a service, by name; those that ended or were never its own are left out."""
    if place.pidfile is not None:
        named = _by_pidfile(file, place.pidfile)
    elif place.port is not None:
        named = _by_port(service, place.port)
    else:
        named = _by_supervisor(file, service, place.supervisor or "")
    return sorted((one for one in named if one.pid > 1), key=lambda one: (one.name, one.pid))


def _by_pidfile(file: DescriptorFile, pattern: str) -> Iterator[Found]:
    for name in glob.glob(str(file.folder / pattern), recursive=True):  # noqa: PTH207 - may be absolute
        path = Path(name)
        try:
            with path.open("rb") as stream:
                match = _PID.match(stream.read(64))
            written_s = path.stat().st_mtime
        except FileNotFoundError:
            continue  # removed while we looked
        except OSError as error:
            raise TargetError(f"the pid file {path} cannot be read: {error.strerror}") from None
        started = _started(int(match[1])) if match is not None else None
        if match is not None and started is not None and started <= written_s + _WRITTEN_S:
            yield Found(path.stem, int(match[1]), started)


def _by_port(service: str, port: int) -> Iterator[Found]:
    """Those that listen, without the workers that only inherited the socket from one of them."""
    try:
        connections = psutil.net_connections("inet")
    except psutil.AccessDenied:
        raise TargetError(
            f"no right to see which process listens on port {port}", f"services.{service}.process: {{pidfile: …}}"
        ) from None
    pids = {
        one.pid
        for one in connections
        if one.status == psutil.CONN_LISTEN and one.laddr and one.laddr.port == port and one.pid
    }
    leaders = [pid for pid in sorted(pids) if _parent(pid) not in pids]
    for pid in leaders:
        started = _started(pid)
        if started is not None:
            yield Found(service if len(leaders) == 1 else f"{service}-{pid}", pid, started)


def _by_supervisor(file: DescriptorFile, service: str, url: str) -> Iterator[Found]:
    """Those of the group or name that the URL ends with (`unix:///run/s.sock:worker`, `http://…#worker*`).

    Without such an end it is the service's name; a pattern with a colon is held against `group:name`.
    """
    address, _, pattern = url.partition("#")
    socket, colon, name = address.rpartition(":")
    if not pattern and address.startswith("unix://") and colon and "/" not in name:
        address, pattern = socket, name
    pattern = pattern or service
    for group, name, pid in listed(file, address):
        spelled = (f"{group}:{name}",) if ":" in pattern else (group, name)
        wanted = any(fnmatch.fnmatchcase(one, pattern) for one in spelled)
        started = _started(pid) if wanted else None
        if started is not None:
            yield Found(name, pid, started)


def _started(pid: int) -> float | None:
    """When the process started; None where it does not run (any more)."""
    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else process.create_time()
    except (psutil.Error, ValueError, OverflowError):
        return None


def _parent(pid: int) -> int | None:
    try:
        return psutil.Process(pid).ppid()
    except psutil.Error:
        return None
