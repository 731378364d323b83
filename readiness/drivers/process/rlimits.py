"""Descriptors and file sizes taken away from a live process: by its resource limits (prlimit(2)), Linux alone."""

from __future__ import annotations

import itertools
import signal
from collections.abc import Mapping
from pathlib import Path

import psutil

from readiness.drivers.process.victims import PROC, Victim
from readiness.errors import Missing, TargetError
from readiness.target import Argument, Lifted, Operation

RESOURCES = ("descriptors", "file_size")
_INFINITY = -1
Arguments = Mapping[str, Argument]


def cannot(resource: str) -> str:
    """Say why it cannot be taken away here, or nothing."""
    return "" if hasattr(psutil, "RLIMIT_NOFILE") else f"limiting {resource} of a live process needs Linux (prlimit)"


def exhausting(scheme: str, victim: Victim, spare: int) -> Lifted:
    """Plan to let it open that many descriptors more."""
    if spare < 0:
        raise TargetError(f"{spare} spare descriptors cannot be had; allowed: 0 and more")
    return _plan(scheme, "exhaust", victim, "descriptors", {"spare": spare})


def capping(scheme: str, victim: Victim, file_bytes: int) -> Lifted:
    """Plan that no file grows beyond that size."""
    if file_bytes < 0:
        raise TargetError(f"a file size of {file_bytes} bytes cannot be had; allowed: 0 and more")
    if not _survives(victim.pid, signal.SIGXFSZ):
        raise Missing(
            f"{victim} would be killed at a file's limit (SIGXFSZ) instead of being told",
            "a program that ignores or catches SIGXFSZ, as Python's do",
        )
    return _plan(scheme, "cap", victim, "file_size", {"bytes": file_bytes})


def exhaust(process: psutil.Process, _victim: Victim, arguments: Arguments) -> None:
    """Lower the limit of descriptors until only `spare` free numbers are left below it."""
    free = itertools.islice(_free(process.pid), _count(arguments, "spare"), None)
    _lower(process, psutil.RLIMIT_NOFILE, next(free))


def cap(process: psutil.Process, _victim: Victim, arguments: Arguments) -> None:
    """Let no file grow beyond `bytes` under its hands: writing more fails with EFBIG."""
    _lower(process, psutil.RLIMIT_FSIZE, _count(arguments, "bytes"))


def relieve(resource: str, victim: Victim, arguments: Arguments) -> None:
    """Give back the limit that it had; where it has ended there is nothing to give back."""
    process = victim.process()
    if process is None:
        return
    kind, former = _kind(resource), int(_count(arguments, "former"))
    try:
        soft, hard = process.rlimit(kind)
        wanted = former if hard == _INFINITY or _below(former, hard) else hard
        if soft != wanted:
            process.rlimit(kind, (wanted, hard))
    except psutil.NoSuchProcess:
        return


def limited(victim: Victim, arguments: Arguments) -> str:
    """Show that the next descriptor, or the next byte of a file, is refused to it."""
    resource, former = str(arguments.get("resource")), _count(arguments, "former")
    process = victim.process()
    if process is None:
        return ""
    soft, _ = process.rlimit(_kind(resource))
    if not _below(soft, former) or soft == former:
        return ""
    if resource == "descriptors":
        full = next(_free(victim.pid)) >= soft
        return f"{victim} can open nothing more: its limit is {soft} descriptors, and all are in use" if full else ""
    if soft == 0:
        return f"{victim} can write to no file: its limit is 0 bytes"
    for file in process.open_files():
        size = _size(file.path)
        if file.mode != "r" and size is not None and size >= soft:
            return f"{victim} cannot let {Path(file.path).name} grow: it has {size} bytes, the limit is {soft}"
    return ""


def unlimited(resource: str, victim: Victim, arguments: Arguments) -> str:
    """Show that it has its former limit again."""
    process = victim.process()
    if process is None:
        return f"{victim} ended"
    soft, hard = process.rlimit(_kind(resource))
    whole = soft in (_count(arguments, "former"), hard) and (
        resource != "descriptors" or soft == _INFINITY or next(_free(victim.pid)) < soft
    )
    return f"{victim} has its limit of {resource} again: {'none' if soft == _INFINITY else soft}" if whole else ""


def _plan(scheme: str, name: str, victim: Victim, resource: str, given: Arguments) -> Lifted:
    if reason := cannot(resource):
        raise Missing(reason, "Linux")
    try:
        former, _ = psutil.Process(victim.pid).rlimit(_kind(resource))
    except psutil.NoSuchProcess:
        raise TargetError(f"{victim} has ended by itself") from None
    except psutil.AccessDenied:
        raise Missing(f"no right to the limits of {victim}", f"run as the user that {victim.service} runs as") from None
    arguments: dict[str, Argument] = {**victim.arguments(), "resource": resource, "former": former}
    return Lifted(
        Operation(scheme, name, {**arguments, **given}),
        Operation(scheme, "relieve", arguments),
        Operation(scheme, "limited", arguments),
        Operation(scheme, "unlimited", arguments),
    )


def _lower(process: psutil.Process, kind: int, limit: int) -> None:
    soft, hard = process.rlimit(kind)
    if soft == _INFINITY or limit < soft:
        process.rlimit(kind, (limit, hard))


def _below(limit: int, other: int) -> bool:
    """Whether a limit allows no more than another."""
    return other == _INFINITY or (limit != _INFINITY and limit <= other)


def _free(pid: int) -> itertools.filterfalse[int]:
    """The numbers that new descriptors of a process get, in order: always the lowest free one (open(2))."""
    try:
        used = {int(path.name) for path in (PROC / str(pid) / "fd").iterdir()}
    except PermissionError:
        raise psutil.AccessDenied(pid) from None
    except OSError:
        raise psutil.NoSuchProcess(pid) from None
    return itertools.filterfalse(used.__contains__, itertools.count())


def _survives(pid: int, number: int) -> bool:
    """Whether a process ignores or catches a signal (proc(5): SigIgn and SigCgt are masks)."""
    try:
        lines = (PROC / str(pid) / "status").read_text().splitlines()
    except OSError:
        return False
    masks = (int(line.split()[1], 16) for line in lines if line.startswith(("SigIgn:", "SigCgt:")))
    return any(mask >> (number - 1) & 1 for mask in masks)


def _size(path: str) -> int | None:
    try:
        return Path(path).stat().st_size
    except OSError:
        return None


def _kind(resource: str) -> int:
    if resource not in RESOURCES:
        raise TargetError(f"{resource!r} is no limit of a process; allowed: {', '.join(RESOURCES)}")
    return int(psutil.RLIMIT_NOFILE if resource == "descriptors" else psutil.RLIMIT_FSIZE)


def _count(arguments: Arguments, name: str) -> int:
    try:
        return int(arguments[name])
    except (KeyError, ValueError):
        raise TargetError(f"a limit needs the number {name}; given: {arguments.get(name)!r}") from None
