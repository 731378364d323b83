"""CPU and memory taken from a live process: by a control group of its own, shown by the kernel's counters there."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import psutil

from readiness.drivers.process.cgroups import (
    PREFIX,
    Tree,
    counters,
    find_tree,
    is_ours,
    number,
    writable,
)
from readiness.drivers.process.victims import Victim
from readiness.errors import Missing, TargetError
from readiness.target import Argument, Lifted, Operation

CONTROLLERS = {"cpu": "cpu", "memory": "memory"}
"""Resource → controller of the kernel that takes it away."""
_PERIOD_US = 100_000
_LEAST_US = 1_000
"""The least that the kernel grants in a period: a hundredth of a core."""
_RIGHT = "run as root, or where this user may write the control groups"
Arguments = Mapping[str, Argument]


def cannot(resource: str) -> str:
    """Say why it cannot be taken away here, or nothing."""
    tree = find_tree(CONTROLLERS[resource])
    if tree is None:
        return f"no control group hierarchy with the controller {CONTROLLERS[resource]} is mounted here (Linux)"
    own = tree.folder(tree.group_of(os.getpid()) or "/")
    if not any(writable(folder) for folder in (own, own.parent, tree.mount)):
        return f"no right to make control groups in {tree.mount}: {_RIGHT}"
    return ""


def starving(scheme: str, victim: Victim, share: float, tag: str) -> Lifted:
    """Plan to leave it a share of one core."""
    if not _LEAST_US / _PERIOD_US <= share <= float(os.cpu_count() or 1):
        raise TargetError(f"a share of {share:g} cores cannot be had; allowed: 0.01 to {os.cpu_count()}")
    arguments = _placed(victim, "cpu", tag)
    return _lifted(scheme, "starve", {**arguments, "share": share}, "throttled", arguments)


def squeezing(scheme: str, victim: Victim, room_bytes: int, tag: str) -> Lifted:
    """Plan to let it take that much memory more than it has."""
    if room_bytes < 0:
        raise TargetError(f"room for {room_bytes} bytes cannot be had; allowed: 0 and more")
    arguments = _placed(victim, "memory", tag)
    return _lifted(scheme, "squeeze", {**arguments, "bytes": room_bytes}, "squeezed", arguments)


def starve(process: psutil.Process, victim: Victim, arguments: Arguments) -> None:
    """Put it into a group of its own that gets `share` cores."""
    quota_us = max(_LEAST_US, round(_figure(arguments, "share") * _PERIOD_US))
    tree, group = _tree("cpu"), _text(arguments, "group")
    _check(tree, victim, group, _text(arguments, "former"))
    folder = tree.make(group)
    if tree.version == 1:
        (folder / "cpu.cfs_period_us").write_text(str(_PERIOD_US))
        (folder / "cpu.cfs_quota_us").write_text(str(quota_us))
    else:
        (folder / "cpu.max").write_text(f"{quota_us} {_PERIOD_US}")
    _enter(tree, process, group)


def squeeze(process: psutil.Process, victim: Victim, arguments: Arguments) -> None:
    """Put it into a group of its own that may hold `bytes` of memory.

    What it holds already stays charged to the group that it came from, in both versions of the kernel's interface.
    """
    limit = str(round(_figure(arguments, "bytes")))
    tree, group = _tree("memory"), _text(arguments, "group")
    _check(tree, victim, group, _text(arguments, "former"))
    folder = tree.make(group)
    if tree.version == 1:
        (folder / "memory.limit_in_bytes").write_text(limit)
        _write_where_there(folder / "memory.memsw.limit_in_bytes", limit)
    else:
        (folder / "memory.max").write_text(limit)
        _write_where_there(folder / "memory.swap.max", "0")
    _enter(tree, process, group)


def relieve(resource: str, arguments: Arguments) -> None:
    """Move everybody in the group back to where they came from, and remove the group; right when it is gone."""
    tree = _tree(resource)
    tree.remove(_text(arguments, "group"), _text(arguments, "former"))


def throttled(victim: Victim, arguments: Arguments) -> str:
    """Show that the kernel made it wait for the CPU."""
    tree, group = _tree("cpu"), _text(arguments, "group")
    told = counters(tree.folder(group) / "cpu.stat")
    if told.get("nr_throttled", 0) == 0:
        return ""
    waited_s = told["throttled_usec"] / 1e6 if "throttled_usec" in told else told.get("throttled_time", 0) / 1e9
    return (
        f"{victim} was made to wait in {told['nr_throttled']} of {told.get('nr_periods', 0)} periods, {waited_s:.2f} s"
    )


def squeezed(victim: Victim, arguments: Arguments) -> str:
    """Show that it ran into its limit of memory."""
    hits, _ = _memory(arguments)
    killed = killed_for_memory(victim, arguments)
    return killed or (f"{victim} ran into its limit of memory {hits} times" if hits else "")


def killed_for_memory(victim: Victim, arguments: Arguments) -> str:
    """Show that the kernel ended it, or one that was forked by it, for its memory.

    The kernel counts first and ends the process then, so for a moment it may still be there.
    """
    _, kills = _memory(arguments)
    told = "it is gone" if victim.process() is None else "it is there still, or about to end"
    return f"the kernel killed {kills} in the control group of {victim} for memory; {told}" if kills else ""


def unlimited(resource: str, victim: Victim, arguments: Arguments) -> str:
    """Show that the group is gone, and where the process is now."""
    tree, group = _tree(resource), _text(arguments, "group")
    if tree.folder(group).exists():
        return ""
    now = tree.group_of(victim.pid) if victim.process() is not None else None
    if now is None:
        return f"{victim} ended, and its control group is gone"
    return "" if is_ours(now) else f"{victim} is in the control group {now}, and its own is gone"


def _placed(victim: Victim, resource: str, tag: str) -> dict[str, Argument]:
    """Where it is now, and the group to make for it."""
    if reason := cannot(resource):
        raise Missing(reason, _RIGHT)
    tree = _tree(resource)
    former = tree.group_of(victim.pid)
    if former is None:
        raise TargetError(f"{victim} has ended by itself")
    if is_ours(former):
        raise TargetError(f"{victim} is in {former} already: a fault holds it, lift that one first")
    group = tree.place(former, f"{PREFIX}{tag}-{resource}-{victim.pid}")
    if not is_ours(group):
        raise TargetError(f"the tag {tag!r} cannot name a control group; allowed: small letters, digits and dashes")
    if not writable(tree.folder(group).parent):
        raise Missing(f"no right to make a control group in {tree.folder(group).parent}", _RIGHT)
    return {**victim.arguments(), "resource": resource, "group": group, "former": former}


def _lifted(scheme: str, name: str, given: Arguments, witness: str, arguments: Arguments) -> Lifted:
    return Lifted(
        Operation(scheme, name, given),
        Operation(scheme, "relieve", arguments),
        Operation(scheme, witness, arguments),
        Operation(scheme, "unlimited", arguments),
    )


def _check(tree: Tree, victim: Victim, group: str, former: str) -> None:
    now = tree.group_of(victim.pid)
    if now not in (group, former):
        raise TargetError(f"{victim} is in the control group {now} by now, not in {former}")


def _enter(tree: Tree, process: psutil.Process, group: str) -> None:
    """Move it with those of its descendants that are where it is; what it forks later goes with it."""
    former = tree.group_of(process.pid)
    family = [process.pid, *(child.pid for child in process.children(recursive=True))]
    tree.move([pid for pid in family if tree.group_of(pid) == former], group)
    if tree.group_of(process.pid) != group:
        raise TargetError(f"process {process.pid} could not be moved to the control group {group}")


def _memory(arguments: Arguments) -> tuple[int, int]:
    """How often the limit was hit, and how many processes were killed for it."""
    tree = _tree("memory")
    folder = tree.folder(_text(arguments, "group"))
    if tree.version == 1:
        return number(folder / "memory.failcnt"), counters(folder / "memory.oom_control").get("oom_kill", 0)
    events = counters(folder / "memory.events")
    return events.get("max", 0), events.get("oom_kill", 0)


def _tree(resource: str) -> Tree:
    tree = find_tree(CONTROLLERS[resource])
    if tree is None:
        raise TargetError(cannot(resource))
    return tree


def _write_where_there(path: Path, text: str) -> None:
    if path.exists():
        path.write_text(text)


def _text(arguments: Arguments, name: str) -> str:
    try:
        return str(arguments[name])
    except KeyError:
        raise TargetError(f"a control group needs the argument {name}") from None


def _figure(arguments: Arguments, name: str) -> float:
    try:
        return float(arguments[name])
    except (KeyError, ValueError):
        raise TargetError(f"a limit needs the number {name}; given: {arguments.get(name)!r}") from None
