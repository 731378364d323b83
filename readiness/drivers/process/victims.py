"""The very process that an operation means, told from every other that may get its number later."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

from readiness.errors import Missing, TargetError
from readiness.target import Argument, Instance

_SAME_S = 0.02
"""Start times of one process, read twice, differ by less: the kernel counts in ticks of 10 ms."""
PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class Victim:
    """One process of one replica, as operations name it."""

    service: str
    instance: str
    pid: int
    started: float
    """Seconds since the epoch."""
    ticks: int | None = None
    """When it started in the kernel's ticks since boot: these do not move when the clock is set or slewed between
    the run and a later healing, as `started` may."""

    def __str__(self) -> str:
        return f"process {self.pid} of {self.instance}"

    @classmethod
    def of(cls, instance: Instance) -> Victim:
        """Name the process of a replica that runs now; raises `Missing` where it is not known."""
        if instance.pid is None or instance.started is None:
            raise Missing(
                f"the process of {instance.name} is not known", f"services.{instance.service}.process: {{pidfile: …}}"
            )
        return cls(instance.service, instance.name, instance.pid, instance.started, _ticks(instance.pid))

    @classmethod
    def read(cls, operation: str, arguments: Mapping[str, Argument]) -> Victim:
        """Read it from an operation's arguments."""
        try:
            ticks = int(arguments["ticks"]) if "ticks" in arguments else None
            pid, started = int(arguments["pid"]), float(arguments["started"])
            return cls(str(arguments["service"]), str(arguments["instance"]), pid, started, ticks)
        except (KeyError, ValueError) as error:
            raise TargetError(f"{operation} needs service, instance, pid and started: {error}") from None

    def arguments(self) -> dict[str, Argument]:
        """Write it down as arguments of an operation."""
        named: dict[str, Argument] = {"service": self.service, "instance": self.instance, "pid": self.pid}
        return {**named, "started": self.started, **({} if self.ticks is None else {"ticks": self.ticks})}

    def started_as(self, started: float) -> bool:
        """Whether that start time, or the ticks of whoever has the number now, are its own."""
        if self.ticks is not None and (ticks := _ticks(self.pid)) is not None:
            return ticks == self.ticks
        return abs(started - self.started) < _SAME_S

    def process(self) -> psutil.Process | None:
        """Give it while it lives: None where it ended (a zombie has), or where another got its number."""
        try:
            process = psutil.Process(self.pid)
            alive = self.started_as(process.create_time()) and process.status() != psutil.STATUS_ZOMBIE
        except (psutil.NoSuchProcess, ValueError, OverflowError):
            return None
        return process if alive else None


def protected() -> set[int]:
    """Give the processes that are never touched: the system's first, this one, and what started it."""
    try:
        parents = {parent.pid for parent in psutil.Process().parents()}
    except psutil.Error:
        parents = set()
    return {0, 1, os.getpid(), os.getppid(), *parents}


def _ticks(pid: int) -> int | None:
    """Field 22 of /proc/PID/stat (proc(5)); the name before it may hold blanks and brackets."""
    try:
        return int((PROC / str(pid) / "stat").read_bytes().rpartition(b")")[2].split()[19])
    except (OSError, ValueError, IndexError):
        return None
